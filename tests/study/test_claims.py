"""The scorecard's verdicts follow from its records by its rule, and by nothing else."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import pytest
from _repository import notebook_paths, read_notebook, source
from cost_samples import sample_cost
from record_samples import runs
from scipy import stats

from dysample_lib.cost import recorded_costs
from dysample_lib.metrics.registry import METRICS
from dysample_lib.study import scorecard
from dysample_lib.study.claims import (
    Check,
    Claim,
    Count,
    Family,
    Gain,
    Ratio,
    Sheet,
    agrees,
    examine,
    judge,
    summary,
)
from dysample_lib.study.intervals import Estimate
from dysample_lib.study.scorecard import SCORECARD
from dysample_lib.study.spec import parse_variant
from dysample_lib.study.verdicts import Verdict
from dysample_lib.tasks import TASKS
from dysample_lib.upsamplers import build_upsampler

COSTS = {cost.upsampler: cost for cost in recorded_costs()}
every_family = pytest.mark.parametrize("name", SCORECARD)


def family(*pairs: tuple[str, str], **changes: Any) -> Family:
    claims = tuple(Claim(f"{a}, not {b}", Gain(a, b), ("ch-scope",)) for a, b in pairs)
    return Family("a question", claims, "make it", ("nothing",), **changes)


STEADY = {seed: 0.4 + 0.01 * seed for seed in range(5)}


def shifted(by: float, scatter: float = 0.001) -> dict[int, float]:
    return {seed: v + by + scatter * (-1) ** seed for seed, v in STEADY.items()}


@pytest.mark.parametrize(
    ("words", "effect", "small", "said"),
    [
        ("shown", "helps", False, "holds"),
        ("shown", "helps", True, "holds, by less than ½ point"),
        ("shown", "hurts", False, "the reverse is shown"),
        ("shown", "hurts", True, "the reverse is shown, by less than ½ point"),
        ("suggested", "helps", False, "suggested"),
        ("suggested", "hurts", False, "the reverse is suggested"),
        ("no difference above ½ point", "", True, "no difference above ½ point"),
        ("not shown", "", False, "not shown"),
        ("one run, no verdict", "", False, "one run, no verdict"),
    ],
)
def test_the_words_for_a_gain(words: str, effect: str, small: bool, said: str) -> None:
    estimate = Estimate(0.0, 0.0, 0.0, 5)
    verdict = Verdict(words, effect, small, estimate, 0.5, 0.5, "boundary_iou")
    assert judge(verdict) == said


def test_another_record_is_another_verdict() -> None:
    asked = family(("grouping", "bilinear"))
    before = runs("bilinear", STEADY)
    said = {}
    for by in (0.02, 0.003, 0.0, -0.02):
        (finding,) = examine(
            asked, runs=before + runs("grouping", shifted(by))
        ).findings
        said[by] = (finding.mark, finding.verdict, finding.seeds)
        assert finding.estimate is not None
    assert said == {
        0.02: ("✓", "holds", 5),
        0.003: ("✓", "holds, by less than ½ point", 5),
        0.0: ("○", "no difference above ½ point", 5),
        -0.02: ("✗", "the reverse is shown", 5),
    }


def test_fewer_metres_are_a_gain() -> None:
    asked = family(("grouping", "bilinear"), metric="rmse")
    found = []
    for run in runs("bilinear", STEADY) + runs("grouping", shifted(-0.02)):
        found.append(replace(run, metrics={"rmse": 1000 * run.metrics["boundary_iou"]}))
    (finding,) = examine(asked, runs=found).findings
    assert finding.verdict == "holds" and finding.measured.endswith(" m")


def test_the_claims_of_a_family_are_corrected_together() -> None:
    pairs = [
        ("grouping", "bilinear"),
        ("naive", "bilinear"),
        ("dysample_s", "bilinear"),
    ]
    found = runs("bilinear", STEADY) + runs("grouping", shifted(0.006, 0.004))
    found += runs("naive", shifted(0.006, 0.009)) + runs("dysample_s", shifted(0, 0.01))
    (alone,) = examine(family(pairs[0]), runs=found).findings
    among = examine(family(*pairs), runs=found).findings[0]
    assert (alone.verdict, among.verdict) == ("holds", "suggested")


def test_what_has_no_record_has_no_row() -> None:
    asked = family(("grouping", "bilinear"), ("naive", "bilinear"), ("naive", "blind"))
    found = runs("bilinear", STEADY) + runs("grouping", shifted(0.02))
    found += runs("blind", {7: 0.5}) + runs("naive", {8: 0.5})  # no seed in common
    sheet = examine(asked, runs=found)
    assert len(sheet.findings) == 1 and len(sheet.missing) == 2
    text = sheet._repr_markdown_()
    assert "2 of 3 claims have no record yet, and so no row. The command:" in text
    assert "naive" not in text and text.endswith("```bash\nmake it\n```")
    nothing = examine(asked)  # a file that is not there
    assert not nothing.findings and len(nothing.missing) == 3
    assert nothing._repr_markdown_().startswith("3 of 3 claims have no record yet")
    table = summary([sheet, nothing])
    assert "| a question | 1 |  |  | 2 |" in table
    assert "| a question |  |  |  | 3 |" in table


def test_runs_of_several_settings_are_refused() -> None:
    found = runs("bilinear", STEADY) + runs("grouping", STEADY, epochs=3)
    with pytest.raises(ValueError, match=r"epochs 24, 3|epochs 3, 24"):
        examine(family(("grouping", "bilinear")), runs=found)


@pytest.mark.parametrize(
    ("rival", "verdict", "text"),
    [(30, "holds", "CARAFE × 1.5"), (20, "does not hold", "× 1.0"), (None, "", "")],
)
def test_every_rival_has_to_cost_more(
    rival: float | None, verdict: str, text: str
) -> None:
    costs = {"grouping": 20.0, "fade": 90.0, "carafe": rival}
    costs = {name: sample_cost(name, forward_ms=ms) for name, ms in costs.items() if ms}
    claim = Claim("faster", Ratio("forward_ms", ("carafe", "fade")), ("ch-rivals",))
    sheet = examine(Family("cost", (claim,), "cost"), costs=costs)
    if not verdict:
        assert sheet.missing == (claim,) and not sheet.findings
        return
    (finding,) = sheet.findings
    assert finding.verdict == verdict and text in finding.measured


@pytest.mark.parametrize(
    ("ours", "published", "same"),
    [
        (24_576, "24.6K", True),
        (32_768, "32.7K", True),  # cut
        (32_768, "32.9K", False),
        (24_576, "32.7K", False),
        (6_144, "6.2K", False),
        (6_192, "+6.2K", True),
        (50_688, "0.1M", True),
        (49_999, "0.1M", False),
        (7_077_888, "7M", True),
    ],
)
def test_a_count_is_the_published_one_rounded_or_cut(
    ours: int, published: str, same: bool
) -> None:
    assert agrees(ours, published) == same
    claim = Claim("so many", Count(published, lambda: ours), ("ch-rivals",))
    (finding,) = examine(Family("counts", (claim,), "count")).findings
    assert finding.mark == ("✓" if same else "✗")
    assert finding.measured == f"{ours:,}"


def test_a_number_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match=r"has to be like 24\.6K"):
        agrees(1, "some")


def test_the_same_count_of_a_wider_map_is_not_published() -> None:
    assert scorecard.added("grouping") == 3 * 32 * 256
    assert scorecard.added("grouping", biases=True) == 3 * 32 * 257


@pytest.mark.parametrize(
    "look",
    [claim.evidence.look for claim in SCORECARD["construction"].claims],
    ids=lambda look: look.__name__,
)
def test_what_is_so_by_construction(look: Any) -> None:
    holds, seen = look()
    assert holds and seen


def test_a_check_sees_what_is_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    """The checks are of the library that there is: changed, they fail."""
    assert not scorecard._rests_on("bilinear")[0]
    assert not scorecard._rests_on("nearest", initial="bilinear")[0]
    spread = scorecard.initial_positions
    monkeypatch.setattr(scorecard, "initial_positions", lambda s: 0.9 * spread(s))
    assert not scorecard.ranges_touch()[0]
    monkeypatch.undo()

    class Other(scorecard.DySample):
        def __init__(self, *args: Any, **options: Any) -> None:
            options = {"limit": "tanh", "groups": 1, "scope": 0.2, "style": "lp"}
            super().__init__(*args[:2], **options)

    monkeypatch.setattr(scorecard, "DySample", Other)
    for look in (scorecard.limit_is_soft, scorecard.pl_saves_s4):
        assert not look()[0]


def sheets() -> dict[str, Sheet]:
    return {name: examine(of, costs=COSTS) for name, of in SCORECARD.items()}


def holm(p_values: list[float]) -> list[float]:
    """Written again: the k-th smallest of m times m - k, and never falling."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    corrected = [0.0] * len(p_values)
    worst = 0.0
    for k, i in enumerate(order):
        worst = max(worst, p_values[i] * (len(p_values) - k))
        corrected[i] = min(1.0, worst)
    return corrected


