"""Every step of the ladder: what it is, where it starts, what it keeps."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from dysample_lib import LADDER, DySample, build_upsampler
from dysample_lib.upsamplers import UPSAMPLERS

Scatter = Callable[..., nn.Module]

# name: (style, groups, scope, initial), from the paper's sections 3.1 to 3.3.
LEARNED = {
    "naive": ("lp", 1, 1.0, "nearest"),
    "initial_offsets": ("lp", 1, 1.0, "bilinear"),
    "static_scope": ("lp", 1, 0.25, "bilinear"),
    "grouping": ("lp", 4, 0.25, "bilinear"),
    "dynamic_scope": ("lp", 4, None, "bilinear"),
    "dysample_s": ("pl", 8, 0.25, "bilinear"),
    "dysample_s_plus": ("pl", 8, None, "bilinear"),
}


def channels_for(scale: int) -> int:
    """The fewest channels that suit every rung."""
    return math.lcm(8, scale**2)


def interpolate(name: str, x: Tensor, scale: int) -> Tensor:
    """What the rung is while its offsets are zero."""
    if name in ("nearest", "naive"):
        return F.interpolate(x, scale_factor=scale, mode="nearest")
    return F.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=False)


def without_offsets(name: str, scale: int, scatter: Scatter) -> nn.Module:
    """The rung with zero offsets, whatever its scope says."""
    module = scatter(build_upsampler(name, channels_for(scale), scale))
    if isinstance(module, DySample):
        assert module.offset.bias is not None
        nn.init.zeros_(module.offset.weight)
        nn.init.zeros_(module.offset.bias)
    return module


def test_the_order_of_the_steps() -> None:
    assert ["nearest", "bilinear", *LEARNED] == list(LADDER)
    assert set(LADDER) <= set(UPSAMPLERS)
    assert len({UPSAMPLERS[name].label for name in LADDER}) == len(LADDER)
    assert not any(UPSAMPLERS[name].guided for name in LADDER)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("name", LADDER)
def test_each_rung_is_the_paper_s(name: str, scale: int) -> None:
    channels = channels_for(scale)
    module = build_upsampler(name, channels, scale)
    parameters = sum(p.numel() for p in module.parameters())
    if name not in LEARNED:
        assert parameters == 0
    else:
        style, groups, scope, initial = LEARNED[name]
        assert isinstance(module, DySample)
        assert (module.style, module.groups) == (style, groups)
        assert (module.static_scope, module.initial) == (scope, initial)
        outputs = 2 * groups * (scale**2 if style == "lp" else 1)
        inputs = channels // (1 if style == "lp" else scale**2)
        layers = 2 if scope is None else 1
        assert parameters == layers * inputs * outputs + outputs
    x = torch.randn(2, channels, 3, 5) / 10
    y = module(x)
    assert y.shape == (2, channels, scale * 3, scale * 5)
    # Fresh modules are interpolation, up to offsets of a thousandth.
    assert (y - interpolate(name, x, scale)).abs().max() < 0.01


def test_the_scale_is_two_unless_told() -> None:
    for name in LADDER:
        assert build_upsampler(name, 8)(torch.zeros(1, 8, 2, 3)).shape[2:] == (4, 6)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("name", LADDER)
def test_zero_offsets_are_interpolation(
    name: str, scale: int, scatter: Scatter
) -> None:
    module = without_offsets(name, scale, scatter)
    sizes = [(1, 1), (1, 6), (5, 1), (5, 7), (8, 8), (33, 17)]
    for dtype, atol in ((torch.float64, 1e-12), (torch.float32, 5e-5)):
        module.to(dtype)
        for batch, size in [(2, size) for size in sizes] + [(0, (3, 5)), (1, (4, 3))]:
            x = torch.randn(batch, channels_for(scale), *size, dtype=dtype)
            expected = interpolate(name, x, scale)
            torch.testing.assert_close(module(x), expected, rtol=0, atol=atol)


@pytest.mark.parametrize("name", LADDER)
def test_zero_offsets_have_the_gradient_of_interpolation(
    name: str, scatter: Scatter
) -> None:
    module = without_offsets(name, 2, scatter).double()
    x = torch.randn(2, 8, 5, 7, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(2, 8, 10, 14, dtype=torch.float64)
    (mine,) = torch.autograd.grad((weights * module(x)).sum(), x)
    (theirs,) = torch.autograd.grad((weights * interpolate(name, x, 2)).sum(), x)
    torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", LADDER)
def test_an_empty_batch_goes_forward_and_back(name: str) -> None:
    module = build_upsampler(name, 8)
    x = torch.zeros(0, 8, 3, 5, requires_grad=True)
    module(x).sum().backward()
    assert x.grad is not None
    assert x.grad.shape == x.shape
    for parameter in module.parameters():
        assert parameter.grad is None or not parameter.grad.any()


@pytest.mark.parametrize("scale", [2, 3])
@pytest.mark.parametrize("name", LADDER)
def test_gradients(name: str, scale: int, scatter: Scatter) -> None:
    # Scattered offsets: a point on a pixel's centre or on the border line has only
    # one-sided derivatives, and numerical ones do not exist there.
    module = scatter(build_upsampler(name, channels_for(scale), scale)).double()
    names = [key for key, _ in module.named_parameters()]

    def call(x: Tensor, *parameters: Tensor) -> Tensor:
        return functional_call(module, dict(zip(names, parameters, strict=True)), x)

    x = torch.randn(1, channels_for(scale), 2, 3, dtype=torch.float64)
    inputs = (x.requires_grad_(), *module.parameters())
    # Random projections of the Jacobian, and at scale 2 all its entries for x.
    assert torch.autograd.gradcheck(call, inputs, fast_mode=True)
    if scale == 2:
        assert torch.autograd.gradcheck(module, x)


@pytest.mark.parametrize("name", LADDER)
def test_memory_formats_give_the_same_numbers(name: str, scatter: Scatter) -> None:
    module = scatter(build_upsampler(name, 8)).double()
    big = torch.randn(4, 20, 9, 16, dtype=torch.float64)
    layouts = {
        "channels last": big[:, :8].contiguous(memory_format=torch.channels_last),
        "sliced": big[::2, 1:17:2, 1:-1, ::3],
        "transposed": big[:, :8].mT,
        "batch in the middle": big[:, :8].transpose(0, 1).contiguous().transpose(0, 1),
        "expanded": big[:1, :1].expand(3, 8, 9, 16),
    }
    for view in layouts.values():
        assert not view.is_contiguous()
        results = []
        for x in (view.contiguous(), view):
            x = x.detach().requires_grad_()
            y = module(x)
            (grad,) = torch.autograd.grad(y.square().sum(), x)
            results.append((y, grad))
        for plain, other in zip(*results, strict=True):
            torch.testing.assert_close(other, plain, rtol=1e-12, atol=1e-12)
    channels_last = copy.deepcopy(module).to(memory_format=torch.channels_last)
    x = layouts["channels last"]
    torch.testing.assert_close(channels_last(x), module(x), rtol=1e-12, atol=1e-12)


def half_precision_error(module: nn.Module, x: Tensor, y: Tensor) -> float:
    """The largest error against float64, in units of eps · max |x|."""
    assert y.shape[2:] == (2 * x.shape[2], 2 * x.shape[3])
    exact = copy.deepcopy(module).double()(x.double())
    unit = torch.finfo(x.dtype).eps * x.abs().max().item()
    return (y.double() - exact).abs().max().item() / unit


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", LADDER)
def test_half_precision(name: str, dtype: torch.dtype, scatter: Scatter) -> None:
    module = scatter(build_upsampler(name, 16), std=0.1).to(dtype)
    for width in (16, 128, 160, 512):
        x = torch.randn(2, 16, 3, width).to(dtype)
        y = module(x)
        assert y.dtype == dtype
        assert half_precision_error(module, x, y) <= 4


@pytest.mark.parametrize("name", LADDER)
def test_autocast(name: str, scatter: Scatter) -> None:
    # Weights that bfloat16 holds exactly: what is left is the operator's own error.
    module = scatter(build_upsampler(name, 16), std=0.1).bfloat16().float()
    for width in (16, 160, 512):
        x = torch.randn(2, 16, 3, width).bfloat16()
        with torch.autocast("cpu", torch.bfloat16):
            inside, outside = module(x), module(x.float())
        assert inside.dtype == torch.bfloat16
        assert outside.dtype == torch.float32
        assert half_precision_error(module, x, inside) <= 4
        assert half_precision_error(module, x, outside) <= 4
