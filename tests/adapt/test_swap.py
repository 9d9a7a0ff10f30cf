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

    def __init__(self, first: int, second: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(first, second, 1)
        self.up = nn.Upsample(scale_factor=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.up(self.reduce(self.up(x)))


class Sized(nn.Module):
    """Says which size it wants, as many U-Nets do."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(3, 4, 2, 2)

    def forward(self, x: Tensor) -> Tensor:
        batch, _, height, width = x.shape
        return self.up(x, output_size=(batch, 4, 2 * height + 1, 2 * width + 1))


class Layers(nn.Sequential):
    """Runs as YOLO's networks do, by what the builder wrote on each layer."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__(*layers)
        for i, layer in enumerate(layers):
            layer.i, layer.f = i, -1

    def forward(self, x: Tensor) -> Tensor:
        outputs = [x]
        for layer in self:
            outputs.append(layer(outputs[layer.f]))
        return outputs[-1]


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

    report = swap_upsamplers(model, partial(DySample, groups=2), example=X)

    now = dict(model.named_parameters())
    for name, parameter in kept.items():
        assert now[name] is parameter and torch.equal(parameter, values[name])
    for name, buffer in model.named_buffers():
        assert buffer is buffers[name][0] and torch.equal(buffer, buffers[name][1])
    assert {n: m.training for n, m in model.named_modules() if n in modes} == modes
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
    assert list(report.replaced) == ["up.0", "up.1"]
    assert report.left == {} and report.resizes == {}
    upsampler = 16 * 16 + 16
    assert report.added_parameters == 2 * upsampler + 32 * 16 - 4 * 32 * 16
    assert swap_upsamplers(model, example=X).replaced == {}


@pytest.mark.parametrize("init", [nn.init.kaiming_normal_, nn.init.trunc_normal_])
def test_after_a_model_wide_initialisation_offsets_start_small(init: Any) -> None:
    """The usual loop over all convolutions is for those that were there."""
    model = UNet()
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            init(module.weight)
            nn.init.ones_(module.bias)
    swap_upsamplers(model, "dynamic_scope", example=X)
    for upsample in (model.up[0].upsample, model.up[1]):
        assert 0.0005 < upsample.offset.weight.std() < 0.0015
        assert not upsample.offset.bias.any()
        assert not upsample.scope.weight.any()


def test_the_report_reads() -> None:
    report = swap_upsamplers(UNet(), "static_scope", where="up.0")
    assert str(report).splitlines() == [
        "Replaced 1 of 2 upsampling modules by static_scope, -1,400 parameters.",
        "  up.0: ConvTranspose2d(32, 16, kernel_size=(2, 2), stride=(2, 2)) -> "
        "Conv2d(32, 16, kernel_size=(1, 1), stride=(1, 1)), then "
        "DySample(16, scale=2, groups=1, style='lp', scope=0.25, initial='bilinear'), "
        "-1,400 parameters",
        "Left:",
        "  up.1: Upsample(scale_factor=2.0, mode='nearest'): it is not selected by "
        "where",
        "Calls of F.interpolate stay; with an example they are listed.",
    ]


def test_zero_offsets_do_what_the_old_module_did() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 8, 1),
        nn.Upsample(scale_factor=(2.0, 2.0), mode="nearest"),
        nn.UpsamplingNearest2d(scale_factor=3),
    ).double()
    x = X.double()
    expected = after(model, x)
    swap_upsamplers(model, partial(DySample, initial="nearest"), example=x)
    for i, scale in ((1, 2), (2, 3)):
        assert isinstance(model[i], DySample) and model[i].scale == scale
        assert model[i].offset.weight.dtype == torch.float64
        nn.init.zeros_(model[i].offset.weight)
    torch.testing.assert_close(after(model, x), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("bias", [True, False])
def test_a_projection_keeps_the_mean(groups: int, bias: bool) -> None:
    old = nn.ConvTranspose2d(4, 8, 4, 2, 1, groups=groups, bias=bias).bfloat16()
    old.weight.requires_grad_(False)
    x = torch.randn(2, 4, 1, 1).expand(2, 4, 5, 5)
    inside = old.float()(x)[:, :, 2:-2, 2:-2].mean((2, 3))
    model = nn.Sequential(old.bfloat16())
    swap_upsamplers(model)
    new = model[0].project
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}
    assert (new.bias is not None) == bias and new.groups == groups
    assert not new.weight.requires_grad
    assert all(p.requires_grad for p in model[0].upsample.parameters())
    mean = new.float()(x)[:, :, 2, 2]
    torch.testing.assert_close(mean, inside, rtol=0, atol=0.02)


