"""What a reader can take along: each chapter's notebook, and the book on paper."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from _repository import ROOT, SCRIPTS, chapter_names
from bs4 import BeautifulSoup
from pypdf import PdfReader

PAGE = """\
# A small book

The weight is $w = 0.25$, or in full

$$ y = w x $$

<img src="../_static/front-ladder.png" alt="The ladder">

<details><summary>Solution</summary><p>What is folded is printed.</p></details>
"""


def test_each_chapter_s_download_is_the_notebook_as_committed(site):
    for name in chapter_names():
        page = site / "notebooks" / f"{name}.html"
        soup = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
        links = soup.select("a.btn-download-source-button[href]")
        assert len(links) == 1, name
        downloaded = (page.parent / links[0]["href"]).resolve()
        committed = ROOT / "notebooks" / f"{name}.ipynb"
        assert downloaded.name == committed.name
        assert downloaded.read_bytes() == committed.read_bytes()


@pytest.fixture
def small_book(tmp_path: Path) -> Path:
    """The sources of a book of two pages, set up as this one."""
    (tmp_path / "book").mkdir()
    for name in ("_ext", "_static"):
        (tmp_path / "book" / name).symlink_to(ROOT / "book" / name)
    (tmp_path / "book" / "references.bib").write_text("")
    (tmp_path / "_config.yml").write_text((ROOT / "_config.yml").read_text("utf-8"))
    (tmp_path / "book" / "_toc.yml").write_text(
        "format: jb-book\nroot: book/intro\nchapters: [{file: book/more}]\n"
    )
    (tmp_path / "book" / "intro.md").write_text(PAGE)
    (tmp_path / "book" / "more.md").write_text("# The second chapter\n\nEnd.\n")
    return tmp_path


@pytest.mark.slow
def test_the_book_is_printed(small_book, browser, tmp_path):
    target = tmp_path / "small.pdf"
    script = [sys.executable, str(SCRIPTS / "pdf.py")]
    done = subprocess.run(
        [*script, "--source", str(small_book), "--output", str(target)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert target.name in done.stdout
    pdf = PdfReader(target)
    first, last = pdf.pages[0], pdf.pages[-1]
    assert len(pdf.pages) > 1, "a chapter starts on a page of its own"
    assert "What is folded is printed." in first.extract_text()
    assert "The second chapter" in last.extract_text()
    assert "$" not in first.extract_text(), "formulas are set"
    assert len(first.images) == 1
    assert last.extract_text().split()[-1] == str(len(pdf.pages))
    titles = [entry.title for entry in pdf.outline if not isinstance(entry, list)]
    assert titles[0] == "A small book"
