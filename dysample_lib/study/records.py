"""Recorded runs: a file of one record a line, appended to, never rewritten.

Needs nothing but the standard library and the spec.
"""

from __future__ import annotations

import json
import math
import os
import warnings
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from numbers import Real
from pathlib import Path
from typing import Any

from ..ops.checks import check_integer, check_number
from .spec import RunSpec

try:
    import fcntl
except ImportError:  # Windows: no lock, so one process at a time may append
    fcntl = None  # type: ignore[assignment]

SCHEMA = 2
"""Of the lines that are written; older ones are not read."""


@dataclass(frozen=True)
class Record:
    """One run: what was trained, how well it did, and on what.

    Attributes:
        spec: which run it is.
        metrics: by name, in the units of
            :data:`dysample_lib.metrics.registry.METRICS`; NaN (JSON ``null``) where
            undefined.
        parameters: learned values of the model.
        upsampler_parameters: those of its upsamplers.
        seconds: wall time of the training.
        environment: see :func:`dysample_lib.study.provenance.environment`.
        further: what else a line holds, kept as it is.

    Raises:
        TypeError, ValueError: naming the field whose value does not fit.
    """

    spec: RunSpec
    metrics: dict[str, float]
    parameters: int
    upsampler_parameters: int
    seconds: float
    environment: dict[str, Any]
    further: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("parameters", "upsampler_parameters"):
            check_integer(name, getattr(self, name), 0)
        check_number("seconds", self.seconds, 0)
        for name in ("metrics", "environment"):
            value = getattr(self, name)
            if not isinstance(value, dict):
                raise TypeError(f"{name} has to be an object, got {value!r}")
        for name, value in self.metrics.items():
            if not isinstance(value, Real) or isinstance(value, bool):
                raise TypeError(f"metrics[{name!r}] has to be a number, got {value!r}")
            if math.isinf(value):
                raise ValueError(f"metrics[{name!r}] has to be finite, got {value!r}")
        # Of NumPy's numbers JSON knows nothing.
        plain = {
            "metrics": {name: float(value) for name, value in self.metrics.items()},
            "parameters": int(self.parameters),
            "upsampler_parameters": int(self.upsampler_parameters),
            "seconds": float(self.seconds),
        }
        for name, value in plain.items():
            object.__setattr__(self, name, value)

    @property
    def key(self) -> str:
        """Names the run; two records that agree in it are duplicates."""
        return self.spec.key

    def to_json_line(self) -> str:
        """The record as JSON on one line, without the newline."""
        metrics = {
            name: None if math.isnan(value) else value
            for name, value in self.metrics.items()
        }
        values = {
            "schema": SCHEMA,
            "spec": asdict(self.spec),
            "metrics": metrics,
            "parameters": self.parameters,
            "upsampler_parameters": self.upsampler_parameters,
            "seconds": self.seconds,
            "environment": self.environment,
        }
        return json.dumps(values | self.further, allow_nan=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> Record:
        """The record in one JSON object.

        Raises:
            json.JSONDecodeError, UnicodeDecodeError: if it is not JSON.
            TypeError, ValueError: naming the field that is missing or does not fit.
        """
        values = json.loads(text)
        if not isinstance(values, dict):
            raise TypeError(
                f"a record has to be a JSON object, got {type(values).__name__}"
            )
        schema = values.pop("schema", 1)
        if schema != SCHEMA:
            raise ValueError(f"schema has to be {SCHEMA}, got {schema!r}")
        names = (
            "spec",
            "metrics",
            "parameters",
            "upsampler_parameters",
            "seconds",
            "environment",
        )
        missing = [name for name in names if name not in values]
        if missing:
            raise ValueError(
                f"a record has to have the fields {', '.join(names)}; "
                f"missing: {', '.join(missing)}"
            )
        known = {name: values.pop(name) for name in names}
        known["spec"] = RunSpec.from_dict(known["spec"])
        if isinstance(known["metrics"], dict):
            known["metrics"] = {
                name: math.nan if value is None else value
                for name, value in known["metrics"].items()
            }
        return cls(**known, further=values)


def append_record(path: Path | str, record: Record) -> None:
    """Add one line to the file, which is created with its folder if need be.

    The line goes out in one write and is on disk on return. What is in the file
    stays as it is: after a last line that was cut off by a kill the record starts on
    a line of its own. Several processes may append to one file (on Windows, where
    there is no ``fcntl``, one at a time).

    Raises:
        OSError: if the line could not be written whole; nothing of it is left then.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
    file = os.open(path, flags, 0o644)
    try:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX)  # released on close
        line = record.to_json_line().encode() + b"\n"
        end = os.lseek(file, 0, os.SEEK_END)
        if end > 0:
            os.lseek(file, -1, os.SEEK_END)
            if os.read(file, 1) != b"\n":
                line = b"\n" + line
        try:
            written = os.write(file, line)
            if written != len(line):
                raise OSError(
                    f"{path}: wrote {written} of {len(line)} bytes of a record; "
                    "is the disk full?"
                )
            os.fsync(file)
        except OSError:
            os.ftruncate(file, end)
            raise
    finally:
        os.close(file)


def read_records(path: Path | str, *, missing_ok: bool = False) -> list[Record]:
    """The records of a file, in its order.

    A line that is no JSON object (cut off by a kill) is skipped, and so is a
    duplicate: the first record of a run counts. Both are reported as a warning that
    names the file and the line.

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
    first: dict[str, int] = {}
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
                f"{record.spec.variant}, seed {record.spec.seed}",
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


def select(
    records: Iterable[Record],
    where: Callable[[Record], bool] | None = None,
    **wanted: object,
) -> list[Record]:
    """The records whose spec has the ``wanted`` values and that satisfy ``where``.

    ``variant`` and ``setting`` of the spec may be wanted as its fields are.

    >>> select([], dataset="coastlines", epochs=24)
    []
    """
    names = (*RunSpec.__dataclass_fields__, "variant", "setting")
    for name in wanted:
        if name not in names:
            raise ValueError(f"a spec has the fields {', '.join(names)}; no {name!r}")
    return [
        record
        for record in records
        if all(getattr(record.spec, name) == value for name, value in wanted.items())
        and (where is None or where(record))
    ]


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
