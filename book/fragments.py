"""Write the tables that pages include from results/ again: `make tables`.

A fragment is a file _NAME.md beside this one. The tests hold each to the records.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dysample_lib import LADDER
from dysample_lib.figures import method
from dysample_lib.results import (
    METRICS,
    Record,
    difference,
    format_percent,
    format_points,
    mean_interval,
    paired_differences,
    read_records,
    recorded_runs,
    scores,
    select,
    verdict,
)
from dysample_lib.statistics import Estimate
from dysample_lib.upsamplers import PREDECESSORS, UPSAMPLERS

BOOK = Path(__file__).resolve().parent
RESULTS = BOOK.parent / "results"
METRIC = "boundary_iou"
WRITTEN = "<!-- Written by book/fragments.py from results/: see `make tables`. -->\n"

CHOICES = (
    ("grouping", "nearest"),
    ("grouping", "bilinear"),
    ("dysample_s", "bilinear"),
    ("dysample_s", "grouping"),
    ("dynamic_scope", "grouping"),
)
"""What one may take, and instead of what; DySample and each rival come after."""

SETTING = {"dataset": "coastlines", "decoder": "pointwise", "budget": "record"}
ELSEWHERE = {"dataset": "camvid", "decoder": "segformer", "budget": "record"}


def name(upsampler: str) -> str:
    """What prose calls it: DySample+ where a rung is + dynamic scope (DySample+)."""
    said = method(upsampler)
    return f"{said} interpolation" if upsampler in ("nearest", "bilinear") else said


def table(*rows: tuple[str, ...]) -> list[str]:
    """The lines of a Markdown table; the first row is its head."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return [lines[0], "|---" * len(rows[0]) + "|", *lines[1:], ""]


def found(records: list[Record]) -> str:
    """The introduction's findings: a table of the ladder and what it adds up to."""
    estimates = {
        step: mean_interval(scores(records, step, METRIC).values()) for step in LADDER
    }
    steps = paired_differences(records, METRIC, predecessors=PREDECESSORS).set_index(
        "upsampler"
    )
    head = ("step", f"{METRICS[METRIC]} [%]", "change by the step [points]", "so it")
    rows = [head]
    said: dict[str, list[str]] = {}
    for step in LADDER:
        label, score = UPSAMPLERS[step].label, format_percent(estimates[step])
        if step not in steps.index:
            rows.append((label, score, "", ""))
            continue
        row = steps.loc[step]
        mean, low, high = (float(row[key]) / 100 for key in ("mean", "low", "high"))
        change = format_points(Estimate(mean, low, high, int(row["n"])))
        said.setdefault(str(row["verdict"]), []).append(label.removeprefix("+ "))
        rows.append((label, score, change, str(row["verdict"])))
    first = records[0]
    lines = [
        *table(*rows),
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
        f"- **{head}:** {'; '.join(said[words])}."
        for words, head in heads.items()
        if words in said
    ]
    whole = difference(records, "grouping", "bilinear", METRIC)
    lines.append(
        f"- **All of it:** DySample against bilinear interpolation, "
        f"{format_points(whole)} points."
    )
    return "\n".join(lines) + "\n"


def advice(gain: Estimate, new: str, old: str) -> str:
    """The decision in a sentence: only an interval beside 0 decides anything."""
    return {
        "helps": f"Use {name(new)} instead of {name(old)}.",
        "hurts": f"Keep {name(old)}: {name(new)} is worse here.",
    }.get(verdict(gain), f"No difference shown between {name(new)} and {name(old)}.")


def setting(records: list[Record]) -> str:
    """What the runs have in common, in words."""
    seeds, first = len({record.seed for record in records}), records[0]
    return (
        f"{seeds} seeds on {first.dataset} with the {first.decoder} decoder, "
        f"{first.epochs} epochs"
    )


def which(records: list[Record]) -> str:
    """The decisions: a sentence each, with the number that it rests on."""
    runs, scenes = select(records, **SETTING), select(records, **ELSEWHERE)
    price = {run.upsampler: run.upsampler_parameters for run in runs}
    rivals = [step for step in UPSAMPLERS if step in price and step not in LADDER]
    rows = [
        (
            "so",
            f"gain in {METRICS[METRIC]} [points]",
            "learned values of the upsamplers",
        )
    ]
    for new, old in (*CHOICES, *(("grouping", rival) for rival in rivals)):
        gain = difference(runs, new, old, METRIC)
        prices = f"{price[new]:,} against {price[old]:,}"
        rows.append((advice(gain, new, old), format_points(gain), prices))
    means = {s: mean_interval(scores(runs, s, METRIC).values()).mean for s in LADDER}
    best, *others = sorted(means, key=lambda step: -means[step])
    gains = {step: difference(runs, best, step, METRIC) for step in others}
    beaten = [step for step in others if verdict(gains[step]) == "helps"]
    rest = [step for step in others if step not in beaten]
    away = difference(scenes, "grouping", "bilinear", METRIC)
    lines = [
        *table(*rows),
        f"Measured over {setting(runs)}; intervals cover 95 %.",
        "",
        f"**How firm is it?** {name(best)} has the highest mean of the ladder. "
        f"Shown to be behind: {', '.join(map(name, beaten))}. Not shown to be behind: "
        f"{', '.join(map(name, rest))}.",
        "",
        f"**Does it carry over?** {advice(away, 'grouping', 'bilinear')} That is "
        f"{format_points(away)} points of {METRICS[METRIC]} over {setting(scenes)}.",
    ]
    return "\n".join(lines) + "\n"


