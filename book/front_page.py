"""Draw the introduction's pictures and write its findings: `make front`.

Trains the three upsamplers of the picture on seed 0 as the recorded runs were trained
(some minutes, resumed if stopped), and takes all numbers from results/ladder.jsonl.
"""

from __future__ import annotations

from pathlib import Path

from dysample_lib import LADDER, figures
from dysample_lib.datasets import load_dataset
from dysample_lib.evaluation import predict
from dysample_lib.experiments import run
from dysample_lib.results import (
    METRICS,
    Record,
    difference,
    format_percent,
    format_points,
    mean_interval,
    paired_differences,
    recorded_runs,
    scores,
)
from dysample_lib.statistics import Estimate
from dysample_lib.upsamplers import PREDECESSORS, UPSAMPLERS

BOOK = Path(__file__).resolve().parent
FOUND = BOOK / "_found.md"
METRIC = "boundary_iou"
SHOWN = ("nearest", "bilinear", "grouping")


def found(records: list[Record]) -> str:
    """The findings as MyST text: a table of the ladder and what it adds up to."""
    estimates = {
        name: mean_interval(list(scores(records, name, METRIC).values()))
        for name in LADDER
    }
    steps = paired_differences(records, METRIC, predecessors=PREDECESSORS).set_index(
        "upsampler"
    )
    lines = [
        "<!-- Written by book/front_page.py from results/ladder.jsonl. -->",
        "",
        f"| step | {METRICS[METRIC]} [%] | change by the step [points] | so it |",
        "|---|---|---|---|",
    ]
    said: dict[str, list[str]] = {}
    for name in LADDER:
        label, score = UPSAMPLERS[name].label, format_percent(estimates[name])
        if name not in steps.index:
            lines.append(f"| {label} | {score} | | |")
            continue
        step = steps.loc[name]
        change = Estimate(
            *(float(step[k]) / 100 for k in ("mean", "low", "high")), int(step["n"])
        )
        verdict = str(step["verdict"])
        said.setdefault(verdict, []).append(label.removeprefix("+ "))
        lines.append(f"| {label} | {score} | {format_points(change)} | {verdict} |")
    first = records[0]
    lines += [
        "",
        f"Means of {estimates['nearest'].n} seeds with 95 % intervals, "
        f"{first.epochs} epochs on {first.dataset}; differences are paired by seed.",
        "",
    ]
    heads = {
        "helps": "Shown to help here",
        "no difference shown": "No difference shown",
        "hurts": "Shown to hurt here",
    }
    lines += [
        f"- **{head}:** {'; '.join(said[verdict])}."
        for verdict, head in heads.items()
        if verdict in said
    ]
    whole = difference(records, "grouping", "bilinear", METRIC)
    lines.append(
        f"- **All of it:** DySample against bilinear interpolation, "
        f"{format_points(whole)} points."
    )
    return "\n".join(lines) + "\n"


def main() -> None:
    records = recorded_runs("ladder")
    FOUND.write_text(found(records), encoding="utf-8")

    val = load_dataset("coastlines", "val")
    image, truth = val[val.protagonist]
    drawn = {
        name: predict(
            run(
                name,
                budget="record",
                checkpoint=BOOK.parent / "runs" / f"front-{name}.pt",
            ).model,
            image[None],
        )[0]
        for name in SHOWN
    }
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
