"""Several upsamplers over several seeds, here and now."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import Timeout

from ..ops.checks import check_choice, check_positive_integer
from ..tasks import TASKS
from ..train.progress import bar
from .budget import testbed
from .records import Record
from .run import Run, resolve, run, run_once
from .spec import RunSpec, distinct

if TYPE_CHECKING:
    import pandas as pd


RUNS = "DYSAMPLE_RUNS"
"""The environment variable that names the folder where :func:`compare` keeps runs."""


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

    Where ``$DYSAMPLE_RUNS`` names a folder, a run is kept there and is trained once,
    whichever comparisons and processes ask for it: :func:`.run.run_once`. One with
    ``evaluate_every`` is trained here, as the history of a kept one may have the scores
    of other epochs.

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
    folder = None if evaluate_every else os.environ.get(RUNS)
    if folder:
        done = _once(specs, folder, root, progress)
    else:
        options: dict[str, Any] = {"root": root, "evaluate_every": evaluate_every}
        each = bar(specs, progress, "run")
        done = [run(spec, progress=False, **options) for spec in each]
    runs: dict[str, list[Run]] = {}
    for spec, one in zip(specs, done, strict=True):
        runs.setdefault(spec.variant, []).append(one)
    return Comparison(runs, metric)


def _once(
    specs: Sequence[RunSpec],
    folder: str,
    root: Path | str | None,
    progress: bool | None,
) -> list[Run]:
    """The runs of ``specs``; what another process is at is waited for at the end."""
    done: dict[str, Run] = {}
    busy: list[RunSpec] = []
    options: dict[str, Any] = {"folder": folder, "root": root, "progress": False}
    for spec in bar(specs, progress, "run"):
        try:
            done[spec.key] = run_once(spec, timeout=0, **options)
        except Timeout:
            busy.append(spec)
    done |= {spec.key: run_once(spec, **options) for spec in busy}
    return [done[spec.key] for spec in specs]


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
