"""Records survive kills, duplicates and two writers; nothing is rewritten."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import subprocess
import sys
import warnings
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from record_samples import RECORD, SPEC

from dysample_lib.study.records import (
    SCHEMA,
    Record,
    append_record,
    read_records,
    recorded_file,
    recorded_runs,
    select,
)


def of_seed(seed: int, **changes: Any) -> Record:
    return replace(RECORD, spec=replace(SPEC, seed=seed), **changes)


def test_record_survives_json() -> None:
    line = RECORD.to_json_line()
    assert "\n" not in line
    values = json.loads(line)
    assert values.pop("schema") == SCHEMA == 2
    assert values == {k: v for k, v in asdict(RECORD).items() if k != "further"}
    assert Record.from_json(line) == RECORD


def test_undefined_metric_is_null() -> None:
    line = replace(RECORD, metrics={"boundary_iou": math.nan}).to_json_line()
    assert '"boundary_iou": null' in line
    assert math.isnan(Record.from_json(line).metrics["boundary_iou"])


def test_numbers_of_libraries_become_plain() -> None:
    record = replace(
        RECORD,
        metrics={"mean_iou": np.float32(0.875)},
        parameters=np.int64(12),
        seconds=2,
    )
    assert type(record.parameters) is int
    assert type(record.metrics["mean_iou"]) is float
    assert type(record.seconds) is float
    assert Record.from_json(record.to_json_line()) == record


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("parameters", 1.0, TypeError),
        ("parameters", True, TypeError),
        ("upsampler_parameters", -1, ValueError),
        ("seconds", "2", TypeError),
        ("seconds", math.nan, ValueError),
        ("seconds", -1.0, ValueError),
        ("metrics", [0.5], TypeError),
        ("metrics", {"mean_iou": "0.5"}, TypeError),
        ("metrics", {"mean_iou": True}, TypeError),
        ("metrics", {"mean_iou": math.inf}, ValueError),
        ("environment", "linux", TypeError),
    ],
)
def test_field_has_to_fit(field: str, value: object, error: type[Exception]) -> None:
    with pytest.raises(error, match=rf"{field}.* has to be .*got") as caught:
        replace(RECORD, **{field: value})
    shown = value["mean_iou"] if isinstance(value, dict) else value
    assert repr(shown) in str(caught.value)


def test_unknown_fields_are_kept_and_missing_ones_named(tmp_path: Path) -> None:
    values = json.loads(RECORD.to_json_line()) | {"note": {"by": "hand"}}
    values["environment"]["container"] = "slim"
    record = Record.from_json(json.dumps(values))
    assert record.further == {"note": {"by": "hand"}}
    assert json.loads(record.to_json_line()) == values
    del values["parameters"]
    text = json.dumps(values)
    with pytest.raises(ValueError, match="missing: parameters"):
        Record.from_json(text)
    path = tmp_path / "runs.jsonl"
    path.write_text(RECORD.to_json_line() + "\n" + text + "\n")
    with pytest.raises(ValueError, match=r"runs\.jsonl, line 2: .*missing: parameters"):
        read_records(path)
    del values["spec"]["epochs"]
    with pytest.raises(ValueError, match="missing: epochs"):
        Record.from_json(json.dumps(values | {"parameters": 1}))
    with pytest.raises(TypeError, match="JSON object, got list"):
        Record.from_json("[]")


@pytest.mark.parametrize("schema", [None, 1, 3])
def test_another_schema_is_refused(schema: int | None) -> None:
    values = json.loads(RECORD.to_json_line())
    del values["schema"]
    if schema is not None:
        values["schema"] = schema
    with pytest.raises(ValueError, match=f"schema has to be 2, got {schema or 1}"):
        Record.from_json(json.dumps(values))


def test_append_and_read(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "runs.jsonl"
    records = [of_seed(seed) for seed in range(3)]
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


def test_last_line_cut_anywhere(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    first, last, new = (of_seed(seed) for seed in range(3))
    append_record(path, first)
    start = path.stat().st_size
    append_record(path, last)
    whole = path.read_bytes()
    for end in [*range(start, len(whole), 17), len(whole) - 2, len(whole) - 1]:
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
    other = of_seed(4)
    path.write_bytes(
        b"\n".join(
            [RECORD.to_json_line().encode(), line, b"", other.to_json_line().encode()]
        )
    )
    with pytest.warns(UserWarning, match=r"runs\.jsonl, line 2: broken"):
        assert read_records(path) == [RECORD, other]


def test_of_duplicates_the_first_counts(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    again = replace(RECORD, metrics={"mean_iou": 0.1}, environment={})
    for record in (RECORD, of_seed(4), again):
        append_record(path, record)
    with pytest.warns(UserWarning, match="line 3: the run of line 1 again.*seed 3"):
        assert read_records(path) == [RECORD, of_seed(4)]


@pytest.mark.parametrize(
    "change", [{"learning_rate": 0.1}, {"data": "another"}, {"device": "cuda"}]
)
def test_runs_that_differ_in_what_decides_them_are_no_duplicates(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    path = tmp_path / "runs.jsonl"
    other = replace(RECORD, spec=replace(SPEC, **change))
    for record in (RECORD, other):
        append_record(path, record)
    assert read_records(path) == [RECORD, other]


def _append_many(path: Path, upsampler: str, start: Any) -> None:
    start.wait(240)
    for seed in range(50):
        spec = replace(SPEC, upsampler=upsampler, seed=seed)
        append_record(path, replace(RECORD, spec=spec))


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
        process.join(240)
        assert process.exitcode == 0
    with pytest.warns(UserWarning, match="line 1: broken") as caught:
        records = read_records(path)
    assert len(caught) == 1
    for name in ("naive", "grouping"):
        found = [r.spec.seed for r in records if r.spec.upsampler == name]
        assert found == list(range(50))


ON_A_FULL_DISK = """
import resource, signal, sys
sys.path.insert(0, "tests")
from record_samples import RECORD
from dysample_lib.study.records import append_record

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
try:
    append_record(sys.argv[1], RECORD)
