"""NaN in gives NaN out, and no process ends; what is infinite reads the border."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call, grad, vmap
from torch.utils._python_dispatch import TorchDispatchMode

from dysample_lib import DySample, build_upsampler, point_sample
from dysample_lib.ops.sampling import _marked, shuffle

Scatter = Callable[..., Any]
NAN = float("nan")
VARIANTS = ("naive", "grouping", "dynamic_scope", "dysample_s", "dysample_s_plus")
BOTH = pytest.mark.parametrize("deterministic", [False, True])


def spoiled(dtype: torch.dtype = torch.float32, value: float = NAN) -> Tensor:
    """A map with one value that is not finite."""
    x = torch.randn(2, 16, 6, 7)
    x[0, 3, 2, 4] = value
    return x.to(dtype).requires_grad_()


@BOTH
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("name", VARIANTS)
def test_a_value_that_is_nan(
    scatter: Scatter, name: str, dtype: torch.dtype, deterministic: bool
) -> None:
    module = scatter(build_upsampler(name, 16), std=0.1).to(dtype)
    module.deterministic = deterministic
    x = spoiled(dtype)
    y = module(x)
    lost = module.offsets(x).isnan()
    assert lost.any()
    lost = shuffle(lost, 2).unflatten(1, (2, -1)).any(1)  # (B, g, 2·H, 2·W)
    lost = lost.repeat_interleave(16 // module.groups, 1)
    assert y[lost].isnan().all()
    # Beside its points it is read by those near it in its own channel.
    assert not y[~lost].isnan().all()
    found = (y.isnan() & ~lost).nonzero()
    assert len(found) > 0
    assert all((b, c) == (0, 3) for b, c, *_ in found.tolist())
    y.sum().backward()
    assert x.grad is not None
    assert x.grad[0].isnan().any()
    assert not x.grad[1].isnan().any()
    assert all(p.grad.isnan().any() for p in module.parameters())


@BOTH
@pytest.mark.parametrize("style", ["lp", "pl"])
def test_a_weight_that_is_nan(style: str, deterministic: bool) -> None:
    """The points that it moves are lost, and no others."""
    module = DySample(16, style=style, groups=2, deterministic=deterministic)
    with torch.no_grad():
        module.offset.weight[0, 0] = NAN  # x of the first group's first point
    x = torch.randn(1, 16, 4, 5, requires_grad=True)
    y = module(x)
    lost = torch.zeros_like(y, dtype=torch.bool)
    step = 2 if style == "lp" else 1  # PL: all points share their weights
    lost[:, :8, ::step, ::step] = True
    assert torch.equal(y.isnan(), lost)
    y.sum().backward()
    rows = module.offset.weight.grad.isnan().any(1).flatten()
    assert rows[0]
    assert x.grad is not None and x.grad.isnan().any()


@BOTH
def test_gradients_beside_it_are_what_they_were(deterministic: bool) -> None:
    features = torch.randn(1, 4, 5, 6, dtype=torch.float64, requires_grad=True)
    offsets = torch.randn(1, 16, 5, 6, dtype=torch.float64)
    slope = torch.randn(1, 4, 10, 12, dtype=torch.float64)

    def gradients(offsets: Tensor) -> tuple[Tensor, ...]:
        offsets = offsets.requires_grad_()
        y = point_sample(features, offsets, 2, 2, deterministic=deterministic)
        return (y, *torch.autograd.grad(y, (features, offsets), slope))

    spoilt = offsets.clone()
    spoilt[0, 0, 2, 3] = NAN  # x of the first group's upper left point there
    y, of_features, of_offsets = gradients(spoilt)
    plain, plain_features, plain_offsets = gradients(offsets)
    lost = torch.zeros(1, 4, 10, 12, dtype=torch.bool)
    lost[:, :2, 4, 6] = True
    assert torch.equal(y.isnan(), lost)
    torch.testing.assert_close(y[~lost], plain[~lost])
    assert of_offsets[0, 0, 2, 3].isnan()
    others = torch.ones_like(offsets, dtype=torch.bool)
    others[0, [0, 8], 2, 3] = False  # its x, its y
    torch.testing.assert_close(of_offsets[others], plain_offsets[others])
    torch.testing.assert_close(of_features[:, 2:], plain_features[:, 2:])
    assert 0 < of_features[:, :2].isnan().sum() <= 2 * 4


@BOTH
@pytest.mark.parametrize("far", [50.0, 1e9, 1e30, 3e38, math.inf])
@pytest.mark.parametrize("sign", [1, -1])
def test_however_far_it_is_the_border(
    far: float, sign: int, deterministic: bool
) -> None:
    toy = torch.arange(12.0).view(1, 1, 3, 4).requires_grad_()
    offsets = torch.full((1, 2, 3, 4), sign * far, requires_grad=True)
    y = point_sample(toy, offsets, 1, deterministic=deterministic)
    assert (y == (11 if sign > 0 else 0)).all()
    y.sum().backward()
    assert offsets.grad is not None and not offsets.grad.any()
    assert toy.grad is not None and toy.grad.sum() == 12
    # Both at once: their sum is NaN, they are not.
    offsets = torch.stack((sign * offsets[0, 0], -sign * offsets[0, 1])).unsqueeze(0)
    y = point_sample(toy, offsets, 1, deterministic=deterministic)
    assert (y == 3).all()


@BOTH
def test_an_infinite_value_under_a_dynamic_scope(deterministic: bool) -> None:
    module = DySample(16, scope="dynamic", deterministic=deterministic)
    y = module(spoiled(value=math.inf))
    y.sum().backward()
    assert y[0, :, 4:6, 8:10].isnan().all()
    assert not y[1].isnan().any()


def test_lost_in_the_first_channel_alone() -> None:
    """Where a pass over all channels would cost too much."""
    sampled = torch.randn(2, 3, 4, 5)
    lost = torch.zeros(2, 4, 5, dtype=torch.bool)
    lost[1, 2, 3] = True
    for everywhere, channels in ((True, 3), (False, 1)):
        x = sampled.clone().requires_grad_()
        y = _marked(x.clone(), lost, everywhere)
        assert y.isnan().nonzero().tolist() == [[1, c, 2, 3] for c in range(channels)]
        assert torch.equal(y[~y.isnan()], sampled[~y.isnan()])
        y.sum().backward()
        assert x.grad is not None
        assert torch.equal(x.grad.isnan(), y.isnan())


class Operators(TorchDispatchMode):
    """Counts the elements that each operator returns."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: dict[str, int] = {}

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        if isinstance(result, Tensor):
            name = function.overloadpacket.__name__
            self.elements[name] = self.elements.get(name, 0) + result.numel()
        return result