@every_family
def test_the_verdicts_of_the_record_follow_the_rule(name: str) -> None:
    """Each verdict again, from the means and spreads of its runs alone."""
    sheet = examine(SCORECARD[name], costs=COSTS)
    metric = METRICS[SCORECARD[name].metric]
    equal = f"no difference above {'½ point' if metric.unit == '%' else '5 m'}"
    found = [finding for finding in sheet.findings if finding.estimate]
    p_values = []
    for finding in found:
        e = finding.estimate
        assert e is not None
        t = e.mean / (e.sd / math.sqrt(e.n)) if e.n > 1 else math.nan
        p_values.append(2 * stats.t.sf(abs(t), e.n - 1) if e.n > 1 else 1.0)
    for finding, p, p_holm in zip(found, p_values, holm(p_values), strict=True):
        e = finding.estimate
        assert e is not None and finding.claim.published is not None
        inside = e.low >= -metric.margin and e.high <= metric.margin
        better = metric.direction * e.mean
        said = finding.verdict
        if e.n == 1:
            assert said == "one run, no verdict"
            continue
        assert (said.startswith("holds")) == (p_holm < 0.05 and better > 0), said
        assert (said.startswith("the reverse is shown")) == (
            p_holm < 0.05 and better < 0
        )
        assert ("by less than" in said) <= inside
        assert (said == equal) == (inside and p_holm >= 0.05)
        open_ = p_holm >= 0.05 and not inside
        assert (said in ("suggested", "the reverse is suggested")) == (
            open_ and p < 0.05
        )
        assert (said == "not shown") == (open_ and p >= 0.05)
        mark = "✓" if said.startswith("holds") else "○"
        assert finding.mark == ("✗" if "reverse is shown" in said else mark)


