"""Memory is measured: against cases small enough to count by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from dysample_lib import build_upsampler
from dysample_lib.cost.memory import Saved, high_water, saved_for_backward

X = (1, 2, 64, 64)
MAP = 4 * 2 * 64 * 64
"""Bytes of a map of that shape."""


class Chain(nn.Module):
    """exp, sin, negated: of these only the result of exp is needed for gradients."""

    def forward(self, x: Tensor) -> Tensor:
        return x.exp().sin().neg()


class Views(nn.Module):
    """Three tensors are saved, all of one storage."""

    def forward(self, x: Tensor) -> Tensor:
        y = x.exp()
        return y.flatten() * y.view(-1)


class Scaled(nn.Module):
    """Both factors are saved, and neither was made here."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(X))
        self.register_buffer("shift", torch.randn(X))

    def forward(self, x: Tensor, guide: Tensor) -> Tensor:
        return x * self.weight + guide * self.shift


def leaf() -> Tensor:
    return torch.randn(X, requires_grad=True)


def test_what_is_saved_is_counted_once_and_told_apart():
    assert saved_for_backward(Chain(), {"x": leaf()}) == Saved(MAP, 0, 0)
    assert saved_for_backward(Views(), {"x": leaf()}) == Saved(MAP, 0, 0)
    # weight · x needs both; the guide is asked for its gradient, not for its values.
    guided = saved_for_backward(Scaled(), {"x": leaf(), "guide": leaf()})
    assert guided == Saved(0, MAP, 2 * MAP)


def test_what_the_upsamplers_save():
    x = torch.randn(2, 16, 5, 7, requires_grad=True)
    assert saved_for_backward(build_upsampler("bilinear", 16), {"x": x}) == Saved(
        0, 0, 0
    )
    # DySample: the grid, two coordinates for each of g·s²·H·W points, in float32, and
    # maybe a few constants.
    grid = 4 * 2 * (2 * 4 * 2**2 * 5 * 7)
    saved = saved_for_backward(build_upsampler("grouping", 16), {"x": x})
    assert (saved.inputs, saved.parameters) == (4 * x.numel(), 4 * 16 * 32)
    assert grid <= saved.activations <= grid + 32


def test_nothing_is_saved_without_gradients():
    with torch.no_grad():
        assert saved_for_backward(Chain(), {"x": leaf()}) == Saved(0, 0, 0)


def test_the_high_water_mark_without_gradients():
    x = leaf().detach()
    assert high_water(lambda: x) == 0
    assert high_water(lambda: x.exp_()) == 0
    assert high_water(lambda: x.exp()) == MAP
    assert high_water(lambda: [x.exp(), x.sin()]) == 2 * MAP
    # exp is freed when sin is there, sin when its negative is: never more than two.
    assert high_water(lambda: Chain()(x)) == 2 * MAP
    # The second chain holds its input until it is through.
    assert high_water(lambda: Chain()(Chain()(x))) == 3 * MAP


def test_the_high_water_mark_of_a_backward_pass():
    x, gradient, chain = leaf(), torch.randn(X), Chain()

    def training() -> tuple[Tensor, ...]:
        y = chain(x)
        return torch.autograd.grad(y, x, gradient)

    # The result of exp and the output stay. The derivative of sin is a product: of the
    # negated gradient and a cosine, into a third. Five, and later fewer.
    assert high_water(training) == 5 * MAP


def test_the_high_water_mark_counts_what_kernels_allocate_inside():
    x = torch.rand(1, 1, 1, 1000)
    result = x.median().numel() * 4
    assert high_water(lambda: x.median()) >= 4 * x.numel() + result  # it sorts a copy


def test_other_devices_are_refused():
    with pytest.raises(ValueError, match="device has to be cpu or cuda, got meta"):
        high_water(lambda: None, "meta")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_high_water_mark_on_cuda():
    x = leaf().detach().cuda()
    assert high_water(lambda: Chain()(x), "cuda") == 2 * MAP
