"""Layers that keep the values they start with when a whole model is initialised."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn


class Initialised(nn.Module):
    """A layer with an initialiser of its own, before torch's layer in the bases.

    Recipes for whole models (FSDP, models made on the meta device) call
    ``reset_parameters`` of every module, a module before its layers. What an upsampler
    sets in its layers would be overwritten there by torch's defaults.

    Args:
        *args: of torch's layer.
        init: sets the weight, in place; the bias starts at zero then. None for torch's
            own initialisation of both.
        **kwargs: of torch's layer.
    """

    weight: Tensor
    bias: Any
    init: Callable[[Tensor], Any] | None = None

    def __init__(
        self,
        *args: Any,
        init: Callable[[Tensor], Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)  # draws by torch's rule: seeds count on it
        self.init = init

    def reset_parameters(self) -> None:
        """Start by ``init``, or by torch's rule where there is none."""
        if self.init is None:
            super().reset_parameters()  # type: ignore[misc]
            return
        self.init(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)


class Conv2d(Initialised, nn.Conv2d):
    """A convolution with an initialiser of its own."""


class Linear(Initialised, nn.Linear):
    """A linear layer with an initialiser of its own."""
