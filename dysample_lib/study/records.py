"""Recorded runs: a file of one record a line, appended to, never rewritten.

Needs nothing but the standard library.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path

from .record import KEY, METRICS, Record

try:
    import fcntl
except ImportError:  # Windows: no lock, so one process at a time may append
    fcntl = None  # type: ignore[assignment]

__all__ = [
    "KEY",
    "METRICS",
    "Record",
    "append_record",
    "read_records",
    "recorded",
    "recorded_file",
    "recorded_runs",
    "select",
]


def append_record(path: Path | str, record: Record) -> None:
    """Add one line to the file, which is created with its folder if need be.

    The line goes out in one write and is on disk on return. What is in the file
    stays as it is: after a last line that was cut off by a kill the record starts on
    a line of its own. Several processes may append to one file (on Windows, where
    there is no ``fcntl``, one at a time).

    Raises:
        OSError: if the line could not be written whole.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
    file = os.open(path, flags, 0o644)
    try:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX)  # released on close
        line = record.to_json_line().encode() + b"\n"
        if os.lseek(file, 0, os.SEEK_END) > 0:
            os.lseek(file, -1, os.SEEK_END)
            if os.read(file, 1) != b"\n":
                line = b"\n" + line
        written = os.write(file, line)
        if written != len(line):
            raise OSError(
                f"{path}: wrote {written} of {len(line)} bytes of a record; "
                "is the disk full?"
            )
        os.fsync(file)
    finally:
        os.close(file)


def read_records(path: Path | str, *, missing_ok: bool = False) -> list[Record]:
    """The records of a file, in its order.

    A line that is no JSON object (cut off by a kill) is skipped, and so is a second
    record of a run (see :data:`KEY`): the first counts. Both are reported as a
    warning that names the file and the line.

    Args:
        path: of the file.
        missing_ok: return no records where there is no file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if a line is a JSON object but no :class:`Record`, naming the
            file, the line and the field.
    """
    path = Path(path)
    if missing_ok and not path.exists():
        return []
    records: list[Record] = []
    first: dict[tuple[str | int, ...], int] = {}
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        if not _is_json_object(line):
            warnings.warn(f"{where}: broken, skipped: {line[:40]!r}…", stacklevel=2)
            continue
        try:
            record = Record.from_json(line)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{where}: {error}") from error
        if record.key in first:
            warnings.warn(
                f"{where}: the run of line {first[record.key]} again, skipped: "
                + ", ".join(f"{k}={v}" for k, v in zip(KEY, record.key, strict=True)),
                stacklevel=2,
            )
            continue
        first[record.key] = number
        records.append(record)
    return records


def _is_json_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:  # no JSON, or not even UTF-8
        return False


def select(records: Iterable[Record], **wanted: object) -> list[Record]:
    """The records whose fields have the ``wanted`` values.

    >>> select([], dataset="coastlines", epochs=24)
    []
    """
    names = [field.name for field in fields(Record)]
    for name in wanted:
        if name not in names:
            raise ValueError(f"a record has the fields {', '.join(names)}; no {name!r}")
    return [
        record
        for record in records
        if all(getattr(record, name) == value for name, value in wanted.items())
    ]


def recorded(
    path: Path | str,
    *,
    dataset: str,
    decoder: str,
    upsampler: str,
    seed: int,
    epochs: int,
    budget: str,
) -> bool:
    """Whether the file has this run; no file has none."""
    key = (dataset, decoder, upsampler, seed, epochs, budget)
    return any(r.key == key for r in read_records(path, missing_ok=True))


def recorded_file(name: str) -> Path:
    """A file of ``results/``, in the checkout or as it came with the package.

    Raises:
        FileNotFoundError: if there is no such file, naming those there are.
    """
    package = Path(__file__).parents[1]
    folders = (package.parent / "results", package / "recorded")
    for folder in folders:
        if (folder / name).exists():
            return folder / name
    suffix = Path(name).suffix
    names = sorted({p.name for folder in folders for p in folder.glob(f"*{suffix}")})
    raise FileNotFoundError(
        f"there is no record {name!r}; those that come with the book: "
        f"{', '.join(names) or 'none'}"
    )


def recorded_runs(name: str) -> list[Record]:
    """The runs that come with the book: ``results/NAME.jsonl``.

    Raises:
        FileNotFoundError: see :func:`recorded_file`.
    """
    return read_records(recorded_file(f"{name}.jsonl"))
