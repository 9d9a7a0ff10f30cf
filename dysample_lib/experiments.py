"""One run of the comparison, from names to a trained model and its record."""

from __future__ import annotations

import platform
import subprocess
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from . import __version__
from .budget import Budget, current_budget
from .budget import device as default_device
from .checkpoints import read_checkpoint
from .datasets import load_dataset
from .evaluation import evaluate
from .models import SegmentationNet
from .results import Record
from .training import Recipe, fit, seeded

WIDTHS = {"coastlines": 32, "pets": 64, "camvid": 64}
"""Channels of the maps that the upsamplers see, for each data set."""

CPU_SIZES = {"camvid": (90, 120)}
"""Height and width of the images under every budget but ``full``, where not as stored:
half of CamVid's 180 × 240 is what two cores get through in minutes."""


@dataclass(frozen=True)
class Run:
    """A trained model, how it got there, and the line that goes into ``results/``."""

    model: nn.Module
    metrics: dict[str, float]
    history: list[dict[str, float]]
    record: Record


def run(
    upsampler: str,
    *,
    dataset: str | None = None,
    decoder: str = "pointwise",
    seed: int = 0,
    epochs: int | None = None,
    budget: Budget | str | None = None,
    root: Path | str | None = None,
    checkpoint: Path | str | None = None,
    progress: bool | None = None,
) -> Run:
    """Train the testbed with ``upsampler`` and measure it.

    Args:
        upsampler: a name from :data:`dysample_lib.upsamplers.UPSAMPLERS`.
        dataset: ``"coastlines"``, ``"pets"`` or ``"camvid"``; the budget's by default.
        decoder: ``"pointwise"``, ``"segformer"`` or ``"fpn"``.
        seed: of the weights, the order of the images and their flips.
        epochs: passes over the training split; the budget's by default.
        budget: a budget or its name; chosen by the machine by default.
        root: the data set's folder, where it has one.
        checkpoint: see :func:`dysample_lib.training.fit`.
        progress: see :func:`dysample_lib.training.fit`.
    """
    plan = budget if isinstance(budget, Budget) else current_budget(budget)
    plan = replace(
        plan,
        dataset=dataset or plan.dataset,
        epochs=plan.epochs if epochs is None else epochs,
    )
    recipe = Recipe(epochs=plan.epochs, seed=seed)
    options: dict[str, Any] = {}
    if plan.name != "full" and plan.dataset in CPU_SIZES:
        options["size"] = CPU_SIZES[plan.dataset]
    train = load_dataset(plan.dataset, "train", root=root, **options)
    validation = load_dataset(plan.dataset, "val", root=root, **options)
    design: dict[str, Any] = {
        "upsampler": upsampler,
        "decoder": decoder,
        "encoder": plan.encoder,
        "num_classes": len(train.classes),
        "width": WIDTHS[plan.dataset],
    }
    with seeded(seed):
        model = SegmentationNet(**design, pretrained=plan.encoder != "small")
    result = fit(
        model,
        train,
        validation,
        recipe,
        checkpoint=checkpoint,
        about={"dataset": plan.dataset, "options": options, **design},
        evaluate_every=plan.evaluate_every,
        progress=progress,
    )
    record = Record(
        dataset=plan.dataset,
        decoder=decoder,
        upsampler=upsampler,
        seed=seed,
        epochs=plan.epochs,
        mean_iou=result.metrics["mean_iou"],
        boundary_iou=result.metrics["boundary_iou"],
        trimap_iou=result.metrics["trimap_iou"],
        parameters=count_parameters(model),
        upsampler_parameters=count_parameters(model.decoder.upsamplers),
        seconds=round(result.seconds, 2),
        torch=torch.__version__,
        device=default_device().type,
        device_name=_device_name(),
        threads=torch.get_num_threads(),
        budget=plan.name,
        version=__version__,
        commit=_commit(),
    )
    return Run(model, result.metrics, result.history, record)


def evaluate_checkpoint(
    checkpoint: Path | str, *, root: Path | str | None = None, band: int = 2
) -> dict[str, float]:
    """Measure the model of a training checkpoint on its data set's validation split.

    Args:
        checkpoint: a file that :func:`run` wrote; it says what it holds.
        root: the data set's folder, where it has one.
        band: width of the boundary metrics, in pixels.
    """
    state = read_checkpoint(Path(checkpoint))
    about = state["identity"]
    names = ("num_classes", "upsampler", "decoder", "encoder", "width")
    missing = [name for name in ("dataset", "options", *names) if name not in about]
    if missing:
        raise ValueError(
            f"checkpoint {checkpoint} does not say its {', '.join(missing)}; it has "
            "to come from `train`, `sweep` or run()"
        )
    model = SegmentationNet(**{name: about[name] for name in names})
    model.load_state_dict(state["model"])
    data = load_dataset(about["dataset"], "val", root=root, **about["options"])
    return evaluate(model, data, band=band)


def count_parameters(module: nn.Module) -> int:
    """Return the number of learned values in ``module``."""
    return sum(parameter.numel() for parameter in module.parameters())


def _device_name() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return platform.machine()


@cache
def _commit() -> str:
    """Return the library's commit, ``unknown`` where it is not in a checkout."""
    answer = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--match", "v*"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return answer.stdout.strip() or "unknown"
