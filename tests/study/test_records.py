"""Records survive kills, doubles and two writers; nothing is rewritten."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import warnings
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from record_samples import KEY, RECORD

from dysample_lib.study.records import (
    Record,
    append_record,
    read_records,
    recorded,
    select,
)


def test_record_survives_json() -> None:
    line = RECORD.to_json_line()
    assert "\n" not in line
    assert json.loads(line) == asdict(RECORD)
    assert Record.from_json(line) == RECORD


def test_undefined_metric_is_null() -> None:
    line = replace(RECORD, boundary_iou=math.nan).to_json_line()
    assert '"boundary_iou": null' in line
    assert math.isnan(Record.from_json(line).boundary_iou)


def test_numbers_and_strings_of_libraries_become_plain() -> None:
    record = replace(
        RECORD,
        seed=np.int64(3),
        mean_iou=np.float32(0.875),
        seconds=2,
        torch=torch.__version__,
    )
    assert type(record.seed) is int
    assert type(record.mean_iou) is float
    assert type(record.seconds) is float
    assert type(record.torch) is str
    assert Record.from_json(record.to_json_line()) == record


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("seed", 1.0, TypeError),
        ("seed", True, TypeError),
        ("epochs", -1, ValueError),
        ("dataset", None, TypeError),
        ("mean_iou", 1.5, ValueError),
        ("trimap_iou", "0.5", TypeError),
        ("seconds", math.nan, ValueError),
        ("seconds", -1.0, ValueError),
    ],
)
def test_field_has_to_fit(field: str, value: object, error: type[Exception]) -> None:
    with pytest.raises(error, match=f"{field} has to be"):
        replace(RECORD, **{field: value})


def test_missing_and_unknown_fields_are_named(tmp_path: Path) -> None:
    values = asdict(RECORD)
    del values["threads"]
    values["gpu"] = "none"
    text = json.dumps(values)
    with pytest.raises(ValueError, match="missing: threads, unknown: gpu"):
        Record.from_json(text)
    path = tmp_path / "runs.jsonl"
    path.write_text(RECORD.to_json_line() + "\n" + text + "\n")
    with pytest.raises(ValueError, match=r"runs\.jsonl, line 2: .*missing: threads"):
        read_records(path)
    with pytest.raises(TypeError, match="JSON object, got list"):
        Record.from_json("[]")


def test_append_and_read(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "runs.jsonl"
    records = [replace(RECORD, seed=seed) for seed in range(3)]
    for record in records:
        append_record(path, record)
    assert read_records(path) == records
    assert path.read_bytes().count(b"\n") == 3
    assert path.read_bytes().endswith(b"\n")


def test_missing_file(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    with pytest.raises(FileNotFoundError):
        read_records(path)
    assert read_records(path, missing_ok=True) == []
    assert not recorded(path, **KEY)


def test_recorded(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    append_record(path, RECORD)
    assert recorded(path, **KEY)
    for name, value in KEY.items():
        other = value + 1 if isinstance(value, int) else value + "x"
        assert not recorded(path, **{**KEY, name: other})


def test_last_line_cut_anywhere(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    first, last, new = (replace(RECORD, seed=seed) for seed in range(3))
    append_record(path, first)
    start = path.stat().st_size
    append_record(path, last)
    whole = path.read_bytes()
    for end in range(start, len(whole) + 1):
        path.write_bytes(whole[:end])
        complete = end >= len(whole) - 1  # only the newline is missing, or nothing
        kept = [first, last] if complete else [first]
        broken = not complete and end > start
        for expected in (kept, [*kept, new]):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                assert read_records(path) == expected
            messages = [str(warning.message) for warning in caught]
            assert len(messages) == broken
            assert all(f"{path}, line 2: broken" in text for text in messages)
            if expected is kept:
                append_record(path, new)
        assert path.read_bytes().startswith(whole[:end]), "recorded bytes changed"


@pytest.mark.parametrize("line", [b"\xff\xfe", b"12", b"null", b'{"seed": ', b"\0\0"])
def test_broken_line_in_the_middle(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "runs.jsonl"
    other = replace(RECORD, seed=4)
    path.write_bytes(
        b"\n".join(
            [RECORD.to_json_line().encode(), line, b"", other.to_json_line().encode()]
        )
    )
    with pytest.warns(UserWarning, match=r"runs\.jsonl, line 2: broken"):
        assert read_records(path) == [RECORD, other]


def test_of_doubles_the_first_counts(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    for record in (RECORD, replace(RECORD, seed=4), replace(RECORD, mean_iou=0.1)):
        append_record(path, record)
    with pytest.warns(UserWarning, match="line 3: the run of line 1 again.*seed=3"):
        assert read_records(path) == [RECORD, replace(RECORD, seed=4)]


def _append_many(path: Path, upsampler: str, start: object) -> None:
    start.wait(120)  # type: ignore[attr-defined]
    for seed in range(50):
        append_record(path, replace(RECORD, upsampler=upsampler, seed=seed))


def test_two_processes_append(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    path.write_text('{"dataset": "coa')  # cut off before either begins
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(2)
    processes = [
        context.Process(target=_append_many, args=(path, name, start))
        for name in ("naive", "grouping")
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    with pytest.warns(UserWarning, match="line 1: broken") as caught:
        records = read_records(path)
    assert len(caught) == 1
    for name in ("naive", "grouping"):
        found = [r.seed for r in records if r.upsampler == name]
        assert found == list(range(50))


def test_short_write_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda file, data: real(file, data[:20]))
    path = tmp_path / "runs.jsonl"
    with pytest.raises(OSError, match="wrote 20 of"):
        append_record(path, RECORD)
    monkeypatch.undo()
    append_record(path, RECORD)
    with pytest.warns(UserWarning, match="line 1: broken"):
        assert read_records(path) == [RECORD]


def test_select() -> None:
    records = [RECORD, replace(RECORD, seed=4), replace(RECORD, dataset="pets")]
    assert select(records, dataset="coastlines", seed=4) == [records[1]]
    with pytest.raises(ValueError, match="no 'data'"):
        select(records, data="pets")
