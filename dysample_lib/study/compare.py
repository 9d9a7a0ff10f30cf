"""Several upsamplers over several seeds, here and now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..ops.checks import check_choice, check_positive_integer
from ..tasks import TASKS
from ..train.progress import bar
from .budget import testbed
from .records import Record
from .run import Run, resolve, run
from .spec import RunSpec, distinct

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Comparison:
    """Runs of several upsamplers that agree in all but the upsampler and the seed.

    Attributes:
        runs: by variant, one for each seed.
        metric: the one that is compared.
    """

    runs: dict[str, list[Run]]
    metric: str

    @property
    def records(self) -> list[Record]:
        """The runs' records."""
        return [run.record for runs in self.runs.values() for run in runs]

    def model(self, variant: str, seed: int = 0) -> Any:
        """The trained model of one run."""
        check_choice("variant", variant, tuple(self.runs))
        models = {run.record.spec.seed: run.model for run in self.runs[variant]}
        if seed not in models:
            raise ValueError(
                f"seed has to be one of {', '.join(map(str, models))}, got {seed!r}"
            )
        return models[seed]

    def table(self, **options: Any) -> pd.DataFrame:
        """Scores and differences to the upsampler before, with their intervals.

        The options are those of :func:`dysample_lib.study.tables.ladder_table`.
        """
        from .tables import ladder_table

        order = tuple(self.runs)
        chosen = {"metrics": (self.metric,), "differences": (self.metric,)} | options
        return ladder_table(self.records, order, **chosen)


def compare(
    upsamplers: Sequence[str],
    *,
    seeds: int | None = None,
    metric: str | None = None,
    root: Path | str | None = None,
    evaluate_every: int | None = None,
    progress: bool | None = None,
    **settings: Any,
) -> Comparison:
    """Train each upsampler over the budget's seeds.

    Args:
        upsamplers: names, with options if need be: ``"grouping,scope=0.5"``.
        seeds: how many, 0 … seeds - 1; the budget's by default.
        metric: the one that is compared; the task's headline by default.
        root: the data set's folder, where it has one.
        evaluate_every: see :func:`dysample_lib.train.fit.fit`.
        progress: see :func:`dysample_lib.train.fit.fit`.
        **settings: of :func:`dysample_lib.study.run.resolve`.
    """
    specs = plan(upsamplers, seeds=seeds, root=root, **settings)
    metrics = TASKS[specs[0].task].metrics
    metric = metric or metrics[0]
    check_choice("metric", metric, metrics)
    runs: dict[str, list[Run]] = {}
    options: dict[str, Any] = {"root": root, "evaluate_every": evaluate_every}
    for spec in bar(specs, progress, "run"):
        done = run(spec, progress=False, **options)
        runs.setdefault(spec.variant, []).append(done)
    return Comparison(runs, metric)


def plan(
    upsamplers: Sequence[str],
    *,
    seeds: int | Sequence[int] | None = None,
    root: Path | str | None = None,
    **settings: Any,
) -> list[RunSpec]:
    """The specs of a comparison, seed by seed, so that a part of them is balanced.

    What is named twice is there once.

    Args:
        upsamplers: see :func:`compare`.
        seeds: which, or how many; the budget's by default.
        root: the data set's folder, where it has one.
        **settings: of :func:`dysample_lib.study.run.resolve`.
    """
    if not upsamplers:
        raise ValueError("upsamplers has to hold at least one name, got none")
    specs: list[RunSpec] = []
    for name in upsamplers:
        specs.append(resolve(name, root=root, **settings))
        settings["data"] = specs[0].data  # read once
    return distinct(
        replace(spec, seed=seed) for seed in _seeds(seeds, specs[0]) for spec in specs
    )


def _seeds(seeds: int | Sequence[int] | None, spec: RunSpec) -> Sequence[int]:
    if seeds is None:
        seeds = testbed(spec.task, spec.dataset, spec.encoder).amount(spec.budget).seeds
    if isinstance(seeds, int):
        check_positive_integer("seeds", seeds)
        return range(seeds)
    if not seeds:
        raise ValueError("seeds has to hold at least one seed, got none")
    return seeds
