"""Operations: the closed formulas, held against what torch counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ..upsamplers.flops import Flops


def count_flops(module: nn.Module, inputs: Sequence[Tensor]) -> Flops:
    """Count the operations of ``module(*inputs)``, a product and its sum as two.

    The module's formula, ``flops(height, width)``, gives them for one image. Torch's
    counter vouches for ``layers``: it sees each convolution and linear layer. Sampling
    and interpolation it does not see, and of reassembly it sees the zeros that the
    tiles multiply on top, so that ``reading`` rests on the formula.

    Args:
        module: one of this book's upsamplers.
        inputs: the features (B, C, H, W) and, for guided ones, the guide.

    Returns:
        The operations for all B images.

    Raises:
        RuntimeError: if the counter and the formula disagree.
    """
    batch, _, height, width = inputs[0].shape
    formula = cast(Callable[[int, int], Flops], module.flops)
    layers, reading = formula(height, width)
    counted = _in_layers(module, inputs)
    if counted != batch * layers:
        raise RuntimeError(
            f"{type(module).__name__}.flops({height}, {width}) says {layers:,} "
            f"operations in layers for one image, torch counts {counted:,} for {batch}"
        )
    return Flops(batch * layers, batch * reading)


def _in_layers(module: nn.Module, inputs: Sequence[Tensor]) -> int:
    """What torch counts inside of the module's children."""
    plain = [x.detach() for x in inputs]  # the counter stumbles over views of leaves
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(*plain)
    root = type(module).__name__
    children = {f"{root}.{name}" for name, _ in module.named_children()}
    counts = counter.get_flop_counts()
    return sum(sum(counts[name].values()) for name in children & counts.keys())
