"""Time DySample beside bare ``grid_sample`` and the formulation of the paper.

    python -m benchmarks.operator_cost [--threads 2] [--repeats 9] [--compile]

Prints a Markdown table and the same figures as JSON. All columns of a row are timed
in turns within one process, each turn on another of several inputs, and the medians
are shown: what disturbs the machine disturbs all of them. The columns:

* ``bare``: ``grid_sample`` on a grid that is there already, and the 1×1 convolution
  that makes the offsets (for dynamic scope also the other); what the operator cannot
  do without.
* ``published``: the formulas of the paper one after the other.
* ``DySample``: this library; ``deterministic``: with ``deterministic=True``.
* ``compiled``, with ``--compile``: ``torch.compile`` of ``DySample``.

The allocator is asked to keep freed memory. glibc's gives large buffers back to the
system, whose zeroed pages can then take longer than the arithmetic, in some processes
and not in others; ``--allocator default`` leaves it so.
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.published import Published
from dysample_lib import DySample, __version__, sampling_grid
from dysample_lib.cost import in_turns, keep_memory
from dysample_lib.cost.allocator import allocator
from dysample_lib.cost.timing import LEAST_REPEATS
from dysample_lib.ops.devices import device_name
from dysample_lib.study.markdown import markdown_table

SIZES = (
    (1, 256, 120, 120),
    (1, 64, 256, 256),
    (1, 64, 320, 320),  # past FLOAT32_SIZE: DySample reads it in float64
    (4, 64, 32, 32),
    (16, 32, 24, 24),
)
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


def measure(
    size: tuple[int, ...], variant: str, repeats: int, compiled: bool
) -> list[dict[str, Any]]:
    """The two rows, forward and with backward, of one size and variant."""
    options = VARIANTS[variant]
    torch.manual_seed(0)
    ours = DySample(size[1], **options)
    dynamic = options.get("scope") == "dynamic"
    groups, style = ours.groups, ours.style
    published = Published(size[1], groups=groups, style=style, dynamic=dynamic)
    published.load_state_dict(ours.state_dict(), strict=False)
    inputs = [torch.randn(size, requires_grad=True) for _ in range(INPUTS)]
    modules: dict[str, nn.Module] = {
        "bare": Bare(ours, inputs[0]),
        "published": published,
        "DySample": ours,
        "deterministic": DySample(size[1], **options, deterministic=True),
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
    rows = []
    for mode in MODES:
        calls = {
            name: partial(call, module, inputs, mode != "forward")
            for name, module in modules.items()
        }
        milliseconds = in_turns(calls, repeats)
        rows.append(
            {
                "size": "×".join(map(str, size)),
                "variant": variant,
                "mode": mode,
                "milliseconds": {k: round(v, 3) for k, v in milliseconds.items()},
                "to_bare": {
                    k: round(v / milliseconds["bare"], 3)
                    for k, v in milliseconds.items()
                },
            }
        )
    return rows


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
                for k in names
            ),
        )
        for row in rows
    ]
    return markdown_table(("size", "variant", "mode", *names), cells)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=9, help="turns that count")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=["DySample"])
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
    rows = [
        row
        for size in SIZES
        for variant in arguments.variants
        for row in measure(size, variant, arguments.repeats, arguments.compile)
    ]
    about = {
        "threads": torch.get_num_threads(),
        "repeats": arguments.repeats,
        "allocator": allocator(),
        "torch": torch.__version__,
        "processor": device_name("cpu"),
        "version": __version__,
    }
    print(markdown(rows))
    print(json.dumps({"about": about, "rows": rows}, ensure_ascii=False))


if __name__ == "__main__":
    main()
