"""Tables of recorded runs, and the decisions that follow from them."""

from __future__ import annotations

from markdown_table import table

from dysample_lib import LADDER
from dysample_lib.figures import method
from dysample_lib.metrics.registry import METRICS
from dysample_lib.study.intervals import (
    Estimate,
    format_percent,
    format_points,
    mean_interval,
    verdict,
)
from dysample_lib.study.records import Record, select
from dysample_lib.study.tables import difference, paired_differences, scores
from dysample_lib.upsamplers import PREDECESSORS, UPSAMPLERS

METRIC = "boundary_iou"
CHOICES = (
    ("grouping", "nearest"),
    ("grouping", "bilinear"),
    ("dysample_s", "bilinear"),
    ("dysample_s", "grouping"),
    ("dynamic_scope", "grouping"),
)
"""What one may take, and instead of what."""

SETTING = {"dataset": "coastlines", "decoder": "pointwise", "budget": "record"}
ELSEWHERE = {"dataset": "camvid", "decoder": "segformer", "budget": "record"}


def name(upsampler: str) -> str:
    """What prose calls it: DySample+ where a rung is + dynamic scope (DySample+)."""
    said = method(upsampler)
    return f"{said} interpolation" if upsampler in ("nearest", "bilinear") else said


def found(records: list[Record]) -> str:
    """The introduction's findings: a table of the ladder and what it adds up to."""
    estimates = {
        step: mean_interval(scores(records, step, METRIC).values()) for step in LADDER
    }
    steps = paired_differences(records, METRIC, predecessors=PREDECESSORS).set_index(
        "upsampler"
    )
    head = (
        "step",
        METRICS[METRIC].heading,
        "change by the step [points]",
        "so it",
    )
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
        f"{first.spec.epochs} epochs on {first.spec.dataset}; differences are paired "
        "by seed.",
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
    seeds, first = len({record.spec.seed for record in records}), records[0]
    return (
        f"{seeds} seeds on {first.spec.dataset} with the {first.spec.decoder} decoder, "
        f"{first.spec.epochs} epochs"
    )


def which(records: list[Record]) -> str:
    """The decisions: a sentence each, with the number that it rests on."""
    runs, scenes = select(records, **SETTING), select(records, **ELSEWHERE)
    price = {run.spec.upsampler: run.upsampler_parameters for run in runs}
    rows = [
        (
            "so",
            f"gain in {METRICS[METRIC].title} [points]",
            "learned values of the upsamplers",
        )
    ]
    for new, old in CHOICES:
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
        f"{format_points(away)} points of {METRICS[METRIC].title} over "
        f"{setting(scenes)}.",
    ]
    return "\n".join(lines) + "\n"


def rivals(records: list[Record]) -> str:
    """DySample against upsamplers that are not of the ladder, in two decoders."""
    decoders = {"pointwise": "pointwise decoder", "fpn": "feature pyramid"}
    runs = {d: select(records, **{**SETTING, "decoder": d}) for d in decoders}
    runs = {d: of for d, of in runs.items() if of}
    first = runs["pointwise"]
    price = {run.spec.upsampler: run.upsampler_parameters for run in first}
    others = [step for step in UPSAMPLERS if step in price and step not in LADDER]
    if not others:
        return "No rival has been recorded yet.\n"
    heads = (f"{decoders[d]} [points]" for d in runs)
    rows = [("DySample against", "reads a guide", *heads, "learned values")]
    for other in others:
        gains = []
        for of in runs.values():
            both = {run.spec.upsampler for run in of} >= {"grouping", other}
            gain = difference(of, "grouping", other, METRIC) if both else None
            gains.append(f"{format_points(gain)}, {verdict(gain)}" if gain else "")
        guided = "yes" if UPSAMPLERS[other].guided else "no"
        rows.append((name(other), guided, *gains, f"{price[other]:,}"))
    lines = [
        *table(*rows),
        f"Gains of DySample in {METRICS[METRIC].title}, over {setting(first)}. There "
        f"DySample has {price['grouping']:,} learned values.",
    ]
    return "\n".join(lines) + "\n"
