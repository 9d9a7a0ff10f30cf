"""The authors' arguments and state dict: what a copy of their file is replaced by."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import dysample_lib
from benchmarks.published import Published
from dysample_lib.adapt.published import DySample

VARIANTS: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    ((16,), {}),
    ((16, 2, "lp"), {}),
    ((16, 2, "lp", 8, True), {"groups": 8, "dynamic": True}),
    ((16, 2, "pl", 2), {"groups": 2, "style": "pl"}),
    ((16, 2, "pl", 4, True), {"style": "pl", "dynamic": True}),
]


@pytest.mark.parametrize(("arguments", "same"), VARIANTS)
def test_a_copy_and_its_successor_exchange_weights_strictly(
    arguments: tuple[Any, ...], same: dict[str, Any], scatter: Callable[..., Any]
) -> None:
    theirs = scatter(Published(16, **same))
    ours = DySample(*arguments)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 16, 5, 7)
    torch.testing.assert_close(ours(x), theirs(x), rtol=0, atol=1e-5)
    scatter(ours)
    theirs.load_state_dict(ours.state_dict())
    torch.testing.assert_close(theirs(x), ours(x), rtol=0, atol=1e-5)


def test_by_name_and_with_their_defaults() -> None:
    module = DySample(in_channels=16, scale=3, style="lp", groups=2, dyscope=True)
    assert (module.scale, module.groups, module.style) == (3, 2, "lp")
    assert module.static_scope is None and module.scope.bias is None
    plain = DySample(16)
    assert (plain.scale, plain.groups, plain.style) == (2, 4, "lp")
    assert plain.static_scope == 0.25
    assert isinstance(plain, dysample_lib.DySample)


def test_the_golden_weights_load_strictly(golden: list[dict[str, Tensor]]) -> None:
    for case in golden:
        channels, scale, style, groups, dynamic = map(int, case["config"])
        ours = DySample(channels, scale, ("lp", "pl")[style], groups, bool(dynamic))
        state = {k.removeprefix("param/"): v for k, v in case.items() if "param/" in k}
        state.setdefault("init_pos", ours.state_dict()["init_pos"])
        ours.double().load_state_dict(state, strict=True)
        torch.testing.assert_close(ours(case["x"]), case["y"], rtol=0, atol=1e-12)


def test_other_starting_points_are_refused() -> None:
    module = DySample(16)
    state = module.state_dict()
    state["init_pos"] = state["init_pos"] * 0
    with pytest.raises(ValueError, match=r"init_pos of shape .* holds other initial"):
        module.load_state_dict(state)


def test_inside_a_model_copied_pickled_and_moved() -> None:
    model = nn.Sequential(nn.Conv2d(3, 16, 1), DySample(16, 2, "pl", 4, True))
    names = ["offset.weight", "offset.bias", "scope.weight", "init_pos"]
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        other.load_state_dict(model.state_dict())
        assert [k for k in other.state_dict() if k[0] == "1"] == [
            f"1.{name}" for name in names
        ]
    state = model.bfloat16().state_dict()
    assert {value.dtype for value in state.values()} == {torch.bfloat16}
    model.load_state_dict(state)
    with torch.device("meta"):
        assert DySample(16).state_dict()["init_pos"].is_meta


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((15,), "groups has to divide in_channels, got groups=4 for in_channels=15"),
        ((16, 2, "xl"), "style has to be one of 'lp', 'pl', got 'xl'"),
        ((18, 2, "pl", 2), "in_channels has to be divisible by scale"),
    ],
)
def test_where_a_copy_asserts_there_are_words(
    arguments: tuple[Any, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        DySample(*arguments)


class Copy(Published):
    """A copy of the authors' file, as a model holds one."""


def test_the_page_runs(scatter: Callable[..., Any]) -> None:
    """The page on copies, block by block, in a model that has them."""
    page = Path(__file__).parents[2] / "book" / "coming_from_a_copy.md"
    blocks = re.findall(r"^```python\n(.*?)^```$", page.read_text("utf-8"), re.M | re.S)
    assert len(blocks) == 7
    up = nn.Upsample(scale_factor=2)
    up.i, up.f = 1, -1  # type: ignore[assignment]
    detector = nn.Sequential(nn.Conv2d(3, 8, 1), up)
    old = scatter(Copy(64, dynamic=True))
    names = {"old": old, "detector": detector, "model": nn.Sequential(copy.copy(old))}
    for block in blocks:
        exec(block, names)
    assert isinstance(detector[1], dysample_lib.DySample) and detector[1].f == -1
