"""One run of the comparison, from names to a trained model and its record."""

from __future__ import annotations

import platform
import subprocess
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from .. import __version__
from ..data import SegmentationSet, load_dataset
from ..ops.devices import default_device
from ..ops.parameters import count_parameters
from ..tasks.segmentation import evaluate
from ..testbed.nets import SegmentationNet
from ..train.checkpoints import read_checkpoint
from ..train.fit import Recipe, fit, seeded
from .budget import Budget, current_budget
from .records import Record

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


class Start(NamedTuple):
    """What a run starts from, in the order in which ``fit`` takes it."""

    model: SegmentationNet
    train: SegmentationSet
    validation: SegmentationSet
    recipe: Recipe


def prepare(
    upsampler: str,
    *,
    dataset: str | None = None,
    decoder: str = "pointwise",
    seed: int = 0,
    epochs: int | None = None,
    budget: Budget | str | None = None,
    root: Path | str | None = None,
) -> Start:
    """Return what :func:`run` starts from, to change the model before it is trained.

    ``fit(*prepare("naive"))`` trains what ``run("naive")`` trains. The arguments are
    those of :func:`run`.
    """
    return _start(_plan(budget, dataset, epochs), upsampler, decoder, seed, root)


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
        checkpoint: see :func:`dysample_lib.train.fit.fit`.
        progress: see :func:`dysample_lib.train.fit.fit`.
    """
    plan = _plan(budget, dataset, epochs)
    start = _start(plan, upsampler, decoder, seed, root)
    model = start.model
    about = {"dataset": plan.dataset, "options": _options(plan)}
    result = fit(
        *start,
        checkpoint=checkpoint,
        about=about | _design(plan, upsampler, decoder, len(start.train.classes)),
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
        parameters=count_parameters(model).total,
        upsampler_parameters=count_parameters(model.decoder.upsamplers).total,
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


def _plan(
    budget: Budget | str | None, dataset: str | None, epochs: int | None
) -> Budget:
    plan = budget if isinstance(budget, Budget) else current_budget(budget)
    return replace(
        plan,
        dataset=dataset or plan.dataset,
        epochs=plan.epochs if epochs is None else epochs,
    )


def _start(
    plan: Budget, upsampler: str, decoder: str, seed: int, root: Path | str | None
) -> Start:
    recipe = Recipe(plan.epochs, seed, learning_rate=plan.learning_rate)
    train, validation = (
        _load(plan.dataset, split, root=root, **_options(plan))
        for split in ("train", "val")
    )
    design = _design(plan, upsampler, decoder, len(train.classes))
    with seeded(seed):
        model = SegmentationNet(**design, pretrained=plan.encoder != "small")
    return Start(model, train, validation, recipe)


@lru_cache(maxsize=2)
def _load(name: str, split: str, **options: Any) -> SegmentationSet:
    """Keep both splits between runs: reading the pets takes longer than an epoch."""
    return load_dataset(name, split, **options)


def _options(plan: Budget) -> dict[str, Any]:
    """What ``load_dataset`` gets beside the name and the split."""
    reduced = plan.name != "full" and plan.dataset in CPU_SIZES
    return {"size": CPU_SIZES[plan.dataset]} if reduced else {}


def _design(
    plan: Budget, upsampler: str, decoder: str, num_classes: int
) -> dict[str, Any]:
    """The arguments that a :class:`SegmentationNet` is built with, weights apart."""
    return {
        "upsampler": upsampler,
        "decoder": decoder,
        "encoder": plan.encoder,
        "num_classes": num_classes,
        "width": WIDTHS[plan.dataset],
    }


def _device_name() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return platform.machine()


@cache
def _commit() -> str:
    """Return the library's commit, ``unknown`` where it is not in a checkout."""
    answer = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--match", "v*"],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    return answer.stdout.strip() or "unknown"
