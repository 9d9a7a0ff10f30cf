"""Recorded lines run again, and what a sweep has left to do."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from record_samples import RECORD, SPEC
from training_samples import toy_folder

from dysample_lib.study.compare import plan
from dysample_lib.study.records import append_record
from dysample_lib.study.run import run
from dysample_lib.study.verify import deviations, say_what_is_left, verify


def test_lines_are_run_again_and_told_apart(tmp_path: Path) -> None:
    root = toy_folder(tmp_path / "toy")
    output = tmp_path / "runs.jsonl"
    asked: dict[str, Any] = {"dataset": "camvid", "root": root, "epochs": 1}
    records = [
        run(spec, root=root).record for spec in plan(["nearest"], seeds=3, **asked)
    ]
    off = {name: value + 0.2 for name, value in records[2].metrics.items()}
    for record in (*records[:2], replace(records[2], metrics=off)):
        append_record(output, record)
    told: list[str] = []
    assert verify(output, 1, root=root, report=told.append) == 0
    assert told == ["nearest seed 0: as recorded, to 0", "1 of 1 as recorded, to 0.01"]
    told.clear()
    assert verify(output, 2, root=root, report=told.append) == 1
    assert told[0] == "nearest seed 0: as recorded, to 0"
    assert told[1].startswith("nearest seed 2: off: boundary_iou 0.")
    assert told[2] == "1 of 2 as recorded, to 0.01"
    told.clear()
    assert verify(output, 99, root=root, report=told.append) == 1
    assert len(told) == 4
    with pytest.raises(ValueError, match="verify has to be an integer ≥ 1, got 0"):
        verify(output, 0, root=root)
    (tmp_path / "none.jsonl").touch()
    with pytest.raises(ValueError, match=r"none\.jsonl has to hold at least one"):
        verify(tmp_path / "none.jsonl", 1)


@pytest.mark.parametrize(
    ("recorded", "now", "off"),
    [
        (0.5, 0.5099, False),
        (0.5, 0.5101, True),
        (400.0, 403.9, False),  # metres: 1 %
        (400.0, 404.1, True),
        (math.nan, math.nan, False),
        (math.nan, 0.5, True),
        (0.5, math.nan, True),
        (0.5, None, True),
    ],
)
def test_a_deviation_is_more_than_the_tolerance(
    recorded: float, now: float | None, off: bool
) -> None:
    record = replace(RECORD, metrics={"rmse": recorded})
    again = replace(RECORD, metrics={} if now is None else {"rmse": now})
    assert bool(deviations(record, again)) == off


@pytest.mark.parametrize(
    ("workers", "took"), [(1, "about 20 min by the records"), (2, "about 10 min by")]
)
def test_what_is_left_is_said_with_its_time(
    tmp_path: Path, workers: int, took: str
) -> None:
    output = tmp_path / "runs.jsonl"
    append_record(output, replace(RECORD, seconds=600))
    jobs = [replace(SPEC, seed=seed) for seed in (3, 4, 5, 4)]
    told: list[str] = []
    say_what_is_left(jobs, output, workers, told.append)
    assert told[:2] == [
        f"coastlines small pointwise grouping seed {seed} epochs 24" for seed in (4, 5)
    ]
    assert told[2].startswith(f"3 runs, 1 recorded, 2 to go: {took}")
    told.clear()
    say_what_is_left(jobs[:1], output, workers, told.append)
    assert told == ["1 runs, 1 recorded, 0 to go"]
    told.clear()
    say_what_is_left(jobs[:1], tmp_path / "new.jsonl", workers, told.append)
    assert told[-1] == "1 runs, 0 recorded, 1 to go: no record says how long"
    assert not (tmp_path / "new.jsonl").exists()
