"""``output_size``: skip features that are not exactly s times the coarse map."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dysample_lib import LADDER, build_upsampler

Scatter = Callable[..., nn.Module]


class TopDown(nn.Module):
    """Three levels down, by padded convolutions or by pooling, and up again."""

    def __init__(self, upsampler: str, pooled: bool) -> None:
        super().__init__()
        self.pooled = pooled
        self.stem = nn.Conv2d(3, 8, 1)
        self.down = nn.ModuleList(nn.Conv2d(8, 8, 3, 2, 1) for _ in range(3))
        self.up = nn.ModuleList(build_upsampler(upsampler, 8) for _ in range(3))

    def forward(self, images: Tensor) -> Tensor:
        skips = [self.stem(images)]
        for down in self.down:
            x = skips[-1]
            skips.append(F.max_pool2d(x, 2) if self.pooled else down(x).relu())
        x = skips.pop()
        for up in self.up:
            skip = skips.pop()
            x = skip + up(x, output_size=skip.shape[2:])
        return x


@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize("name", LADDER)
def test_a_network_on_odd_images(name: str, pooled: bool, scatter: Scatter) -> None:
    net = scatter(TopDown(name, pooled), std=0.2)
    for size in ((33, 45), (32, 40), (27, 8), (8, 63), (47, 47)):
        images = torch.randn(2, 3, *size, requires_grad=True)
        y = net(images)
        assert y.shape == (2, 8, *size)
        y.square().sum().backward()
        for parameter in net.up.parameters():
            assert parameter.grad is not None
            assert parameter.grad.isfinite().all()
            assert parameter.grad.any()
            parameter.grad = None
    if pooled:
        return
    # Without output_size such a network does not run at all.
    for up in net.up:
        up.register_forward_pre_hook(
            lambda _, inputs, kwargs: (inputs, {}), with_kwargs=True
        )
    with pytest.raises(RuntimeError, match="must match"):
        net(torch.randn(1, 3, 33, 45))


@pytest.mark.parametrize("scale", [1, 2, 3])
@pytest.mark.parametrize("name", LADDER)
def test_the_points_stay_where_they_are(
    name: str, scale: int, scatter: Scatter
) -> None:
    module = scatter(build_upsampler(name, 72, scale), std=0.1)
    x = torch.randn(2, 72, 3, 4, requires_grad=True)
    full = module(x)
    height, width = full.shape[2:]
    assert torch.equal(module(x, output_size=None), full)
    assert torch.equal(module(x, output_size=(height, width)), full)
    for down in range(1 - scale, scale):
        for right in range(1 - scale, scale):
            y = module(x, output_size=(height + down, width + right))
            rows = torch.arange(height + down).clamp(max=height - 1)
            columns = torch.arange(width + right).clamp(max=width - 1)
            expected = full[:, :, rows][..., columns]
            assert torch.equal(y, expected)
            (mine,) = torch.autograd.grad(y.square().sum(), x, retain_graph=True)
            (theirs,) = torch.autograd.grad(
                expected.square().sum(), x, retain_graph=True
            )
            torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize("name", LADDER)
@pytest.mark.parametrize(
    ("size", "error", "message"),
    [
        ((4, 6), ValueError, "got (4, 6)"),
        ((8, 7), ValueError, "got (8, 7)"),
        ((6, 10), ValueError, "got (6, 10)"),
        ((6, 0), ValueError, "got (6, 0)"),
        (6, TypeError, "got 6"),
        ((6,), TypeError, "got (6,)"),
        ((6.0, 8), TypeError, "got (6.0, 8)"),
        ((True, 8), TypeError, "got (True, 8)"),
        ("68", TypeError, "got '68'"),
    ],
)
def test_what_does_not_fit(
    name: str, size: Any, error: type[Exception], message: str
) -> None:
    start = "output_size has to be "
    start += (
        "(5 to 7, 7 to 9) for an input of 3 × 4 and scale=2, "
        if error is ValueError
        else "a pair of integers (H, W), "
    )
    module = build_upsampler(name, 8)
    with pytest.raises(error, match=f"^{re.escape(start + message)}$"):
        module(torch.randn(1, 8, 3, 4), output_size=size)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bilinear", "grouping", "dysample_s_plus"])
def test_odd_sizes_in_compiled_networks(name: str, scatter: Scatter) -> None:
    torch._dynamo.reset()
    net = scatter(TopDown(name, False), std=0.2).eval()
    compiled = torch.compile(net, fullgraph=True, dynamic=True, backend="eager")
    for size in ((33, 45), (40, 24), (27, 63)):
        images = torch.randn(2, 3, *size)
        torch.testing.assert_close(compiled(images), net(images))
    torch._dynamo.reset()


@pytest.mark.slow
@pytest.mark.parametrize("pooled", [False, True])
def test_odd_sizes_in_exported_networks(pooled: bool, scatter: Scatter) -> None:
    """One graph serves all sizes, whatever had to be cut or repeated for the first."""
    net = scatter(TopDown("bilinear", pooled), std=0.2).eval()
    dynamic = torch.export.Dim.DYNAMIC
    program = torch.export.export(
        net,
        (torch.randn(2, 3, 33, 45),),
        dynamic_shapes=({0: dynamic, 2: dynamic, 3: dynamic},),
    )
    for size in ((1, 3, 33, 45), (2, 3, 40, 24), (3, 3, 27, 63), (1, 3, 47, 32)):
        images = torch.randn(size)
        y = program.module()(images)
        torch.testing.assert_close(y, net(images), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["grouping", "dysample_s_plus"])
def test_a_traced_network_runs_at_other_odd_sizes(name: str, scatter: Scatter) -> None:
    net = scatter(TopDown(name, False), std=0.2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated, and the checks run only once
        traced = torch.jit.trace(net, torch.randn(1, 3, 33, 45))
    for size in ((33, 45), (40, 24), (47, 47)):
        images = torch.randn(2, 3, *size)
        torch.testing.assert_close(traced(images), net(images), rtol=0, atol=1e-5)
