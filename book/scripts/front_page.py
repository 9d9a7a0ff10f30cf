"""Draw the introduction's pictures: `make front`.

Trains the three upsamplers of the picture on seed 0 as the recorded runs were trained
(some minutes, resumed if stopped), and takes all numbers from results/.
"""

from __future__ import annotations

from pathlib import Path

from fragments import LADDERS, recorded
from score_tables import testbeds

from dysample_lib import figures
from dysample_lib.data import load_dataset
from dysample_lib.study.run import Run, run_once
from dysample_lib.study.tables import step_verdicts
from dysample_lib.tasks.segmentation import predict

BOOK = Path(__file__).resolve().parents[1]
METRIC = "boundary_iou"
SHOWN = ("nearest", "bilinear", "grouping")


def trained(name: str, budget: str = "record") -> Run:
    """The run of seed 0: trained now, or before by the same code, under runs/."""
    return run_once(name, budget=budget, folder=BOOK.parent / "runs")


def main() -> None:
    val = load_dataset("coastlines", "val")
    image, truth = val[val.protagonist]
    drawn = {name: predict(trained(name).model, image[None])[0] for name in SHOWN}
    figures.boundary_closeups(image, truth, drawn).savefig(
        BOOK / "_static" / "front-coasts.png", metadata={"Software": None}
    )
    steps = {
        testbed: {
            name: step.estimate
            for name, step in step_verdicts(runs, METRIC).items()
            if step.estimate.n and name != "bilinear"  # a rule, far out in the probe
        }
        for testbed, runs in testbeds(recorded(*LADDERS)).items()
    }
    figures.forest_panels(steps, METRIC).savefig(
        BOOK / "_static" / "front-steps.png", metadata={"Software": None}
    )


if __name__ == "__main__":
    main()
