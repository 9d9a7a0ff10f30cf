"""Any device, with no GPU: fake tensors say where an operator would work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from dysample_lib import build_upsampler, point_sample
from dysample_lib.ops.sampling import _beyond_float32

VARIANTS = ("grouping", "dynamic_scope", "dysample_s", "dysample_s_plus")


class Devices(TorchDispatchMode):
    """Notes every operator's name, and device and dtype of its results."""

    def __init__(self) -> None:
        super().__init__()
        self.devices: set[str] = set()
        self.dtypes: set[torch.dtype] = set()
        self.names: set[str] = set()

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        results = result if isinstance(result, (tuple, list)) else (result,)
        tensors = [r for r in results if isinstance(r, Tensor)]
        self.devices |= {r.device.type for r in tensors}
        self.dtypes |= {r.dtype for r in tensors}
        self.names.add(function.overloadpacket.__name__)
        return result


# What reads a value back, and so waits for the device.
SYNCHRONISING = {"_local_scalar_dense", "item", "nonzero", "is_nonzero", "equal"}


def uses(root: Any) -> dict[Any, int]:
    """How often each node of the graph under ``root`` is asked for a gradient."""
    counts = {root: 0}
    stack = [root]
    while stack:
        for node, _ in stack.pop().next_functions:
            if node is not None:
                if node not in counts:
                    counts[node] = 0
                    stack.append(node)
                counts[node] += 1
    return counts


def backward(y: Tensor) -> list[Tensor]:
    """Gradients of ``y.sum()`` for all leaves, one node of the graph after the other.

    What ``y.sum().backward()`` does, but torch's own engine asks the CUDA driver for
    its streams, also for fake tensors, and fails where there is no driver.
    """
    root = y.sum().grad_fn
    waiting = uses(root)
    received: dict[Any, list[Any]] = {root: [torch.ones_like(y.sum())]}
    leaves, ready = [], [root]
    while ready:
        node = ready.pop()
        if type(node).__name__ == "AccumulateGrad":
            leaves += received[node]
            continue
        results = node(*received[node])
        results = results if isinstance(results, tuple) else (results,)
        for (target, index), grad in zip(node.next_functions, results, strict=True):
            if target is None:
                continue
            wanted = target._input_metadata
            sums = received.setdefault(target, [None] * len(wanted))
            if grad is not None:
                # The engine's part: undo broadcasting and type promotion.
                grad = grad.sum_to_size(wanted[index].shape).to(wanted[index].dtype)
                sums[index] = grad if sums[index] is None else sums[index] + grad
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    return leaves


@pytest.mark.parametrize("name", VARIANTS)
def test_the_backward_pass_above_is_torch_s(
    name: str, scatter: Callable[..., Any]
) -> None:
    module: nn.Module = scatter(build_upsampler(name, 16), std=0.3)
    for deterministic in (False, True):
        module.deterministic = deterministic
        x = torch.randn(2, 16, 8, 10, requires_grad=True)
        theirs = torch.autograd.grad(module(x).sum(), (x, *module.parameters()))
        mine = {grad.shape: grad for grad in backward(module(x))}
        assert len(mine) == len({grad.shape for grad in theirs})
        by_shape = [grad for grad in theirs if grad.shape != module.offset.weight.shape]
        for grad in by_shape:
            torch.testing.assert_close(mine[grad.shape], grad)


@pytest.mark.parametrize("size", [(2, 16, 5, 7), (1, 16, 3, 300)])
@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_nothing_happens_on_the_host(
    name: str, deterministic: bool, size: tuple[int, ...], dtype: torch.dtype
) -> None:
    torch.set_default_dtype(dtype)  # fake modules cannot always be converted
    try:
        with FakeTensorMode() as fake, torch.device("cuda"):
            module = build_upsampler(name, 16)
    finally:
        torch.set_default_dtype(torch.float32)
    module.deterministic = deterministic
    # Outside torch.device: what names no device would land on the CPU.
    with fake, Devices() as seen:
        x = torch.randn(size, dtype=dtype, device="cuda", requires_grad=True)
        y = module(x, output_size=(2 * size[2] - 1, 2 * size[3]))
        grads = backward(y)
    assert (y.dtype, y.device.type) == (dtype, "cuda")
    shapes = [grad.shape for grad in grads]
    assert sorted(shapes) == sorted(p.shape for p in (x, *module.parameters()))
    assert seen.devices == {"cuda"}
    gradient = (
        "_embedding_bag_backward" if deterministic else "grid_sampler_2d_backward"
    )
    assert gradient in seen.names
    assert not seen.names & SYNCHRONISING


def test_the_test_sees_what_forgets_its_device() -> None:
    with FakeTensorMode(), Devices() as seen:
        x = torch.randn(2, 3, device="cuda")
        (torch.arange(3).to(x.device) + x).sum()
    assert seen.devices == {"cuda", "cpu"}


def test_wide_maps_stay_in_float32_where_there_is_no_float64() -> None:
    """Metal has none. (Its operators cannot be run even on fake tensors elsewhere.)"""
    with FakeTensorMode():
        for device, beyond in (("cuda", True), ("cpu", True), ("mps", False)):
            x = torch.empty(1, 16, 3, 300, device=device)
            assert _beyond_float32(x) == beyond
            x = torch.empty(1, 16, 256, 3, device=device)
            assert not _beyond_float32(x)
    with FakeTensorMode(), Devices() as seen:
        x = torch.empty(1, 16, 3, 300, device="cuda")
        y = point_sample(x, torch.empty(1, 32, 3, 300, device="cuda"), 2, 4)
    assert y.dtype == torch.float32
    assert torch.float64 in seen.dtypes
