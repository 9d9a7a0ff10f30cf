"""Reassembly and inner products in tiles: exact, differentiable, small in memory."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dysample_lib.cost.memory import high_water, saved_for_backward
from dysample_lib.ops.reassembly import affinity, normalised, reassemble


def unfolded(features: Tensor, kernels: Tensor, scale: int, groups: int = 1) -> Tensor:
    """The same with all neighbourhoods unfolded."""
    batch, channels, height, width = features.shape
    size = math.isqrt(kernels.shape[1] // groups)
    shape = (batch, groups, channels // groups, size**2, height, width)
    x = F.unfold(features, size, padding=size // 2).view(shape)
    w = kernels.view(batch, groups, size**2, height, scale, width, scale)
    y = torch.einsum("bgcnhw,bgnhiwj->bgchiwj", x, w)
    return y.reshape(batch, channels, scale * height, scale * width)


def maps(
    size: tuple[int, int, int], scale: int, kernel: int, groups: int = 1
) -> tuple[Tensor, Tensor]:
    batch, height, width = size
    features = torch.randn(batch, 2 * groups, height, width, dtype=torch.float64)
    channels = groups * kernel**2
    kernels = torch.randn(batch, channels, scale * height, scale * width).double()
    return features.requires_grad_(), kernels.requires_grad_()


@given(
    st.tuples(st.integers(1, 2), st.integers(1, 11), st.integers(1, 11)),
    st.integers(1, 4),
    st.sampled_from((1, 3, 5)),
    st.integers(1, 3),
)
def test_tiles_change_nothing(
    size: tuple[int, int, int], scale: int, kernel: int, groups: int
) -> None:
    features, kernels = maps(size, scale, kernel, groups)
    results = []
    for f in (reassemble, unfolded):
        y = f(features, kernels, scale, groups)
        weights = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)
        grads = torch.autograd.grad((y * weights).sum(), (features, kernels))
        results.append((y, *grads))
    for mine, theirs in zip(*results, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-12)


@given(
    st.tuples(st.integers(1, 2), st.integers(1, 11), st.integers(1, 11)),
    st.integers(1, 4),
    st.sampled_from((1, 3, 5)),
)
def test_inner_products_are_the_gradient_of_reassembly(
    size: tuple[int, int, int], scale: int, kernel: int
) -> None:
    keys, kernels = maps(size, scale, kernel)
    query = torch.randn(size[0], 2, scale * size[1], scale * size[2]).double()
    y = unfolded(keys, kernels, scale)
    (expected,) = torch.autograd.grad((y * query).sum(), kernels)
    mine = affinity(query, keys, scale, kernel)
    torch.testing.assert_close(mine, expected, rtol=0, atol=1e-12)


def test_gradients() -> None:
    features, kernels = maps((1, 5, 3), 2, 3, groups=2)
    assert torch.autograd.gradcheck(
        lambda x, w: reassemble(x, w, 2, 2), (features, kernels)
    )
    assert torch.autograd.gradgradcheck(
        lambda x, w: reassemble(x, w, 2, 2), (features, kernels), fast_mode=True
    )
    query = torch.randn(1, 4, 10, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda q, k: affinity(q, k, 2, 3), (query, features)
    )


def test_an_empty_batch() -> None:
    features, kernels = maps((0, 5, 3), 2, 5, groups=2)
    y = reassemble(features, kernels, 2, 2)
    assert y.shape == (0, 4, 10, 6)
    y.sum().backward()
    assert normalised(kernels, 2).shape == kernels.shape
    assert affinity(y, features, 2, 5).shape == (0, 25, 10, 6)


def test_outside_the_map_are_zeros() -> None:
    corner = reassemble(torch.ones(1, 1, 6, 6), torch.full((1, 25, 12, 12), 0.04), 2)
    seen = torch.tensor([3, 3, 4, 4, 5, 5, 5, 5, 4, 4, 3, 3]) / 5
    torch.testing.assert_close(corner[0, 0], seen.outer(seen))


def test_kernels_are_normalised_in_float32() -> None:
    logits = torch.randn(1, 18, 2, 2, dtype=torch.bfloat16) * 5
    kernels = normalised(logits, 2)
    assert kernels.dtype == torch.float32
    assert normalised(logits.double()).dtype == torch.float64
    sums = kernels.unflatten(1, (2, 9)).sum(2)
    torch.testing.assert_close(sums, torch.ones(1, 2, 2, 2))


class Reassembly(torch.nn.Module):
    def __init__(self, function: object, scale: int = 2) -> None:
        super().__init__()
        self.function = function
        self.scale = scale

    def forward(self, features: Tensor, kernels: Tensor) -> Tensor:
        return self.function(features, kernels, self.scale)  # type: ignore[operator]


@pytest.mark.parametrize(("height", "width"), [(24, 24), (31, 29)])
def test_memory_stays_under_one_unfolded_copy(height: int, width: int) -> None:
    """Forward and backward, the output and all gradients included."""
    features = torch.randn(1, 256, height, width, requires_grad=True)
    kernels = torch.rand(1, 25, 2 * height, 2 * width, requires_grad=True)
    seed = torch.ones(1, 256, 2 * height, 2 * width)
    inputs = {"features": features, "kernels": kernels}
    copy = 25 * features.numel() * features.element_size()

    def peak(function: object) -> float:
        def call() -> tuple[Tensor, ...]:
            y = Reassembly(function)(features, kernels)
            return torch.autograd.grad(y, (features, kernels), seed)

        return high_water(call) / copy

    def saved(function: object) -> float:
        module = Reassembly(function)
        return saved_for_backward(module, inputs).activations / copy

    assert saved(reassemble) < 0.35
    assert peak(reassemble) < 1
    # The measure sees unfolded copies where there are any.
    assert saved(unfolded) >= 1
    assert peak(unfolded) > 2


@pytest.mark.parametrize(
    ("channels", "groups", "scale"), [(32, 1, 2), (64, 1, 2), (256, 4, 2), (256, 1, 4)]
)
def test_what_is_kept_is_less_than_one_unfolded_copy(
    channels: int, groups: int, scale: int
) -> None:
    features = torch.randn(1, channels, 24, 20, requires_grad=True)
    kernels = torch.rand(1, 25 * groups, scale * 24, scale * 20, requires_grad=True)
    module = Reassembly(partial(reassemble, groups=groups), scale)
    inputs = {"features": features, "kernels": kernels}
    kept = saved_for_backward(module, inputs).activations
    assert kept < 0.6 * 25 * features.numel() * features.element_size()


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((1, 25, 6, 8), {}, r"features of \(2, 4, 3, 4\), got \(1, 25, 6, 8\)"),
        ((2, 50, 6, 8), {"groups": 4}, r"for groups=4, .* got \(2, 50, 6, 8\)"),
        ((2, 16, 6, 8), {}, r"k odd .* got \(2, 16, 6, 8\)"),
        ((2, 25, 3, 4), {}, r"scale=2 .* got \(2, 25, 3, 4\)"),
        ((2, 25, 6, 8), {"groups": 3}, "groups has to divide the channels of feat"),
        ((2, 25, 6, 8), {"scale": 0}, "scale has to be an integer ≥ 1, got 0"),
    ],
)
def test_what_does_not_fit_is_refused(
    shape: tuple[int, ...], options: dict[str, int], message: str
) -> None:
    features = torch.randn(2, 4, 3, 4)
    with pytest.raises(ValueError, match=message):
        reassemble(features, torch.randn(shape), **({"scale": 2} | options))
