"""The cells of the support matrix, and what becomes of an upsampler in each.

A cell of DySample is a way to run it, what is run, and a dtype; in each the map comes
in three memory formats. A cell of the others is a way to capture one, in float32.
Graphs are captured at one size and run at others.
"""

from __future__ import annotations

import copy
import io
import itertools
import json
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import onnxruntime
import torch
from torch import Tensor, nn
from upsampler_samples import BY_KERNELS, inputs

from dysample_lib import DySample, build_upsampler

RECORD = Path(__file__).resolve().parent.parent / "results" / "support.json"
DTYPES = {
    "float64": torch.float64,
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
FORMATS: dict[str, Callable[[Tensor], Tensor]] = {
    "contiguous": lambda big: big[:3, :16].contiguous(),
    "channels_last": lambda big: big[:3, :16].contiguous(
        memory_format=torch.channels_last
    ),
    "sliced": lambda big: big[::2, 1:33:2],
}
TRAINED = ("forward and backward", "deterministic", "autocast")
HOW: dict[str, tuple[str, ...]] = {
    "eager": TRAINED,
    "torch.compile": TRAINED,
    "torch.export": ("forward", "deterministic"),
    "ONNX": ("forward", "deterministic"),
    "torch.jit.trace": TRAINED,
}
CELLS = [
    (how, what, dtype)
    for how, modes in HOW.items()
    for what, dtype in itertools.product(modes, DTYPES)
    if what != "autocast" or dtype in ("bfloat16", "float16")
]
# A graph takes seconds to capture, and minutes in all dtypes.
SOON = [cell for cell in CELLS if cell[0] == "eager" or cell[2] == "float32"]

# One of each kind of graph, and all ways to capture it.
OPERATORS = (
    "bilinear",
    "grouping",
    "dysample_s_plus",
    "deconv",
    "pixel_shuffle",
    "carafe",
    "fade",
    "sapa",
    "blind",
)
CAPTURED = (
    "torch.compile",
    "torch.export",
    "ONNX",
    "ONNX (TorchScript)",
    "torch.jit.trace",
    "torch.fx",
    "torch.jit.script",
)
MOBILE_RANK = 5
"""The most dimensions that a tensor has in Core ML and, with the batch, in ncnn."""
EXAMPLE = (2, 16, 6, 5)
# torch.export takes no size to be less than 2.
OTHERS = ((1, 16, 9, 7), (3, 16, 33, 4), (2, 16, 2, 2))

# Of the largest value, for outputs; of the gradient's norm, as a point that is rounded
# across a pixel's centre has another slope.
BOUNDS = {
    "float64": (1e-12, 1e-9),
    "float32": (2e-5, 1e-3),
    "bfloat16": (4 * 2**-7, 0.25),
    "float16": (4 * 2**-10, 0.1),
}


def build(dtype: torch.dtype, what: str) -> DySample:
    """DySample-S+, which has every part, with points all over the place."""
    module = DySample(16, style="pl", groups=8, scope="dynamic")
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    module.deterministic = what == "deterministic"
    module.to(dtype)  # rounds the weights, under autocast as well
    return module.float() if what == "autocast" else module


def captured(how: str, module: nn.Module, x: Tensor) -> Callable[[Tensor], Tensor]:
    """``module`` as a graph for all sizes, made at the size of ``x``."""
    if how == "eager":
        return module
    if how == "torch.compile":
        torch._dynamo.reset()
        return torch.compile(module, fullgraph=True, dynamic=True, backend="aot_eager")
    if how == "torch.jit.trace":
        return torch.jit.trace(module, x)
    dynamic = torch.export.Dim.DYNAMIC
    program = torch.export.export(
        module, (x,), dynamic_shapes=({0: dynamic, 2: dynamic, 3: dynamic},)
    )
    if how == "torch.export":
        return program.module()
    exported = torch.onnx.export(program, dynamo=True, opset_version=20, verbose=False)
    assert exported is not None
    session = onnxruntime.InferenceSession(exported.model_proto.SerializeToString())
    name = session.get_inputs()[0].name
    return lambda x: torch.from_numpy(session.run(None, {name: x.numpy()})[0])


def results(run: Callable[[Tensor], Tensor], x: Tensor, given: Any) -> list[Tensor]:
    """The output, and where ``given`` are parameters the gradients."""
    if given is None:
        with torch.no_grad():
            return [run(x)]
    x = x.detach().requires_grad_()
    y = run(x)
    slope = torch.linspace(-1, 1, y.numel()).view_as(y).to(y.dtype)
    return [y, *torch.autograd.grad(y, (x, *given), slope)]


def judge(mine: list[Tensor], exact: list[Tensor], dtype: str) -> str:
    """``yes``, or what is wrong."""
    outputs, gradients = BOUNDS[dtype]
    differences = [a.double() - b for a, b in zip(mine, exact, strict=True)]
    error = differences[0].abs().max() / exact[0].abs().max()
    if not error <= outputs:
        return "as float32" if error <= BOUNDS["float32"][0] else "wrong values"
    for difference, gradient in zip(differences[1:], exact[1:], strict=True):
        if not difference.norm() <= gradients * gradient.norm():
            return "wrong gradients"
    return "yes"


def outcome(how: str, what: str, dtype: str) -> dict[str, str]:
    """For each memory format ``yes``, or what stands in the way."""
    kind = DTYPES[dtype]
    autocast = what == "autocast"
    module = build(kind, what)
    exact = copy.deepcopy(module).double()
    backward = how in ("eager", "torch.compile", "torch.jit.trace")
    given = [tuple(m.parameters()) if backward else None for m in (module, exact)]
    maps = torch.randn(6, 34, 9, 7)
    found: dict[str, str] = {}
    run: Callable[[Tensor], Tensor] | None = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporters' own
        for name, view in FORMATS.items():
            x = view(maps.to(kind))
            x = x.float() if autocast else x
            try:
                with torch.autocast("cpu", kind, enabled=autocast):
                    if run is None:
                        example = torch.randn(2, 16, 6, 5).to(x.dtype)
                        run = captured(how, module, example)
                    mine = results(run, x, given[0])
            except Exception as error:
                found[name] = f"no: {type(error).__name__}"
                continue
            found[name] = judge(mine, results(exact, x.double(), given[1]), dtype)
    return found


def kept(how: str, name: str, x: dict[str, Tensor], module: nn.Module) -> Any:
    """``module`` captured ``how``, as a function of its maps by name."""
    if how == "torch.compile":
        torch._dynamo.reset()
        dynamic = name not in BY_KERNELS  # a graph of tiles for all sizes takes minutes
        return torch.compile(
            module, fullgraph=True, dynamic=dynamic, backend="aot_eager"
        )
    if how == "torch.fx":
        return torch.fx.symbolic_trace(module)
    if how == "torch.jit.script":
        return torch.jit.script(module)
    if how == "torch.jit.trace":
        return torch.jit.trace(module, example_kwarg_inputs=x)
    if how == "ONNX (TorchScript)":
        file, axes = io.BytesIO(), {name: {0: "batch"} for name in (*x, "y")}
        for map_ in axes:
            axes[map_] |= {2: f"{map_} height", 3: f"{map_} width"}
        torch.onnx.export(
            module,
            tuple(x.values()),
            file,
            dynamo=False,
            opset_version=17,
            input_names=list(x),
            output_names=["y"],
            dynamic_axes=axes,
        )
        return _session(file.getvalue())
    dynamic = torch.export.Dim.DYNAMIC
    shapes = {name: {0: dynamic, 2: dynamic, 3: dynamic} for name in x}
    program = torch.export.export(module, (), x, dynamic_shapes=shapes)
    if how == "torch.export":
        check_rank(program.graph)
        return program.module()
    exported = torch.onnx.export(program, dynamo=True, opset_version=18, verbose=False)
    assert exported is not None
    return _session(exported.model_proto.SerializeToString())


class ManyDimensions(Exception):
    """A graph has a tensor of more than :data:`MOBILE_RANK` dimensions."""


def check_rank(graph: torch.fx.Graph) -> None:
    for node in graph.nodes:
        value = node.meta.get("val")
        if isinstance(value, Tensor) and value.dim() > MOBILE_RANK:
            raise ManyDimensions(f"{node}: {value.dim()}")


def _session(model: bytes) -> Callable[..., Tensor]:
    session = onnxruntime.InferenceSession(model)

    def run(**maps: Tensor) -> Tensor:
        given = {name: x.detach().numpy() for name, x in maps.items()}
        return torch.from_numpy(session.run(None, given)[0])

    return run


def _with_guide(
    run: Callable[..., Tensor], maps: dict[str, Tensor]
) -> Callable[[Tensor], Tensor]:
    rest = {key: value for key, value in maps.items() if key != "x"}
    return lambda x: run(x=x, **rest)


def operator_outcome(name: str, how: str) -> str:
    """``yes`` where it is right at all sizes, or what stands in the way."""
    # Kernels of 3 × 3 give the same graphs as those of 5 × 5, and shorter ones.
    options = {"kernel_size": 3} if name in BY_KERNELS else {}
    module = build_upsampler(name, 16, **options)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.2)
    exact = copy.deepcopy(module).double()
    trained = how in ("torch.compile", "torch.fx")
    given = [tuple(m.parameters()) if trained else None for m in (module, exact)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporters' own
        try:
            run = kept(how, name, inputs(name, torch.randn(EXAMPLE)), module)
        except Exception as error:
            return f"no: {type(error).__name__}"
        sized = how == "torch.compile" and name in BY_KERNELS
        for size in OTHERS[:1] if sized else OTHERS:
            maps = inputs(name, torch.randn(size))
            mine = results(_with_guide(run, maps), maps["x"], given[0])
            double = {key: value.double() for key, value in maps.items()}
            right = results(_with_guide(exact, double), double["x"], given[1])
            if (found := judge(mine, right, "float32")) != "yes":
                return found
    return "yes"


def recorded() -> dict[str, Any]:
    """What upsamplers/test_support.py with ``--record-support`` wrote last."""
    return json.loads(RECORD.read_text("utf-8"))


def write(
    found: Mapping[tuple[str, str, str], dict[str, str]],
    operators: Mapping[tuple[str, str], str],
) -> None:
    """Record all cells."""
    cells: dict[str, Any] = {}
    for how, what, dtype in CELLS:
        cells.setdefault(how, {}).setdefault(what, {})[dtype] = found[how, what, dtype]
    versions = {"torch": torch.__version__, "onnxruntime": onnxruntime.__version__}
    record = {
        "versions": versions,
        "formats": list(FORMATS),
        "cells": cells,
        "operators": {
            name: {how: operators[name, how] for how in CAPTURED} for name in OPERATORS
        },
    }
    RECORD.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