except OSError as error:
    print(error)
"""


def test_a_line_that_the_disk_does_not_hold_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    append_record(path, of_seed(4))
    before = path.read_bytes()
    for room in (0, 100):
        limit = str(len(before) + room)
        done = subprocess.run(
            [sys.executable, "-c", ON_A_FULL_DISK, path, limit],
            capture_output=True,
            text=True,
            cwd=Path(__file__).parents[2],
            check=True,
        )
        wanted = "File too large" if room == 0 else f"wrote {room} of"
        assert wanted in done.stdout
        assert path.read_bytes() == before
    append_record(path, RECORD)
    assert read_records(path) == [of_seed(4), RECORD]


def test_short_write_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda file, data: real(file, data[:20]))
    path = tmp_path / "runs.jsonl"
    with pytest.raises(OSError, match="wrote 20 of"):
        append_record(path, RECORD)
    monkeypatch.undo()
    assert path.read_bytes() == b""
    append_record(path, RECORD)
    assert read_records(path) == [RECORD]


def test_select() -> None:
    records = [
        RECORD,
        of_seed(4),
        replace(RECORD, spec=replace(SPEC, dataset="pets")),
        replace(RECORD, spec=replace(SPEC, upsampler_options={"scope": 0.5})),
    ]
    assert select(records, dataset="coastlines", seed=4) == [records[1]]
    assert select(records, variant="grouping,scope=0.5") == [records[3]]
    assert select(records, setting=SPEC.setting, variant="grouping") == records[:2]
    assert select(records, lambda record: record.spec.seed > 3) == [records[1]]
    with pytest.raises(ValueError, match="no 'folder'"):
        select(records, folder="pets")


def test_unknown_recorded_runs_are_named() -> None:
    with pytest.raises(FileNotFoundError, match=r"no record 'snakes.jsonl'; .*\.jsonl"):
        recorded_runs("snakes")
    with pytest.raises(
        FileNotFoundError, match=r"no record 'snakes.json'; .*cost\.json"
    ):
        recorded_file("snakes.json")


def test_every_recorded_run_of_the_book_is_read() -> None:
    files = list((Path(__file__).parents[2] / "results").glob("*.jsonl"))
    assert files
    for file in files:
        records = recorded_runs(file.stem)
        lines = file.read_text("utf-8").splitlines()
        assert [record.to_json_line() for record in records] == lines
