"""``deterministic=True``: the same operator, gathered and added in a fixed order."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from dysample_lib import DySample, build_upsampler, point_sample

Scatter = Callable[..., DySample]

VARIANTS = ("naive", "grouping", "dynamic_scope", "dysample_s", "dysample_s_plus")


def both(module: DySample) -> tuple[DySample, DySample]:
    """The module and its deterministic twin."""
    twin = copy.deepcopy(module)
    twin.deterministic = True
    return module, twin


def results(module: DySample, x: Tensor) -> list[Tensor]:
    """Output, and gradients of the input and of all parameters."""
    x = x.clone().requires_grad_()
    y = module(x)
    weights = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)
    inputs = (x, *module.parameters())
    return [y, *torch.autograd.grad((y * weights).sum(), inputs)]


@pytest.mark.parametrize(
    ("dtype", "bound"), [(torch.float32, 1e-5), (torch.float64, 1e-12)]
)
@pytest.mark.parametrize("scale", [1, 2, 3])
@pytest.mark.parametrize("name", VARIANTS)
def test_it_equals_grid_sample(
    scatter: Scatter, name: str, scale: int, dtype: torch.dtype, bound: float
) -> None:
    module = scatter(build_upsampler(name, 72, scale), std=0.2).to(dtype)
    # Points lie anywhere, many outside these maps; one pixel and no image at all.
    for size in ((2, 72, 7, 11), (1, 72, 1, 1), (3, 72, 1, 5), (0, 72, 3, 4)):
        x = torch.randn(size, dtype=dtype)
        theirs, mine = (results(m, x) for m in both(module))
        for a, b in zip(mine, theirs, strict=True):
            limit = bound * max(1.0, b.abs().amax().item() if b.numel() else 0)
            torch.testing.assert_close(a, b, rtol=0, atol=limit)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_kept(scatter: Scatter, dtype: torch.dtype) -> None:
    module, twin = both(scatter(DySample(16), std=0.1).to(dtype))
    x = torch.randn(2, 16, 5, 8).to(dtype)
    y = twin(x)
    assert y.dtype == dtype
    torch.testing.assert_close(y, module(x))


def test_it_never_calls_grid_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []

    def counted(*args: Any, **kwargs: Any) -> Tensor:
        calls.append(args)
        return sample(*args, **kwargs)

    sample = F.grid_sample
    monkeypatch.setattr(F, "grid_sample", counted)
    module, twin = both(DySample(16))
    twin(torch.randn(1, 16, 3, 4))
    assert not calls
    module(torch.randn(1, 16, 3, 4))
    assert len(calls) == 1
    assert "deterministic=True" in repr(twin)
    assert "deterministic" not in repr(module)


@pytest.mark.parametrize("name", VARIANTS)
def test_runs_are_bitwise_equal(scatter: Scatter, name: str) -> None:
    threads = torch.get_num_threads()
    module = scatter(build_upsampler(name, 16), std=0.5)
    module.deterministic = True
    # Wide ranges: most points of a row meet in the same few border pixels.
    x = 5 * torch.randn(2, 16, 24, 24)
    try:
        torch.set_num_threads(max(2, threads))
        first = results(module, x)
        for _ in range(5):
            for a, b in zip(results(module, x), first, strict=True):
                assert torch.equal(a, b)
    finally:
        torch.set_num_threads(threads)


def test_gradients_are_those_of_the_function() -> None:
    features = torch.randn(2, 4, 3, 4, dtype=torch.float64, requires_grad=True)
    offsets = torch.randn(2, 16, 3, 4, dtype=torch.float64, requires_grad=True)

    def call(features: Tensor, offsets: Tensor) -> Tensor:
        return point_sample(features, offsets, 2, 2, deterministic=True)

    assert torch.autograd.gradcheck(call, (features, offsets))


@pytest.mark.filterwarnings("ignore:.torch.jit.script:FutureWarning")  # torch's own
def test_which_derivatives_there_are() -> None:
    """Second ones on the default path alone; forward mode on neither."""
    features = torch.randn(1, 4, 3, 4, dtype=torch.float64, requires_grad=True)
    offsets = torch.randn(1, 16, 3, 4, dtype=torch.float64, requires_grad=True)
    maps = (features, offsets)

    def default(features: Tensor, offsets: Tensor) -> Tensor:
        return point_sample(features, offsets, 2, 2)

    def deterministic(features: Tensor, offsets: Tensor) -> Tensor:
        return point_sample(features, offsets, 2, 2, deterministic=True)

    assert torch.autograd.gradgradcheck(default, maps, fast_mode=True)
    (slope,) = torch.autograd.grad(
        deterministic(*maps).square().sum(), features, create_graph=True
    )
    with pytest.raises(NotImplementedError, match="derivative for '_embedding_bag"):
        slope.sum().backward()
    for function in (default, deterministic):
        with pytest.raises(NotImplementedError, match="forward AD"):
            torch.func.jvp(function, maps, maps)


def test_points_that_left_the_map_read_its_border() -> None:
    toy = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    for far in (0.75, 1.0, 2.0, 50.0, 1e9):
        for sign, value in ((1, 4.0), (-1, 1.0)):
            # Of the pixel in the opposite corner, all the way across.
            offsets = torch.full((1, 2, 2, 2), sign * far)
            y = point_sample(toy, offsets, 1, deterministic=True)
            torch.testing.assert_close(y, point_sample(toy, offsets, 1))
            if far >= 1:
                assert torch.equal(y, torch.full_like(y, value))
