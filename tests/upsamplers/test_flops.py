"""The closed formulas for operations, against torch's counter and by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from upsampler_samples import BY_KERNELS, NAMES, channels_for, inputs

from dysample_lib import build_upsampler
from dysample_lib.ops.reassembly import TILE


def count(module: nn.Module, maps: dict[str, Tensor]) -> dict[str, int]:
    """What torch's counter sees, by operator, for one image."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(**maps)
    counts = counter.get_flop_counts().get("Global", {})
    return {str(op).removeprefix("aten."): n for op, n in counts.items()}


@pytest.mark.parametrize("scale", [2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_flops_are_those_of_torchs_counter(name: str, scale: int) -> None:
    channels, height, width = channels_for(scale), 8, 12
    module = build_upsampler(name, channels, scale)
    x = torch.randn(1, channels, height, width)
    counted = count(module, inputs(name, x, scale))
    flops = module.flops(height, width)
    # The layers of kernel-based upsamplers are no batched products, the rest is.
    products = counted.pop("bmm", 0) if name in BY_KERNELS else 0
    assert sum(counted.values()) == flops.layers
    if name not in BY_KERNELS:
        return
    # The tiles multiply (4 + 4)² numbers for the operator's 25, zeros included.
    window = (TILE + 4) ** 2
    each = 2 * scale**2 * height * width * (channels + getattr(module, "embedding", 0))
    assert products == window * each
    assert flops.reading > 25 * each


@pytest.mark.parametrize("name", NAMES)
def test_flops_grow_with_the_map(name: str) -> None:
    flops = build_upsampler(name, 16).flops
    assert flops(6, 10).layers == 15 * flops(2, 2).layers
    assert flops(6, 10).reading == 15 * flops(2, 2).reading
    assert flops(2, 2).total == flops(2, 2).layers + flops(2, 2).reading
    assert (flops(2, 2).total == 0) == (name == "nearest")


def test_flops_of_the_rest() -> None:
    """What the counter does not see, written out for one pixel of four channels."""
    names = ("bilinear", "static_scope", "grouping", "dynamic_scope", "deconv")
    readings = [build_upsampler(name, 4).flops(1, 1).reading for name in names]
    assert readings == [
        4 * 4 * 7,  # values · (products and sums)
        4 * (4 * 7 + 14),
        4 * (4 * 7 + 14 * 4),
        4 * (4 * 7 + 18 * 4),
        0,
    ]
    kernel = 25 * (2 * 4 + 3)  # weights · (products and sums; softmax)
    names = ("carafe", "fade_ungated", "fade", "fade_lite", "sapa")
    readings = [build_upsampler(name, 4).flops(1, 1).reading for name in names]
    assert readings == [
        4 * kernel,
        4 * (kernel + 25),  # both features' kernels are added
        4 * (kernel + 25 + 1 + 3 * 4) + 1,  # 1 − g; two products, a sum; the sigmoid
        4 * (kernel + 25 + 1 + 3 * 4) + 1,
        4 * kernel + 7 * (4 + 4 * 4) + 4 * 2 * 32 * 25,  # layer norms, similarities
    ]
