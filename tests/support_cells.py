"""The cells of the support matrix, and what becomes of DySample in each.

A cell is a way to run it, what is run, and a dtype; in each the map comes in three
memory formats. Graphs are captured at one size and run at another.
"""

from __future__ import annotations

import copy
import itertools
import json
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import onnxruntime
import torch
from torch import Tensor, nn

from dysample_lib import DySample

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


def recorded() -> dict[str, Any]:
    """What upsamplers/test_support.py with ``--record-support`` wrote last."""
    return json.loads(RECORD.read_text("utf-8"))


def write(found: Mapping[tuple[str, str, str], dict[str, str]]) -> None:
    """Record all cells."""
    cells: dict[str, Any] = {}
    for how, what, dtype in CELLS:
        cells.setdefault(how, {}).setdefault(what, {})[dtype] = found[how, what, dtype]
    versions = {"torch": torch.__version__, "onnxruntime": onnxruntime.__version__}
    record = {"versions": versions, "formats": list(FORMATS), "cells": cells}
    RECORD.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
