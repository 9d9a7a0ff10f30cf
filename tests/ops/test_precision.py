"""Rounding errors, against float64 on the same rounded input and weights."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmarks.published import Published
from dysample_lib import DySample, build_upsampler, point_sample, sampling_grid

Scatter = Callable[..., DySample]

VARIANTS = ("grouping", "dynamic_scope", "dysample_s", "dysample_s_plus")
WIDTHS = (16, 64, 200, 256, 257, 1000, 2048)
HALVES = (torch.float16, torch.bfloat16)


def unit_normal(width: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """(1, 16, h, width) with the same number of pixels for every width."""
    return torch.randn(1, 16, 4096 // width, width).to(dtype)


def error(module: nn.Module, x: Tensor, y: Tensor) -> float:
    """The largest difference from the module in float64, run on the same values."""
    with torch.no_grad():
        exact = copy.deepcopy(module).double()(x.double())
    assert y.shape == exact.shape
    return (y.double() - exact).abs().max().item()


def units(module: nn.Module, x: Tensor, y: Tensor, dtype: torch.dtype) -> float:
    """The error in units of eps · max |x|."""
    return error(module, x, y) / (torch.finfo(dtype).eps * x.abs().max().item())


@pytest.mark.parametrize("upright", [False, True])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", VARIANTS)
def test_float32(scatter: Scatter, name: str, width: int, upright: bool) -> None:
    module = scatter(build_upsampler(name, 16), std=0.1)
    x = unit_normal(width).mT if upright else unit_normal(width)
    for deterministic in (False, True):
        module.deterministic = deterministic
        assert error(module, x, module(x)) <= 1e-4


def test_float32_gradients_on_wide_maps(scatter: Scatter) -> None:
    module = scatter(DySample(16), std=0.1)
    exact = copy.deepcopy(module).double()
    x = unit_normal(2000)
    weights = torch.randn(1, 16, 4, 4000)
    results = []
    for net, dtype in ((module, torch.float32), (exact, torch.float64)):
        y = x.to(dtype).requires_grad_()
        inputs = (y, *net.parameters())
        results.append(torch.autograd.grad((net(y) * weights).sum(), inputs))
    for mine, theirs in zip(*results, strict=True):
        difference = (mine.double() - theirs).abs().max()
        assert difference <= 1e-5 * theirs.abs().max()


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("name", VARIANTS)
def test_half_precision(scatter: Scatter, name: str, dtype: torch.dtype) -> None:
    module = scatter(build_upsampler(name, 16), std=0.1).to(dtype)
    errors = {}
    for width in WIDTHS:
        x = unit_normal(width, dtype)
        y = module(x)
        assert y.dtype == dtype
        errors[width] = units(module, x, y, dtype)
    assert max(errors.values()) <= 4
    assert errors[2048] <= 1.5 * errors[64]


class Captured(nn.Module):
    """A small network that keeps what goes into its upsampler, and what comes out."""

    def __init__(self, upsample: nn.Module) -> None:
        super().__init__()
        self.before = nn.Conv2d(16, 16, 1)
        nn.init.dirac_(self.before.weight)
        nn.init.zeros_(self.before.bias)
        self.upsample = upsample
        self.after = nn.Conv2d(16, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        self.x = self.before(x)
        self.y = self.upsample(self.x)
        return self.after(self.y)


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("name", VARIANTS)
def test_autocast(scatter: Scatter, name: str, dtype: torch.dtype) -> None:
    upsample = scatter(build_upsampler(name, 16), std=0.1).to(dtype).float()
    net = Captured(upsample)
    errors = {}
    for width in WIDTHS:
        with torch.autocast("cpu", dtype):
            net(unit_normal(width))
        assert net.x.dtype == net.y.dtype == dtype
        errors[width] = units(upsample, net.x, net.y, dtype)
    assert max(errors.values()) <= 4
    assert errors[2048] <= 1.5 * errors[64]


def test_the_published_formulation_fails_the_same_checks(scatter: Scatter) -> None:
    module = scatter(Published(16), std=0.1)
    for width in (1000, 2000, 2048):
        x = unit_normal(width)
        assert error(module, x, module(x)) > 1e-4
    for dtype in HALVES:
        half = copy.deepcopy(module).to(dtype)
        x = unit_normal(2048, dtype)
        assert units(half, x, half(x), dtype) > 100
    net = Captured(copy.deepcopy(module).bfloat16().float())
    with torch.autocast("cpu", torch.bfloat16):
        net(unit_normal(512))
    assert units(net.upsample, net.x, net.y, torch.bfloat16) > 100
    with pytest.raises(RuntimeError, match="view size is not compatible"):
        module(unit_normal(64).contiguous(memory_format=torch.channels_last))


@pytest.mark.parametrize("options", [{}, {"deterministic": True}])
@pytest.mark.parametrize("dtype", [torch.float32, *HALVES])
@pytest.mark.parametrize("name", VARIANTS)
def test_memory_formats_give_identical_numbers(
    scatter: Scatter, name: str, dtype: torch.dtype, options: dict[str, Any]
) -> None:
    module = scatter(build_upsampler(name, 16), std=0.1).to(dtype)
    module.deterministic = bool(options)
    last = copy.deepcopy(module).to(memory_format=torch.channels_last)  # its weights
    big = torch.randn(4, 36, 9, 60).to(dtype)
    views = {
        "channels last": big[:, :16].contiguous(memory_format=torch.channels_last),
        "sliced": big[::2, 1:33:2, 1:-1, ::3],
        "transposed": big[:, :16].mT,
    }
    for x in views.values():
        assert not x.is_contiguous()
        for net in (module, last):
            assert torch.equal(net(x), module(x.contiguous()))
        offsets = module.offsets(x)
        plain = point_sample(x.contiguous(), offsets.contiguous(), 2, module.groups)
        assert torch.equal(point_sample(x, offsets, 2, module.groups), plain)


def test_grid_coordinates_are_as_good_as_float32_gets() -> None:
    for width in (120, 200, 255, 256):
        offsets = torch.rand(1, 2, 1, width) - 0.5
        x = sampling_grid(offsets, 1)[0, 0, 0, :, 0]
        exact = offsets.double()[0, 0, 0] + torch.arange(width) + 0.5
        # What grid_sample reads: (x + 1) · width / 2, in float32.
        read = (x + 1) * (width / 2)
        assert (read.double() - exact).abs().max() <= 1.5 * width * 2**-24
