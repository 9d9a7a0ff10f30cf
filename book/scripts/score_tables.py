"""Tables of recorded runs, and the decisions that follow from them."""

from __future__ import annotations

from dysample_lib import LADDER
from dysample_lib.figures import method
from dysample_lib.metrics.registry import METRICS
from dysample_lib.study.intervals import (
    format_difference,
    format_mean,
    mean_interval,
)
from dysample_lib.study.markdown import markdown_table
from dysample_lib.study.records import Record, select
from dysample_lib.study.tables import difference, scores, step_verdicts
from dysample_lib.study.verdicts import Verdict, family, verdict
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

HEADS = (
    "Shown, helps",
    "Suggested, helps",
    "No difference above ½ point",
    "Not shown",
    "Suggested, hurts",
    "Shown, hurts",
)
"""The kinds of verdicts, as lists of steps are headed."""

SETTING = {"dataset": "coastlines", "decoder": "pointwise", "budget": "record"}
ELSEWHERE = {"dataset": "camvid", "decoder": "segformer", "budget": "record"}


def name(upsampler: str) -> str:
    """What prose calls it: DySample+ where a step is + dynamic scope (DySample+)."""
    said = method(upsampler)
    return f"{said} interpolation" if upsampler in ("nearest", "bilinear") else said


def found(records: list[Record]) -> str:
    """The introduction's findings: a table of the ladder and what it adds up to."""
    means = {
        step: mean_interval(scores(records, step, METRIC).values()) for step in LADDER
    }
    steps = step_verdicts(records, METRIC, predecessors=PREDECESSORS)
    change = f"change by the step [{METRICS[METRIC].difference_unit}]"
    head = ("step", METRICS[METRIC].heading, change, "so it")
    rows = []
    said: dict[str, list[str]] = {}
    for step in LADDER:
        title, mean = UPSAMPLERS[step].label, format_mean(means[step], METRIC)
        if step not in steps:
            rows.append((title, mean, "", ""))
            continue
        found = steps[step]
        said.setdefault(kind(found), []).append(title.removeprefix("+ "))
        rows.append((title, mean, points(found), str(found)))
    first = records[0].spec
    whole = verdict(difference(records, "grouping", "bilinear", METRIC), METRIC)
    lines = [
        markdown_table(head, rows),
        "",
        f"Means of {means['nearest'].n} seeds with 95 % intervals, {first.epochs} "
        f"epochs on {first.dataset}; differences are paired by seed, verdicts are "
        "corrected for the number of steps (Holm).",
        "",
        *(f"- **{head}:** {'; '.join(said[head])}." for head in HEADS if head in said),
        f"- **All of it:** DySample against bilinear interpolation, {points(whole)} "
        f"{METRICS[METRIC].difference_unit}.",
    ]
    return "\n".join(lines) + "\n"


def points(found: Verdict) -> str:
    """The numbers under a verdict."""
    return format_difference(found.estimate, found.metric)


def kind(found: Verdict) -> str:
    """The words of a verdict at the head of a list of steps."""
    words = found.words.capitalize()
    return f"{words}, {found.effect}" if found.effect else words


def advice(gain: Verdict, new: str, old: str) -> str:
    """The decision in a sentence: only what is shown decides anything."""
    if gain.words == "shown" and gain.effect == "helps":
        return f"Use {name(new)} instead of {name(old)}."
    if gain.words == "shown":
        return f"Keep {name(old)}: {name(new)} is worse here."
    if gain.words.startswith("no difference"):
        return f"{name(new)} or {name(old)}: {gain.words}."
    return f"No difference shown between {name(new)} and {name(old)}."


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
    head = (
        "so",
        f"gain in {METRICS[METRIC].title} [points]",
        "learned values of the upsamplers",
    )
    rows = []
    choices = {f"{new} {old}": (new, old) for new, old in CHOICES}
    gains = family(
        {key: difference(runs, *pair, METRIC) for key, pair in choices.items()}, METRIC
    )
    for key, (new, old) in choices.items():
        prices = f"{price[new]:,} against {price[old]:,}"
        rows.append((advice(gains[key], new, old), points(gains[key]), prices))
    means = {s: mean_interval(scores(runs, s, METRIC).values()).mean for s in LADDER}
    best, *others = sorted(means, key=lambda step: -means[step])
    leads = family(
        {step: difference(runs, best, step, METRIC) for step in others}, METRIC
    )
    beaten = [step for step in others if leads[step].words == "shown"]
    rest = [step for step in others if step not in beaten]
    away = verdict(difference(scenes, "grouping", "bilinear", METRIC), METRIC)
    lines = [
        markdown_table(head, rows),
        "",
        f"Measured over {setting(runs)}; intervals cover 95 %, "
        "decisions are corrected for their number (Holm).",
        "",
        f"**How firm is it?** {name(best)} has the highest mean of the ladder. "
        f"Shown to be behind: {', '.join(map(name, beaten))}. Not shown to be behind: "
        f"{', '.join(map(name, rest))}.",
        "",
        f"**Does it carry over?** {advice(away, 'grouping', 'bilinear')} That is "
        f"{points(away)} points of {METRICS[METRIC].title} over "
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
    head = ("DySample against", "reads a guide", *heads, "learned values")
    rows = []
    gains = []
    for of in runs.values():
        there = {run.spec.upsampler for run in of}
        both = [other for other in others if {"grouping", other} <= there]
        steps = {other: difference(of, "grouping", other, METRIC) for other in both}
        gains.append(family(steps, METRIC))
    for other in others:
        cells = (
            f"{points(of[other])}, {of[other]}" if other in of else "" for of in gains
        )
        guided = "yes" if UPSAMPLERS[other].guided else "no"
        rows.append((name(other), guided, *cells, f"{price[other]:,}"))
    lines = [
        markdown_table(head, rows),
        "",
        f"Gains of DySample in {METRICS[METRIC].title}, over {setting(first)}. There "
        f"DySample has {price['grouping']:,} learned values.",
    ]
    return "\n".join(lines) + "\n"
