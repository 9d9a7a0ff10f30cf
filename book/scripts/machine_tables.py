"""Tables of what machines said: run times, what DySample runs on, what it costs."""

from __future__ import annotations

from typing import Any

from dysample_lib.figures import method
from dysample_lib.study.markdown import markdown_table


def run_times(timed: dict[str, Any] | None) -> str:
    """How long each chapter took, and on what."""
    if timed is None:
        return "No complete run has been timed yet; `make notebooks` times one.\n"
    rows = []
    for chapter, took in timed["seconds"].items():
        minutes, seconds = divmod(round(took), 60)
        rows.append((f"[](../notebooks/{chapter}.ipynb)", f"{minutes}:{seconds:02}"))
    total = sum(timed["seconds"].values())
    lines = [
        f"`{timed['budget']}` budget on {timed['device']} ({timed['device_name']}), "
        f"threads: {timed['threads']}, PyTorch {timed['torch']}, "
        f"Python {timed['python']}:",
        "",
        markdown_table(("chapter", "minutes"), rows),
        "",
        f"All together: {total / 60:.0f} minutes.",
    ]
    return "\n".join(lines) + "\n"


def support(recorded: dict[str, Any] | None) -> str:
    """Where DySample runs: a row for each way to run it, a column for each dtype."""
    if recorded is None:
        return "Nothing is recorded yet; `pytest --record-support` records it.\n"
    cells, formats = recorded["cells"], recorded["formats"]
    dtypes = list(
        dict.fromkeys(d for h in cells.values() for m in h.values() for d in m)
    )
    rows = []
    for how, modes in cells.items():
        for what, found in modes.items():
            rows.append((how, what, *(said(found.get(dtype)) for dtype in dtypes)))
    versions = ", ".join(f"{name} {v}" for name, v in recorded["versions"].items())
    lines = [
        markdown_table(("how", "what", *dtypes), rows),
        "",
        f"Memory formats: {', '.join(formats)}. With {versions}.",
    ]
    return "\n".join(lines) + "\n"


def said(found: dict[str, str] | None) -> str:
    """A cell of it: one word where all memory formats agree."""
    if found is None:
        return ""
    words = {format: text.replace("yes", "✓") for format, text in found.items()}
    if len(set(words.values())) == 1:
        return next(iter(words.values()))
    return "; ".join(f"{format}: {text}" for format, text in words.items())


def conditions(turns: int, about: dict[str, Any]) -> str:
    """What a benchmark's medians are of, and on what."""
    return (
        f"Medians of {turns} turns on {about['processor']}, threads: "
        f"{about['threads']}, PyTorch {about['torch']}"
    )


def operator_cost(measured: dict[str, Any] | None) -> str:
    """What the operator costs beside the one call that it cannot do without."""
    if measured is None:
        return "Nothing has been measured yet.\n"
    rows = measured["rows"]
    columns = [name for name in rows[0]["to_bare"] if name != "bare"]
    cells = [
        (
            row["size"],
            row["mode"].replace("forward + backward", "and backward"),
            f"{row['milliseconds']['bare']:.1f}",
            *(f"{row['to_bare'][name]:.2f}×" for name in columns),
        )
        for row in rows
    ]
    about = measured["about"]
    lines = [
        markdown_table(("map", "mode", "bare [ms]", *columns), cells),
        "",
        f"{conditions(about['repeats'], about)}, allocator: {about['allocator']}.",
    ]
    return "\n".join(lines) + "\n"


def training_cost(measured: dict[str, Any] | None) -> str:
    """What an epoch of the testbed takes beside bilinear interpolation's."""
    if measured is None:
        return "Nothing has been measured yet.\n"
    cells = [
        (
            method(row["upsampler"]),
            f"{row['images_per_second']:.0f}",
            f"{row['to_bilinear']:.2f}×",
        )
        for row in measured["rows"]
    ]
    about = measured["about"]
    lines = [
        markdown_table(("upsampler", "tiles a second", "time to bilinear's"), cells),
        "",
        f"{conditions(about['turns'], about)}.",
    ]
    return "\n".join(lines) + "\n"
