"""Costs as a table, as Markdown and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..study.markdown import markdown_table
from ..study.records import recorded_file
from ..upsamplers import UPSAMPLERS
from .setting import Cost, Setting

if TYPE_CHECKING:
    import pandas as pd

    from ..study.claims import Sheet

MIB = 2.0**20


class Column(NamedTuple):
    """One number of a :class:`.Cost` as tables show it."""

    title: str
    unit: float
    form: str

    def text(self, value: float) -> str:
        """The value in the column's unit."""
        return format(value / self.unit, self.form)


COLUMNS: dict[str, Column] = {
    "weights": Column("weights", 1, ",.0f"),
    "biases": Column("biases", 1, ",.0f"),
    "flops": Column("GFLOPs", 1e9, ".3f"),
    "saved_bytes": Column("saved [MiB]", MIB, ".1f"),
    "peak_inference_bytes": Column("peak, inference [MiB]", MIB, ".1f"),
    "peak_training_bytes": Column("peak, training [MiB]", MIB, ".1f"),
    "forward_ms": Column("forward [ms]", 1, ".2f"),
    "training_ms": Column("forward + backward [ms]", 1, ".2f"),
}
"""What tables show, and in which unit."""

ON_MACHINE = (
    "peak_inference_bytes",
    "peak_training_bytes",
    "forward_ms",
    "training_ms",
)
"""Those of the columns that another machine has its own numbers for."""

SIZES = tuple(field.name for field in fields(Setting))[1:]
MACHINE = ("device", "device_name", "threads", "allocator", "torch", "repeats")


def conditions(costs: Sequence[Cost]) -> str:
    """What all of ``costs`` were measured under, to stand beside their numbers.

    Raises:
        ValueError: if there are none, or if they are not of one machine.
    """
    if not costs:
        raise ValueError("costs has to hold at least one, got none")
    for name in MACHINE:
        values = sorted({getattr(cost, name) for cost in costs})
        if len(values) > 1:
            raise ValueError(f"costs have to agree in {name}, got {values}")
    one = costs[0]
    sizes = {(cost.shapes()[0], cost.output) for cost in costs}
    maps = (one.shapes()[0], one.output)
    shapes = [" × ".join(map(str, shape[1:])) for shape in maps]
    many = "" if one.threads == 1 else "s"
    parts = [
        " → ".join(shapes) if len(sizes) == 1 else "",
        f"batch {one.batch}" if len(sizes) == 1 and one.batch > 1 else "",
        one.device_name,
        f"{one.threads} thread{many}" if one.device == "cpu" else "",
        f"allocator: {one.allocator}" if one.device == "cpu" else "",
        f"torch {one.torch}",
        f"medians of {one.repeats}",
    ]
    return ", ".join(part for part in parts if part)


def _rows(costs: Sequence[Cost]) -> list[dict[str, str]]:
    """A row each, with the sizes in which they differ first."""
    conditions(costs)  # raises unless they can stand in one table
    differing = [n for n in SIZES if len({getattr(cost, n) for cost in costs}) > 1]
    return [
        {
            "upsampler": UPSAMPLERS[cost.upsampler].label,
            **{name: str(getattr(cost, name)) for name in differing},
            **{c.title: c.text(getattr(cost, name)) for name, c in COLUMNS.items()},
        }
        for cost in costs
    ]


def by_machine(costs: Sequence[Cost]) -> list[list[Cost]]:
    """The costs of each machine and batch size apart, in the order they come in."""
    found: dict[tuple[object, ...], list[Cost]] = {}
    for cost in costs:
        key = (cost.batch, *(getattr(cost, name) for name in MACHINE))
        found.setdefault(key, []).append(cost)
    return list(found.values())


def cost_table(costs: Sequence[Cost], *others: Sequence[Cost]) -> pd.DataFrame:
    """The costs as text, indexed by the upsamplers' labels. Needs pandas.

    Args:
        costs: of one machine.
        others: of other machines, each one's of the same upsamplers; their memory and
            time become further columns, named by machine.

    Raises:
        ValueError: if there are none, if they are not of one machine each, or if
            others lack an upsampler.
    """
    import pandas as pd

    table = pd.DataFrame(_rows(costs)).set_index("upsampler")
    for other in others:
        conditions(other)  # raises unless they are of one machine
        measured = {cost.upsampler: cost for cost in other}
        missing = [c.upsampler for c in costs if c.upsampler not in measured]
        if missing:
            raise ValueError(
                f"others have to have {', '.join(missing)}, got {', '.join(measured)}"
            )
        one = other[0]
        where = one.device_name + (f", batch {one.batch}" if one.batch > 1 else "")
        for name in ON_MACHINE:
            column = COLUMNS[name]
            table[f"{column.title}, {where}"] = [
                column.text(getattr(measured[cost.upsampler], name)) for cost in costs
            ]
    return table


def cost_text(costs: Sequence[Cost]) -> str:
    """The same in columns of fixed width, under what it was measured on."""
    rows = _rows(costs)
    lines = [list(rows[0]), *(list(row.values()) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    table = (
        "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])])
        for line in lines
    )
    return "\n".join([conditions(costs), "", *table])


def cost_markdown(costs: Sequence[Cost]) -> str:
    """The same as Markdown."""
    rows = _rows(costs)
    table = markdown_table(list(rows[0]), [list(row.values()) for row in rows])
    return f"{conditions(costs)}\n\n{table}"


def cost_json(costs: Sequence[Cost]) -> str:
    """All numbers in their base units, a list of one object for each cost."""
    return json.dumps([asdict(cost) for cost in costs], ensure_ascii=False, indent=1)


def read_costs(path: Path | str) -> list[Cost]:
    """Read what :func:`cost_json` wrote."""
    rows = json.loads(Path(path).read_text(encoding="utf-8"))
    return [Cost(**row) for row in rows]


def recorded_costs(name: str = "cost") -> list[Cost]:
    """The costs that come with the book: ``results/NAME.json``.

    Raises:
        FileNotFoundError: see :func:`dysample_lib.study.records.recorded_file`.
    """
    return read_costs(recorded_file(f"{name}.json"))


def bills() -> list[Sheet]:
    """The paper's claims on cost, a sheet for each machine that was measured."""
    from ..study.claims import examine
    from ..study.scorecard import SCORECARD

    sheets = []
    for costs in (recorded_costs(), *recorded_gpu_costs()):
        family = SCORECARD["bill"]
        if costs[0].device == "cuda":
            family = replace(family, command="make gpu")
        family = replace(family, title=f"what it costs: {conditions(costs)}")
        by_name = {cost.upsampler: cost for cost in costs}
        sheets.append(examine(family, costs=by_name))
    return sheets


def recorded_gpu_costs() -> list[list[Cost]]:
    """Those of a GPU, :func:`.by_machine`; none where none was measured."""
    try:
        return by_machine(recorded_costs("cost_cuda"))
    except FileNotFoundError:
        return []
