"""The prose and reference pages: complete, linked, and saying what the records say."""

from __future__ import annotations

import inspect
import json
import posixpath
import re
from dataclasses import replace
from importlib import import_module
from pkgutil import walk_packages
from types import ModuleType

import execute
import fragments
import pytest
from _repository import (
    ROOT,
    chapter_names,
    code_cells,
    notebook_paths,
    read_yaml,
)
from bs4 import BeautifulSoup
from record_samples import runs
from score_tables import found, rivals, which
from sphinx.util.inventory import InventoryFile

import dysample_lib
from dysample_lib.study.records import Record

API = sorted((ROOT / "book" / "api").glob("*.md"))


def page(site, name: str) -> BeautifulSoup:
    return BeautifulSoup((site / f"{name}.html").read_text("utf-8"), "html.parser")


def links(page: BeautifulSoup) -> set[str]:
    """Where the text of a page links to; its navigation is not its text."""
    article = page.select_one("article.bd-article")
    assert article
    return {a["href"] for a in article.find_all("a", href=True)}


# Fragments


@pytest.mark.parametrize("file", fragments.FRAGMENTS)
def test_committed_tables_say_what_the_records_say(file: str) -> None:
    written = (fragments.BOOK / file).read_text("utf-8")
    assert written == f"{fragments.WRITTEN}\n{fragments.FRAGMENTS[file]()}"
    including = [p for p in fragments.BOOK.glob("*.md") if p.name[0] != "_"]
    assert any(f"{{include}} {file}" in p.read_text("utf-8") for p in including)


PRICES = {"nearest": 0, "bilinear": 0, "dysample_s": 432, "naive": 792}


def records(scatter: float = 0.0, **shifts: float) -> list[Record]:
    """Three seeds of the ladder and more: boundary IoU 0.5, and what some have more."""
    found = []
    for place, name in enumerate(dict.fromkeys([*dysample_lib.LADDER, *shifts])):
        values = {0: 0.5, 1: 0.52, 2: 0.48}
        values[place % 3] += scatter
        shifted = {seed: value + shifts.get(name, 0) for seed, value in values.items()}
        found += [
            replace(run, upsampler_parameters=PRICES.get(name, 3_168))
            for run in runs(name, shifted)
        ]
    return found


def elsewhere(found: list[Record], **changes: object) -> list[Record]:
    return [replace(run, spec=replace(run.spec, **changes)) for run in found]


def test_the_rule_is_applied_to_every_setting() -> None:
    moved = dict.fromkeys(dysample_lib.LADDER[2:], 0.05)
    found = records(**moved | {"nearest": -0.2, "grouping": 0.06, "dysample_s": 0.03})
    pyramid = elsewhere(records(scatter=0.03, nearest=-0.01), decoder="fpn")
    longer = elsewhere(records(grouping=-0.3), epochs=96)[:-3]  # fewer runs
    short = [run for run in elsewhere(found, decoder="segformer") if run.spec.seed < 2]
    trials = elsewhere(records(), dataset="camvid", budget="quick")
    written = which([*trials, *longer, *short, *pyramid, *found])
    rows = [line for line in written.splitlines() if line.startswith("| coast")]
    first, last = (row.split(" | ") for row in rows)
    size = "9 of 9 steps, 3 seeds"
    assert (
        first[0] == f"| coastlines, small encoder, feature pyramid, 24 epochs; {size}"
    )
    assert first[1] == "**bilinear interpolation (0)**" and first[3] == "nothing"
    assert (
        last[0] == f"| coastlines, small encoder, pointwise decoder, 24 epochs; {size}"
    )
    assert last[2] == "DySample (3,168): 56.0" and "naive" in last[3]
    assert "camvid" not in written


def test_behind_is_named_and_the_cheapest_of_the_rest_is_enough() -> None:
    moved = dict.fromkeys(dysample_lib.LADDER[2:], 0.05)
    written = which(records(**moved | {"grouping": 0.052, "dysample_s": 0.03}))
    row = written.splitlines()[2].split(" | ")
    assert row[1:3] == ["**naive (792)**", "DySample (3,168): 55.2"]
    assert row[3] == "nearest interpolation, bilinear interpolation, DySample-S"
    assert row[4] == "+5.20 [+5.20, +5.20], helps (shown) |"


