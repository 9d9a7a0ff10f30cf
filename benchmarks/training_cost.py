"""Time the training of the testbed with DySample beside bilinear interpolation.

    python -m benchmarks.training_cost [--threads 2] [--turns 9]

In every turn each upsampler trains a fresh network for one epoch on the same tiles of
`coastlines`, one after the other in one process; the time is that of the epoch, with
shuffling, flips and optimizer, without evaluation. Prints a Markdown table and the same
figures as JSON: median images per second, and the median over the turns of the time in
units of bilinear interpolation's in the same turn.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
from dataclasses import replace
from typing import Any

import torch

from dysample_lib import __version__
from dysample_lib.cost.timing import LEAST_REPEATS, thread_count
from dysample_lib.data import SegmentationSet, load_dataset
from dysample_lib.ops.devices import device_name
from dysample_lib.study.markdown import markdown_table
from dysample_lib.study.run import prepare
from dysample_lib.train.fit import fit

UPSAMPLERS = ("bilinear", "grouping", "dynamic_scope", "dysample_s", "dysample_s_plus")
TILES = 256  # 16 steps


def some(data: SegmentationSet, count: int) -> SegmentationSet:
    """The first ``count`` images."""
    return replace(data, images=data.images[:count], masks=data.masks[:count])


def measure(turns: int) -> list[dict[str, Any]]:
    """One row for each upsampler."""
    train, validation = some(load_dataset(), TILES), some(load_dataset(split="val"), 1)
    seconds: dict[str, list[float]] = {name: [] for name in UPSAMPLERS}
    order = list(UPSAMPLERS)
    shuffle = random.Random(0).shuffle
    for turn in range(turns + 1):
        shuffle(order)
        for name in order:
            start = prepare(name, seed=turn, epochs=1, device="cpu")
            task, net, spec = start.task, start.model, start.spec
            taken = fit(task, net, train, validation, spec, progress=False)
            if turn:  # the first warms up
                seconds[name].append(taken.seconds)
    return [
        {
            "upsampler": name,
            "images_per_second": round(TILES / statistics.median(seconds[name]), 1),
            "to_bilinear": round(
                statistics.median(
                    mine / theirs
                    for mine, theirs in zip(
                        seconds[name], seconds["bilinear"], strict=True
                    )
                ),
                3,
            ),
        }
        for name in UPSAMPLERS
    ]


def markdown(rows: list[dict[str, Any]]) -> str:
    """The table."""
    cells = [
        (
            row["upsampler"],
            f"{row['images_per_second']:.0f}",
            f"{row['to_bilinear']:.2f}×",
        )
        for row in rows
    ]
    return markdown_table(
        ("upsampler", "images per second", "time to bilinear's"), cells
    )


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
    with thread_count(arguments.threads) as threads:
        rows = measure(arguments.turns)
    about = {
        "threads": threads,
        "turns": arguments.turns,
        "torch": torch.__version__,
        "processor": device_name("cpu"),
        "version": __version__,
    }
    print(markdown(rows))
    print(json.dumps({"about": about, "rows": rows}))


if __name__ == "__main__":
    main()
