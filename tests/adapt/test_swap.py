"""Swapping a model's own upsampling modules: what is put in, what stays as it was."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dysample_lib import DySample
from dysample_lib.adapt.swap import swap_upsamplers
from dysample_lib.adapt.swap_plan import mean_projection

X = torch.randn(2, 3, 16, 24)


def unit(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()
    )


class UNet(nn.Module):
    """Two levels down; up by a transposed convolution, then by interpolation."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList([unit(3, 8), unit(8, 16), unit(16, 32)])
        self.up = nn.ModuleList(
            [nn.ConvTranspose2d(32, 16, 2, 2), nn.Upsample(scale_factor=2)]
        )
        self.merge = nn.ModuleList([unit(32, 16), unit(24, 8)])
        self.head = nn.Conv2d(8, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        fine = self.down[0](x)
        middle = self.down[1](F.max_pool2d(fine, 2))
        x = self.up[0](self.down[2](F.max_pool2d(middle, 2)))
        x = self.up[1](self.merge[0](torch.cat([middle, x], 1)))
        return self.head(self.merge[1](torch.cat([fine, x], 1)))


class Two(nn.Module):
    """One upsampler, called on two maps in turn."""

    def __init__(self, first: int, second: int, **options: Any) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(first, second, 1)
        self.up = nn.Upsample(scale_factor=2, **options)

    def forward(self, x: Tensor) -> Tensor:
        return self.up(self.reduce(self.up(x)))


def after(model: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        return model(x)


def test_a_unet_keeps_everything_else() -> None:
    model = UNet()
    model.down[0].eval()
    model.down[1].requires_grad_(False)
    kept = {n: p for n, p in model.named_parameters() if not n.startswith("up.")}
    buffers = {n: (b, b.clone()) for n, b in model.named_buffers()}
    values = {n: p.detach().clone() for n, p in kept.items()}
    modes = {n: m.training for n, m in model.named_modules()}

    report = swap_upsamplers(model, example=X)

    now = dict(model.named_parameters())
    for name, parameter in kept.items():
        assert now[name] is parameter and torch.equal(parameter, values[name])
    for name, buffer in model.named_buffers():
        assert buffer is buffers[name][0] and torch.equal(buffer, buffers[name][1])
    assert {n: m.training for n, m in model.named_modules() if n in modes} == modes
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert sorted(now.keys() - kept.keys()) == [
        "up.0.project.bias",
        "up.0.project.weight",
        "up.0.upsample.offset.bias",
        "up.0.upsample.offset.weight",
        "up.1.offset.bias",
        "up.1.offset.weight",
    ]
    model(X).square().sum().backward()
    for name in now.keys() - kept.keys():
        assert now[name].requires_grad and now[name].grad.abs().sum() > 0, name
    assert [entry.names for entry in report.replaced] == [("up.0",), ("up.1",)]
    assert [(e.channels, e.scale, e.calls) for e in report.replaced] == [
        (16, 2, 1),
        (16, 2, 1),
    ]
    assert report.left == () and report.resizes == ()
    upsampler = 16 * 32 + 32
    assert report.added_parameters == 2 * upsampler + 32 * 16 - 4 * 32 * 16
    assert swap_upsamplers(model, example=X).replaced == ()


def test_the_report_reads() -> None:
    model = UNet()
    report = swap_upsamplers(model, "static_scope", where="up.0")
    assert str(report).splitlines() == [
        "Replaced 1 of 2 upsampling modules by static_scope, -1,400 parameters.",
        "  up.0: ConvTranspose2d(32, 16, kernel_size=(2, 2), stride=(2, 2)) → "
        "Conv2d(32, 16, kernel_size=(1, 1), stride=(1, 1)), then "
        "DySample(16, scale=2, groups=1, style='lp', scope=0.25, initial='bilinear'), "
        "-1,400 parameters",
        "Left:",
        "  up.1: Upsample(scale_factor=2.0, mode='nearest'): it is not selected by "
        "where",
        "Calls of F.interpolate in a forward are no modules, they stay as they are; "
        "with an example input this report lists them.",
    ]


def test_zero_offsets_do_what_the_old_module_did() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 8, 1),
        nn.Upsample(scale_factor=(2.0, 2.0), mode="nearest"),
        nn.UpsamplingNearest2d(scale_factor=3),
    ).double()
    x = X.double()
    expected = after(model, x)
    report = swap_upsamplers(model, partial(DySample, initial="nearest"), example=x)
    assert [entry.scale for entry in report.replaced] == [2, 3]
    for i in (1, 2):
        assert isinstance(model[i], DySample)
        assert model[i].offset.weight.dtype == torch.float64
        nn.init.zeros_(model[i].offset.weight)
    torch.testing.assert_close(after(model, x), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("bias", [True, False])
def test_a_projection_keeps_the_mean(groups: int, bias: bool) -> None:
    old = nn.ConvTranspose2d(4, 8, 4, 2, 1, groups=groups, bias=bias).double()
    new = mean_projection(old)
    assert (new.bias is not None) == bias and new.groups == groups
    x = torch.randn(2, 4, 1, 1, dtype=torch.float64).expand(2, 4, 5, 5)
    inside = old(x)[:, :, 2:-2, 2:-2].mean((2, 3))
    torch.testing.assert_close(new(x)[:, :, 2, 2], inside, rtol=0, atol=1e-12)


def test_a_projection_stays_as_frozen_as_the_convolution() -> None:
    model = nn.Sequential(nn.ConvTranspose2d(4, 8, 2, 2))
    model[0].weight.requires_grad_(False)
    swap_upsamplers(model)
    assert {n for n, p in model.named_parameters() if not p.requires_grad} == {
        "0.project.weight"
    }


@pytest.mark.parametrize(
    ("where", "names"),
    [
        ("up.1", ["up.1"]),
        ("up.*", ["up.0", "up.1"]),
        (["up.0", "*.1"], ["up.0", "up.1"]),
        (re.compile(r"up\.[01]"), ["up.0", "up.1"]),
        (re.compile(r".*0"), ["up.0"]),
        (lambda name, module: isinstance(module, nn.Upsample), ["up.1"]),
        (lambda name, module: name.endswith("0"), ["up.0"]),
    ],
)
def test_where(where: Any, names: list[str]) -> None:
    report = swap_upsamplers(UNet(), where=where, example=X)
    assert [name for entry in report.replaced for name in entry.names] == names
    assert len(report.replaced) + len(report.left) == 2


def test_a_shared_module_stays_shared() -> None:
    up = nn.Upsample(scale_factor=2)
    model = nn.Sequential(nn.Conv2d(3, 4, 1), up, nn.Conv2d(4, 4, 1), up)
    report = swap_upsamplers(model, where="3", example=X)
    assert isinstance(model[1], DySample) and model[1] is model[3]
    (entry,) = report.replaced
    assert entry.names == ("1", "3") and entry.calls == 2
    assert "one module under 2 names" in str(report)
    assert after(model, X).shape == (2, 4, 64, 96)


def test_a_module_called_twice() -> None:
    same = Two(4, 4)
    report = swap_upsamplers(same, example=torch.randn(1, 4, 3, 3))
    assert isinstance(same.up, DySample) and report.replaced[0].calls == 2
    assert "called 2 times, with one set of weights" in str(report)
    other = Two(8, 4)
    report = swap_upsamplers(other, example=torch.randn(1, 8, 3, 3))
    assert isinstance(other.up, nn.Upsample)
    assert "called with 4 and 8 channels" in report.left[0].reason
