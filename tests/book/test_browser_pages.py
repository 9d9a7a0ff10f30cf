"""Every page of the site in a real browser: wide and light, then narrow and dark.

A page is opened once in each view and looked at; the tests compare what was found.
"""

from __future__ import annotations

import gzip
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag

import pytest
from _browser import Open, need_browser
from _looks import ALL_RULES, VIEWS, Found, audit, look_at_all, pages_of
from _repository import chapter_names

pytestmark = pytest.mark.slow
LINKS = "links => links.map((link) => link.href)"
LOOK_UP = """
terms => Object.fromEntries(terms.map((term) =>
  [term, Search._performSearch(...Search._parseQuery(term)).map(([page]) => page)]))
"""


@pytest.fixture(scope="module")
def found(site, site_url) -> list[Found]:
    """What both looks at every page have found; the views are seen to side by side."""
    need_browser()
    pages = pages_of(site)
    assert {f"notebooks/{name}.html" for name in chapter_names()} < set(pages)
    with ThreadPoolExecutor() as pool:
        views = [pool.submit(look_at_all, view, pages, site_url) for view in VIEWS]
        return [look for view in views for look in view.result()]


def told(found: list[Found], fact: str) -> dict[str, Any]:
    """The pages for which a list of complaints is not empty."""
    return {f"{f.page}, {f.view}": f.facts[fact] for f in found if f.facts[fact]}


def test_nothing_fails_and_nothing_is_asked_of_another_host(found, site_url):
    assert all(f"{site_url}/{f.page}" in f.visit.requests for f in found)
    assert {f.page: f.visit.errors for f in found if f.visit.errors} == {}
    hosts = {f.page: f.visit.other_hosts() for f in found}
    assert {page: urls for page, urls in hosts.items() if urls} == {}


def test_no_page_scrolls_sideways(found):
    assert {(f.page, f.view): f.sideways for f in found if f.sideways > 0} == {}


def test_every_formula_is_set(found):
    assert sum(f.facts["formulas"] for f in found) > 50
    assert told(found, "unset") == {}


def test_every_picture_is_shown_and_described(found):
    assert sum(f.facts["pictures"] for f in found) > 50
    assert told(found, "undescribed") == {}
    assert told(found, "missing") == {}


def test_every_internal_link_and_anchor_is_there(found, site, site_url):
    anchors = {f"{site_url}/{f.page}": set(f.facts["anchors"]) for f in found}
    links = {(f.page, link) for f in found for link in f.facts["links"]}
    inside = {(page, link) for page, link in links if link.startswith(f"{site_url}/")}
    assert len(inside) > 500
    dead = set()
    for page, link in inside:
        address, anchor = urldefrag(link)
        path = unquote(address.removeprefix(f"{site_url}/").partition("?")[0])
        # An anchor of a page that was not looked at is not known to be there.
        if not (site / path).is_file() or (
            anchor and unquote(anchor) not in anchors.get(address, ())
        ):
            dead.add((page, link.removeprefix(site_url)))
    assert dead == set()


def test_nobody_is_shut_out(found):
    assert {f"{f.page}, {f.view}": f.violations for f in found if f.violations} == {}


def test_an_audit_finds_what_is_wrong(open_page: Open):
    visit = open_page("book/references.html", dark=True)
    assert audit(visit, ALL_RULES) == []
    visit.page.evaluate("""
        const article = document.querySelector("article");
        article.insertAdjacentHTML("beforeend", `<p style="color: #333">Dark</p>
          <img src="_"><dl><dd>no term</dd></dl>`);
    """)
    rules = {violation.partition(":")[0] for violation in audit(visit, ALL_RULES)}
    assert rules == {"color-contrast", "image-alt", "definition-list"}


def test_pages_are_light(found, site, site_url):
    """Under 3 MB each, with text compressed, as every host sends it."""

    @cache
    def size(url: str) -> int:
        path = site / unquote(urldefrag(url)[0].removeprefix(f"{site_url}/"))
        content = Path(str(path).partition("?")[0]).read_bytes()
        text = path.name.partition("?")[0].endswith((".html", ".css", ".js", ".svg"))
        return len(gzip.compress(content, 6)) if text else len(content)

    sizes = {f.page: sum(map(size, set(f.facts["loaded"]))) for f in found}
    assert min(sizes.values()) > 1e5
    assert {page: n for page, n in sizes.items() if n > 3e6} == {}


def test_what_is_on_the_screen_stays_where_it_is(found):
    """At most 0.1 of cumulative layout shift, what browsers call good."""
    jumps = {(f.page, f.view): f.facts["jumps"] for f in found}
    assert any(jumps.values()), "the observer saw nothing at all"
    assert {page: n for page, n in jumps.items() if n > 0.1} == {}


def test_search_finds_the_terms_of_the_glossary(open_page: Open):
    glossary = open_page("book/glossary.html").page
    terms = glossary.locator("dl.glossary dt").evaluate_all(
        "terms => terms.map((term) => term.firstChild.textContent.trim())"
    )
    assert len(terms) > 10
    page = open_page(f"search.html?q={terms[0]}").page
    page.locator(".search-summary:not(:empty)").wait_for()
    shown = page.locator("#search-results a").evaluate_all(LINKS)
    # The others as the page looks them up, without showing each.
    hits = page.evaluate(LOOK_UP, terms)
    assert any("book/glossary.html" in address for address in shown)
    assert [t for t in terms if "book/glossary" not in hits[t]] == []
    assert page.evaluate(LOOK_UP, ["kumquat"]) == {"kumquat": []}
