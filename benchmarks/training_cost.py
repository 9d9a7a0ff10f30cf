"""Time the training of both testbeds beside bilinear interpolation, and its parts.

    python -m benchmarks.training_cost [--threads 2] [--turns 9]

In every turn each upsampler trains a fresh network for one epoch on the same tiles of
`coastlines`, one after the other in one process. The time of an epoch has shuffling,
flips and optimizer in it, and no evaluation; the maps of a frozen encoder are kept, as
in a run, and made before. The parts are those of a step: getting the batch, encoder,
upsamplers, the rest of the decoder, the loss with the last enlargement, the backward
pass, the optimizer; the evaluation is that of as many tiles as a step has. The
allocator is told to keep freed memory, as `train` and `sweep` tell it. Prints two
Markdown tables and the same figures as JSON: medians over the turns of the time in
units of bilinear interpolation's in the same turn, and of each part.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from operator import truediv
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from dysample_lib import __version__
from dysample_lib.cost import keep_memory
from dysample_lib.cost.allocator import allocator
from dysample_lib.cost.timing import LEAST_REPEATS, thread_count
from dysample_lib.data import SegmentationSet, load_dataset
from dysample_lib.ops.devices import device_name
from dysample_lib.study.markdown import markdown_table
from dysample_lib.study.run import prepare
from dysample_lib.study.spec import RunSpec
from dysample_lib.tasks.base import Batch, Source
from dysample_lib.tasks.segmentation import Segmentation
from dysample_lib.train.fit import fit

TESTBEDS = {
    "probe": (
        "small",
        ("bilinear", "grouping", "dynamic_scope", "dysample_s", "dysample_s_plus"),
    ),
    "paper's setting": (
        "efficientnet_lite0",
        ("bilinear", "grouping", "dynamic_scope", "dysample_s_plus", "carafe"),
    ),
}
"""The encoder of each and the upsamplers that are timed in it."""

TILES, BATCH = 256, 16  # as every run has it
PARTS = (
    "batch",
    "encoder",
    "upsamplers",
    "decoder",
    "loss",
    "backward",
    "optimizer",
    "evaluation",
)


class Timed(Segmentation):
    """The task, with a clock in it.

    Attributes:
        steps: seconds of each part, for every training step.
        evaluation: seconds of the evaluation.
    """

    def __init__(self) -> None:
        self.steps: list[Counter[str]] = []
        self.evaluation = 0.0
        self._step: Counter[str] = Counter()
        self._last = time.perf_counter()

    def passed(self, part: str) -> None:
        """Count the time since the last call for ``part``."""
        now = time.perf_counter()
        self._step[part] += now - self._last
        self._last = now

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """The task's, between two looks at the clock."""
        self.passed("batch")
        value = super().loss(model, batch)
        self.passed("loss")
        return value

    def measure(
        self, model: nn.Module, source: Source, spec: RunSpec
    ) -> dict[str, float]:
        """The task's, timed."""
        started = time.perf_counter()
        found = super().measure(model, source, spec)
        self.evaluation = time.perf_counter() - started
        return found

    def stepped(self) -> None:
        """A step is over."""
        self.passed("optimizer")
        self.steps.append(self._step)
        self._step = Counter()

    @contextmanager
    def watching(self, model: Any) -> Iterator[None]:
        """Look at the clock before and after the layers of ``model``, inside."""
        layers = [
            ("encoder", "loss", model.encoder),
            ("decoder", "loss", model.decoder),
        ]
        layers += [("upsamplers", "decoder", up) for up in self.upsamplers(model)]
        hooks = [
            register_optimizer_step_pre_hook(lambda *_: self.passed("backward")),
            register_optimizer_step_post_hook(lambda *_: self.stepped()),
        ]
        for inside, around, layer in layers:
            enter, leave = partial(self.passed, around), partial(self.passed, inside)
            hooks.append(layer.register_forward_pre_hook(lambda *_, f=enter: f()))
            hooks.append(layer.register_forward_hook(lambda *_, f=leave: f()))
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()


def some(data: SegmentationSet, count: int) -> SegmentationSet:
    """The first ``count`` images."""
    return replace(data, images=data.images[:count], masks=data.masks[:count])


def epoch(encoder: str, upsampler: str, seed: int, tiles: int) -> tuple[float, Timed]:
    """Train one epoch; its seconds and the task with the parts of them."""
    sets = [some(load_dataset(split=split), tiles) for split in ("train", "val")]
    start = prepare(upsampler, encoder=encoder, seed=seed, epochs=1, device="cpu")
    task = Timed()
    with task.watching(start.model):
        taken = fit(task, start.model, *sets, start.spec, progress=False)
    return taken.seconds, task


def measure(testbed: str, turns: int, tiles: int = TILES) -> list[dict[str, Any]]:
    """One row for each upsampler of a testbed."""
    encoder, upsamplers = TESTBEDS[testbed]
    seconds: dict[str, list[float]] = {name: [] for name in upsamplers}
    timed: dict[str, list[Timed]] = {name: [] for name in upsamplers}
    order, shuffle = list(upsamplers), random.Random(0).shuffle
    for turn in range(turns + 1):
        shuffle(order)
        for name in order:
            taken, task = epoch(encoder, name, turn, tiles)
            if turn:  # the first warms up, and makes the maps that are kept
                seconds[name].append(taken)
                timed[name].append(task)
    return [
        {
            "testbed": testbed,
            "upsampler": name,
            "images_per_second": round(tiles / median(seconds[name]), 1),
            "to_bilinear": round(
                median(map(truediv, seconds[name], seconds["bilinear"])), 3
            ),
            "milliseconds": milliseconds(timed[name], tiles),
        }
        for name in upsamplers
    ]


def milliseconds(timed: list[Timed], tiles: int) -> dict[str, float]:
    """Median time of each part of a step, and of the evaluation of as many tiles."""
    # The first step of an epoch has the preparation of its batches in it.
    steps = [step for task in timed for step in (task.steps[1:] or task.steps)]
    found = {part: median(step[part] for step in steps) for part in PARTS}
    batches = tiles / BATCH
    found["evaluation"] = median(task.evaluation for task in timed) / batches
    return {part: round(1000 * taken, 2) for part, taken in found.items()}


def markdown(rows: list[dict[str, Any]]) -> str:
    """The two tables."""
    cells = [
        (
            row["testbed"],
            row["upsampler"],
            f"{row['images_per_second']:.0f}",
            f"{row['to_bilinear']:.2f}×",
        )
        for row in rows
    ]
    head = ("testbed", "upsampler", "images per second", "time to bilinear's")
    parts = [
        (
            row["testbed"],
            row["upsampler"],
            *(f"{taken:.1f}" for taken in row["milliseconds"].values()),
        )
        for row in rows
    ]
    columns = ("testbed", "upsampler", *(f"{part} [ms]" for part in PARTS))
    return f"{markdown_table(head, cells)}\n\n{markdown_table(columns, parts)}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=9, help="turns that count")
    arguments = parser.parse_args()
    if arguments.turns < LEAST_REPEATS:
        parser.error(
            f"--turns has to be at least {LEAST_REPEATS}, got {arguments.turns}"
        )
    keep_memory()
    with thread_count(arguments.threads) as threads:
        rows = [row for name in TESTBEDS for row in measure(name, arguments.turns)]
    about = {
        "threads": threads,
        "turns": arguments.turns,
        "torch": torch.__version__,
        "processor": device_name("cpu"),
        "allocator": allocator(),
        "version": __version__,
    }
    print(markdown(rows))
    print(json.dumps({"about": about, "rows": rows}))


if __name__ == "__main__":
    main()
