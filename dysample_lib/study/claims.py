"""What a paper claims, what was measured here, and the verdict by one rule.

A claim rests on one kind of evidence, and a family of claims on one place of it:

- :class:`Gain`, a difference between recorded runs, in the claim's direction. It
  **holds** where the difference is shown (:mod:`dysample_lib.study.verdicts`, corrected
  for the family's claims), and **the reverse is shown** where that is. Else the words
  are those of the difference: *suggested*, *the reverse is suggested*, *no difference
  above ½ point*, *not shown*. "By less than ½ point" is added where the whole interval
  lies within the margin.
- :class:`Ratio`, recorded costs: **holds** if every rival costs more.
- :class:`Count`, a published number: **holds** if it is ours, rounded or cut; else
  **does not hold**.
- :class:`Check`, computed on the spot: holds or does not.

What has no records has no row.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..metrics.registry import find_metric
from ..upsamplers.registry import method
from .intervals import Estimate, format_difference
from .markdown import markdown_table
from .records import Record, recorded_runs, select
from .tables import difference
from .verdicts import Verdict, margin
from .verdicts import family as corrected

MARKS = {"holds": "✓", "does not hold": "✗", "the reverse is shown": "✗"}
"""What stands before a verdict; ``○`` before all that decides nothing."""


@dataclass(frozen=True)
class Gain:
    """An upsampler measures more than another: variants of recorded runs."""

    upsampler: str
    instead_of: str


@dataclass(frozen=True)
class Ratio:
    """Rivals cost more: ``of`` is a number of :class:`dysample_lib.cost.Cost`."""

    of: str
    rivals: tuple[str, ...]
    ours: str = "grouping"


@dataclass(frozen=True)
class Count:
    """A published number, ``"24.6K"``, and the function that counts ours."""

    published: str
    ours: Callable[[], int]


@dataclass(frozen=True)
class Check:
    """A property of the code: whether it is there, and what was seen."""

    look: Callable[[], tuple[bool, str]]


@dataclass(frozen=True)
class Claim:
    """One sentence of the paper and what it is held against.

    Attributes:
        words: what is claimed; the paper's own between quotation marks.
        evidence: what decides.
        see: labels of the sections and figures that have it.
        published: published numbers that it can be set beside.
    """

    words: str
    evidence: Gain | Ratio | Count | Check
    see: tuple[str, ...]
    published: str = ""


@dataclass(frozen=True)
class Family:
    """Claims that are asked of the same evidence, corrected together.

    Attributes:
        title: what they are about.
        claims: all of one kind of evidence.
        command: what makes the records, or shows the costs, in the shell.
        records: files of ``results/`` without their suffix, read together.
        where: what the runs' specs have to be, as :func:`.select` takes it.
        metric: what gains are gains of.
    """

    title: str
    claims: tuple[Claim, ...]
    command: str
    records: tuple[str, ...] = ()
    where: Mapping[str, Any] = field(default_factory=dict)
    metric: str = "boundary_iou"

    def runs(self) -> list[Record]:
        """Its recorded runs, each once; none of a file that is not there."""
        found: dict[str, Record] = {}
        for name in self.records:
            try:
                runs = recorded_runs(name)
            except FileNotFoundError:
                continue
            found |= {run.key: run for run in runs}
        return select(found.values(), **self.where)


@dataclass(frozen=True)
class Finding:
    """A claim, what was measured, and the verdict.

    Attributes:
        claim: what was asked.
        verdict: in the module's words.
        measured: the numbers, as text.
        seeds: how many stand behind them; 0 where seeds play no part.
        estimate: of a gain: the difference as it is stored.
    """

    claim: Claim
    verdict: str
    measured: str
    seeds: int = 0
    estimate: Estimate | None = None

    @property
    def mark(self) -> str:
        """``✓``, ``✗`` or, where nothing is decided, ``○``."""
        return MARKS.get(self.verdict.partition(",")[0], "○")


@dataclass(frozen=True, repr=False)
class Sheet:
    """The findings of a family, and the claims that have no records yet.

    Attributes:
        family: what was asked.
        findings: a row each.
        missing: the other claims.
        setting: what recorded runs have in common, as text.
    """

    family: Family
    findings: tuple[Finding, ...]
    missing: tuple[Claim, ...] = ()
    setting: str = ""

    def __repr__(self) -> str:
        return f"<{self.family.title}: {len(self.findings)} claims>"

    def _repr_markdown_(self) -> str:
        """As a notebook shows it, in MyST."""
        return sheet_markdown(self)


def examine(
    family: Family,
    *,
    runs: Iterable[Record] | None = None,
    costs: Mapping[str, object] | None = None,
) -> Sheet:
    """Hold every claim of ``family`` against its evidence.

    Args:
        family: the claims.
        runs: in place of its recorded ones.
        costs: by upsampler, of one setting and machine; for :class:`Ratio`.

    Raises:
        ValueError: if the runs are of several settings.
    """
    claims = family.claims
    gains = [c.evidence for c in claims if isinstance(c.evidence, Gain)]
    verdicts: dict[Gain, Verdict] = {}
    setting = ""
    if gains:
        recorded = family.runs() if runs is None else list(runs)
        setting = _setting(recorded)
        verdicts = _differences(recorded, gains, family.metric)
    found: list[Finding] = []
    missing: list[Claim] = []
    for claim in claims:
        evidence = claim.evidence
        if isinstance(evidence, Gain):
            finding = _of_gain(claim, verdicts.get(evidence))
        elif isinstance(evidence, Ratio):
            finding = _of_ratio(claim, evidence, costs or {})
        elif isinstance(evidence, Count):
            finding = _of_count(claim, evidence)
        else:
            finding = Finding(claim, *_exactly(*evidence.look()))
        if finding is None:
            missing.append(claim)
        else:
            found.append(finding)
    return Sheet(family, tuple(found), tuple(missing), setting)


def _setting(runs: Sequence[Record]) -> str:
    if not runs:
        return ""
    spec = runs[0].spec
    parts = f"encoder {spec.encoder}, decoder {spec.decoder}, {spec.epochs} epochs"
    return f"{spec.dataset} ({parts})"


def _differences(
    runs: Sequence[Record], gains: Sequence[Gain], metric: str
) -> dict[Gain, Verdict]:
    """The verdicts on those gains that have runs of a common seed, as one family."""
    seeds: dict[str, set[int]] = {}
    for run in runs:
        seeds.setdefault(run.spec.variant, set()).add(run.spec.seed)
    nothing: set[int] = set()
    there = [
        gain
        for gain in gains
        if seeds.get(gain.upsampler, nothing) & seeds.get(gain.instead_of, nothing)
    ]
    found = {
        str(gain): difference(runs, gain.upsampler, gain.instead_of, metric)
        for gain in there
    }
    verdicts = corrected(found, metric)
    return {gain: verdicts[str(gain)] for gain in there}


def judge(verdict: Verdict) -> str:
    """The words for a claimed gain, by the verdict on the difference."""
    if verdict.words == "shown":
        words = "holds" if verdict.effect == "helps" else "the reverse is shown"
    elif verdict.words == "suggested" and verdict.effect == "hurts":
        words = "the reverse is suggested"
    else:
        words = verdict.words
    if verdict.small and verdict.effect:
        return f"{words}, by less than {margin(find_metric(verdict.metric))}"
    return words


def _exactly(holds: bool, measured: str) -> tuple[str, str]:
    return "holds" if holds else "does not hold", measured


def _of_gain(claim: Claim, verdict: Verdict | None) -> Finding | None:
    if verdict is None:
        return None
    unit = find_metric(verdict.metric).difference_unit
    measured = f"{format_difference(verdict.estimate, verdict.metric)} {unit}".strip()
    estimate = verdict.estimate
    return Finding(claim, judge(verdict), measured, estimate.n, estimate)


def _of_ratio(
    claim: Claim, evidence: Ratio, costs: Mapping[str, object]
) -> Finding | None:
    if not {evidence.ours, *evidence.rivals} <= costs.keys():
        return None
    ours = getattr(costs[evidence.ours], evidence.of)
    ratios = {
        name: getattr(costs[name], evidence.of) / ours for name in evidence.rivals
    }
    measured = ", ".join(f"{method(name)} × {r:.1f}" for name, r in ratios.items())
    return Finding(claim, *_exactly(min(ratios.values()) > 1, measured))


def _of_count(claim: Claim, evidence: Count) -> Finding:
    ours = evidence.ours()
    holds = agrees(ours, evidence.published)
    return Finding(claim, *_exactly(holds, f"{ours:,}"))


def agrees(ours: int, published: str) -> bool:
    """Whether a count is the published number, rounded or cut.

    >>> agrees(32_768, "32.7K"), agrees(32_768, "32.8K"), agrees(24_576, "32.7K")
    (True, True, False)
    """
    parts = re.fullmatch(r"\+?(\d+)(?:\.(\d+))?([KM])", published)
    if not parts:
        raise ValueError(f"published has to be like 24.6K or 1.8M, got {published!r}")
    whole, tenths, unit = parts[1], parts[2] or "", parts[3]
    digits = ours * 10 ** len(tenths) / {"K": 1_000, "M": 1_000_000}[unit]
    return int(whole + tenths) in (int(digits), round(digits))


def summary(sheets: Iterable[Sheet]) -> str:
    """How many claims of each family hold, do not, or stay open, as Markdown."""
    rows: list[list[object]] = []
    for sheet in sheets:
        marks = [finding.mark for finding in sheet.findings]
        counts = (marks.count(mark) or "" for mark in ("✓", "○", "✗"))
        rows.append([sheet.family.title, *counts, len(sheet.missing) or ""])
    head = ("claims on", "✓ hold", "○ open", "✗ do not", "not recorded")
    return markdown_table(head, rows)


def sheet_markdown(sheet: Sheet) -> str:
    """A family's table in MyST: words, verdict, measured, published and where."""
    family, findings = sheet.family, sheet.findings
    columns = {
        "what is claimed": [finding.claim.words for finding in findings],
        "verdict": [f"{finding.mark} {finding.verdict}" for finding in findings],
        "measured here": [finding.measured for finding in findings],
        "seeds": [str(finding.seeds or "") for finding in findings],
        "published": [finding.claim.published for finding in findings],
        "see": [", ".join(map(_link, finding.claim.see)) for finding in findings],
    }
    filled = {head: cells for head, cells in columns.items() if any(cells)}
    parts = []
    if findings:
        parts.append(markdown_table([*filled], zip(*filled.values(), strict=True)))
    parts.append(f"{_told(sheet)}\n\n```bash\n{family.command}\n```")
    return "\n\n".join(parts)


def _told(sheet: Sheet) -> str:
    """What stands between a table and its command."""
    lines = []
    if sheet.setting:
        title = find_metric(sheet.family.metric).title
        lines.append(f"{title[0].upper()}{title[1:]} on {sheet.setting}.")
    if sheet.missing:
        many = f"{len(sheet.missing)} of {len(sheet.family.claims)} claims"
        lines.append(f"{many} have no record yet, and so no row.")
    return " ".join([*lines, "The command:"])


def _link(label: str) -> str:
    """A reference to a section, or to a numbered figure."""
    return f"{{numref}}`{label}`" if label.startswith("fig-") else f"{{ref}}`{label}`"
