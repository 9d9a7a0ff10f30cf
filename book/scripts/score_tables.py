"""Tables of recorded runs, and the decisions that follow from them."""

from __future__ import annotations

from collections.abc import Sequence

from dysample_lib import LADDER
from dysample_lib.figures import method
from dysample_lib.metrics.registry import METRICS
from dysample_lib.study.intervals import (
    format_difference,
    mean_interval,
)
from dysample_lib.study.markdown import markdown_table
from dysample_lib.study.records import Record, select
from dysample_lib.study.tables import difference, scores
from dysample_lib.study.verdicts import Verdict, family, verdict
from dysample_lib.upsamplers import PREDECESSORS, RIVALS, UPSAMPLERS

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
    "shown to help",
    "suggested to help",
    "no difference above ½ point",
    "not shown",
    "suggested to hurt",
    "shown to hurt",
    "one run, no verdict",
)
"""The kinds of verdicts, as lists of steps are headed."""

Pair = tuple[str, str]
"""An upsampler, and the one that it stands for in a comparison."""

LOOKING: tuple[Pair, ...] = (
    ("blind", "bilinear"),
    ("grouping", "blind"),
    ("grouping", "bilinear"),
)
"""What is learned without the image, what with it, and both together."""

SETTING = {"dataset": "coastlines", "decoder": "pointwise", "budget": "record"}
ELSEWHERE = {"dataset": "camvid", "decoder": "segformer", "budget": "record"}


def name(upsampler: str) -> str:
    """What prose calls it: DySample+ where a step is + dynamic scope (DySample+)."""
    said = method(upsampler)
    return f"{said} interpolation" if upsampler in ("nearest", "bilinear") else said


def step(upsampler: str) -> str:
    """The same, with its place on the ladder: grouping (DySample)."""
    title = UPSAMPLERS[upsampler].label.removeprefix("+ ")
    return title if "(" in title else name(upsampler)


def found(settings: dict[str, list[Record]]) -> str:
    """The introduction's findings: the steps, what looking buys, and the rivals.

    Args:
        settings: records of several settings, by what a heading calls them.
    """
    there = {run.spec.variant for runs in settings.values() for run in runs}
    others = [("grouping", rival) for rival in RIVALS if rival in there]
    steps = answers(settings, [*PREDECESSORS.items()])
    lines = [
        "**Step by step.** Each row is a step of the paper and what it is set against.",
        "",
        comparison(steps),
        "",
        *(f"- {where}: {in_words(of)}." for where, of in steps.items()),
        "",
        "**What looking at the image buys.** Blind points are learned like DySample's, "
        "and are the same for every pixel of every image.",
        "",
        comparison(answers(settings, LOOKING)),
    ]
    if others:
        lines += ["", "**Beside its rivals.**", ""]
        lines.append(comparison(answers(settings, others)))
    of = "; ".join(f"{where}, {setting(runs)}" for where, runs in settings.items())
    lines += [
        "",
        f"Differences of {METRICS[METRIC].title} in points, paired by seed, with 95 % "
        f"intervals: {of}. The verdicts of a table are corrected for the number of its "
        "rows (Holm).",
    ]
    return "\n".join(lines) + "\n"


def answers(
    settings: dict[str, list[Record]], pairs: Sequence[Pair]
) -> dict[str, dict[Pair, Verdict]]:
    """By setting, the verdicts on ``pairs`` as one family, for those that have runs."""
    answered = {}
    for where, runs in settings.items():
        there = {run.spec.variant for run in runs}
        asked = [pair for pair in pairs if there >= set(pair)]
        of = family({str(p): difference(runs, *p, METRIC) for p in asked}, METRIC)
        answered[where] = {pair: of[str(pair)] for pair in asked}
    return answered


def comparison(answered: dict[str, dict[Pair, Verdict]]) -> str:
    """A row a pair, and for each setting its numbers and its words."""
    rows = []
    for pair in dict.fromkeys(pair for of in answered.values() for pair in of):
        cells = (
            (points(of[pair]), str(of[pair])) if pair in of else ("", "")
            for of in answered.values()
        )
        title = f"{step(pair[0])} for {name(pair[1])}"
        rows.append((title, *(cell for two in cells for cell in two)))
    heads = (head for where in answered for head in (f"{where} [points]", "so it"))
    return markdown_table(("", *heads), rows)


def in_words(answered: dict[Pair, Verdict]) -> str:
    """The steps by what is shown of them."""
    said: dict[str, list[str]] = {}
    for (new, _), answer in answered.items():
        said.setdefault(kind(answer), []).append(step(new))
    parts = (f"*{head}*: {', '.join(said[head])}" for head in HEADS if head in said)
    return "; ".join(parts)


def points(found: Verdict) -> str:
    """The numbers under a verdict."""
    return format_difference(found.estimate, found.metric)


def kind(found: Verdict) -> str:
    """The words of a verdict at the head of a list of steps."""
    return found.words + (f" to {found.effect[:-1]}" if found.effect else "")


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
