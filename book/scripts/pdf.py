"""Print the whole book into one PDF, from the committed outputs: `make pdf`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from build import ROOT, build
from chromium import chromium
from playwright.sync_api import Browser

MARGIN = {"top": "18mm", "bottom": "20mm", "left": "16mm", "right": "16mm"}
NUMBER = '<p style="width: 100%; font: 9px sans-serif; text-align: center">'
NUMBER += '<span class="pageNumber"></span></p>'
# Formulas are set, and what is folded on the screen is open on paper.
READY = """
async () => {
  await window.MathJax?.startup?.promise;
  await document.fonts.ready;
  for (const fold of document.querySelectorAll("details")) fold.open = true;
}
"""


def gather(output: Path) -> Path:
    """Put the one page of a ``singlehtml`` build where all its addresses hold."""
    page = output / "index.html"  # sends the reader on, so far
    (written,) = set(output.rglob("*.html")) - {page, *output.rglob("_static/*.html")}
    text = written.read_text(encoding="utf-8")
    page.write_text(text.replace('"../_static/', '"_static/'), encoding="utf-8")
    return page


def print_page(page: Path, target: Path, browser: Browser) -> None:
    """Print the HTML file ``page`` into the PDF ``target``."""
    tab = browser.new_page(color_scheme="light")
    tab.goto(page.as_uri(), wait_until="load")
    tab.evaluate(READY)
    tab.pdf(
        path=target,
        format="A4",
        margin=MARGIN,
        print_background=True,
        display_header_footer=True,
        header_template="<span></span>",
        footer_template=NUMBER,
        outline=True,
        tagged=True,
    )
    tab.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, default=ROOT, help="root of the sources")
    parser.add_argument(
        "--output", type=Path, default=ROOT / "_build" / "dysample-book.pdf"
    )
    args = parser.parse_args()
    with chromium() as browser, TemporaryDirectory() as folder:
        output = Path(folder) / "_build"
        code = build(args.source.resolve(), output, "singlehtml")
        if code == 0:
            args.output.parent.mkdir(parents=True, exist_ok=True)
            print_page(gather(output / "singlehtml"), args.output, browser)
            print(f"The book is in {args.output}")
    return code


if __name__ == "__main__":
    sys.exit(main())
