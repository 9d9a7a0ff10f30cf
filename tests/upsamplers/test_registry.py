"""The registry: entries that take options, and the controls."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import nn

from dysample_lib import LADDER, DySample, build_upsampler
from dysample_lib.__main__ import main
from dysample_lib.upsamplers import CONTROLS, RIVALS, UPSAMPLERS, Blind


def test_options_override_the_entry_s_own() -> None:
    for name, options, wanted in (
        ("grouping", {"scope": 0.5}, (4, 0.5, "bilinear")),
        ("naive", {"initial": "bilinear"}, (1, 1.0, "bilinear")),
        ("naive", {"groups": 2, "scope": "dynamic"}, (2, None, "nearest")),
    ):
        module = build_upsampler(name, 64, **options)
        assert isinstance(module, DySample)
        assert (module.groups, module.static_scope, module.initial) == wanted
    assert UPSAMPLERS["naive"].options["groups"] == 1
    assert build_upsampler("carafe", 64, kernel_size=3).kernel_size == 3
    assert build_upsampler("fade_ungated", 16, guide_channels=4).guide_channels == 4


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "grouping",
            {"scopes": 0.5},
            "options of grouping have to be among those of DySample (groups, style, "
            "scope, initial, limit, init_std, scope_bias, deterministic), got scopes",
        ),
        (
            "bilinear",
            {"groups": 2, "guide_channels": 4},
            "options of bilinear have to be among those of Bilinear (none), got "
            "groups, guide_channels",
        ),
    ],
)
def test_unknown_options_are_answered_with_the_known(
    name: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        build_upsampler(name, 64, **options)


def test_the_controls_differ_in_one_thing() -> None:
    grouping, small = build_upsampler("grouping", 16), build_upsampler("dysample_s", 16)
    for name, like, changed in (
        ("groups_unscoped", grouping, {"static_scope": 1.0}),
        ("pl_g4", small, {"groups": 4}),
        ("lp_g8", small, {"style": "lp"}),
    ):
        module = build_upsampler(name, 16)
        for key in ("style", "groups", "static_scope", "initial"):
            assert getattr(module, key) == changed.get(key, getattr(like, key))


def test_controls_are_in_no_ladder_and_in_no_bill(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert set(CONTROLS) <= set(UPSAMPLERS)
    assert not set(CONTROLS) & {*LADDER, *RIVALS}
    asked: list[str] = []

    def compare(names: list[str], *_: Any, **__: Any) -> list[Any]:
        asked.extend(names)
        raise ValueError("enough")

    monkeypatch.setattr("dysample_lib.cost.compare", compare)
    assert main(["cost"]) == 1
    assert {*LADDER, *RIVALS} <= set(asked)
    assert not set(CONTROLS) & set(asked)


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_blind_is_dysample_that_sees_nothing(scale: int) -> None:
    blind, seeing = Blind(16, scale), DySample(16, scale)
    x = torch.randn(2, 16, 5, 7)
    bilinear = build_upsampler("bilinear", 16, scale)
    torch.testing.assert_close(blind(x), bilinear(x))  # at the start
    nn.init.normal_(blind.bias, std=3)
    nn.init.zeros_(seeing.offset.weight)
    with torch.no_grad():
        seeing.offset.bias.copy_(blind.bias)
    assert torch.equal(blind.offsets(x), seeing.offsets(x))
    assert torch.equal(blind(x), seeing(x))
    slope = torch.randn_like(blind(x))
    (mine,) = torch.autograd.grad(blind(x), blind.bias, slope)
    (theirs,) = torch.autograd.grad(seeing(x), seeing.offset.bias, slope)
    torch.testing.assert_close(mine, theirs)
    assert [p.numel() for p in blind.parameters()] == [2 * 4 * scale**2]
    assert "groups=4, scope=0.25" in repr(blind)


def test_blind_takes_no_dynamic_scope() -> None:
    for scope in ("dynamic", 0):
        message = r"scope has to be a finite positive number \(pixels\), got"
        with pytest.raises(ValueError, match=message):
            build_upsampler("blind", 16, scope=scope)
