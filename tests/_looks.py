"""A look at an open page: what the tests of all pages compare."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _browser import PHONE, WIDE, Visit
from axe_playwright_python.sync_playwright import Axe
from chromium import chromium

# Sums up by how much what is on the screen has jumped, from the first paint on.
OBSERVE = """
window.jumps = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries())
    if (!entry.hadRecentInput) window.jumps += entry.value;
}).observe({type: "layout-shift", buffered: true});
"""
LOOK = """
async () => {
  await window.MathJax?.startup?.promise;
  await document.fonts.ready;
  const all = (selector) => [...document.querySelectorAll(selector)];
  return {
    theme: document.documentElement.dataset.theme,
    links: [...document.links].map((link) => link.href),
    anchors: all("[id], a[name]").map((element) => element.id || element.name),
    formulas: all(".math").length,
    unset: all(".math").filter((math) => !math.querySelector("mjx-container"))
      .concat(all("mjx-merror")).map((math) => math.textContent),
    pictures: all("img").length,
    undescribed: all("img").filter((image) => !image.alt.trim())
      .map((image) => image.src),
    missing: all("img").filter((image) => image.complete && !image.naturalWidth)
      .map((image) => image.src),
    loaded: ["navigation", "resource"].flatMap((kind) =>
      performance.getEntriesByType(kind).map((entry) => entry.name)),
    jumps: window.jumps,
  };
}
"""
# Marks one element of each look, by text and backgrounds. Contrast is the slowest rule
# by far, and thousands of words in highlighted code look like a dozen of them. The
# others of these words become plain text, which halves the time of all rules.
MARK = """
() => {
  const seen = new Set();
  for (const element of document.body.querySelectorAll("*")) {
    const words = [...element.childNodes].some(
      (node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
    if (!words || !element.checkVisibility()) continue;
    const {color, fill, fontSize, fontWeight} = getComputedStyle(element);
    const look = [color, fill, fontSize, fontWeight];
    for (let parent = element; parent; parent = parent.parentElement) {
      const {backgroundColor, backgroundImage, opacity} = getComputedStyle(parent);
      look.push(backgroundColor + backgroundImage + opacity);
    }
    const key = [...new Set(look)].join();
    if (!seen.has(key)) element.dataset.look = "";
    seen.add(key);
  }
  for (const word of document.querySelectorAll(".highlight span:not([data-look])"))
    word.replaceWith(...word.childNodes);
  return seen.size;
}
"""
CONTRAST = {"type": "rule", "values": ["color-contrast"]}
STANDARDS = ["wcag2a", "wcag2aa", "wcag21aa", "best-practice"]
ALL_RULES = {"type": "tag", "values": STANDARDS}
# Of the other rules, the one that depends on the view.
VISIBLE = {"type": "rule", "values": ["scrollable-region-focusable"]}
VIEWS = {
    "wide and light": (WIDE, "light", ALL_RULES),
    "narrow and dark": (PHONE, "dark", VISIBLE),
}
# Not ours, and not to be mended from outside: rule → where.
ACCEPTED = {
    # docutils marks the list of references as a list of what are no list items.
    "aria-required-children": ".citation-list",
    # Sphinx sets the parameters of a long signature as a list without terms.
    "definition-list": "dt.sig dl",
}
AUDIT = """
async ([rules, contrast, accepted]) => {
  // Without a second copy of the style sheets, some of which it asks for where
  // they are not.
  const options = {resultTypes: ["violations"], preload: false};
  const off = {"color-contrast": {enabled: false}, region: {enabled: false}};
  const runs = [
    await axe.run(document, {...options, runOnly: rules, rules: off}),
    await axe.run("[data-look]", {...options, runOnly: contrast}),
  ];
  return runs.flatMap((run) => run.violations).flatMap(({id, nodes}) => nodes
    .filter(({impact}) => ["serious", "critical"].includes(impact))
    .filter(({target}) =>
      !document.querySelector(target[0])?.matches(accepted[id] ?? "_"))
    .map(({target, failureSummary}) => `${id}: ${target}: ${failureSummary}`));
}
"""


@dataclass
class Found:
    """What a look at a page has found."""

    page: str
    view: str
    visit: Visit
    sideways: int
    facts: dict[str, Any]
    violations: list[str]


def audit(visit: Visit, rules: dict[str, Any]) -> list[str]:
    """The serious violations on an open page: rule, element and reason."""
    visit.page.evaluate(Axe().axe_script)
    assert visit.page.evaluate(MARK) > 3
    return visit.page.evaluate(AUDIT, [rules, CONTRAST, ACCEPTED])


def pages_of(site: Path) -> list[str]:
    """The pages' paths, those apart that only send the reader on."""
    found = [p for p in site.rglob("*.html") if "_static" not in p.parts]
    sent_on = 'http-equiv="refresh"'
    own = [p for p in found if sent_on not in p.read_text("utf-8").lower()]
    return sorted(path.relative_to(site).as_posix() for path in own)


def look_at_all(view: str, pages: list[str], site_url: str) -> list[Found]:
    """Open each page in a browser of its own that shows ``view``, and look at it."""
    (width, height), scheme, rules = VIEWS[view]
    looks = []
    with chromium() as browser:
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme
        )
        context.add_init_script(OBSERVE)
        for page in pages:
            visit = Visit(context.new_page())
            visit.page.goto(f"{site_url}/{page}", wait_until="load")
            facts = visit.page.evaluate(LOOK)
            assert facts["theme"] == scheme
            violations = audit(visit, rules)
            looks.append(Found(page, view, visit, visit.sideways(), facts, violations))
            visit.page.close()
    return looks
