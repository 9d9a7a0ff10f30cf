"""Output sizes other than s times the input's, for skip features of odd sizes."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral

import torch
from torch import Tensor

from .sampling import for_all_sizes


def check_output_size(
    output_size: object, size: Sequence[int], scale: int
) -> tuple[int, int] | None:
    """Raise unless ``output_size`` is one that a map of ``size`` may be upsampled to.

    Args:
        output_size: (H', W'), or None for (s·H, s·W).
        size: (H, W) of the input.
        scale: s.

    Returns:
        The two sizes, or None for (s·H, s·W).

    Raises:
        TypeError: if it is no pair of integers.
        ValueError: if a size is not within s of s times the input's.
    """
    if output_size is None:
        return None
    if not isinstance(output_size, Sequence) or len(output_size) != 2:
        raise TypeError(
            f"output_size has to be a pair of integers (H, W), got {output_size!r}"
        )
    # A size is symbolic while a graph is captured, and a tensor in a trace.
    tracing = torch.jit.is_tracing()
    kinds = (Integral, torch.SymInt, *([Tensor] if tracing else []))
    for wanted in output_size:
        if isinstance(wanted, bool) or not isinstance(wanted, kinds):
            raise TypeError(
                f"output_size has to be a pair of integers (H, W), got {output_size!r}"
            )
    height, width = output_size
    if tracing:
        return height, width  # a comparison would tie the trace to this size
    low = [max(1, scale * (n - 1) + 1) for n in size]
    high = [scale * (n + 1) - 1 for n in size]
    if not (low[0] <= height <= high[0] and low[1] <= width <= high[1]):
        raise ValueError(
            f"output_size has to be ({low[0]} to {high[0]}, {low[1]} to {high[1]}) for "
            f"an input of {size[0]} × {size[1]} and scale={scale}, got "
            f"({height}, {width})"
        )
    return height, width


def fit(x: Tensor, output_size: tuple[int, int] | None) -> Tensor:
    """Cut ``x`` (B, C, H, W) at the right and bottom, or repeat its last lines there.

    None leaves it as it is.
    """
    if output_size is None:
        return x
    captured = for_all_sizes()
    for dim, wanted in ((2, output_size[0]), (3, output_size[1])):
        if captured:
            lines = torch.arange(wanted, device=x.device).clamp(max=x.shape[dim] - 1)
            x = x.index_select(dim, lines)
            continue
        missing = wanted - x.shape[dim]
        if missing > 0:
            last = x.narrow(dim, x.shape[dim] - 1, 1)
            x = torch.cat((x, *[last] * missing), dim)
        elif missing < 0:
            x = x.narrow(dim, 0, wanted)
    return x
