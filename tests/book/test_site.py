"""The built pages: strict, complete on their own, and without a dead link."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from _repository import MACHINE, ROOT, SCRIPTS, chapter_names, repository_url
from bs4 import BeautifulSoup

# Attributes by which a page loads something, as opposed to linking to it.
LOADS = [
    ("script", "src"),
    ("img", "src"),
    ("img", "srcset"),
    ("iframe", "src"),
    ("source", "src"),
    ("video", "src"),
    ("object", "data"),
    ("embed", "src"),
    ("image", "href"),
]
LOADING_RELS = {"stylesheet", "preload", "prefetch", "modulepreload", "icon"}
LOADING_RELS |= {"preconnect", "dns-prefetch", "manifest"}


@pytest.fixture(scope="module")
def pages(site) -> dict[Path, BeautifulSoup]:
    found = [p for p in site.rglob("*.html") if "_static" not in p.parts]
    assert len(found) >= len(chapter_names()) + 3
    return {p: BeautifulSoup(p.read_text("utf-8"), "html.parser") for p in found}


def chapters_of(pages) -> dict[str, BeautifulSoup]:
    found = {path.stem: page for path, page in pages.items()}
    return {name: found[name] for name in chapter_names()}


def is_remote(address: str) -> bool:
    return bool(re.match(r"\s*(https?:)?//", address))


def test_no_page_loads_anything_from_another_host(pages):
    for path, page in pages.items():
        loaded = [
            tag[attribute]
            for name, attribute in LOADS
            for tag in page.find_all(name, attrs={attribute: True})
        ]
        loaded += [
            link["href"]
            for link in page.find_all("link", href=True)
            if LOADING_RELS & set(link.get("rel", []))
        ]
        assert loaded or page.find("meta", attrs={"http-equiv": "Refresh"}), path
        assert not [a for a in loaded if is_remote(a)], path
        for script in page.find_all("script", src=False):
            remote = re.findall(r"https?://[\w.-]+", script.get_text())
            assert set(remote) <= {"https://unpkg.com"}, path
            # The theme names one host, for a button that this book switches off.
            assert not remote or "THEBE_JS_URL" in script.get_text(), path
        assert not page.find_all(class_=re.compile("btn-launch-thebe|thebe-launch")), (
            path
        )


def test_no_style_sheet_loads_anything_from_another_host(site):
    sheets = list(site.rglob("*.css"))
    assert any(sheet.name == "custom.css" for sheet in sheets)
    for sheet in sheets:
        text = re.sub(r"/\*.*?\*/", "", sheet.read_text("utf-8"), flags=re.S)
        asked = re.findall(r"(?:url\(|@import)\s*['\"]?([^'\")\s]+)", text)
        assert not [a for a in asked if is_remote(a)], sheet


def test_formulas_are_set_by_the_copy_of_mathjax_that_comes_along(site, pages):
    assert (site / "_static" / "mathjax" / "tex-chtml-full.js").exists()
    fonts = site / "_static" / "mathjax" / "output" / "chtml" / "fonts" / "woff-v2"
    assert len(list(fonts.glob("*.woff"))) > 20
    for name, page in chapters_of(pages).items():
        if page.find_all(class_="math"):
            scripts = [tag["src"] for tag in page.find_all("script", src=True)]
            assert any("mathjax/tex-chtml-full.js" in src for src in scripts), name


def test_every_internal_link_and_anchor_resolves(pages):
    @cache
    def anchors(path: Path) -> set[str]:
        page = pages[path]
        named = {tag.get("name", "") for tag in page.find_all("a")}
        return named | {tag["id"] for tag in page.find_all(id=True)}

    dead = []
    for path, page in pages.items():
        for link in page.find_all("a", href=True):
            parts = urlsplit(link["href"])
            if parts.scheme or parts.netloc or link["href"] in ("", "#"):
                continue
            target = path
            if parts.path:
                target = (path.parent / unquote(parts.path)).resolve()
            anchor = unquote(parts.fragment)
            known = anchors(target) if anchor and target in pages else {anchor}
            if not target.exists() or anchor not in known:
                dead.append((path.name, link["href"]))
    assert not dead


def test_every_picture_is_there_and_described(pages):
    for path, page in pages.items():
        for image in page.find_all("img"):
            assert image.get("alt", "").strip(), f"{path.name}: {image['src'][:80]}"
            if not image["src"].startswith("data:"):
                assert (path.parent / unquote(image["src"])).exists(), image["src"]


def test_each_chapter_opens_on_colab_from_the_repository(pages):
    repository = repository_url().removeprefix("https://github.com/")
    colab = f"https://colab.research.google.com/github/{repository}/blob/main"
    for name, page in chapters_of(pages).items():
        links = [a["href"] for a in page.find_all("a", href=True)]
        found = [href for href in links if "colab.research" in href]
        assert set(found) == {f"{colab}/notebooks/{name}.ipynb"}


def test_chapters_are_numbered_as_their_files_are(pages):
    for name, page in chapters_of(pages).items():
        number = page.select_one("h1 > .section-number")
        assert int(number.get_text().strip(" .\N{NO-BREAK SPACE}")) == int(name[:2])


def test_no_page_names_a_machine(pages):
    for path, page in pages.items():
        found = MACHINE.search(page.get_text(" "))
        assert not found, f"{path.name}: {found and found.group()}"
        assert str(ROOT) not in str(page), path.name


def test_a_broken_reference_fails_the_build(tmp_path):
    (tmp_path / "book" / "_static").mkdir(parents=True)
    (tmp_path / "book" / "_ext").symlink_to(ROOT / "book" / "_ext")
    (tmp_path / "book" / "references.bib").write_text("")
    (tmp_path / "_config.yml").write_text((ROOT / "_config.yml").read_text("utf-8"))
    (tmp_path / "book" / "_toc.yml").write_text("format: jb-book\nroot: book/intro\n")
    (tmp_path / "book" / "intro.md").write_text("# A page\n\n{ref}`nowhere`\n")
    script = [sys.executable, str(SCRIPTS / "build.py"), "--source"]
    script += [str(tmp_path), "--output", str(tmp_path / "_build")]
    done = subprocess.run(script, capture_output=True, text=True, timeout=120)
    assert done.returncode != 0
    assert "nowhere" in done.stdout
