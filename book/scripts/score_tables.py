"""Tables of recorded runs, and the decisions that follow from them."""

from __future__ import annotations

from dysample_lib import LADDER
from dysample_lib.figures import method
from dysample_lib.metrics.registry import METRICS
from dysample_lib.study.choice import Choice, choose
from dysample_lib.study.intervals import (
    format_difference,
    format_mean,
    mean_interval,
)
from dysample_lib.study.markdown import markdown_table
from dysample_lib.study.records import Record, select
from dysample_lib.study.spec import RunSpec
from dysample_lib.study.tables import difference, scores, step_verdicts
from dysample_lib.study.verdicts import Verdict, family, verdict
from dysample_lib.testbed.encoders import ENCODERS
from dysample_lib.upsamplers import CONTROLS, PREDECESSORS, UPSAMPLERS

METRIC = "boundary_iou"
FEWEST = 3
"""Seeds that a setting has to have to be shown."""

DECODERS = {
    "segformer": "SegFormer's head",
    "fpn": "feature pyramid",
    "pointwise": "pointwise decoder",
}
"""What prose calls them, in the order of tables."""

OTHERS = [name for name in UPSAMPLERS if name not in (*LADDER, *CONTROLS)]
"""What is no step of the paper's, the reader's own among it."""

HEADS = (
    "Shown, helps",
    "Suggested, helps",
    "No difference above ½ point",
    "Not shown",
    "Suggested, hurts",
    "Shown, hurts",
)
"""The kinds of verdicts, as lists of steps are headed."""


def name(upsampler: str) -> str:
    """What prose calls it: DySample+ where a rung is + dynamic scope (DySample+)."""
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


def compared(records: list[Record]) -> dict[str, list[Record]]:
    """Recorded segmentation by setting, under what prose calls each.

    A setting is shown if it compares DySample with bilinear interpolation over enough
    seeds. Of several that differ in length or rates the one with most runs is shown.
    """
    settings: dict[str, list[Record]] = {}
    for record in records:
        if record.spec.task == "segmentation" and record.spec.budget == "record":
            settings.setdefault(record.spec.setting, []).append(record)
    shown: dict[tuple[bool, bool, bool, int], list[Record]] = {}
    for runs in settings.values():
        spec = runs[0].spec
        seeds = [
            {run.spec.seed for run in select(runs, variant=variant)}
            for variant in ("grouping", "bilinear")
        ]
        if len(set.intersection(*seeds)) < FEWEST:
            continue
        place = (
            not ENCODERS[spec.encoder].frozen,
            not spec.frozen,
            spec.dataset != "coastlines",
            list(DECODERS).index(spec.decoder),
        )
        if len(runs) > len(shown.get(place, [])):
            shown[place] = runs
    return {where(shown[place][0].spec): shown[place] for place in sorted(shown)}


def where(spec: RunSpec) -> str:
    """A setting in words."""
    encoder = "small encoder"
    if ENCODERS[spec.encoder].frozen:
        encoder = f"pretrained encoder{'' if spec.frozen else ', fine-tuned'}"
    gpu = " on a GPU" if spec.device == "cuda" else ""
    return (
        f"{spec.dataset}, {encoder}, {DECODERS[spec.decoder]}, "
        f"{spec.epochs} epochs{gpu}"
    )


def priced(choice: Choice, variant: str) -> str:
    """An upsampler with the number of its learned values."""
    return f"{name(variant)} ({choice.parameters[variant]:,})"


def which(records: list[Record]) -> str:
    """What the rule says of each recorded setting."""
    settings = compared(records)
    gains = family(
        {
            title: difference(runs, "grouping", "bilinear", METRIC)
            for title, runs in settings.items()
        },
        METRIC,
    )
    head = (
        "where",
        "recorded",
        "enough",
        "highest mean",
        "shown to be behind it",
        "DySample instead of bilinear interpolation [points]",
        "seeds",
    )
    rows = []
    for title, runs in settings.items():
        choice, gain = choose(runs, metric=METRIC), gains[title]
        rows.append(
            (
                title,
                f"{len(choice.parameters)} of {len(LADDER)}",
                f"**{priced(choice, choice.enough)}**",
                priced(choice, choice.best),
                ", ".join(map(name, choice.behind)) or "nothing",
                f"{points(gain)}, {gain}",
                str(gain.estimate.n),
            )
        )
    lines = [
        markdown_table(head, rows),
        "",
        f"Gains are in {METRICS[METRIC].title}; *recorded* counts the steps of the "
        "ladder; in parentheses the learned values of all upsamplers of the network. "
        "Intervals cover 95 %; the verdicts of a column are "
        "corrected together (Holm).",
    ]
    return "\n".join(lines) + "\n"


def rivals(records: list[Record]) -> str:
    """DySample against upsamplers that are not of the ladder, in each setting."""
    gains: dict[str, dict[str, Verdict]] = {}
    price: dict[str, int] = {}
    for title, runs in compared(records).items():
        there = {run.spec.variant: run.upsampler_parameters for run in runs}
        others = [other for other in OTHERS if other in there]
        if others:
            steps = {o: difference(runs, "grouping", o, METRIC) for o in others}
            gains[title] = family(steps, METRIC)
            price = {other: there[other] for other in others} | price
    if not gains:
        return "No rival has been recorded yet.\n"
    titles = (f"{title} [points]" for title in gains)
    head = ("DySample instead of", "reads a guide", *titles)
    rows = []
    for other in OTHERS:
        if other in price:
            guided = "yes" if UPSAMPLERS[other].guided else "no"
            cells = (
                f"{points(of[other])}, {of[other]}" if other in of else ""
                for of in gains.values()
            )
            rows.append((name(other), guided, *cells))
    lines = [
        markdown_table(head, rows),
        "",
        f"Gains of DySample in {METRICS[METRIC].title}, with 95 % intervals; the "
        "verdicts of one column are corrected together (Holm).",
    ]
    return "\n".join(lines) + "\n"
