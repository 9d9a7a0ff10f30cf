"""1×1 convolutions as matrix products."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dysample_lib.ops.pointwise import PointwiseConv2d


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("size", [(2, 6, 5, 7), (1, 6, 1, 1), (0, 6, 3, 2)])
def test_it_is_a_convolution(size: tuple[int, ...], bias: bool) -> None:
    module = PointwiseConv2d(6, 4, bias).double()
    plain = nn.Conv2d(6, 4, 1, bias=bias).double()
    plain.load_state_dict(module.state_dict())
    parameters = dict(module.named_parameters())
    big = torch.randn(2 * size[0], 12, *size[2:], dtype=torch.float64)
    views = (
        big[: size[0], :6].contiguous(),
        big[: size[0], :6].contiguous(memory_format=torch.channels_last),
        big[::2, ::2],
    )
    for x in views:
        x = x.detach().requires_grad_()
        y, expected = module(x), plain(x)
        torch.testing.assert_close(y, expected, rtol=0, atol=1e-12)
        weights = torch.randn_like(expected)
        mine = torch.autograd.grad((y * weights).sum(), (x, *parameters.values()))
        theirs = torch.autograd.grad(
            (expected * weights).sum(), (x, *plain.parameters())
        )
        for a, b in zip(mine, theirs, strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


def test_the_layout_stays_and_nothing_is_converted() -> None:
    for memory_format in (torch.contiguous_format, torch.channels_last):
        module = PointwiseConv2d(6, 4).to(memory_format=torch.channels_last)
        x = torch.randn(2, 6, 5, 7).contiguous(memory_format=memory_format)
        y = module(x)
        assert y.is_contiguous(memory_format=memory_format)
        with torch.profiler.profile() as profile:
            module(x)
        names = {event.key for event in profile.key_averages()}
        assert not names & {"aten::clone", "aten::contiguous", "aten::convolution"}
        assert names & {"aten::baddbmm", "aten::addmm", "aten::linear"}


def test_hooks_see_it() -> None:
    module = PointwiseConv2d(6, 4)
    seen: list[torch.Tensor] = []
    module.register_forward_hook(lambda _, inputs, y: seen.append(y))
    assert torch.equal(module(torch.randn(1, 6, 2, 3)), seen[0])