def test_finite_maps_pay_one_sum() -> None:
    module, x = DySample(64), torch.randn(1, 64, 8, 8)
    with Operators() as seen, torch.no_grad():
        y = module(x)
    assert not {"nan_to_num", "masked_fill", "where"} & seen.elements.keys()
    assert seen.elements["sum"] == 1
    assert seen.elements.get("mul", 0) < y.numel() / 4
    x[0, 0, 0, 0] = NAN
    with Operators() as seen, torch.no_grad():
        module(x)
    assert seen.elements["mul"] > y.numel()


def test_where_no_value_can_be_looked_at() -> None:
    module = DySample(16)
    images = spoiled().detach()

    def loss(parameters: dict[str, Tensor], image: Tensor) -> Tensor:
        return functional_call(module, parameters, (image[None],)).square().sum()

    parameters = dict(module.named_parameters())
    each = vmap(grad(loss), in_dims=(None, 0))(parameters, images)
    for name, gradients in each.items():
        assert gradients[0].isnan().any(), name
        torch.testing.assert_close(
            gradients[1], grad(loss)(parameters, images[1])[name]
        )
    with FakeTensorMode(allow_non_fake_inputs=True):
        assert module(torch.empty(2, 16, 3, 4)).shape == (2, 16, 6, 8)
    meta = module.to("meta")(torch.empty(2, 16, 3, 4, device="meta"))
    assert meta.shape == (2, 16, 6, 8)


def test_traced_graphs_survive_it(scatter: Scatter) -> None:
    """There a lost position reads the border, as ``grid_sample`` has it."""
    module = scatter(DySample(16), std=0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated, and the checks run only once
        traced = torch.jit.trace(module, torch.randn(1, 16, 3, 4))
    x = spoiled()
    # Whether the backward pass ends the process with a NaN in its grid is a matter of
    # luck: here none can get there.
    graph = traced.inlined_graph  # lives as long as its name
    read = graph.findNode("aten::grid_sampler")
    assert list(read.inputs())[1].node().kind() == "aten::where"
    traced(x).sum().backward()
    assert x.grad is not None and x.grad[0].isnan().any()
    torch.testing.assert_close(traced(x)[1], module(x)[1])


@pytest.mark.slow
def test_compiled_graphs_make_it_nan(scatter: Scatter) -> None:
    torch._dynamo.reset()
    module = scatter(DySample(16), std=0.1)
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    results = []
    x = spoiled()
    for net in (compiled, module):
        y = net(x)
        results.append((y, *torch.autograd.grad(y.sum(), (x, *module.parameters()))))
    for mine, theirs in zip(*results, strict=True):
        torch.testing.assert_close(mine, theirs, equal_nan=True)
    torch._dynamo.reset()


@pytest.mark.parametrize("name", ["carafe", "fade", "sapa"])
def test_kernels_pass_it_on(name: str) -> None:
    module: nn.Module = build_upsampler(name, 16)
    x, guide = spoiled(), torch.randn(2, 16, 12, 14)
    y = module(x, guide=guide if module.guided else None)
    assert y[0, 3, 0:9, 4:13].isnan().all()  # two pixels around its own
    assert not y[1].isnan().any()
    y.sum().backward()
    assert x.grad is not None and x.grad[0].isnan().any()