def test_rivals_stand_beside_what_they_read() -> None:
    assert rivals(records()) == "No rival has been recorded yet.\n"
    _, _, carafe, sapa = rivals(records(carafe=-0.2, sapa=0.1)).splitlines()[:4]
    setting = "| coastlines, small encoder, pointwise decoder, 24 epochs"
    assert carafe.startswith(f"{setting} | CARAFE | no | +20.")
    assert carafe.endswith(" | helps (shown) | 3 |")
    assert sapa.startswith("|  | SAPA-B | yes | −10.") and "hurts (shown)" in sapa
    both = records(carafe=-0.2) + elsewhere(records(sapa=0.1), decoder="fpn")
    _, _, pyramid, pointwise = rivals(both).splitlines()[:4]
    assert "feature pyramid, 24 epochs | SAPA-B" in pyramid
    assert pointwise.startswith(f"{setting} | CARAFE | no | +20.")


def test_findings_are_those_of_both_testbeds() -> None:
    probe = records(bilinear=0.1, naive=0.3, blind=0.1, grouping=0.3)
    paper = {"encoder": "efficientnet_lite0", "decoder": "segformer"}
    seeds = {0: 0.4, 1: 0.41, 2: 0.42}
    for name, more in {"bilinear": 0.0, "blind": 0.001, "grouping": 0.02}.items():
        probe += runs(name, {s: v + more for s, v in seeds.items()}, **paper)
    text = found(probe)
    assert "|  | paper's setting [points] | so it | probe [points] | so it |" in text
    assert "| naive for bilinear interpolation |  |  | +20.0" in text
    looks = "| grouping (DySample) for blind points | +1.90"
    (row,) = (line for line in text.splitlines() if line.startswith(looks))
    assert row.count("helps (shown)") == 2
    # Nothing is said of the steps of a setting that has none.
    assert "- probe: *shown to help*: bilinear" in text and "- paper's" not in text
    assert "Beside its rivals" not in text
    assert "DySample) for FADE (guided)" in found(records(fade=0.1))


def test_run_times_are_noted_and_shown(tmp_path, monkeypatch) -> None:
    (tmp_path / "results").mkdir()
    monkeypatch.setattr(fragments, "RESULTS", tmp_path / "results")
    monkeypatch.setenv("DYSAMPLE_BUDGET", "quick")
    assert "No complete run" in fragments.FRAGMENTS["_run_times.md"]()

    taken = {"00_upsampling": 125.44, "01_naive_sampling": 59.9}
    execute.keep_times(taken, tmp_path / "results" / "runtimes.json")

    shown = fragments.FRAGMENTS["_run_times.md"]()
    assert "| [](../notebooks/00_upsampling.ipynb) | 2:05 |" in shown
    assert "| [](../notebooks/01_naive_sampling.ipynb) | 1:00 |" in shown
    assert "All together: 3 minutes." in shown
    assert shown.startswith("`quick` budget on ") and "at once" not in shown

    execute.keep_times(taken, tmp_path / "results" / "runtimes.json", 2, wall=128.0)
    shown = fragments.FRAGMENTS["_run_times.md"]()
    assert ", 2 at once:" in shown and "All together: 2 minutes." in shown


