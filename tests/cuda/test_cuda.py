"""What only a GPU can show: types, formats, captured graphs, order, no waiting.

`GPU_DRY=1 pytest tests/cuda` runs all that a CPU can of it.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from training_samples import SEGMENTATION, toy_net, toy_set, toy_spec
from upsampler_samples import NAMES, inputs

from dysample_lib import build_upsampler, point_sample
from dysample_lib.train.fit import fit

pytestmark = pytest.mark.cuda

DRY = os.environ.get("GPU_DRY") == "1"
DEVICE = "cpu" if DRY else "cuda"
GPU_ALONE = pytest.mark.skipif(DRY, reason="a CPU has nothing like it")
VARIANTS = ("grouping", "dynamic_scope", "dysample_s", "dysample_s_plus")
DTYPES = {"float32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
FORMATS = {"contiguous": torch.contiguous_format, "last": torch.channels_last}
BOUNDS = {
    "float32": (1e-4, 1e-3),
    "tf32": (5e-3, 5e-2),
    "fp16": (2e-2, 1e-1),
    "bf16": (1e-1, 3e-1),
}
"""Of the norms: outputs, gradients."""

Scatter = Callable[..., Any]


@contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """Let float32 products be rounded to TF32, or not."""
    places = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [place.allow_tf32 for place in places]
    for place in places:
        place.allow_tf32 = allowed
    try:
        yield
    finally:
        for place, value in zip(places, before, strict=True):
            place.allow_tf32 = value


def given(name: str, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """A map of 16 channels and its guide, on the device."""
    maps = inputs(name, torch.randn(2, 16, 9, 13))
    return {k: v.to(DEVICE, dtype).requires_grad_() for k, v in maps.items()}


def results(module: Any, maps: dict[str, Tensor], given: nn.Module) -> list[Tensor]:
    """The output, and the gradients of inputs and parameters."""
    y = module(**maps)
    slope = torch.linspace(-1, 1, y.numel(), dtype=y.dtype, device=y.device)
    wanted = (*maps.values(), *given.parameters())
    return [y, *torch.autograd.grad(y, wanted, slope.view_as(y))]


def exact(module: nn.Module, maps: dict[str, Tensor]) -> list[Tensor]:
    """The same in float64 on the CPU, from the same values."""
    twin = copy.deepcopy(module).cpu().double()
    return results(
        twin,
        {k: v.detach().cpu().double().requires_grad_() for k, v in maps.items()},
        twin,
    )


def agree(
    mine: list[Tensor], theirs: list[Tensor], bounds: tuple[float, float]
) -> None:
    for place, (a, b) in enumerate(zip(mine, theirs, strict=True)):
        difference = (a.detach().cpu().double() - b).norm()
        assert difference <= bounds[place > 0] * b.norm() + 1e-9, place


@pytest.mark.parametrize("memory", FORMATS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_forward_and_backward_in_every_type_equal_the_cpu_s(
    scatter: Scatter, name: str, dtype: str, memory: str
) -> None:
    kind = DTYPES[dtype]
    module = scatter(build_upsampler(name, 16), std=0.1).to(DEVICE, kind)
    maps = {
        k: v.detach().contiguous(memory_format=FORMATS[memory]).requires_grad_()
        for k, v in given(name, kind).items()
    }
    with tf32(False):
        mine = results(module, maps, module)
    assert {(t.dtype, t.device.type) for t in mine} == {(kind, DEVICE)}
    agree(mine, exact(module, maps), BOUNDS[dtype])


@pytest.mark.parametrize("dtype", ["fp16", "bf16"])
@pytest.mark.parametrize("name", NAMES)
def test_autocast(scatter: Scatter, name: str, dtype: str) -> None:
    module = scatter(build_upsampler(name, 16), std=0.1).to(DEVICE)
    maps = given(name)
    with torch.autocast(DEVICE, DTYPES[dtype]):
        mine = results(module, maps, module)
    agree(mine, exact(module, maps), BOUNDS[dtype])


@pytest.mark.parametrize("name", NAMES)
def test_tf32_costs_no_more_than_its_digits(scatter: Scatter, name: str) -> None:
    module = scatter(build_upsampler(name, 16), std=0.1).to(DEVICE)
    maps = given(name)
    with tf32(True):
        mine = results(module, maps, module)
    agree(mine, exact(module, maps), BOUNDS["tf32"])


@pytest.mark.parametrize("name", VARIANTS)
def test_wide_maps_are_read_as_exactly_as_on_a_cpu(scatter: Scatter, name: str) -> None:
    module = scatter(build_upsampler(name, 16), std=0.1).to(DEVICE)
    maps = {"x": torch.randn(1, 16, 2, 2048, device=DEVICE)}
    with tf32(False), torch.no_grad():
        difference = module(**maps).cpu() - copy.deepcopy(module).cpu()(maps["x"].cpu())
    assert difference.abs().max() <= 1e-4


@pytest.mark.parametrize("name", VARIANTS)
def test_deterministic_is_bit_for_bit(scatter: Scatter, name: str) -> None:
    module = scatter(build_upsampler(name, 16), std=0.5).to(DEVICE)
    module.deterministic = True
    # Wide ranges: many points meet in the same few border pixels.
    maps = {"x": (5 * torch.randn(2, 16, 24, 24)).to(DEVICE).requires_grad_()}
    first = results(module, maps, module)
    for _ in range(5):
        for a, b in zip(results(module, maps, module), first, strict=True):
            assert torch.equal(a, b)
    agree(first, exact(module, maps), BOUNDS["tf32"])


@GPU_ALONE
@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize("name", VARIANTS)
def test_nothing_waits_for_the_device(name: str, deterministic: bool) -> None:
    module = build_upsampler(name, 16).to(DEVICE)
    module.deterministic = deterministic
    maps = given(name)
    results(module, maps, module)
    torch.cuda.set_sync_debug_mode("error")
    try:
        y = module(**maps)
        torch.autograd.grad(y.sum(), (maps["x"], *module.parameters()))
    finally:
        torch.cuda.set_sync_debug_mode("default")


@GPU_ALONE
@pytest.mark.parametrize("name", VARIANTS)
def test_a_captured_graph_gives_the_same(scatter: Scatter, name: str) -> None:
    module = scatter(build_upsampler(name, 16), std=0.1).to(DEVICE)
    x = torch.randn(2, 16, 9, 13, device=DEVICE)
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.no_grad():
        with torch.cuda.stream(aside):
            module(x)
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            y = module(x)
        for _ in range(3):
            x.copy_(torch.randn_like(x))
            graph.replay()
            torch.testing.assert_close(y, module(x))


@pytest.mark.parametrize("deterministic", [False, True])
def test_a_point_that_is_nan_is_lost_and_no_other(deterministic: bool) -> None:
    features = torch.randn(1, 4, 5, 6, device=DEVICE, requires_grad=True)
    offsets = torch.randn(1, 16, 5, 6, device=DEVICE)
    plain = point_sample(features, offsets, 2, 2, deterministic=deterministic)
    offsets[0, 0, 2, 3] = float("nan")  # x of the first group's upper left point there
    offsets.requires_grad_()
    y = point_sample(features, offsets, 2, 2, deterministic=deterministic)
    lost = torch.zeros(1, 4, 10, 12, dtype=torch.bool, device=DEVICE)
    lost[:, :2, 4, 6] = True
    torch.testing.assert_close(y[~lost], plain[~lost])
    assert y[0, 0, 4, 6].isnan()
    y.sum().backward()
    assert offsets.grad is not None and offsets.grad[0, 0, 2, 3].isnan()
    assert not offsets.grad[:, 1:8].isnan().any()
    assert features.grad is not None and features.grad.isnan().any()


@pytest.mark.parametrize("far", [1e9, float("inf")])
def test_however_far_it_is_the_border(far: float) -> None:
    toy = torch.arange(12.0, device=DEVICE).view(1, 1, 3, 4)
    for sign, value in ((1, 11), (-1, 0)):
        offsets = torch.full((1, 2, 3, 4), sign * far, device=DEVICE)
        assert (point_sample(toy, offsets, 1) == value).all()


@pytest.mark.parametrize("name", VARIANTS[:1] if DRY else NAMES)
def test_compile(scatter: Scatter, name: str) -> None:
    """Inductor for the least and the most of DySample, the capture alone for others."""
    torch._dynamo.reset()
    module = scatter(build_upsampler(name, 16), std=0.1).to(DEVICE)
    maps = given(name)
    whole = name in ("grouping", "dysample_s_plus") and not DRY
    backend = "inductor" if whole else "aot_eager"
    with tf32(False):
        mine = results(torch.compile(module, backend=backend), maps, module)
    agree(mine, exact(module, maps), BOUNDS["float32"])


@pytest.mark.parametrize("precision", ["float32", "mixed"])
def test_training(precision: str) -> None:
    net, data = toy_net(), (toy_set(20), toy_set(6, "val"))
    spec = toy_spec(epochs=4, device=DEVICE, precision=precision)
    found = fit(SEGMENTATION, net, *data, spec)
    assert found.history[-1]["loss"] < found.history[0]["loss"]
    assert {p.device.type for p in net.parameters()} == {DEVICE}
    assert {p.dtype for p in net.parameters()} == {torch.float32}