@every_family
def test_a_family_is_of_one_kind_and_says_how_it_is_made(name: str) -> None:
    claims = SCORECARD[name].claims
    assert len({type(claim.evidence) for claim in claims}) == 1
    assert len({claim.words for claim in claims}) == len(claims)
    gains = [c.evidence for c in claims if isinstance(c.evidence, Gain)]
    assert len(set(gains)) == len(gains)
    assert bool(gains) == bool(SCORECARD[name].records)
    for file in SCORECARD[name].records[-1:]:
        assert f"results/{file}.jsonl" in SCORECARD[name].command
    for variant in {v for gain in gains for v in (gain.upsampler, gain.instead_of)}:
        upsampler, options = parse_variant(variant)
        build_upsampler(upsampler, 32, **options)


@pytest.mark.parametrize("name", TASKS)
def test_every_task_is_asked_about_by_its_headline(name: str) -> None:
    task = TASKS[name]
    found = [of for of in SCORECARD.values() if of.where.get("task") == name]
    assert any(of.metric == task.metrics[0] for of in found)
    for of in found:
        task.check(of.where["dataset"], of.where["decoder"])
        assert of.metric in task.metrics
        pairs = {claim.evidence for claim in of.claims}
        if name != "segmentation":
            assert Gain("grouping", "nearest") in pairs
            assert f"--task {name} " in of.command


LENGTH = ("epochs", "offset_rate")


@pytest.mark.parametrize("name", [n for n, of in SCORECARD.items() if of.records])
def test_what_is_recorded_for_a_claim_is_found(name: str) -> None:
    """A family that asks for another length than the records' finds nothing."""
    of = SCORECARD[name]
    loose = replace(of, where={k: v for k, v in of.where.items() if k not in LENGTH})
    there = {run.spec.variant for run in loose.runs()}
    found = {f.claim.evidence for f in examine(of).findings if f.seeds}
    assert found  # another decoder or data set than the records' finds nothing
    asked = {c.evidence for c in of.claims if isinstance(c.evidence, Gain)}
    wanted = {gain for gain in asked if there >= {gain.upsampler, gain.instead_of}}
    assert wanted <= found


@pytest.mark.parametrize(
    ("name", "usual"),
    [("detection", "nearest"), ("panoptic", "nearest"), ("height", "bilinear")],
)
def test_the_five_tasks_are_claimed_over_what_stands_there(
    name: str, usual: str
) -> None:
    """Nearest interpolation in published pyramids, bilinear in SegFormer's head."""
    claims = SCORECARD[name].claims
    quoted = [c.evidence for c in claims if c.words.startswith("“across five")]
    assert quoted == [Gain("grouping", usual)]


def test_at_least_twenty_claims_have_a_verdict() -> None:
    found = [finding for sheet in sheets().values() for finding in sheet.findings]
    assert len(found) >= 20
    assert all(finding.verdict and finding.measured for finding in found)
    kinds = {type(finding.claim.evidence) for finding in found}
    assert kinds == {Gain, Ratio, Count, Check}


def test_every_claim_leads_to_a_section_that_is_there() -> None:
    cells = [cell for path in notebook_paths() for cell in read_notebook(path)["cells"]]
    text = "\n".join(map(source, cells))
    labels = set(re.findall(r"^\((\S+)\)=$", text, re.M))
    figures = [cell["metadata"].get("mystnb", {}).get("figure", {}) for cell in cells]
    labels |= {figure["name"] for figure in figures if "name" in figure}
    for of in SCORECARD.values():
        for claim in of.claims:
            assert claim.see and set(claim.see) <= labels, claim
