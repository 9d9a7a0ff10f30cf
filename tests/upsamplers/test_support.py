"""The support matrix: what the record says is what happens.

Captured graphs are run in float32, and in the other dtypes with ``--all-cells`` (CI
does) or ``--record-support``.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import support_cells as support
import torch

Outcomes = dict[Any, Any]
OPERATOR_CELLS = tuple(itertools.product(support.OPERATORS, support.CAPTURED))
MEANT = "if this is meant: pytest tests/upsamplers/test_support.py --record-support"


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest) -> Iterator[Outcomes | None]:
    """With ``--record-support``, what to write when all cells have been run."""
    if not request.config.getoption("record_support"):
        yield None
        return
    found: Outcomes = {}
    yield found
    if set(found) == {*support.CELLS, *OPERATOR_CELLS}:
        support.write(
            {cell: found[cell] for cell in support.CELLS},
            {cell: found[cell] for cell in OPERATOR_CELLS},
        )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "dtype" in metafunc.fixturenames:
        option = metafunc.config.getoption
        all_cells = option("all_cells") or option("record_support")
        cells = support.CELLS if all_cells else support.SOON
        metafunc.parametrize(("how", "what", "dtype"), cells)


@pytest.mark.slow
def test_what_is_recorded_is_so(
    how: str, what: str, dtype: str, outcomes: Outcomes | None
) -> None:
    found = support.outcome(how, what, dtype)
    torch._dynamo.reset()
    if outcomes is not None:
        outcomes[how, what, dtype] = found
    else:
        assert found == support.recorded()["cells"][how][what][dtype], MEANT


@pytest.mark.slow
@pytest.mark.parametrize(("name", "how"), OPERATOR_CELLS)
def test_what_is_recorded_of_an_operator_is_so(
    name: str, how: str, outcomes: Outcomes | None
) -> None:
    found = support.operator_outcome(name, how)
    torch._dynamo.reset()
    if outcomes is not None:
        outcomes[name, how] = found
    else:
        assert found == support.recorded()["operators"][name][how], MEANT


def test_every_cell_is_recorded() -> None:
    cells = support.recorded()["cells"]
    listed = [(a, b, c) for a in cells for b in cells[a] for c in cells[a][b]]
    assert sorted(listed) == sorted(support.CELLS)
    for how, what, dtype in listed:
        assert list(cells[how][what][dtype]) == list(support.FORMATS)
    operators = support.recorded()["operators"]
    assert [(a, b) for a in operators for b in operators[a]] == list(OPERATOR_CELLS)


def test_what_has_to_be_supported_is() -> None:
    """No new record takes back a promise."""
    cells = support.recorded()["cells"]
    yes = dict.fromkeys(support.FORMATS, "yes")
    for what in support.HOW["eager"]:
        for dtype, found in cells["eager"][what].items():
            assert found == yes, (what, dtype)
    for how in support.HOW:
        assert cells[how][support.HOW[how][0]]["float32"] == yes, how
    for name, found in support.recorded()["operators"].items():
        refused = {how: said for how, said in found.items() if said != "yes"}
        assert refused == {"torch.jit.script": "no: TypeError"}, name


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda y: y, "yes"),
        (lambda y: y + 1e-3, "wrong values"),
        (lambda y: y * float("nan"), "wrong values"),
        (lambda y: y.detach() + 2 * (y - y.detach()), "wrong gradients"),
    ],
)
def test_the_judge_is_no_pushover(change: Any, said: str) -> None:
    module = support.build(torch.float32, "forward and backward")
    x = torch.randn(2, 16, 5, 6)
    exact = support.results(module, x, tuple(module.parameters()))
    exact = [value.double() for value in exact]
    mine = support.results(lambda x: change(module(x)), x, tuple(module.parameters()))
    assert support.judge(mine, exact, "float32") == said
