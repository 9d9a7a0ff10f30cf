"""Kept features: the maps of a frozen encoder, computed once and trained on many times.

A frozen encoder gives an image the same maps in every epoch, for every upsampler and
every seed. Here they are made once, of the images and of their mirror images, and kept
in half precision, so that only a decoder is left to train.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..data import fingerprint
from ..data.memory import keep
from ..tasks.base import Batch
from ..testbed.nets import EncodingNet, evaluating
from .progress import bar


class KeptMaps:
    """A data set as batches of a frozen encoder's maps.

    Args:
        model: whose encoder makes the maps; ``model.frozen`` has to be true.
        data: a set of images of one size.
        mirrored: keep the maps of the mirror images as well, for training.
        device: where the maps are made and kept.
        progress: see :func:`dysample_lib.train.fit.fit`.

    Raises:
        ValueError: if the encoder is not frozen.
    """

    def __init__(
        self,
        model: EncodingNet,
        data: Any,
        *,
        mirrored: bool,
        device: torch.device | str = "cpu",
        progress: bool | None = None,
    ) -> None:
        if not model.frozen:
            raise ValueError(
                "model has to have a frozen encoder for its maps to be kept, got one "
                "that is trained"
            )
        self.data = data.to(device)
        self.mirrored = mirrored
        where = torch.device(device)
        content = fingerprint(data, decoded=True)
        key = ("maps", _digest(model), content, mirrored, str(where))

        def made() -> tuple[list[Tensor], list[Any]]:
            maps = _maps(model.to(where), self.data, mirrored, progress)
            return maps, _labels(self.data, mirrored)

        self.levels, self.targets = keep(key, made)

    def __len__(self) -> int:
        return len(self.data)

    def batch(self, index: Tensor, flips: Mapping[int, Tensor]) -> Batch:
        """The samples at ``index``; mirrored ones read the mirror image's maps."""
        if set(flips) - ({-1} if self.mirrored else set()):
            raise ValueError(
                "flips has to be along the axis -1 at most, as the maps of mirror "
                f"images are kept and no others, got axes {sorted(flips)}"
            )
        chosen = flips.get(-1, torch.zeros(len(index), dtype=torch.bool))
        rows = (index + len(self) * chosen).to(self.levels[0].device)
        levels = [level.index_select(0, rows).float() for level in self.levels]
        return Batch(levels, self.data.size, self._targets(index, chosen), self.data)

    def _targets(self, index: Tensor, mirrored: Tensor) -> Any:
        """The labels at ``index``, mirrored as the maps are."""
        pairs = zip(index.tolist(), mirrored.tolist(), strict=True)
        some = [self.targets[side][sample] for sample, side in pairs]
        return torch.stack(some) if isinstance(some[0], Tensor) else some


def _maps(
    model: EncodingNet, data: Any, mirrored: bool, progress: bool | None
) -> list[Tensor]:
    """The maps of all images, then of their mirror images, level by level."""
    images = [data.images, data.images.flip(-1)] if mirrored else [data.images]
    parts = [batch for whole in images for batch in whole.split(16)]
    made = []
    with evaluating(model):
        for part in bar(parts, progress, "features"):
            made.append([level.half() for level in model.encode(part)])
    return [torch.cat(level) for level in zip(*made, strict=True)]


def _labels(data: Any, mirrored: bool) -> list[Any]:
    """The labels of all images, and where need be those of their mirror images."""
    everything = torch.arange(len(data))
    flips = [{}, {-1: torch.ones(len(data), dtype=torch.bool)}]
    return [data.batch(everything, axes)[1] for axes in flips[: 1 + mirrored]]


def _digest(model: EncodingNet) -> str:
    """A digest of the encoder's weights and of how it takes its images."""
    how = f"{type(model.encoder).__name__} ×{model.enlarge}"
    digest = hashlib.sha256(how.encode())
    state = model.encoder.state_dict() | {"mean": model.mean, "std": model.std}
    for name, value in state.items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
