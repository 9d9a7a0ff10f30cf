"""Bad arguments: the message names the argument, the value and what would be right."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch

from dysample_lib import (
    LADDER,
    DySample,
    build_upsampler,
    initial_positions,
    point_sample,
    sampling_grid,
)

X = torch.zeros(2, 4, 3, 5)
OFFSETS = torch.zeros(2, 8, 3, 5)
FITS = "offsets has to be (B, 2·groups·scale², H, W) = {} for these features, got {}"
MULTIPLE = "offsets has to have a positive multiple of 2·scale² = {} channels, got {}"
INTEGER = "{} has to be an integer ≥ 1, got {}"
MODE = "mode has to be one of 'nearest', 'bilinear', got {}"


def exactly(message: str) -> str:
    return f"^{re.escape(message)}$"


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: initial_positions(0), ValueError, INTEGER.format("scale", 0)),
        (
            lambda: initial_positions(2.0),
            TypeError,
            INTEGER.format("scale", "2.0 (float)"),
        ),
        (lambda: initial_positions(2, "cubic"), ValueError, MODE.format("'cubic'")),
        (
            lambda: sampling_grid(OFFSETS, True),
            TypeError,
            INTEGER.format("scale", "True (bool)"),
        ),
        (lambda: sampling_grid(OFFSETS, 3), ValueError, MULTIPLE.format(18, 8)),
        (lambda: sampling_grid(OFFSETS[:, :0], 2), ValueError, MULTIPLE.format(8, 0)),
        (
            lambda: sampling_grid(OFFSETS[0], 2),
            ValueError,
            "offsets has to have 4 dimensions (B, C, H, W), got 3: (8, 3, 5)",
        ),
        (
            lambda: sampling_grid(OFFSETS.long(), 2),
            TypeError,
            "offsets has to be floating point, got torch.int64; convert it first, "
            "for instance with offsets.float()",
        ),
        (
            lambda: point_sample(X, OFFSETS[:, :, :2], 2),
            ValueError,
            FITS.format("(2, 8, 3, 5)", "(2, 8, 2, 5)"),
        ),
        (
            lambda: point_sample(X, OFFSETS[:1], 2),
            ValueError,
            FITS.format("(2, 8, 3, 5)", "(1, 8, 3, 5)"),
        ),
        (
            lambda: point_sample(X, OFFSETS, 2, 2),
            ValueError,
            FITS.format("(2, 16, 3, 5)", "(2, 8, 3, 5)"),
        ),
        (
            lambda: point_sample(X, OFFSETS, 2, 3),
            ValueError,
            "groups has to divide the channels of features, got groups=3 for the "
            "channels of features=4 (divisors: 1, 2, 4)",
        ),
        (
            lambda: point_sample(X, OFFSETS, 2, 0),
            ValueError,
            "groups has to divide the channels of features, got groups=0 for the "
            "channels of features=4 (divisors: 1, 2, 4)",
        ),
        (
            lambda: point_sample(X.numpy(), OFFSETS, 2),
            TypeError,
            "features has to be a tensor, got ndarray",
        ),
        (
            lambda: point_sample(X[..., :0], OFFSETS[..., :0], 2),
            ValueError,
            "features has to have height and width ≥ 1, got (2, 4, 3, 0)",
        ),
    ],
)
def test_geometry(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=exactly(message)):
        call()


NUMBER = 'scope has to be a finite positive number (pixels) or "dynamic", got {}'
DIVIDE = "groups has to divide in_channels, got groups={} for in_channels={} ({})"
SHUFFLE = (
    'in_channels has to be divisible by scale² = {} for style="pl", got in_channels={}'
)
STD = "init_std has to be a finite number ≥ 0, got {}"
INITIAL = "initial has to be one of 'nearest', 'bilinear', got {}"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"groups": 3},
            ValueError,
            DIVIDE.format(3, 16, "divisors: 1, 2, 4, 8, 16"),
        ),
        (
            {"in_channels": 6},
            ValueError,
            DIVIDE.format(4, 6, "divisors: 1, 2, 3, 6"),
        ),
        (
            {"groups": 0},
            ValueError,
            DIVIDE.format(0, 16, "divisors: 1, 2, 4, 8, 16"),
        ),
        (
            {"groups": -4},
            ValueError,
            DIVIDE.format(-4, 16, "divisors: 1, 2, 4, 8, 16"),
        ),
        ({"groups": 4.0}, TypeError, INTEGER.format("groups", "4.0 (float)")),
        ({"in_channels": 0}, ValueError, INTEGER.format("in_channels", 0)),
        ({"in_channels": "16"}, TypeError, INTEGER.format("in_channels", "'16' (str)")),
        ({"in_channels": 18, "groups": 2, "style": "pl"}, ValueError, (4, 18)),
        ({"scale": 3, "style": "pl"}, ValueError, (9, 16)),
        ({"scale": 0}, ValueError, INTEGER.format("scale", 0)),
        ({"scale": -2}, ValueError, INTEGER.format("scale", -2)),
        ({"scale": 1.5}, TypeError, INTEGER.format("scale", "1.5 (float)")),
        ({"scale": 2.0}, TypeError, INTEGER.format("scale", "2.0 (float)")),
        ({"scale": True}, TypeError, INTEGER.format("scale", "True (bool)")),
        ({"scale": "2"}, TypeError, INTEGER.format("scale", "'2' (str)")),
        ({"scale": None}, TypeError, INTEGER.format("scale", "None (NoneType)")),
        (
            {"style": "LP"},
            ValueError,
            "style has to be one of 'lp', 'pl', got 'LP'",
        ),
        ({"initial": "zero"}, ValueError, INITIAL.format("'zero'")),
        ({"initial": None}, ValueError, INITIAL.format("None")),
        (
            {"limit": "hard"},
            ValueError,
            "limit has to be one of 'soft', 'tanh', got 'hard'",
        ),
        ({"init_std": -1}, ValueError, STD.format("-1")),
        ({"init_std": float("inf")}, ValueError, STD.format("inf")),
        ({"init_std": "0.1"}, TypeError, STD.format("'0.1' (str)")),
        ({"scope": 0}, ValueError, NUMBER.format("0")),
        ({"scope": -0.25}, ValueError, NUMBER.format("-0.25")),
        ({"scope": float("nan")}, ValueError, NUMBER.format("nan")),
        ({"scope": float("inf")}, ValueError, NUMBER.format("inf")),
        ({"scope": "static"}, ValueError, NUMBER.format("'static'")),
        ({"scope": True}, TypeError, NUMBER.format("True (bool)")),
        ({"scope": None}, TypeError, NUMBER.format("None (NoneType)")),
    ],
)
def test_dysample(
    arguments: dict[str, Any],
    error: type[Exception],
    message: str | tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Before any work: with no layer to build, the message has to be the same.
    monkeypatch.setattr("dysample_lib.upsamplers.dysample.PointwiseConv2d", None)
    if isinstance(message, tuple):
        message = SHUFFLE.format(*message)
    with pytest.raises(error, match=exactly(message)):
        DySample(**{"in_channels": 16, **arguments})


@pytest.mark.parametrize("name", LADDER)
@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (
            torch.zeros(16, 4, 5),
            ValueError,
            "x has to have 4 dimensions (B, C, H, W), got 3: (16, 4, 5)",
        ),
        (
            torch.zeros(1, 1, 16, 4, 5),
            ValueError,
            "x has to have 4 dimensions (B, C, H, W), got 5: (1, 1, 16, 4, 5)",
        ),
        (
            torch.zeros(1, 16, 4, 5, dtype=torch.uint8),
            TypeError,
            "x has to be floating point, got torch.uint8; convert it first, for "
            "instance with x.float()",
        ),
        (
            torch.zeros(1, 12, 4, 5),
            ValueError,
            "x has to have 16 channels, got 12: (1, 12, 4, 5)",
        ),
        (
            torch.zeros(1, 16, 0, 5),
            ValueError,
            "x has to have height and width ≥ 1, got (1, 16, 0, 5)",
        ),
        (
            np.zeros((1, 16, 4, 5), dtype=np.float32),
            TypeError,
            "x has to be a tensor, got ndarray",
        ),
    ],
)
def test_input(name: str, x: Any, error: type[Exception], message: str) -> None:
    module = build_upsampler(name, 16)
    with pytest.raises(error, match=exactly(message)):
        module(x)


@pytest.mark.parametrize("name", LADDER)
def test_every_rung_checks_channels_and_scale(name: str) -> None:
    with pytest.raises(ValueError, match=exactly(INTEGER.format("in_channels", 0))):
        build_upsampler(name, 0)
    with pytest.raises(
        TypeError, match=exactly(INTEGER.format("scale", "1.5 (float)"))
    ):
        build_upsampler(name, 16, 1.5)


@pytest.mark.parametrize("name", ["Nearest", "dysample", "", None])
def test_an_unknown_name_is_answered_with_the_names(name: Any) -> None:
    with pytest.raises(ValueError, match="upsampler has to be one of ") as error:
        build_upsampler(name, 16)
    listed, _, got = (
        str(error.value).removeprefix("upsampler has to be one of ").partition(", got ")
    )
    assert set(LADDER) <= set(listed.split(", "))
    assert got == repr(name)
