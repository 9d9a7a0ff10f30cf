"""DySample under the authors' arguments, for a model that uses a copy of their file."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from torch import Tensor

from .. import upsamplers


class DySample(upsamplers.DySample):
    """:class:`dysample_lib.DySample` with the signature and state dict of the copies.

    One import takes the place of the copied file. What was saved with the copy loads
    strictly, and what is saved from here loads strictly into a copy: the constant
    ``init_pos`` is among the entries.

    Args:
        in_channels: C.
        scale: upsampling ratio s.
        style: ``"lp"`` or ``"pl"``.
        groups: g.
        dyscope: a dynamic scope, ``scope="dynamic"``, in place of 0.25.

    Raises:
        TypeError, ValueError: for arguments that do not fit, where a copy asserts.

    >>> DySample(64, 2, "pl", 8, True).scope.weight.shape
    torch.Size([16, 16, 1, 1])
    """

    def __init__(
        self,
        in_channels: int,
        scale: int = 2,
        style: str = "lp",
        groups: int = 4,
        dyscope: bool = False,
    ) -> None:
        super().__init__(
            in_channels,
            scale,
            groups=groups,
            style=style,
            scope="dynamic" if dyscope else 0.25,
        )
        self.register_state_dict_post_hook(_add_init_pos)


def _add_init_pos(
    module: Any, state_dict: MutableMapping[str, Tensor], prefix: str, *_: object
) -> None:
    weight = module.offset.weight
    start = module.initial_offsets(weight.dtype, weight.device)
    state_dict[prefix + "init_pos"] = start
