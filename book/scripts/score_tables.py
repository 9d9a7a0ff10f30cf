"""Tables of recorded runs, and the decisions that follow from them."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from dysample_lib import LADDER
from dysample_lib.figures import method
from dysample_lib.metrics.registry import METRICS
from dysample_lib.study.choice import Choice, choose
from dysample_lib.study.intervals import (
    format_difference,
)
from dysample_lib.study.markdown import markdown_table
from dysample_lib.study.records import Record, select
from dysample_lib.study.spec import RunSpec
from dysample_lib.study.tables import difference, scores
from dysample_lib.study.verdicts import Verdict, family
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

TESTBEDS = {
    "paper's setting": ("efficientnet_lite0", "segformer"),
    "probe": ("small", "pointwise"),
}
"""Encoder and decoder of the book's two testbeds, by what its pages call them."""


def name(upsampler: str) -> str:
    """What prose calls it: DySample+ where a rung is + dynamic scope (DySample+)."""
    said = method(upsampler)
    return f"{said} interpolation" if upsampler in ("nearest", "bilinear") else said


def step(upsampler: str) -> str:
    """The same, with its place on the ladder: grouping (DySample)."""
    title = UPSAMPLERS[upsampler].label.removeprefix("+ ")
    return title if "(" in title else name(upsampler)


def testbeds(records: list[Record]) -> dict[str, list[Record]]:
    """What is recorded of the two testbeds on coastlines, those with enough seeds."""
    shown = {}
    for runs in compared(records).values():
        spec = runs[0].spec
        for testbed, of in TESTBEDS.items():
            if (spec.dataset, spec.encoder, spec.decoder) == ("coastlines", *of):
                shown[testbed] = runs
    return {testbed: shown[testbed] for testbed in TESTBEDS if testbed in shown}


def found(records: list[Record]) -> str:
    """The introduction's findings: the steps, what looking buys, and the rivals."""
    settings = testbeds(records)
    there = {run.spec.variant for runs in settings.values() for run in runs}
    others = [("grouping", other) for other in OTHERS if other in there]
    steps = answers(settings, [*PREDECESSORS.items()])
    lines = [
        "**Step by step.** Each row is a step of the paper and what it is set against.",
        "",
        comparison(steps),
        "",
        *(f"- {testbed}: {in_words(of)}." for testbed, of in steps.items() if of),
        "",
        "**What looking at the image buys.** Blind points are learned like DySample's, "
        "and are the same for every pixel of every image.",
        "",
        comparison(answers(settings, LOOKING)),
    ]
    beside = {where: of for where, of in answers(settings, others).items() if of}
    if beside:
        counts = {found.estimate.n for of in beside.values() for found in of.values()}
        over = " to ".join(str(n) for n in sorted({min(counts), max(counts)}))
        lines += ["", f"**Beside its rivals**, over {over} seeds.", ""]
        lines.append(comparison(beside))
    of = "; ".join(f"{testbed}, {seeds(runs)}" for testbed, runs in settings.items())
    lines += [
        "",
        f"Differences of {METRICS[METRIC].title} in points, paired by seed, with 95 % "
        f"intervals: {of}. The verdicts of a table are corrected for the number of its "
        "rows (Holm).",
    ]
    return "\n".join(lines) + "\n"


def seeds(runs: list[Record]) -> str:
    """What the runs have in common, and how many seeds they are of."""
    return f"{len({run.spec.seed for run in runs})} seeds ({where(runs[0].spec)})"


def answers(
    settings: dict[str, list[Record]], pairs: Sequence[Pair]
) -> dict[str, dict[Pair, Verdict]]:
    """By setting, the verdicts on ``pairs`` as one family, for those that have runs."""
    answered = {}
    for testbed, runs in settings.items():
        there = {run.spec.variant for run in runs}
        asked = [pair for pair in pairs if there >= set(pair)]
        of = family({str(p): difference(runs, *p, METRIC) for p in asked}, METRIC)
        answered[testbed] = {pair: of[str(pair)] for pair in asked}
    return answered


def comparison(answered: dict[str, dict[Pair, Verdict]]) -> str:
    """A row a pair, and for each setting its numbers and its words."""
    rows = []
    for pair in dict.fromkeys(pair for of in answered.values() for pair in of):
        cells = (
            (points(of[pair]), str(of[pair])) if pair in of else ("", "")
            for of in answered.values()
        )
        guided = " (guided)" if UPSAMPLERS[pair[1]].guided else ""
        title = f"{step(pair[0])} for {name(pair[1])}{guided}"
        rows.append((title, *(cell for two in cells for cell in two)))
    heads = (head for testbed in answered for head in (f"{testbed} [points]", "so it"))
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
        "enough",
        "highest mean [%]",
        "shown to be behind it",
        "DySample for bilinear interpolation [points]",
    )
    rows = []
    for title, runs in settings.items():
        choice, gain = choose(runs, metric=METRIC), gains[title]
        best = fmean(scores(runs, choice.best, METRIC).values())
        rows.append(
            (
                f"{title}; {len(choice.parameters)} of {len(LADDER)} steps, "
                f"{gain.estimate.n} seeds",
                f"**{priced(choice, choice.enough)}**",
                f"{priced(choice, choice.best)}: {100 * best:.1f}",
                ", ".join(map(name, choice.behind)) or "nothing",
                f"{points(gain)}, {gain}",
            )
        )
    lines = [
        markdown_table(head, rows),
        "",
        f"Means and gains are of {METRICS[METRIC].title}; in parentheses the learned "
        "values of all upsamplers of the network. "
        "Intervals cover 95 %; the verdicts of a column are "
        "corrected together (Holm).",
    ]
    return "\n".join(lines) + "\n"


def rivals(records: list[Record]) -> str:
    """DySample against upsamplers that are not of the ladder, in each setting."""
    rows = []
    for title, runs in compared(records).items():
        there = {run.spec.variant for run in runs}
        steps = {
            other: difference(runs, "grouping", other, METRIC)
            for other in OTHERS
            if other in there
        }
        for other, gain in family(steps, METRIC).items():
            guided = "yes" if UPSAMPLERS[other].guided else "no"
            seeds = str(gain.estimate.n)
            row = (title, name(other), guided, points(gain), str(gain), seeds)
            rows.append(row)
            title = ""  # once for all of its rows
    if not rows:
        return "No rival has been recorded yet.\n"
    head = ("where", "instead of", "reads a guide", "gain [points]", "so it", "seeds")
    lines = [
        markdown_table(head, rows),
        "",
        f"Gains of DySample in {METRICS[METRIC].title}, with 95 % intervals; the "
        "verdicts of one setting are corrected together (Holm).",
    ]
    return "\n".join(lines) + "\n"