def run_times(timed: dict[str, Any] | None) -> str:
    """How long each chapter took, and on what."""
    if timed is None:
        return "No complete run has been timed yet; `make notebooks` times one.\n"
    rows = []
    for chapter, took in timed["seconds"].items():
        minutes, seconds = divmod(round(took), 60)
        rows.append((f"[](../notebooks/{chapter}.ipynb)", f"{minutes}:{seconds:02}"))
    total = sum(timed["seconds"].values())
    lines = [
        f"`{timed['budget']}` budget on {timed['device']} ({timed['device_name']}), "
        f"threads: {timed['threads']}, PyTorch {timed['torch']}, "
        f"Python {timed['python']}:",
        "",
        *table(("chapter", "minutes"), *rows),
        f"All together: {total / 60:.0f} minutes.",
    ]
    return "\n".join(lines) + "\n"


def support(recorded: dict[str, Any]) -> str:
    """Where DySample runs: a row for each way to run it, a column for each dtype."""
    cells, formats = recorded["cells"], recorded["formats"]
    dtypes = list(
        dict.fromkeys(d for h in cells.values() for m in h.values() for d in m)
    )
    rows = [("how", "what", *dtypes)]
    for how, modes in cells.items():
        for what, found in modes.items():
            rows.append((how, what, *(said(found.get(dtype)) for dtype in dtypes)))
    versions = ", ".join(f"{name} {v}" for name, v in recorded["versions"].items())
    lines = [*table(*rows), f"Memory formats: {', '.join(formats)}. With {versions}."]
    return "\n".join(lines) + "\n"


def said(found: dict[str, str] | None) -> str:
    """A cell of it: one word where all memory formats agree."""
    if found is None:
        return ""
    words = {format: text.replace("yes", "✓") for format, text in found.items()}
    if len(set(words.values())) == 1:
        return next(iter(words.values()))
    return "; ".join(f"{format}: {text}" for format, text in words.items())


def operator_cost(measured: dict[str, Any]) -> str:
    """What the operator costs beside the one call that it cannot do without."""
    rows = measured["rows"]
    columns = [name for name in rows[0]["to_bare"] if name != "bare"]
    cells = [
        (
            row["size"],
            row["mode"],
            f"{row['milliseconds']['bare']:.1f} ms",
            *(f"{row['to_bare'][name]:.2f}×" for name in columns),
        )
        for row in rows
    ]
    about = measured["about"]
    lines = [
        *table(("map", "mode", "bare", *columns), *cells),
        f"Medians of {about['repeats']} turns on {about['processor']}, threads: "
        f"{about['threads']}, PyTorch {about['torch']}.",
    ]
    return "\n".join(lines) + "\n"


def all_records() -> list[Record]:
    """Every recorded run, each once."""
    files = sorted(RESULTS.glob("*.jsonl"))
    return list({run.key: run for file in files for run in read_records(file)}.values())


def noted_run_times() -> dict[str, Any] | None:
    """What the last complete `make notebooks` noted, if there was one."""
    noted = RESULTS / "runtimes.json"
    return json.loads(noted.read_text("utf-8")) if noted.exists() else None


FRAGMENTS: dict[str, Callable[[], str]] = {
    "_found.md": lambda: found(recorded_runs("ladder")),
    "_which.md": lambda: which(all_records()),
    "_run_times.md": lambda: run_times(noted_run_times()),
    "_support.md": lambda: support(json.loads((RESULTS / "support.json").read_text())),
    "_operator_cost.md": lambda: operator_cost(
        json.loads((RESULTS / "operator_cost.json").read_text())
    ),
}
"""What goes into which file."""


def main() -> None:
    for file, text in FRAGMENTS.items():
        (BOOK / file).write_text(f"{WRITTEN}\n{text()}", encoding="utf-8")


if __name__ == "__main__":
    main()
