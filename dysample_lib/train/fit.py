"""Fit: one short training loop, repeatable and resumable."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..data.base import SegmentationSet
from ..ops.checks import check_positive_integer
from ..ops.devices import default_device
from ..tasks.segmentation import evaluate
from .checkpoints import load_checkpoint, save_checkpoint

STATEFUL = ("model", "optimizer", "schedule", "scaler")
"""The parts of a session that have a state of their own."""


@dataclass(frozen=True)
class Recipe:
    """How a network is trained; two runs with equal recipes are comparable.

    Attributes:
        epochs: passes over the training split.
        seed: of the weights, the images' order and their flips; 0 … 2**32 - 1.
        batch_size: images a step.
        learning_rate: the peak of the one-cycle schedule (Smith & Topin, 2019).
        weight_decay: of AdamW (Loshchilov & Hutter, 2019).
        band: width of the boundary metrics, in pixels.
    """

    epochs: int = 24
    seed: int = 0
    batch_size: int = 16
    learning_rate: float = 4e-3
    weight_decay: float = 1e-2
    band: int = 2

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "band"):
            check_positive_integer(name, getattr(self, name))
        if not isinstance(self.seed, int) or not 0 <= self.seed < 2**32:
            raise ValueError(f"seed has to be in 0 … 2**32 - 1, got {self.seed!r}")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(
                f"learning_rate has to be a positive number, got {self.learning_rate!r}"
            )


@dataclass(frozen=True)
class Fit:
    """What :func:`fit` returns.

    Attributes:
        metrics: of the last evaluation, shares in [0, 1].
        history: one row an epoch, its ``epoch`` and ``loss``, and the metrics where
            it was evaluated.
        seconds: time spent training, over all sessions of a resumed run.
    """

    metrics: dict[str, float]
    history: list[dict[str, float]]
    seconds: float


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed every draw inside, and leave the caller's random state alone."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def fit(
    model: nn.Module,
    train: SegmentationSet,
    validation: SegmentationSet,
    recipe: Recipe | None = None,
    *,
    device: torch.device | str | None = None,
    checkpoint: Path | str | None = None,
    checkpoint_every: int = 1,
    about: dict[str, Any] | None = None,
    evaluate_every: int = 1,
    progress: bool | None = None,
) -> Fit:
    """Train ``model`` in place and measure it on ``validation``.

    On a CPU the same model, recipe and number of threads give the same weights, bit
    for bit. On a GPU, in mixed precision, training repeats only approximately:
    ``grid_sample``'s gradient adds in no fixed order.

    Args:
        model: maps uint8 images (B, 3, H, W) to logits (B, K, H, W).
        train: the images to learn from.
        validation: the images to measure on.
        recipe: epochs, seed and optimiser settings.
        device: where to train; the GPU where there is one by default.
        checkpoint: a file to save to, and to go on from as if never stopped.
        checkpoint_every: epochs between two checkpoints.
        about: what the run is (plain values), kept in the checkpoint; only a run
            with the same recipe and the same ``about`` goes on from it.
        evaluate_every: epochs between two evaluations, the last epoch's apart.
        progress: show a progress bar; by default in a terminal and outside CI.

    Raises:
        ValueError: for an empty split, or a checkpoint of another recipe.
        FloatingPointError: at a loss or a weight that is not finite, saying where;
            the last checkpoint stays as it was.
    """
    recipe = recipe or Recipe()
    check_positive_integer("checkpoint_every", checkpoint_every)
    check_positive_integer("evaluate_every", evaluate_every)
    for name, data in (("train", train), ("validation", validation)):
        if len(data) == 0:
            raise ValueError(f"{name} has to hold at least one image, got none")
    where = torch.device(device) if device is not None else default_device()
    path = None if checkpoint is None else Path(checkpoint)
    identity = asdict(recipe) | (about or {})
    found = None if path is None else load_checkpoint(path, identity)
    session = _Session(model, train, recipe, where)
    if found:
        session.restore(found)
    for epoch in _bar(range(session.epoch, recipe.epochs), recipe.epochs, progress):
        started = time.perf_counter()
        row = {"epoch": float(epoch + 1), "loss": session.train_epoch(epoch)}
        session.seconds += time.perf_counter() - started
        last = epoch + 1 == recipe.epochs
        if last or (epoch + 1) % evaluate_every == 0:
            row |= evaluate(model, validation, band=recipe.band, device=where)
        session.history.append(row)
        session.epoch = epoch + 1
        if path is not None and (last or (epoch + 1) % checkpoint_every == 0):
            save_checkpoint(path, {"identity": identity} | session.state())
    model.eval()
    metrics = {k: v for k, v in session.history[-1].items() if k.endswith("_iou")}
    return Fit(metrics, session.history, session.seconds)


class _Session:
    """The state of one training run."""

    def __init__(
        self,
        model: nn.Module,
        train: SegmentationSet,
        recipe: Recipe,
        device: torch.device,
    ) -> None:
        self.recipe, self.device = recipe, device
        self.model = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.images = train.images.to(device)
        self.masks = train.masks.to(device)
        self.ignore_index = train.ignore_index
        self.optimizer = torch.optim.AdamW(
            model.parameters(),
            lr=recipe.learning_rate,
            weight_decay=recipe.weight_decay,
        )
        self.steps = math.ceil(len(train) / recipe.batch_size)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer,
            recipe.learning_rate,
            total_steps=recipe.epochs * self.steps,
        )
        self.amp = device.type == "cuda"
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.amp)
        self.epoch = 0
        self.seconds = 0.0
        self.history: list[dict[str, float]] = []

    def state(self) -> dict[str, Any]:
        return {
            "epoch": self.epoch,
            "seconds": self.seconds,
            "history": self.history,
        } | {name: getattr(self, name).state_dict() for name in STATEFUL}

    def restore(self, state: dict[str, Any]) -> None:
        for name in STATEFUL:
            getattr(self, name).load_state_dict(state[name])
        self.epoch, self.seconds = state["epoch"], state["seconds"]
        self.history = state["history"]

    def batches(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Shuffle and flip; a function of seed and epoch, so a resumed run agrees."""
        generator = torch.Generator().manual_seed(self.recipe.seed * 100_003 + epoch)
        order = torch.randperm(len(self.images), generator=generator)
        for index in order.split(self.recipe.batch_size):
            images, masks = self.images[index], self.masks[index]
            for axis in (-1, -2):
                coin = torch.rand(len(index), generator=generator) < 0.5
                coin = coin.to(self.device)
                images = torch.where(coin.view(-1, 1, 1, 1), images.flip(axis), images)
                masks = torch.where(coin.view(-1, 1, 1), masks.flip(axis), masks)
            yield images.contiguous(memory_format=torch.channels_last), masks

    def train_epoch(self, epoch: int) -> float:
        """Train on every image once; return the mean loss."""
        self.model.train()
        total = 0.0
        for step, (images, masks) in enumerate(self.batches(epoch)):
            with torch.autocast(self.device.type, enabled=self.amp):
                logits = self.model(images)
            loss = F.cross_entropy(
                logits.float(), masks.long(), ignore_index=self.ignore_index
            )
            value = loss.item()
            if not math.isfinite(value):
                raise self.diverged(f"the loss is {value}", epoch, step)
            self.optimizer.zero_grad(set_to_none=True)
            self.scaler.scale(loss).backward()
            self.scaler.step(self.optimizer)
            scale = self.scaler.get_scale()
            self.scaler.update()
            if self.scaler.get_scale() >= scale:  # it shrinks after a skipped step
                self.schedule.step()
            total += value * len(images)
        # The last step has no loss after it to tell, and a checkpoint is next.
        if not all(p.isfinite().all() for p in self.model.parameters()):
            raise self.diverged("a weight is not finite", epoch, self.steps - 1)
        return total / len(self.images)

    def diverged(self, what: str, epoch: int, step: int) -> FloatingPointError:
        where = f"epoch {epoch + 1}, step {step + 1} of {self.steps}"
        rate = f"learning rate {self.optimizer.param_groups[0]['lr']:.2g}"
        return FloatingPointError(f"{what} at {where} ({rate}): try a lower one")


def _bar(epochs: range, total: int, progress: bool | None) -> Any:
    """Wrap ``epochs`` in a text progress bar, or leave it silent."""
    if progress is None:
        progress = sys.stderr.isatty() and not os.environ.get("CI")
    if not progress:
        return epochs
    from tqdm import tqdm

    return tqdm(epochs, initial=epochs.start, total=total, unit="epoch")
