"""Swapping upsamplers: what is left with a reason, what is listed, what is refused."""

from __future__ import annotations

import contextlib
import re
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules import module as hooks

from dysample_lib import DySample
from dysample_lib.adapt.swap import SwapReport, swap_upsamplers

X = torch.randn(1, 4, 6, 8)


class OwnForward(nn.Upsample):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + 1


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
        (nn.Upsample(size=(9, 9)), X, "it scales by None: only one integer"),
        (nn.Upsample(scale_factor=1.5), X, "it scales by 1.5: only one integer of at"),
        (nn.Upsample(scale_factor=(2, 4)), X, "it scales by (2.0, 4.0): only one"),
        (nn.Upsample(scale_factor=1), X, "it scales by 1.0: only one integer"),
        (
            nn.Upsample(scale_factor=2, mode="linear"),
            torch.zeros(1, 4, 6),
            "does not reach it with a map (B, C, H, W)",
        ),
        (Idle(nn.Upsample(scale_factor=2)), X, "the example input does not reach it"),
        (OwnForward(scale_factor=2), X, "a forward of its own"),
        (hooked(), X, "it carries hooks"),
        (nn.ConvTranspose2d(4, 4, 3), X, "it scales by (1, 1): only one integer"),
        (nn.ConvTranspose2d(4, 4, 2, (2, 1)), None, "it scales by (2, 1): only"),
        (nn.ConvTranspose2d(4, 4, 3, 2), None, "+1 rows or columns beside 2 times"),
        (nn.ConvTranspose2d(4, 4, (2, 3), 2, (0, 1)), None, "-1 rows or columns"),
        (nn.ConvTranspose2d(4, 6, 2, 2), X, "groups has to divide in_channels"),
    ],
)
def test_left_with_a_reason(module: nn.Module, example: Any, reason: str) -> None:
    model = nn.Sequential(module)
    names = [name for name, _ in model.named_modules()]
    report = swap_upsamplers(model, example=example)
    assert model[0] is module and report.replaced == {}
    assert [name for name, _ in model.named_modules()] == names
    ((name, text),) = report.left.items()
    up = model.get_submodule(name)
    assert text.startswith(f"{type(up).__name__}(") and reason in text
    assert f"  {name}: {text}" in str(report).splitlines()
    assert str(report).isascii()  # a console of any encoding can print it


def test_the_whole_model_stays() -> None:
    report = swap_upsamplers(nn.Upsample(scale_factor=2), example=X)
    assert report.replaced == {} and "whole model" in report.left[""]
    assert "  (model): Upsample" in str(report)


@pytest.mark.filterwarnings("ignore:Lazy modules:UserWarning")
def test_a_lazy_module_needs_the_example() -> None:
    model = nn.Sequential(nn.LazyConvTranspose2d(4, 2, 2))
    assert "a lazy module does" in swap_upsamplers(model).left["0"]
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
    assert list(report.replaced) == ["up"]
    assert str(report).splitlines()[-3:] == [
        "Calls of F.interpolate stay; to replace one, edit its forward:",
        "  (model): 6x8 -> 12x16, nearest, 2 times",
        "  child: 12x16 -> 24x33, bilinear",
    ]
    assert report.resizes == {
        "(model): 6x8 -> 12x16, nearest": 2,
        "child: 12x16 -> 24x33, bilinear": 1,
    }


def test_the_fixed_rules_of_this_library_are_no_finding() -> None:
    model = nn.Sequential(nn.Upsample(scale_factor=2))
    swap_upsamplers(model, "bilinear", example=X)
    report = swap_upsamplers(model, example=X)
    assert report.resizes == {} and "No F.interpolate call besides" in str(report)


class Keywords(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Upsample(scale_factor=2)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.up(a + b)


@pytest.mark.parametrize("example", [(X, X), {"a": X, "b": X}])
def test_examples_with_several_arguments(example: Any) -> None:
    assert len(swap_upsamplers(Keywords(), example=example).replaced) == 1


class Noting(nn.Module):
    """Notes whether gradients are on; a child fails, which it does not mind."""

    class Child(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError("no")

    def __init__(self) -> None:
        super().__init__()
        self.child, self.up = self.Child(), nn.Upsample(scale_factor=2)

    def forward(self, x: Tensor) -> Tensor:
        self.gradients = torch.is_grad_enabled()
        with contextlib.suppress(RuntimeError):
            self.child(x)
        return F.interpolate(self.up(x), scale_factor=2)


def test_the_example_leaves_no_mark() -> None:
    model = nn.Sequential(nn.BatchNorm2d(4), nn.Dropout(), Noting())
    model[2].eval()
    state = torch.get_rng_state()
    report = swap_upsamplers(model, "bilinear", example=X)
    assert torch.equal(torch.get_rng_state(), state)
    assert model[0].num_batches_tracked == 0 and model[0].training
    assert not model[2].gradients and not model[2].up.training
    assert report.resizes == {"2: 12x16 -> 24x32, nearest": 1}
    assert no_hooks_left()


def no_hooks_left() -> bool:
    return not (hooks._global_forward_hooks or hooks._global_forward_pre_hooks)


def refuse(channels: int, scale: int) -> nn.Module:
    raise RuntimeError("no")


def swap(*args: Any, **kwargs: Any) -> SwapReport:
    return swap_upsamplers(*args, **kwargs)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"upsampler": "bicubic"}, ValueError, "upsampler has to be one of nearest,"),
        (
            {"upsampler": "fade"},
            ValueError,
            "take one map, or a factory, got 'fade'",
        ),
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
        ({"where": []}, TypeError, "where has to be a name or shell pattern, a predic"),
        ({"where": 3}, TypeError, "a list of these, got 3"),
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
    assert no_hooks_left()


@pytest.mark.parametrize("model", ["unet", nn.Upsample])
def test_models_that_are_none(model: Any) -> None:
    with pytest.raises(TypeError, match=r"model has to be a torch\.nn\.Module"):
        swap(model)
