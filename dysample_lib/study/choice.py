"""Which upsampler to take, by one rule.

Compare the one with the best mean with every other, as one family of questions
(:mod:`dysample_lib.study.verdicts`). Behind is what it is shown to beat, unless the
whole interval lies within the margin, half a point. Of those that are not behind take
the cheapest: more may buy something, but that was not shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..metrics.registry import find_metric
from ..upsamplers import LADDER
from .intervals import mean_interval
from .records import Record
from .tables import difference, scores
from .verdicts import Verdict, family


@dataclass(frozen=True)
class Choice:
    """What the rule says of some recorded upsamplers.

    Attributes:
        best: the variant with the best mean.
        gains: what ``best`` has more than each of the others.
        behind: the others that are shown to be behind it.
        enough: the cheapest that is not.
        parameters: learned values by variant.
    """

    best: str
    gains: dict[str, Verdict]
    behind: tuple[str, ...]
    enough: str
    parameters: dict[str, int]

    @property
    def tied(self) -> tuple[str, ...]:
        """The others that are not shown to be behind."""
        return tuple(name for name in self.gains if name not in self.behind)


def choose(
    records: Iterable[Record],
    variants: Sequence[str] = LADDER,
    metric: str = "boundary_iou",
) -> Choice:
    """Apply the rule to recorded runs.

    Args:
        records: of one setting; runs of other variants are left out.
        variants: what there is to choose from; those without runs are left out.
        metric: what counts, by its own direction.

    Raises:
        ValueError: if there are no runs of any variant, or runs of several settings.
    """
    direction = find_metric(metric).direction
    found = [record for record in records if record.spec.variant in variants]
    if not found:
        raise ValueError(f"records has to have runs of {', '.join(variants)}, got none")
    parameters = {run.spec.variant: run.upsampler_parameters for run in found}
    there = [name for name in variants if name in parameters]
    means = {
        name: direction * mean_interval(scores(found, name, metric).values()).mean
        for name in there
    }
    best = max(there, key=lambda name: means[name])
    others = [name for name in there if name != best]
    gains = family(
        {name: difference(found, best, name, metric) for name in others}, metric
    )
    behind = tuple(
        name
        for name, gain in gains.items()
        if gain.words == "shown" and gain.effect == "helps" and not gain.small
    )
    enough = min(
        (name for name in there if name not in behind),
        key=lambda name: (parameters[name], -means[name]),
    )
    return Choice(best, gains, behind, enough, parameters)
