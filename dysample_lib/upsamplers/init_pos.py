"""The initial positions that the authors' checkpoints hold as a buffer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def check(module: Any, theirs: Tensor, name: str) -> None:
    """Raise unless a checkpoint's ``init_pos`` holds the points of a DySample."""
    ours = module.initial_offsets(torch.float32, "cpu")
    theirs = theirs.detach().to("cpu", torch.float32)
    # Half-precision checkpoints hold rounded positions, hence the tolerance.
    if theirs.shape != ours.shape or not torch.allclose(theirs, ours, atol=1e-3):
        raise ValueError(
            f"{name} of shape {tuple(theirs.shape)} holds other initial "
            f"positions than this module ({module.extra_repr()}): build it with the "
            "checkpoint's scale, groups and initial"
        )


def take(module: Any, state_dict: dict[str, Tensor], prefix: str, *_: object) -> None:
    """Accept the authors' persistent ``init_pos``; it has to be the same points."""
    theirs = state_dict.pop(prefix + "init_pos", None)
    if theirs is not None:
        check(module, theirs, prefix + "init_pos")