def test_a_transposed_convolution_may_be_told_its_size() -> None:
    model = Sized()
    assert list(swap_upsamplers(model).replaced) == ["up"]
    assert after(model, X).shape == (2, 4, 33, 49)


@pytest.mark.parametrize(
    "module",
    [
        nn.ConvTranspose2d(3, 4, 4, 2, 1),
        nn.ConvTranspose2d(3, 4, 3, 2, 1, output_padding=1),
        nn.ConvTranspose2d(3, 12, 3, 3, groups=3),
        nn.utils.parametrizations.weight_norm(nn.ConvTranspose2d(3, 4, 2, 2)),
    ],
)
def test_transposed_convolutions_that_fit(module: nn.Module) -> None:
    model = nn.Sequential(module)
    shape = model(X).shape
    assert len(swap_upsamplers(model).replaced) == 1
    assert model(X).shape == shape


def test_what_a_framework_wrote_on_a_layer_stays_on_it() -> None:
    model = Layers(nn.Conv2d(3, 4, 1), nn.Upsample(None, 2, "nearest"), nn.ReLU())
    swap_upsamplers(model, example=X)
    assert isinstance(model[1], DySample) and after(model, X).shape == (2, 4, 32, 48)
    with pytest.raises(AttributeError):  # it cannot run without
        del model[1].f
        model(X)


def test_on_the_meta_device() -> None:
    with torch.device("meta"):
        model = UNet()
    report = swap_upsamplers(model, example=torch.empty(1, 3, 16, 16, device="meta"))
    assert len(report.replaced) == 2
    assert {p.device.type for p in model.parameters()} == {"meta"}


@pytest.mark.parametrize(
    ("where", "names"),
    [
        ("up.1", ["up.1"]),
        ("up.*", ["up.0", "up.1"]),
        (["up.0", "*.1"], ["up.0", "up.1"]),
        (lambda name, module: isinstance(module, nn.Upsample), ["up.1"]),
        (lambda name, module: re.fullmatch(r"up\.[03]", name), ["up.0"]),
    ],
)
def test_where(where: Any, names: list[str]) -> None:
    report = swap_upsamplers(UNet(), where=where, example=X)
    assert list(report.replaced) == names
    assert len(report.replaced) + len(report.left) == 2


def test_a_shared_module_stays_shared() -> None:
    up = nn.Upsample(scale_factor=2)
    model = nn.Sequential(nn.Conv2d(3, 4, 1), up, nn.Conv2d(4, 4, 1), up)
    report = swap_upsamplers(model, where="3", example=X)
    assert isinstance(model[1], DySample) and model[1] is model[3]
    assert report.added_parameters == 4 * 32 + 32
    assert report.replaced["3"].endswith("-> the same new module as before")
    assert after(model, X).shape == (2, 4, 64, 96)


def test_a_module_called_twice() -> None:
    same = Two(3, 3)
    swap_upsamplers(same, partial(DySample, groups=1), example=X)
    assert isinstance(same.up, DySample)
    other = Two(3, 4)
    report = swap_upsamplers(other, example=X)
    assert isinstance(other.up, nn.Upsample)
    assert "called with 3 and 4 channels" in report.left["up"]
