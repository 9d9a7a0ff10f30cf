"""Write the tables that pages include from results/ again: `make tables`.

A fragment is a file book/_NAME.md. The tests hold each to the records.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from machine_tables import operator_cost, run_times, support, training_cost
from score_tables import found, rivals, which

from dysample_lib.study.records import Record, read_records, select

BOOK = Path(__file__).resolve().parents[1]
RESULTS = BOOK.parent / "results"
WRITTEN = (
    "<!-- Written from results/ by book/scripts/fragments.py: `make tables`. -->\n"
)


def recorded(*files: str) -> list[Record]:
    """The runs of some files of results/, those that are there."""
    found = (RESULTS / f"{file}.jsonl" for file in files)
    return [run for path in found if path.exists() for run in read_records(path)]


LADDERS = ("paper_coastlines", "probe")
"""The records of the two testbeds."""


def settings() -> list[Record]:
    """What is recorded of each setting."""
    # The pointwise runs that rivals were set against are the probe's, by older code.
    pyramid = select(recorded("rivals"), decoder="fpn")
    return [*recorded(*LADDERS, "paper_decoders", "paper_camvid"), *pyramid]


def noted(file: str) -> dict[str, Any] | None:
    """A JSON file of results/, if it is there."""
    path = RESULTS / file
    return json.loads(path.read_text("utf-8")) if path.exists() else None


FRAGMENTS: dict[str, Callable[[], str]] = {
    "_found.md": lambda: found(recorded(*LADDERS)),
    "_which.md": lambda: which(settings()),
    "_rivals.md": lambda: rivals(
        recorded("paper_coastlines", "paper_camvid", "paper_decoders", "rivals")
    ),
    "_run_times.md": lambda: run_times(
        noted("runtimes.json"), noted("runtimes_cuda.json")
    ),
    "_support.md": lambda: support(noted("support.json")),
    "_operator_cost.md": lambda: operator_cost(
        noted("operator_cost.json"), noted("operator_cost_cuda.json")
    ),
    "_training_cost.md": lambda: training_cost(noted("training_cost.json")),
}
"""What goes into which file."""


def main() -> None:
    for file, text in FRAGMENTS.items():
        (BOOK / file).write_text(f"{WRITTEN}\n{text()}", encoding="utf-8")


if __name__ == "__main__":
    main()
