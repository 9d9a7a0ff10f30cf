"""The committed chapters are what a reader should meet: executed, clean, described."""

from __future__ import annotations

import io
import json
import re
from base64 import b64decode
from pathlib import Path
from statistics import median

import pytest
from _repository import (
    MACHINE,
    ROOT,
    SETUP_CELL,
    chapter_names,
    code_cells,
    notebook_paths,
    read_notebook,
    source,
)
from PIL import Image

# The first code cell of every chapter, word for word.
PICTURES = {"image/png", "image/jpeg", "image/svg+xml", "image/gif"}
MAY_RAISE = {"raises-exception", "nbval-raises-exception"}

# From the contents, not from the folder: a missing chapter fails, it is not skipped.
every_chapter = pytest.mark.parametrize(
    "path",
    [ROOT / "notebooks" / f"{name}.ipynb" for name in chapter_names()],
    ids=chapter_names(),
)


def outputs(path: Path) -> list[tuple[int, dict]]:
    """(number of the code cell, output), for every output of the notebook."""
    cells = enumerate(code_cells(path), start=1)
    return [(number, out) for number, cell in cells for out in cell["outputs"]]


def text_of(output: dict) -> str:
    """All text of an output without its colours; pictures are left out."""
    data = {k: v for k, v in output.get("data", {}).items() if k not in PICTURES}
    parts = [output.get("text", ""), output.get("traceback", ""), *data.values()]
    text = "\n".join(p if isinstance(p, str) else "".join(p) for p in parts)
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def tags(cell: dict) -> set[str]:
    return set(cell["metadata"].get("tags", []))


def test_the_contents_list_every_notebook_in_order():
    assert chapter_names(), "book/_toc.yml lists no notebook"
    assert [path.stem for path in notebook_paths()] == chapter_names()


def test_only_notebooks_are_in_the_folder():
    names = [p.name for p in (ROOT / "notebooks").iterdir()]
    others = [n for n in names if not n.endswith(".ipynb") and n[0] != "."]
    assert not others


@every_chapter
def test_it_opens_with_one_title(path):
    cells = read_notebook(path)["cells"]
    titles = [
        line
        for cell in cells
        if cell["cell_type"] == "markdown"
        for line in re.sub(r"```.*?```", "", source(cell), flags=re.S).splitlines()
        if re.match(r"# \S", line)
    ]
    assert cells[0]["cell_type"] == "markdown"
    # A label for cross-references may stand above the title.
    assert re.match(r"(\(\S+\)=\n+)?# \S", source(cells[0]))
    assert len(titles) == 1, titles
    assert not re.match(r"# \W*\d", titles[0]), "the site numbers the chapters"


@every_chapter
def test_the_first_code_cell_installs_the_library_where_it_is_missing(path):
    first = code_cells(path)[0]
    assert source(first).rstrip("\n") == SETUP_CELL.rstrip("\n")
    assert not first["outputs"]


@every_chapter
def test_it_has_the_parts_of_a_chapter(path):
    cells = read_notebook(path)["cells"]
    text = "\n".join(source(c) for c in cells if c["cell_type"] == "markdown")
    for heading in ("The result", "What held, and what did not", "Exercises", "Next"):
        assert text.count(f"\n## {heading}\n") == 1, heading
    for part in ("Before you start", "**You will see**", "**You need**", "reak it"):
        assert part in text, part
    solutions = [i for i, c in enumerate(cells) if "class: dropdown" in source(c)]
    assert len(solutions) >= 2
    for after in (cells[i + 1] for i in solutions):  # the code that shows it
        assert after["cell_type"] == "code" and "hide-cell" in tags(after)


@every_chapter
def test_its_minutes_are_those_of_a_run(path):
    (box,) = (
        source(c) for c in read_notebook(path)["cells"] if "**Minutes:**" in source(c)
    )
    said = re.search(r"\*\*Minutes:\*\* about (\d+) on two CPU cores", box)
    times = json.loads((ROOT / "results" / "runtimes.json").read_text("utf-8"))
    assert times["threads"] == 2
    assert said and abs(int(said[1]) - times["seconds"][path.stem] / 60) <= 1


@every_chapter
def test_it_was_executed_top_to_bottom_in_one_go(path):
    counts = [cell["execution_count"] for cell in code_cells(path)]
    assert len(counts) > 1
    assert counts == list(range(1, len(counts) + 1))


@every_chapter
def test_no_cell_failed_unless_it_was_meant_to(path):
    for number, cell in enumerate(code_cells(path), start=1):
        kinds = {out["output_type"] for out in cell["outputs"]}
        if tags(cell) & MAY_RAISE:
            assert "error" in kinds, f"cell {number} was meant to raise and did not"
        else:
            assert "error" not in kinds, f"cell {number} failed"