def test_a_gpu_s_minutes_stand_beside_a_cpu_s(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(fragments, "RESULTS", tmp_path)
    execute.keep_times({"00_upsampling": 125.44}, tmp_path / "runtimes.json")
    alone = fragments.FRAGMENTS["_run_times.md"]()
    assert "| chapter | minutes |" in alone and "at once" not in alone

    timed = json.loads((tmp_path / "runtimes.json").read_text("utf-8"))
    timed |= {"device": "cuda", "device_name": "Some GPU", "budget": "full"}
    timed |= {"at_once": 7, "seconds": {"00_upsampling": 61.0, "10_beyond": 30.4}}
    (tmp_path / "runtimes_cuda.json").write_text(json.dumps(timed), "utf-8")
    shown = fragments.FRAGMENTS["_run_times.md"]()
    assert "| chapter | minutes | minutes, Some GPU |" in shown
    assert "| [](../notebooks/00_upsampling.ipynb) | 2:05 | 1:01 |" in shown
    assert "| [](../notebooks/10_beyond.ipynb) |  | 0:30 |" in shown
    assert "`full` budget on cuda (Some GPU)" in shown and ", 7 at once:" in shown


def test_a_gpu_s_operator_has_a_table_of_its_own(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(fragments, "RESULTS", tmp_path)
    measured = json.loads((ROOT / "results" / "operator_cost.json").read_text("utf-8"))
    (tmp_path / "operator_cost.json").write_text(json.dumps(measured), "utf-8")
    alone = fragments.FRAGMENTS["_operator_cost.md"]()
    row = {"size": "8×256×120×120", "variant": "DySample", "mode": "forward, captured"}
    row |= {"milliseconds": {"bare": 0.1234, "DySample": 0.15}}
    row |= {"to_bare": {"bare": 1.0, "DySample": 1.21}}
    columns = dict.fromkeys(measured["rows"][0]["to_bare"], 1.0)
    first = row | {"mode": "forward", "milliseconds": columns, "to_bare": columns}
    about = measured["about"] | {"device": "cuda", "processor": "Some GPU"}
    gpu = {"about": about, "rows": [first, row]}
    (tmp_path / "operator_cost_cuda.json").write_text(json.dumps(gpu), "utf-8")
    shown = fragments.FRAGMENTS["_operator_cost.md"]()
    assert shown.startswith(alone)
    more = shown.removeprefix(alone)
    assert "| 8×256×120×120 | forward, captured | 0.123 |  | 1.21× |  |  |" in more
    assert "turns on Some GPU, PyTorch" in more and "allocator" not in more


def test_a_fine_tuned_encoder_is_a_setting_of_its_own() -> None:
    frozen = elsewhere(
        records(grouping=0.1), encoder="efficientnet_lite0", decoder="segformer"
    )
    frozen = elsewhere(frozen, frozen=True)
    tuned = elsewhere(frozen, frozen=False, device="cuda", precision="mixed")
    rows = [line for line in which([*frozen, *tuned]).splitlines() if "coast" in line]
    first, last = (row.partition(";")[0] for row in rows)
    assert first.endswith("pretrained encoder, SegFormer's head, 24 epochs")
    assert last.endswith(
        "pretrained encoder, fine-tuned, SegFormer's head, 24 epochs on a GPU"
    )


def test_copies_hold_what_pages_include() -> None:
    text = "".join(p.read_text("utf-8") for p in (ROOT / "book").glob("*.md"))
    outside = set(re.findall(r"include\} \.\./(\S+)", text))
    assert outside == {"CHANGELOG.md", "CITATION.cff"}
    assert outside <= set(execute.SITE_SOURCES)


# The reference


def modules() -> list[ModuleType]:
    """The rooms and their modules; the library's own beginning with _ are private."""
    found = walk_packages(dysample_lib.__path__, "dysample_lib.")
    return [import_module(m.name) for m in found if "._" not in m.name]


def defined(module: ModuleType) -> set[str]:
    """The public classes and functions that ``module`` defines, in full."""
    return {
        f"{module.__name__}.{name}"
        for name, value in vars(module).items()
        if (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module.__name__
        and not name.startswith("_")
    }


def exported(door: ModuleType) -> set[str]:
    """What a room or the front door has from elsewhere, by that door's name."""
    names = getattr(door, "__all__", ())
    return {f"{door.__name__}.{name}" for name in names if not name.startswith("_")}


def test_everything_public_is_in_the_reference(site) -> None:
    with (site / "objects.inv").open("rb") as file:
        kinds = InventoryFile.load(file, "", posixpath.join)
    known = {name for kind in kinds if kind.startswith("py:") for name in kinds[kind]}
    expected = set().union(*map(defined, modules()))
    assert len(expected) > 150
    assert sorted(expected - known) == []
    rooms = [module for module in modules() if hasattr(module, "__path__")]
    doors = set().union(*map(exported, [dysample_lib, *rooms]))
    assert {"dysample_lib.DySample", "dysample_lib.cost.compare"} <= doors
    assert sorted(doors - known) == []
    assert "dysample_lib.DySample.offsets" in known
    front = {a.get_text().rstrip("()") for a in page(site, "book/api/index")("a")}
    assert {name.partition(".")[2] for name in exported(dysample_lib)} <= front


def test_names_of_ours_have_to_resolve() -> None:
    excused = read_yaml("_config.yml")["sphinx"]["config"]["nitpick_ignore_regex"]
    for kind, target in excused:
        for name in ("dysample_lib.DySample", "DySample", "sampling.point_sample"):
            assert not re.fullmatch(target, name), (kind, target)


def test_docstrings_come_out_as_they_were_meant(site) -> None:
    for path in API:
        article = page(site, f"book/api/{path.stem}").select_one("article")
        assert not article.select(".problematic, .system-message"), path.stem
        # "in_channels: C." is no list of letters.
        assert not article.select("ol.upperalpha, ol.loweralpha, ol.upperroman")
    upsamplers = page(site, "book/api/upsamplers")
    described = upsamplers.find(id="dysample_lib.upsamplers.dysample.DySample").parent
    assert described.select_one("div.math")
    assert "DySample-S+" in described.select_one("table").get_text()
    headings = [p.get_text() for p in described.select("p.rubric")]
    assert "Shape" in headings
    assert "layers" not in {t.get_text() for t in upsamplers.select("dt .sig-name")}


def test_reference_and_chapters_link_each_other(site) -> None:
    for path in API:
        found = links(page(site, f"book/api/{path.stem}"))
        assert any("/notebooks/" in href for href in found), path.stem
    for name in chapter_names():
        found = links(page(site, f"notebooks/{name}"))
        assert any("/book/api/" in href for href in found), name


# Glossary, figures, credits


def test_search_finds_the_terms_of_the_glossary(site) -> None:
    text = (site / "searchindex.js").read_text("utf-8")
    index = json.loads(text.removeprefix("Search.setIndex(").rstrip(")\n;"))
    page_number = index["docnames"].index("book/glossary")
    terms = [
        dt.get_text("", strip=True)
        for dt in page(site, "book/glossary").select("dl.glossary > dt")
    ]
    terms = [term.rstrip("#") for term in terms]
    wanted = {"offset", "scope factor", "groups", "scale", "style", "sampling grid"}
    wanted |= {"walking range", "boundary IoU", "trimap IoU"}
    assert wanted <= set(terms)
    assert terms == sorted(terms, key=str.lower)
    for term in terms:
        entries = index["indexentries"].get(term.lower(), [])
        assert page_number in [entry[0] for entry in entries], term


def test_the_index_has_every_figure(site) -> None:
    shown = page(site, "book/figure_index").select_one("article.bd-article")
    numbers = {a["href"]: a.get_text() for a in shown.find_all("a", href=True)}
    named = 0
    for path in notebook_paths():
        for cell in code_cells(path):
            figure = cell["metadata"].get("mystnb", {}).get("figure", {})
            if path.stem in chapter_names() and "name" in figure:
                target = f"../notebooks/{path.stem}.html#{figure['name']}"
                assert numbers[target].startswith(f"Figure {int(path.stem[:2])}.")
                named += 1
    assert named > 20
    assert "Figure 1: One tile, one encoder" in shown.get_text()


def test_how_to_cite_and_the_changelog_are_those_of_the_repository(site) -> None:
    cite = page(site, "book/cite").get_text()
    assert (ROOT / "CITATION.cff").read_text("utf-8").strip() in cite
    assert cite.count("@inproceedings{") == 1
    assert "@inproceedings{liu2023learning," in cite
    assert dysample_lib.__version__ in page(site, "book/changelog").get_text()
