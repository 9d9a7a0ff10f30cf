"""Fit: one short training loop, repeatable and resumable, for every task."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..ops.checks import check_positive_integer
from ..tasks.base import Batch, Images, Source, Task
from .checkpoints import load_checkpoint, save_checkpoint
from .features import KeptMaps
from .progress import bar

if TYPE_CHECKING:
    from ..study.spec import RunSpec

STATEFUL = ("optimizer", "schedule", "scaler")
"""The parts of a session, beside the model, that have a state of their own."""

AXES = {"h": -1, "v": -2}
"""The axis of an image that each letter of a spec's ``flips`` mirrors."""


@dataclass(frozen=True)
class Fit:
    """What :func:`fit` returns.

    Attributes:
        metrics: of the last evaluation, in the task's units.
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
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


def fit(
    task: Task,
    model: nn.Module,
    train: Any,
    validation: Any,
    spec: RunSpec,
    *,
    checkpoint: Path | str | None = None,
    checkpoint_every: int = 1,
    identity: dict[str, Any] | None = None,
    evaluate_every: int | None = None,
    keep: bool | None = None,
    progress: bool | None = None,
) -> Fit:
    """Train ``model`` in place and measure it on ``validation``.

    On a CPU the same model, spec and number of threads give the same weights, bit for
    bit. On a GPU, in mixed precision, training repeats only approximately:
    ``grid_sample``'s gradient adds in no fixed order.

    Args:
        task: what is learned.
        model: as the task builds it.
        train: the set to learn from.
        validation: the set to measure on.
        spec: of the run: epochs, seed, rates, device and precision.
        checkpoint: a file to save to, and to go on from as if never stopped.
        checkpoint_every: epochs between two checkpoints.
        identity: what the checkpoint has to be of (plain values); the spec by default.
        evaluate_every: epochs between two evaluations; only the last epoch's by
            default.
        keep: train on kept features (:mod:`dysample_lib.train.features`); by default
            where the encoder is frozen.
        progress: show progress bars; by default in a terminal and outside CI.

    Raises:
        ValueError: for an empty split, or a checkpoint of another run.
        FloatingPointError: at a loss or a weight that is not finite, saying where;
            the last checkpoint stays as it was.
    """
    check_positive_integer("checkpoint_every", checkpoint_every)
    if evaluate_every is not None:
        check_positive_integer("evaluate_every", evaluate_every)
    for name, data in (("train", train), ("validation", validation)):
        if len(data) == 0:
            raise ValueError(f"{name} has to hold at least one image, got none")
    path = None if checkpoint is None else Path(checkpoint)
    identity = asdict(spec) if identity is None else identity
    found = None if path is None else load_checkpoint(path, identity)
    sources = _sources(model, train, validation, spec, keep, progress)
    session = _Session(task, model, sources[0], spec)
    if found:
        session.restore(found)
    epochs = range(session.epoch, spec.epochs)
    for epoch in bar(epochs, progress, "epoch", initial=session.epoch):
        started = time.perf_counter()
        row = {"epoch": float(epoch + 1), "loss": session.train_epoch(epoch)}
        session.seconds += time.perf_counter() - started
        last = epoch + 1 == spec.epochs
        if last or (evaluate_every and (epoch + 1) % evaluate_every == 0):
            row |= task.measure(model, sources[1], spec)
        session.history.append(row)
        session.epoch = epoch + 1
        if path is not None and (last or (epoch + 1) % checkpoint_every == 0):
            save_checkpoint(path, {"identity": identity} | session.state())
    model.eval()
    metrics = {k: session.history[-1][k] for k in task.metrics}
    return Fit(metrics, session.history, session.seconds)


def _sources(
    model: nn.Module,
    train: Any,
    validation: Any,
    spec: RunSpec,
    keep: bool | None,
    progress: bool | None,
) -> tuple[Source, Source]:
    """Where the batches of both splits come from: images, or kept maps of them."""
    device = torch.device(spec.device)
    if keep is None:
        keep = spec.frozen and set(spec.flips) <= {"h"}
    if not keep:
        return Images(train, device), Images(validation, device)
    mirrored = "h" in spec.flips
    options: dict[str, Any] = {"device": device, "progress": progress}
    return (
        KeptMaps(model, train, mirrored=mirrored, **options),  # type: ignore[arg-type]
        KeptMaps(model, validation, mirrored=False, **options),  # type: ignore[arg-type]
    )


class _Session:
    """The state of one training run."""

    def __init__(
        self, task: Task, model: nn.Module, source: Source, spec: RunSpec
    ) -> None:
        self.task, self.source, self.spec = task, source, spec
        self.device = torch.device(spec.device)
        self.model = model.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        groups = _groups(task, model, spec)
        self.optimizer = torch.optim.AdamW(
            groups, weight_decay=spec.weight_decay, fused=True
        )
        self.steps = math.ceil(len(source) / spec.batch_size)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer,
            [group["lr"] for group in groups],
            total_steps=spec.epochs * self.steps,
        )
        self.amp = spec.precision == "mixed"
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.amp)
        self.epoch = 0
        self.seconds = 0.0
        self.history: list[dict[str, float]] = []

    def state(self) -> dict[str, Any]:
        return {
            "epoch": self.epoch,
            "seconds": self.seconds,
            "history": self.history,
            "model": trained_state(self.model),
        } | {name: getattr(self, name).state_dict() for name in STATEFUL}

    def restore(self, state: dict[str, Any]) -> None:
        load_trained_state(self.model, state["model"])
        for name in STATEFUL:
            getattr(self, name).load_state_dict(state[name])
        self.epoch, self.seconds = state["epoch"], state["seconds"]
        self.history = state["history"]

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Shuffle and flip; a function of seed and epoch, so a resumed run agrees."""
        generator = torch.Generator().manual_seed(self.spec.seed * 100_003 + epoch)
        order = torch.randperm(len(self.source), generator=generator)
        for index in order.split(self.spec.batch_size):
            flips = {
                AXES[letter]: torch.rand(len(index), generator=generator) < 0.5
                for letter in self.spec.flips
            }
            yield self.source.batch(index, flips)

    def train_epoch(self, epoch: int) -> float:
        """Train on every image once; return the mean loss."""
        # Detectors draw their samples: a function of seed and epoch as well.
        with seeded((self.spec.seed * 100_003 + epoch) % 2**63):
            return self._train_epoch(epoch)

    def _train_epoch(self, epoch: int) -> float:
        self.model.train()
        total = 0.0
        for step, batch in enumerate(self.batches(epoch)):
            with torch.autocast(self.device.type, enabled=self.amp):
                loss = self.task.loss(self.model, batch)
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
            total += value * len(batch.targets)
        # The last step has no loss after it to tell, and a checkpoint is next.
        if not all(p.isfinite().all() for p in self.model.parameters()):
            raise self.diverged("a weight is not finite", epoch, self.steps - 1)
        return total / len(self.source)

    def diverged(self, what: str, epoch: int, step: int) -> FloatingPointError:
        where = f"epoch {epoch + 1}, step {step + 1} of {self.steps}"
        rate = f"learning rate {self.optimizer.param_groups[0]['lr']:.2g}"
        return FloatingPointError(f"{what} at {where} ({rate}): try a lower one")


