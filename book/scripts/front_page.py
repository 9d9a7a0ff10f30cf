"""Draw the introduction's pictures: `make front`.

Trains the three upsamplers of the picture on seed 0 as the recorded runs were trained
(some minutes, resumed if stopped), and takes all numbers from results/ladder.jsonl.
"""

from __future__ import annotations

from pathlib import Path

from dysample_lib import LADDER, figures
from dysample_lib.data import load_dataset
from dysample_lib.study.intervals import mean_interval
from dysample_lib.study.records import recorded_runs
from dysample_lib.study.run import Run, run_once
from dysample_lib.study.tables import scores
from dysample_lib.tasks.segmentation import predict

BOOK = Path(__file__).resolve().parents[1]
METRIC = "boundary_iou"
SHOWN = ("nearest", "bilinear", "grouping")


def trained(name: str, budget: str = "record") -> Run:
    """The run of seed 0: trained now, or before by the same code, under runs/."""
    return run_once(name, budget=budget, folder=BOOK.parent / "runs")


def main() -> None:
    records = recorded_runs("ladder")

    val = load_dataset("coastlines", "val")
    image, truth = val[val.protagonist]
    drawn = {name: predict(trained(name).model, image[None])[0] for name in SHOWN}
    figures.boundary_closeups(image, truth, drawn).savefig(
        BOOK / "_static" / "front-coasts.png", metadata={"Software": None}
    )
    estimates = {
        name: mean_interval(list(scores(records, name, METRIC).values()))
        for name in LADDER
    }
    figures.ladder_plot(estimates, METRIC).savefig(
        BOOK / "_static" / "front-ladder.png", metadata={"Software": None}
    )


if __name__ == "__main__":
    main()
