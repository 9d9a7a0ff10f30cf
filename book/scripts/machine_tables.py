"""Tables of what machines said: run times, what DySample runs on, what it costs."""

from __future__ import annotations

from typing import Any

from dysample_lib.figures import method
from dysample_lib.study.markdown import markdown_table


def run_times(timed: dict[str, Any] | None, gpu: dict[str, Any] | None = None) -> str:
    """How long each chapter took and on what, on a GPU as well where one was there."""
    if timed is None:
        return "No complete run has been timed yet; `make notebooks` times one.\n"
    head, columns = ["chapter", "minutes"], [timed["seconds"]]
    company = f", {timed['at_once']} at once" if timed["at_once"] > 1 else ""
    lines = [f"{timing(timed)}{company}:"]
    if gpu is not None:
        head = ["chapter", "minutes", f"minutes, {gpu['device_name']}"]
        columns.append(gpu["seconds"])
        beside = f"{timing(gpu)}, {gpu['at_once']} at once"
        lines = [f"{timing(timed)}{company}, and {beside}:"]
    rows = []
    for chapter in sorted(set().union(*columns)):
        took = (clock(column.get(chapter)) for column in columns)
        rows.append((f"[](../notebooks/{chapter}.ipynb)", *took))
    lines += ["", markdown_table(head, rows), ""]
    lines += [f"All together: {timed['wall'] / 60:.0f} minutes."]
    return "\n".join(lines) + "\n"


def timing(timed: dict[str, Any]) -> str:
    """What chapters were timed on."""
    return (
        f"`{timed['budget']}` budget on {timed['device']} ({timed['device_name']}), "
        f"threads: {timed['threads']}, PyTorch {timed['torch']}, "
        f"Python {timed['python']}"
    )


def clock(seconds: float | None) -> str:
    """Minutes and seconds, and nothing for nothing."""
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"


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
    operators = recorded["operators"]
    hows = list(next(iter(operators.values())))
    rows = [
        (name, *(found[how].replace("yes", "✓") for how in hows))
        for name, found in operators.items()
    ]
    lines += ["", markdown_table(("upsampler", *hows), rows)]
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
    parts = [about["processor"], f"PyTorch {about['torch']}"]
    if about.get("device") != "cuda":
        parts.insert(1, f"threads: {about['threads']}")
        parts.append(f"allocator: {about['allocator']}")
    return f"Medians of {turns} turns on {', '.join(parts)}"


def operator_cost(
    measured: dict[str, Any] | None, gpu: dict[str, Any] | None = None
) -> str:
    """What the operator costs beside the one call that it cannot do without."""
    if measured is None:
        return "Nothing has been measured yet.\n"
    return "\n".join(map(operator_table, filter(None, (measured, gpu))))


def operator_table(measured: dict[str, Any]) -> str:
    """One machine's."""
    rows = measured["rows"]
    columns = [name for name in rows[0]["to_bare"] if name != "bare"]
    about = measured["about"]
    gpu = about.get("device") == "cuda"
    digits = 3 if gpu else 1
    cells = [
        (
            row["size"],
            row["mode"].replace("forward + backward", "and backward"),
            f"{row['milliseconds']['bare']:.{digits}f}",
            *(
                f"{row['to_bare'][name]:.2f}×" if name in row["to_bare"] else ""
                for name in columns
            ),
        )
        for row in rows
    ]
    lines = [
        markdown_table(("map", "mode", "bare [ms]", *columns), cells),
        "",
        f"{conditions(about['repeats'], about)}.",
    ]
    return "\n".join(lines) + "\n"


def training_cost(measured: dict[str, Any] | None) -> str:
    """What training takes beside bilinear's in each testbed, and a step's parts."""
    if measured is None:
        return "Nothing has been measured yet.\n"
    rows, about = measured["rows"], measured["about"]
    who = [(row["testbed"], method(row["upsampler"])) for row in rows]
    speeds = [
        (*names, f"{row['images_per_second']:.0f}", f"{row['to_bilinear']:.2f}×")
        for names, row in zip(who, rows, strict=True)
    ]
    parts = [
        (*names, *(f"{taken:.1f}" for taken in row["milliseconds"].values()))
        for names, row in zip(who, rows, strict=True)
    ]
    head = ("testbed", "upsampler")
    lines = [
        markdown_table((*head, "tiles a second", "time to bilinear's"), speeds),
        "",
        "Where a step's time goes, in milliseconds for 16 tiles:",
        "",
        markdown_table((*head, *rows[0]["milliseconds"]), parts),
        "",
        f"{conditions(about['turns'], about)}.",
    ]
    return "\n".join(lines) + "\n"