def _groups(task: Task, model: nn.Module, spec: RunSpec) -> list[dict[str, Any]]:
    """The trained parameters with their learning rates: the rest, offsets, encoder."""
    # A model of somebody's own has neither of the two, and needs no factor.
    offsets: set[Tensor] = set()
    encoder: set[Tensor] = set()
    if spec.offset_rate != 1:
        offsets = {
            parameter
            for upsampler in task.upsamplers(model)
            for parameter in upsampler.offset_parameters()  # type: ignore[operator]
        }
    if spec.encoder_rate != 1:
        encoder = set(model.encoder.parameters())  # type: ignore[union-attr]
    members: dict[float, list[Tensor]] = {}
    for parameter in model.parameters():
        if parameter.requires_grad:
            factor = 1.0
            if parameter in offsets:
                factor = spec.offset_rate
            elif parameter in encoder:
                factor = spec.encoder_rate
            members.setdefault(factor, []).append(parameter)
    return [
        {"params": parameters, "lr": factor * spec.learning_rate}
        for factor, parameters in members.items()
    ]


def trained_state(model: nn.Module) -> dict[str, Tensor]:
    """The model's state without a frozen encoder, which a checkpoint need not hold."""
    state: dict[str, Tensor] = model.state_dict()
    if getattr(model, "frozen", False):
        state = {k: v for k, v in state.items() if not k.startswith("encoder.")}
    return state


def load_trained_state(model: nn.Module, state: dict[str, Tensor]) -> None:
    """Load what :func:`trained_state` gave; everything else stays.

    Raises:
        RuntimeError: if the state is of another model.
    """
    whole = trained_state(model)
    if whole.keys() != state.keys():
        odd = sorted(whole.keys() ^ state.keys())
        raise RuntimeError(f"the checkpoint is of another model, it differs in {odd}")
    model.load_state_dict(state, strict=False)
