"""Time DySample beside bare ``grid_sample`` and the formulation of the paper.

    python -m benchmarks.operator_cost [--device cuda] [--repeats 9] [--compile]

Prints a Markdown table, and writes the same figures as JSON to ``--output``. All
columns of a row are timed in turns within one process, each turn on another of several
inputs, and the medians are shown: what disturbs the machine disturbs all of them. The
columns:

* ``bare``: ``grid_sample`` on a grid that is there already, and the 1×1 convolution
  that makes the offsets (for dynamic scope also the other); what the operator cannot
  do without.
* ``published``: the formulas of the paper one after the other.
* ``DySample``: this library; ``deterministic``: with ``deterministic=True``.
* ``compiled``, with ``--compile``: ``torch.compile`` of ``DySample``.

On a GPU, rows *captured* replay CUDA graphs, which leaves the launches out of the time,
and the JSON has a profile of the first size: which kernels the time goes to.

The allocator is asked to keep freed memory. glibc's gives large buffers back to the
system, whose zeroed pages can then take longer than the arithmetic, in some processes
and not in others; ``--allocator default`` leaves it so.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from benchmarks.published import Published
from dysample_lib import DySample, __version__, sampling_grid
from dysample_lib.cost import in_turns, keep_memory
from dysample_lib.cost.allocator import allocator
from dysample_lib.cost.timing import LEAST_REPEATS
from dysample_lib.ops.devices import default_device, device_name
from dysample_lib.study.markdown import markdown_table

SIZES = (
    (1, 256, 120, 120),
    (1, 64, 256, 256),
    (1, 64, 320, 320),  # past FLOAT32_SIZE: DySample reads it in float64
    (4, 64, 32, 32),
    (16, 32, 24, 24),
)
CAPTURED = ("bare", "DySample")
"""What is captured as CUDA graphs as well."""
VARIANTS: dict[str, dict[str, Any]] = {
    "DySample": {},
    "DySample+": {"scope": "dynamic"},
    "DySample-S": {"style": "pl", "groups": 8},
    "DySample-S+": {"style": "pl", "groups": 8, "scope": "dynamic"},
}
INPUTS = 3  # rotated, so that none stays in a cache from one turn to the next
MODES = ("forward", "forward + backward")


class Bare(nn.Module):
    """``grid_sample`` on a ready grid, and convolutions whose results are not used."""

    grid: Tensor

    def __init__(self, module: DySample, x: Tensor) -> None:
        super().__init__()
        self.groups = module.groups
        self.layers = nn.ModuleList(module.children())
        self.points = module.scale**2 if module.style == "pl" else 1
        with torch.no_grad():
            grid = sampling_grid(module.offsets(x), module.scale)
        self.grid = nn.Parameter(grid.flatten(0, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Sample, and run the 1×1 convolutions on their own."""
        batch, _, height, width = x.shape
        seen = x.view(batch * self.points, -1, height, width)
        y = F.grid_sample(
            x.view(batch * self.groups, -1, height, width),
            self.grid,
            padding_mode="border",
            align_corners=False,
        )
        y = y.view(batch, -1, *y.shape[2:])
        return y, *(layer(seen) for layer in self.layers)


def call(module: nn.Module, inputs: list[Tensor], backward: bool, turn: int) -> None:
    """One turn."""
    x = inputs[turn % len(inputs)]
    if not backward:
        with torch.no_grad():
            module(x)
        return
    y = module(x)
    outputs = y if isinstance(y, tuple) else (y,)
    gradients = [torch.ones_like(output) for output in outputs]
    torch.autograd.grad(outputs, (x, *module.parameters()), gradients)


Calls = Mapping[str, Callable[[int], object]]


def captured(calls: Calls) -> dict[str, Callable[[int], None]]:
    """The calls as CUDA graphs, one for each input."""

    def graph(run: Callable[[int], object], turn: int) -> torch.cuda.CUDAGraph:
        made = torch.cuda.CUDAGraph()
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):  # libraries choose their kernels before it
            run(turn)
        torch.cuda.current_stream().wait_stream(aside)
        with torch.cuda.graph(made):
            run(turn)
        return made

    graphs = {k: [graph(run, i) for i in range(INPUTS)] for k, run in calls.items()}
    return {k: partial(_replay, each) for k, each in graphs.items()}


def _replay(graphs: list[torch.cuda.CUDAGraph], turn: int) -> None:
    graphs[turn % INPUTS].replay()


def busiest(
    run: Callable[[int], object], device: torch.device, turns: int = 10
) -> dict[str, list[float]]:
    """A call's launches and milliseconds by kernel; by operator on a CPU."""
    cuda = device.type == "cuda"
    of = [ProfilerActivity.CPU, *[ProfilerActivity.CUDA] * cuda]
    with profile(activities=of) as profiled:
        for turn in range(turns):
            run(turn)
    took = "self_device_time_total" if cuda else "self_cpu_time_total"
    found = {
        event.key: [event.count / turns, round(getattr(event, took) / turns / 1e3, 4)]
        for event in profiled.key_averages()
        if event.device_type.name == device.type.upper()
    }
    return dict(sorted(found.items(), key=lambda item: -item[1][1])[:25])


