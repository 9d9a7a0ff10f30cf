"""Swapping upsamplers: what is left with a reason, what is listed, what is refused."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dysample_lib import DySample
from dysample_lib.adapt.swap import swap_upsamplers
from dysample_lib.adapt.swap_report import SwapReport
from dysample_lib.adapt.trace import Resize

X = torch.randn(1, 4, 6, 8)


class OwnForward(nn.Upsample):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + 1


class SizedCall(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(4, 4, 2, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.up(x, output_size=(13, 17))


class Idle(nn.Module):
    """Holds an upsampler that it does not call."""

    def __init__(self, up: nn.Module) -> None:
        super().__init__()
        self.up = up

    def forward(self, x: Tensor) -> Tensor:
        return x


def hooked() -> nn.Module:
    up = nn.Upsample(scale_factor=2)
    up.register_forward_hook(lambda *_: None)
    return up


@pytest.mark.parametrize(
    ("module", "example", "reason"),
    [
        (nn.Upsample(scale_factor=2), None, "channels are not known: pass an example"),
        (nn.Upsample(size=(9, 9)), X, "fixed output size, (9, 9), and no scale factor"),
        (nn.Upsample(scale_factor=1.5), X, "scale factor 1.5: only integers ≥ 2"),
        (nn.Upsample(scale_factor=(2, 4)), X, "scale factor (2.0, 4.0): only"),
        (nn.Upsample(scale_factor=1), X, "scale factor 1.0: only integers ≥ 2"),
        (nn.Upsample(scale_factor=2, mode="trilinear"), None, "'trilinear' is not for"),
        (
            nn.Upsample(scale_factor=2, mode="linear"),
            torch.zeros(1, 4, 6),
            "called with shape (1, 4, 6), not with maps (B, C, H, W)",
        ),
        (OwnForward(scale_factor=2), X, "a forward of its own"),
        (hooked(), X, "it carries hooks"),
        (nn.ConvTranspose2d(4, 4, 3), X, "stride (1, 1): only integers ≥ 2"),
        (nn.ConvTranspose2d(4, 4, 2, (2, 1)), None, "stride (2, 1): only"),
        (nn.ConvTranspose2d(4, 4, 3, 2), None, "+1 rows or columns beside 2×"),
        (nn.ConvTranspose2d(4, 4, 3, 2, 1), None, "-1 rows or columns beside 2×"),
        (nn.ConvTranspose2d(4, 6, 2, 2), X, "groups has to divide in_channels"),
    ],
)
def test_left_with_a_reason(module: nn.Module, example: Any, reason: str) -> None:
    model = nn.Sequential(module)
    report = swap_upsamplers(model, example=example)
    assert model[0] is module and report.replaced == ()
    (left,) = report.left
    assert left.names == ("0",) and reason in left.reason
    assert f"0: {type(module).__name__}" in str(report) and reason in str(report)


def test_left_because_of_the_call() -> None:
    model = SizedCall()
    report = swap_upsamplers(model, example=X)
    assert "called with further arguments" in report.left[0].reason
    assert isinstance(model.up, nn.ConvTranspose2d)


def test_left_because_the_example_does_not_reach_it() -> None:
    report = swap_upsamplers(Idle(nn.Upsample(scale_factor=2)), example=X)
    assert "the example input does not reach it" in report.left[0].reason
    report = swap_upsamplers(Idle(nn.ConvTranspose2d(4, 4, 2, 2)), example=X)
    assert report.replaced[0].calls == 0
    assert "the example input does not reach it" in str(report)


def test_the_whole_model_stays() -> None:
    report = swap_upsamplers(nn.Upsample(scale_factor=2), example=X)
    assert report.replaced == () and report.left[0].names == ("",)
    assert "(model): Upsample" in str(report) and "whole model" in str(report)


@pytest.mark.parametrize(
    "module",
    [
        nn.ConvTranspose2d(4, 4, 4, 2, 1),
        nn.ConvTranspose2d(4, 4, 3, 2, 1, output_padding=1),
        nn.ConvTranspose2d(4, 8, 3, 3, groups=2),
        nn.utils.parametrizations.weight_norm(nn.ConvTranspose2d(4, 4, 2, 2)),
    ],
)
def test_transposed_convolutions_that_fit(module: nn.Module) -> None:
    model = nn.Sequential(module)
    shape = model(X).shape
    report = swap_upsamplers(model)
    assert len(report.replaced) == 1
    assert model(X).shape == shape


@pytest.mark.filterwarnings("ignore:Lazy modules:UserWarning")
def test_a_lazy_module_needs_the_example() -> None:
    model = nn.Sequential(nn.LazyConvTranspose2d(4, 2, 2))
    (left,) = swap_upsamplers(model).left
    assert "its channels are not known yet" in left.reason
    assert len(swap_upsamplers(model, example=X).replaced) == 1
    assert model(X).shape == (1, 4, 12, 16)


class Resizing(nn.Module):
    """Interpolates in its forward, up twice, down once, and once in a child."""

    class Child(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.interpolate(x, (24, 33), mode="bilinear")

    def __init__(self) -> None:
        super().__init__()
        self.child = self.Child()
        self.up = nn.Upsample(scale_factor=2)

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(2):
            F.interpolate(input=x, scale_factor=2.0)
        F.interpolate(x, scale_factor=0.5)
        return self.child(self.up(x))


def test_calls_without_a_module_are_listed() -> None:
    report = swap_upsamplers(Resizing(), example=X)
    assert len(report.replaced) == 1
    assert report.resizes == (
        (Resize("", (6, 8), (12, 16), "nearest"), 2),
        (Resize("child", (12, 16), (24, 33), "bilinear"), 1),
    )
    assert str(report).splitlines()[-3:] == [
        "Calls of F.interpolate, no modules: to replace one, edit its forward.",
        "  (model): 6×8 → 12×16, nearest, 2 times",
        "  child: 12×16 → 24×33, bilinear",
    ]


def test_the_fixed_rules_of_this_library_are_no_finding() -> None:
    model = nn.Sequential(nn.Upsample(scale_factor=2))
    swap_upsamplers(model, "bilinear", example=X)
    report = swap_upsamplers(model, example=X)
    assert report.resizes == () and "No F.interpolate call besides" in str(report)


class Keywords(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Upsample(scale_factor=2)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.up(a + b)


@pytest.mark.parametrize("example", [(X, X), {"a": X, "b": X}])
def test_examples_with_several_arguments(example: Any) -> None:
    assert len(swap_upsamplers(Keywords(), example=example).replaced) == 1


def test_the_example_leaves_no_mark() -> None:
    model = nn.Sequential(nn.BatchNorm2d(4), nn.Dropout(), nn.Upsample(scale_factor=2))
    state = torch.get_rng_state()
    swap_upsamplers(model, "bilinear", example=X)
    assert torch.equal(torch.get_rng_state(), state)
    assert model[0].num_batches_tracked == 0 and model[0].training
    assert model[2].training


def refuse(channels: int, scale: int) -> nn.Module:
    raise RuntimeError("no")


def swap(*args: Any, **kwargs: Any) -> SwapReport:
    return swap_upsamplers(*args, **kwargs)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"upsampler": "bicubic"}, ValueError, "upsampler has to be one of nearest,"),
        ({"upsampler": 2}, TypeError, "upsampler has to be a name or a factory"),
        ({"upsampler": DySample(4)}, TypeError, "upsampler has to be a name or a fac"),
        ({"upsampler": lambda c, s: c}, TypeError, "got int from upsampler(4, 2)"),
        ({"upsampler": refuse}, RuntimeError, "no"),
        (
            {"where": "decoder.*"},
            ValueError,
            "got 'decoder.*'; the model has 0 (Upsample), 1 (ConvTranspose2d)",
        ),
        ({"where": ["0", "2"]}, ValueError, "got '2'; the model has 0 (Upsample)"),
        ({"where": []}, ValueError, "where has to select something, got an empty list"),
        ({"where": 3}, TypeError, "where has to be a name or shell pattern"),
        (
            {"example": X[:, :3]},
            ValueError,
            "example has to be an input that the model runs on, got RuntimeError",
        ),
    ],
)
def test_bad_arguments(options: Any, error: type[Exception], message: str) -> None:
    model = nn.Sequential(nn.Upsample(scale_factor=2), nn.ConvTranspose2d(4, 4, 2, 2))
    modules = list(model)
    with pytest.raises(error, match=re.escape(message)):
        swap(model, **{"example": X, **options})
    assert list(model) == modules and model.training
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


@pytest.mark.parametrize("model", ["unet", nn.Upsample])
def test_models_that_are_none(model: Any) -> None:
    with pytest.raises(TypeError, match=r"model has to be a torch\.nn\.Module"):
        swap(model)


def test_guided_upsamplers_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from dysample_lib.upsamplers import UPSAMPLERS, Upsampler

    guided = Upsampler("guided", DySample, guided=True)
    monkeypatch.setitem(UPSAMPLERS, "guided", guided)
    with pytest.raises(ValueError, match="upsampler has to take one map"):
        swap(nn.Sequential(nn.ConvTranspose2d(4, 4, 2, 2)), "guided")
