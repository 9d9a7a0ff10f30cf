"""Captured graphs: compiled, exported, ONNX, traced; and any device, with no GPU."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable
from typing import Any

import onnx
import onnxruntime
import pytest
import torch
from onnx.version_converter import convert_version
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from dysample_lib import build_upsampler

VARIANTS = ("grouping", "dynamic_scope", "dysample_s", "dysample_s_plus")
EXPORTED = (2, 16, 8, 10)
OTHER_SIZES = ((2, 16, 8, 10), (1, 16, 5, 8), (3, 16, 33, 17), (1, 16, 1, 1))


@pytest.fixture(params=VARIANTS)
def module(request: pytest.FixtureRequest, scatter: Callable[..., Any]) -> nn.Module:
    return scatter(build_upsampler(request.param, 16), std=0.3).eval()


def agree(
    run: Callable[[Tensor], Tensor], module: nn.Module, atol: float = 1e-4
) -> None:
    for size in OTHER_SIZES:
        x = torch.randn(size)
        torch.testing.assert_close(run(x), module(x), rtol=0, atol=atol)


def gradients(net: Any, module: nn.Module, x: Tensor) -> list[Tensor]:
    """Of the sum of squares, for ``x`` and the parameters; ``net`` calls ``module``."""
    x = x.clone().requires_grad_()
    inputs = (x, *module.parameters())
    return list(torch.autograd.grad(net(x).square().sum(), inputs))


@pytest.mark.slow
def test_compile(module: nn.Module) -> None:
    """Forward and backward; new heights and widths compile nothing new."""
    torch._dynamo.reset()
    graphs = []

    def counting(graph: Any, inputs: Any) -> Any:
        graphs.append(graph)
        return torch._dynamo.lookup_backend("aot_eager")(graph, inputs)

    compiled = torch.compile(module, fullgraph=True, dynamic=True, backend=counting)
    for height, width in ((8, 10), (33, 17), (4, 7), (12, 5)):
        x = torch.randn(2, 16, height, width)
        mine, theirs = (gradients(net, module, x) for net in (compiled, module))
        for a, b in zip(mine, theirs, strict=True):
            limit = 1e-5 * max(1, b.abs().max().item())
            torch.testing.assert_close(a, b, rtol=0, atol=limit)
    # One, or two where torch chooses its convolution by the number of pixels.
    assert 1 <= len(graphs) <= 2
    with torch.no_grad():
        agree(compiled, module, 1e-5)
        # Beyond FLOAT32_SIZE there is a second graph, and it is as exact as eager.
        x = torch.randn(2, 16, 3, 300)
        torch.testing.assert_close(compiled(x), module(x), rtol=0, atol=1e-5)
    torch._dynamo.reset()


@pytest.mark.slow
@pytest.mark.skipif(
    shutil.which("g++") is None and shutil.which("clang++") is None,
    reason="Inductor needs a C++ compiler",
)
def test_compile_with_inductor(scatter: Callable[..., Any]) -> None:
    module = scatter(build_upsampler("grouping", 16), std=0.3)
    torch._dynamo.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Inductor's own, about the machine
        compiled = torch.compile(module, fullgraph=True, dynamic=True)
        for height, width in ((8, 10), (33, 17)):
            x = torch.randn(2, 16, height, width)
            mine, theirs = (gradients(net, module, x) for net in (compiled, module))
            for a, b in zip(mine, theirs, strict=True):
                torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-3)
    torch._dynamo.reset()


def export(module: nn.Module) -> torch.export.ExportedProgram:
    dynamic = torch.export.Dim.DYNAMIC
    return torch.export.export(
        module,
        (torch.randn(EXPORTED),),
        dynamic_shapes=({0: dynamic, 2: dynamic, 3: dynamic},),
    )


@pytest.mark.slow
def test_export_and_onnx(module: nn.Module) -> None:
    program = export(module)
    agree(program.module(), module, 1e-6)
    # Where the graph has to choose between the sides of a size, it takes float32.
    x = torch.randn(1, 16, 2, 300)
    torch.testing.assert_close(program.module()(x), module(x), rtol=0, atol=4e-4)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own
        exported = torch.onnx.export(
            program, dynamo=True, opset_version=18, verbose=False
        )
    assert exported is not None
    for opset in (18, 16, 20):
        model = exported.model_proto
        if opset != 18:
            model = convert_version(model, opset)
        assert [entry.version for entry in model.opset_import] == [opset]
        onnx.checker.check_model(model, full_check=True)
        assert "GridSample" in {node.op_type for node in model.graph.node}
        agree(_runtime(model), module)


def _runtime(model: onnx.ModelProto) -> Callable[[Tensor], Tensor]:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (name,) = [entry.name for entry in session.get_inputs()]
    return lambda x: torch.from_numpy(session.run(None, {name: x.numpy()})[0])


def test_a_trace_serves_other_sizes(module: nn.Module) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated, and the checks run only once
        traced = torch.jit.trace(module, torch.randn(EXPORTED))
        agree(traced, module, 1e-6)


class _Devices(TorchDispatchMode):
    """Notes every operator's name and where its results are."""

    def __init__(self) -> None:
        super().__init__()
        self.devices: set[str] = set()
        self.names: set[str] = set()

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        results = result if isinstance(result, (tuple, list)) else (result,)
        self.devices |= {r.device.type for r in results if isinstance(r, Tensor)}
        self.names.add(function.overloadpacket.__name__)
        return result


# What reads a value back, and so waits for the device.
SYNCHRONISING = {"_local_scalar_dense", "item", "nonzero", "is_nonzero", "equal"}


def backward(y: Tensor) -> list[Tensor]:
    """Gradients of ``y.sum()`` for all leaves, one node of the graph after the other.

    What ``y.sum().backward()`` does, but torch's own engine asks the CUDA driver for
    its streams, also for fake tensors, and fails where there is no driver.
    """
    root = y.sum().grad_fn
    waiting = {root: 0}
    stack = [root]
    while stack:
        for node, _ in stack.pop().next_functions:
            if node is not None:
                if node not in waiting:
                    waiting[node] = 0
                    stack.append(node)
                waiting[node] += 1
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


def test_the_backward_pass_above_is_torch_s(module: nn.Module) -> None:
    for deterministic in (False, True):
        module.deterministic = deterministic
        x = torch.randn(EXPORTED, requires_grad=True)
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
    with FakeTensorMode(), torch.device("cuda"), _Devices() as seen:
        torch.set_default_dtype(dtype)  # fake modules cannot always be converted
        try:
            module = build_upsampler(name, 16)
        finally:
            torch.set_default_dtype(torch.float32)
        module.deterministic = deterministic
        x = torch.randn(size, dtype=dtype, requires_grad=True)
        y = module(x, output_size=(2 * size[2] - 1, 2 * size[3]))
        grads = backward(y)
    assert (y.dtype, y.device.type) == (dtype, "cuda")
    shapes = [grad.shape for grad in grads]
    assert sorted(shapes) == sorted(p.shape for p in (x, *module.parameters()))
    assert seen.devices == {"cuda"}
    assert "convolution_backward" in seen.names
    assert not seen.names & SYNCHRONISING