def contenders(
    size: tuple[int, ...], variant: str, compiled: bool, device: torch.device
) -> tuple[dict[str, nn.Module], list[Tensor]]:
    """The columns' modules, which compute the same, and inputs for them."""
    options = VARIANTS[variant]
    torch.manual_seed(0)
    ours = DySample(size[1], **options).to(device)
    dynamic = options.get("scope") == "dynamic"
    groups, style = ours.groups, ours.style
    published = Published(size[1], groups=groups, style=style, dynamic=dynamic)
    published.load_state_dict(ours.state_dict(), strict=False)
    inputs = [torch.randn(size).to(device).requires_grad_() for _ in range(INPUTS)]
    modules: dict[str, nn.Module] = {
        "bare": Bare(ours, inputs[0]),
        "published": published.to(device),
        "DySample": ours,
        "deterministic": DySample(size[1], **options, deterministic=True).to(device),
    }
    modules["deterministic"].load_state_dict(ours.state_dict())
    if compiled:
        torch._dynamo.reset()  # past some recompilations it silently runs eagerly
        modules["compiled"] = torch.compile(ours)
    with torch.no_grad():  # nobody is timed who computes something else
        expected = ours(inputs[0])
        for name in modules.keys() - {"bare"}:
            torch.testing.assert_close(
                modules[name](inputs[0]), expected, rtol=0, atol=1e-3
            )
    return modules, inputs


def measure(
    size: tuple[int, ...],
    variant: str,
    repeats: int,
    compiled: bool,
    device: torch.device | str = "cpu",
) -> list[dict[str, Any]]:
    """The rows of one size and variant: forward, with backward, and captured ones."""
    device = torch.device(device)
    modules, inputs = contenders(size, variant, compiled, device)
    timed: dict[str, Calls] = {
        mode: {
            name: partial(call, module, inputs, mode != "forward")
            for name, module in modules.items()
        }
        for mode in MODES
    }
    if device.type == "cuda":
        timed |= {
            f"{mode}, captured": captured({k: timed[mode][k] for k in CAPTURED})
            for mode in MODES
        }
    rows = []
    for mode, calls in timed.items():
        milliseconds = in_turns(calls, repeats, device)
        rows.append(
            {
                "size": "×".join(map(str, size)),
                "variant": variant,
                "mode": mode,
                "milliseconds": {k: round(v, 4) for k, v in milliseconds.items()},
                "to_bare": {
                    k: round(v / milliseconds["bare"], 3)
                    for k, v in milliseconds.items()
                },
            }
        )
    return rows


def profiles(
    size: tuple[int, ...], variant: str, device: torch.device
) -> dict[str, dict[str, dict[str, list[float]]]]:
    """What ``bare`` and ``DySample`` spend their time on, by mode."""
    modules, inputs = contenders(size, variant, False, device)
    return {
        mode: {
            name: busiest(
                partial(call, modules[name], inputs, mode != "forward"), device
            )
            for name in CAPTURED
        }
        for mode in MODES
    }


def markdown(rows: list[dict[str, Any]]) -> str:
    """Milliseconds, and in brackets how many times ``bare``."""
    names = list(rows[0]["milliseconds"])
    cells = [
        (
            row["size"],
            row["variant"],
            row["mode"],
            *(
                f"{row['milliseconds'][k]:.2f} ({row['to_bare'][k]:.2f}×)"
                if k in row["to_bare"]
                else ""
                for k in names
            ),
        )
        for row in rows
    ]
    return markdown_table(("size", "variant", "mode", *names), cells)


def size(text: str) -> tuple[int, ...]:
    """``1x256x120x120``: batch, channels, height, width."""
    batch, channels, height, width = map(int, text.split("x"))
    return batch, channels, height, width


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), help="the GPU if any")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=9, help="turns that count")
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction)
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=["DySample"])
    parser.add_argument(
        "--sizes", nargs="+", type=size, default=SIZES, metavar="BxCxHxW"
    )
    parser.add_argument("--profile", action="store_true", help="of the first size")
    parser.add_argument("--output", type=Path, help="a JSON file, begun anew")
    parser.add_argument(
        "--allocator", choices=("keeps memory", "default"), default="keeps memory"
    )
    arguments = parser.parse_args()
    if arguments.repeats < LEAST_REPEATS:
        parser.error(
            f"--repeats has to be at least {LEAST_REPEATS}, got {arguments.repeats}"
        )
    if arguments.allocator == "keeps memory":
        keep_memory()
    torch.set_num_threads(arguments.threads)
    device = torch.device(arguments.device or default_device())
    about = {
        "device": device.type,
        "threads": torch.get_num_threads(),
        "repeats": arguments.repeats,
        "allocator": allocator(),
        "torch": torch.__version__,
        "processor": device_name(device),
        "version": __version__,
    }
    measured: dict[str, Any] = {"about": about, "rows": []}

    def keep() -> None:
        if arguments.output is not None:
            text = json.dumps(measured, ensure_ascii=False)
            arguments.output.write_text(f"{text}\n", encoding="utf-8")

    for some in arguments.sizes:
        for variant in arguments.variants:
            measured["rows"] += measure(
                some, variant, arguments.repeats, arguments.compile, device
            )
            keep()  # what ends the program later takes nothing away
    if arguments.profile:
        measured["profile"] = profiles(
            arguments.sizes[0], arguments.variants[0], device
        )
        keep()
    print(markdown(measured["rows"]))


if __name__ == "__main__":
    main()
