"""Operations: the closed formulas, held against what torch counts."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from ..upsamplers import Flops, Upsampler


def count_flops(module: Upsampler, inputs: Mapping[str, Tensor]) -> Flops:
    """Count the operations of ``module(**inputs)``, a product and its sum as two.

    The module's formula, ``flops(height, width)``, gives them for one image. Torch's
    counter vouches for ``layers``: it sees each convolution and linear layer. Sampling
    and interpolation it does not see, and of reassembly it sees the zeros that the
    tiles multiply on top, so that ``reading`` rests on the formula.

    Args:
        module: one of this book's upsamplers.
        inputs: ``x``, the features (B, C, H, W), and ``guide`` for guided ones.

    Returns:
        The operations for all B images.

    Raises:
        RuntimeError: if the counter and the formula disagree.
    """
    batch, _, height, width = inputs["x"].shape
    layers, reading = module.flops(height, width)
    counted = _in_layers(module, inputs)
    if counted != batch * layers:
        raise RuntimeError(
            f"{type(module).__name__}.flops({height}, {width}) says {layers:,} "
            f"operations in layers for one image, torch counts {counted:,} for {batch}"
        )
    return Flops(batch * layers, batch * reading)


def _in_layers(module: Upsampler, inputs: Mapping[str, Tensor]) -> int:
    """What torch counts inside of the module's children."""
    # The counter stumbles over views of leaves.
    plain = {name: tensor.detach() for name, tensor in inputs.items()}
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(**plain)
    root = type(module).__name__
    children = {f"{root}.{name}" for name, _ in module.named_children()}
    counts = counter.get_flop_counts()
    return sum(sum(counts[name].values()) for name in children & counts.keys())
