"""Put upsamplers on the scales."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cache
from typing import Any

import torch
from torch import Tensor

from ..ops.devices import default_device, device_name
from ..ops.parameters import count_parameters
from ..upsamplers import Upsampler
from .allocator import allocator
from .memory import check_device, high_water, saved_for_backward
from .operations import count_flops
from .setting import Cost, Setting
from .timing import check_repeats, in_turns, thread_count

INPUTS = 3
"""How many inputs take turns, so that none stays in a cache for the next call."""


def cost(
    name: str,
    channels: int = 256,
    height: int = 120,
    width: int = 120,
    *,
    scale: int = 2,
    batch: int = 1,
    groups: int | None = None,
    repeats: int = 9,
    threads: int | None = None,
    device: torch.device | str | None = None,
) -> Cost:
    """Measure one upsampler. To hold several against each other use :func:`compare`.

    Args:
        name: a key of :data:`dysample_lib.upsamplers.UPSAMPLERS`.
        channels: C, of the map and of the guide.
        height: H, of the low-resolution map.
        width: W, of the low-resolution map.
        scale: s.
        batch: B.
        groups: g, for those that have groups; their own number by default.
        repeats: calls that count for the medians, at least 7.
        threads: for torch on the CPU; as many as it has by default.
        device: ``"cpu"`` or ``"cuda"``; the GPU where there is one by default.

    Raises:
        TypeError, ValueError: for arguments that do not fit, before any work.
        RuntimeError: if torch counts other operations than the closed formula.
    """
    setting = Setting(name, channels, height, width, scale, batch, groups)
    return measure([setting], repeats=repeats, threads=threads, device=device)[0]


def compare(
    names: Sequence[str],
    channels: int = 256,
    height: int = 120,
    width: int = 120,
    *,
    scale: int = 2,
    batch: int = 1,
    repeats: int = 9,
    threads: int | None = None,
    device: torch.device | str | None = None,
) -> list[Cost]:
    """Measure several upsamplers on the same inputs, timed in turns. See :func:`cost`.

    >>> [c.parameters for c in compare(["bilinear", "grouping"], 16, 8, 8)]
    [0, 544]
    """
    settings = [Setting(name, channels, height, width, scale, batch) for name in names]
    return measure(settings, repeats=repeats, threads=threads, device=device)


def measure(
    settings: Sequence[Setting],
    *,
    repeats: int = 9,
    threads: int | None = None,
    device: torch.device | str | None = None,
) -> list[Cost]:
    """Measure upsamplers in settings of any kind, all timed in turns. See :func:`cost`.

    Inputs are unit normal and equal for equal shapes, weights as initialised. The
    global random state is left as it was.
    """
    check_repeats(repeats)
    if not settings:
        raise ValueError("there has to be at least one upsampler to measure, got none")
    where = check_device(default_device() if device is None else device)
    with thread_count(threads) as count, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        modules = [setting.build().to(where) for setting in settings]

        @cache
        def maps(*shape: int) -> list[Tensor]:
            drawn = [torch.randn(shape).to(where) for _ in range(INPUTS)]
            return [x.requires_grad_() for x in drawn]

        passes = [
            Passes(
                module,
                [maps(*shape) for shape in setting.shapes()],
                maps(*setting.output)[0].detach(),
            )
            for setting, module in zip(settings, modules, strict=True)
        ]
        weighed = [each.weigh(where) for each in passes]
        calls: dict[tuple[int, str], Callable[[int], object]] = {}
        for index, each in enumerate(passes):
            calls[index, "forward_ms"] = each.forward
            calls[index, "training_ms"] = each.training
        milliseconds = in_turns(calls, repeats, where)
    conditions: dict[str, Any] = {
        "repeats": repeats,
        "threads": count,
        "device": where.type,
        "device_name": device_name(where),
        "allocator": allocator(),
        "torch": torch.__version__,
    }
    for index, mode in calls:
        weighed[index][mode] = milliseconds[index, mode]
    return [
        Cost(**asdict(setting), **measured, **conditions)
        for setting, measured in zip(settings, weighed, strict=True)
    ]


class Passes:
    """The passes of a module over inputs that take turns.

    Args:
        module: an upsampler, called with one map of each list.
        inputs: the features and, for guided upsamplers, the guides: several of each.
        gradient: of the output, where the backward pass starts.
    """

    def __init__(
        self,
        module: Upsampler,
        inputs: Sequence[Sequence[Tensor]],
        gradient: Tensor,
    ) -> None:
        self.module = module
        names = ("x", "guide")[: len(inputs)]
        self.inputs = [
            dict(zip(names, maps, strict=True)) for maps in zip(*inputs, strict=True)
        ]
        self.gradient = gradient

    def forward(self, turn: int = 0) -> Tensor:
        """The forward pass alone, without gradients."""
        with torch.no_grad():
            return self.module(**self.inputs[turn % len(self.inputs)])

    def training(self, turn: int = 0) -> tuple[Tensor, ...]:
        """The forward and the backward pass: gradients of inputs and parameters."""
        inputs = self.inputs[turn % len(self.inputs)]
        y = self.module(**inputs)
        return torch.autograd.grad(
            y, (*inputs.values(), *self.module.parameters()), self.gradient
        )

    def weigh(self, device: torch.device) -> dict[str, Any]:
        """All of a :class:`.Cost` that needs no clock."""
        weights, biases = count_parameters(self.module)
        layers, reading = count_flops(self.module, self.inputs[0])
        saved = saved_for_backward(self.module, self.inputs[0])
        return {
            "weights": weights,
            "biases": biases,
            "flops_layers": layers,
            "flops_reading": reading,
            "saved_bytes": saved.activations,
            "saved_input_bytes": saved.inputs,
            "peak_inference_bytes": high_water(self.forward, device),
            "peak_training_bytes": high_water(self.training, device),
        }
