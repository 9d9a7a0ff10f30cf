"""Captured graphs of DySample-S+: how many there are, what is in them, wide maps.

Whether a graph of each upsampler is right at all sizes is the support matrix's:
test_support.py.
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable
from typing import Any

import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from dysample_lib import build_upsampler

OPSETS = (16, 18, 20, 22)  # GridSample came with 16
EXPORTED = (2, 16, 8, 10)
OTHER_SIZES = (
    (2, 16, 8, 10),
    (1, 16, 5, 8),
    (3, 16, 33, 17),
    (1, 16, 1, 1),
    (1, 16, 2, 256),
)


@pytest.fixture
def module(scatter: Callable[..., Any]) -> nn.Module:
    return scatter(build_upsampler("dysample_s_plus", 16), std=0.3).eval()


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

    for opset in OPSETS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter's own
            exported = torch.onnx.export(
                program, dynamo=True, opset_version=opset, verbose=False
            )
        assert exported is not None
        model = exported.model_proto
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


@pytest.mark.parametrize("name", ["grouping", "dysample_s_plus"])
def test_a_trace_holds_convolutions(name: str) -> None:
    """Tools that count or convert traces know them, and no ``baddbmm``."""
    module = build_upsampler(name, 16)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated, and the checks run only once
        traced = torch.jit.trace(module, torch.randn(EXPORTED))
    graph = traced.inlined_graph
    nodes = [node.kind() for node in graph.nodes()]
    assert nodes.count("aten::_convolution") == 1 + (name == "dysample_s_plus")
    assert not {"aten::baddbmm", "aten::bmm", "aten::linear"} & set(nodes)


def test_counters_that_trace_see_the_layers() -> None:
    fvcore = pytest.importorskip("fvcore.nn")
    module = build_upsampler("grouping", 16)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        counted = fvcore.FlopCountAnalysis(module, torch.randn(1, 16, 6, 5))
        by_operator = counted.by_operator()
    # It counts a product and its sum as one.
    assert 2 * by_operator["conv"] == module.flops(6, 5).layers


def test_counters_by_type_have_to_be_told() -> None:
    """What the page on support says of thop."""
    thop = pytest.importorskip("thop")
    module = build_upsampler("grouping", 16)
    rule = thop.profile.__globals__["register_hooks"][nn.Conv2d]
    layer = type(module.offset)
    maps = (torch.randn(1, 16, 6, 5),)
    counted = thop.profile(module, maps, {layer: rule}, verbose=False)
    assert 2 * counted[0] == module.flops(6, 5).layers
    module = build_upsampler("grouping", 16)
    assert thop.profile(module, maps, verbose=False)[0] == 0


@pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_scripting_is_refused_and_a_trace_goes_into_a_script(module: nn.Module) -> None:
    class Net(nn.Module):
        def __init__(self, upsample: Any) -> None:
            super().__init__()
            self.upsample = upsample

        def forward(self, x: Tensor) -> Tensor:
            return self.upsample(x).relu()

    with pytest.raises(TypeError, match=r"jit.script cannot take DySample.*trace it"):
        torch.jit.script(Net(module))
    scripted = torch.jit.script(Net(torch.jit.trace(module, torch.randn(EXPORTED))))
    x = torch.randn(1, 16, 5, 8)
    torch.testing.assert_close(scripted(x), module(x).relu(), rtol=0, atol=1e-5)