@every_chapter
def test_outputs_hold_no_stderr_warnings_or_widgets(path):
    for number, out in outputs(path):
        where = f"cell {number}"
        assert out.get("name") != "stderr", f"{where}: {text_of(out)[:200]}"
        assert not re.search(r"\w*Warning\b:", text_of(out)), where
        assert not any("widget" in kind for kind in out.get("data", {})), where


@every_chapter
def test_what_it_trained_is_the_quick_budget_on_a_cpu(path):
    shown = "".join(text_of(output) for _, output in outputs(path))
    printed = re.findall(r"\w+ budget(?: on cpu)?: .*", shown)
    asked = [c for c in code_cells(path) if "current_budget()" in source(c)]
    assert len(printed) == len(asked)
    assert all(
        re.fullmatch(r"quick budget(?: on cpu: .*|: .* on cpu)", line)
        for line in printed
    )


@every_chapter
def test_every_figure_has_alt_text_a_caption_and_a_name(path):
    for number, cell in enumerate(code_cells(path), start=1):
        shown = sum(bool(PICTURES & set(o.get("data", {}))) for o in cell["outputs"])
        if not shown:
            continue
        mystnb = cell["metadata"].get("mystnb", {})
        assert shown == 1, f"cell {number} shows {shown} figures: one caption fits one"
        for path_in_metadata in ("image.alt", "figure.caption", "figure.name"):
            group, key = path_in_metadata.split(".")
            text = mystnb.get(group, {}).get(key, "")
            assert text.strip(), f"cell {number} lacks mystnb.{path_in_metadata}"
        assert len(mystnb["image"]["alt"]) >= 20, f"cell {number}: say what is seen"
        width = str(mystnb["image"].get("width", "100%"))
        assert width.endswith("%"), f"cell {number}: fixed widths overflow a phone"


@every_chapter
def test_pictures_in_the_text_are_in_the_notebook(path):
    # A hosted notebook has no files beside it, and Colab shows no attachments.
    for cell in read_notebook(path)["cells"]:
        if cell["cell_type"] == "code":
            continue
        text = source(cell)
        linked = re.findall(r"!\[[^\]]*\](?!\[)|<img", text)
        assert not linked, "a picture is ![alt][name], and [name] a data URI"
        for name in re.findall(r"!\[[^\]]*\]\[(.*?)\]", text):
            data = re.search(rf"^\[{name}\]: data:image/png;base64,(.+)$", text, re.M)
            assert data, name
            with Image.open(io.BytesIO(b64decode(data[1], validate=True))) as picture:
                assert picture.width > 700, name


def test_every_widget_has_a_still_picture():
    cells = [c for path in notebook_paths() for c in read_notebook(path)["cells"]]
    tag = '<div class="(?:sampling-explorer|step-viewer)"'
    widgets = [text for text in map(source, cells) if re.search(tag, text)]
    assert len(widgets) == 5
    for text in widgets:
        still = r"!\[[^\]]{80,}\]\[[a-z-]+\]\n\n\*\w"  # described, with a caption
        assert re.search(rf"{tag}[^>]*>\n\n{still}", text), text[:500]


@every_chapter
def test_code_cells_are_short(path):
    lines = [
        sum(bool(line.strip()) for line in source(cell).splitlines())
        for cell in code_cells(path)
    ]
    assert min(lines) > 0, "an empty code cell"
    assert median(lines) <= 8, lines
    assert max(lines) <= 25, f"cell {lines.index(max(lines)) + 1}: {max(lines)} lines"


@every_chapter
def test_code_lines_fit_the_page(path):
    # The setup cell is held word for word, and its address may be long.
    for number, cell in enumerate(code_cells(path)[1:], start=2):
        for line in source(cell).splitlines():
            assert len(line) <= 88, f"cell {number}: {line}"


@every_chapter
def test_nothing_tells_which_machine_it_ran_on(path):
    for cell in read_notebook(path)["cells"]:
        assert not MACHINE.search(source(cell)), source(cell)
        assert not MACHINE.search(json.dumps(cell["metadata"])), cell["metadata"]
    for number, out in outputs(path):
        found = MACHINE.search(text_of(out))
        assert not found, f"cell {number}: {found and found.group()}"


@every_chapter
def test_the_metadata_is_the_minimum(path):
    notebook = read_notebook(path)
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    assert "version" not in notebook["metadata"]["language_info"]
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)
    assert not any("execution" in cell["metadata"] for cell in notebook["cells"])
