"""SAPA: kernels from the similarity of guide and map (Lu et al., NeurIPS 2022)."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from ..ops.checks import check_positive_integer
from ..ops.initialised import Linear
from ..ops.reassembly import (
    affinity,
    check_kernel_size,
    normalised,
    reassemble,
    reassembly_flops,
)
from .base import Flops, Upsampler

torch.fx.wrap("affinity")
torch.fx.wrap("normalised")
torch.fx.wrap("reassemble")


class SAPA(Upsampler):
    r"""Upsample by kernels that say which neighbours an output pixel resembles.

    Lu et al., "SAPA: Similarity-Aware Point Affiliation for Feature Upsampling"
    (NeurIPS 2022): SAPA-B. Both features are normalised over their channels
    (layer norm) and embedded in d dimensions. The kernel of an output pixel is the
    softmax of the inner products of its query with the keys of the k × k
    neighbourhood:

    .. math::  W = \text{softmax}(\text{query}(\text{LN}(G))^\top
        \text{key}(\text{LN}(X))), \quad X' = \text{reassemble}(X, W).

    The authors' later code normalises 32 groups of channels (group norm) instead, with
    as many parameters; it asks for channels in multiples of 32.

    Outside the map keys and features are zeros. The initialisation is the authors': a
    standard deviation of 0.02 (they truncate at 100 times that), biases zero, so that
    all kernels start nearly as means.

    Left out: SAPA-I (no embedding) and SAPA-G, whose query is a gated sum of both
    features' embeddings.

    Args:
        in_channels: C.
        scale: upsampling ratio s, an integer of at least 1.
        guide_channels: C_g, or None for C.
        kernel_size: k of the reassembly, odd.
        embedding: d.

    Shape:
        * x: (B, C, H, W), any floating-point dtype
        * guide: (B, C_g, s·H, s·W)
        * output: (B, C, s·H, s·W), in the dtype of x

    Parameters: d·(C + C_g) + C + C_g weights, 2·d + C + C_g biases.

    Raises:
        TypeError, ValueError: for arguments that do not fit, before any work.
    """

    guided = True

    def __init__(
        self,
        in_channels: int,
        scale: int = 2,
        guide_channels: int | None = None,
        *,
        kernel_size: int = 5,
        embedding: int = 32,
    ) -> None:
        super().__init__(in_channels, scale)
        self.guide_channels = in_channels if guide_channels is None else guide_channels
        check_positive_integer("guide_channels", self.guide_channels)
        check_kernel_size(kernel_size)
        check_positive_integer("embedding", embedding)
        self.kernel_size = kernel_size
        self.embedding = embedding
        self.norm_guide = nn.LayerNorm(self.guide_channels)
        self.norm = nn.LayerNorm(in_channels)
        nearly_means = partial(nn.init.normal_, std=0.02)
        self.query = Linear(self.guide_channels, embedding, init=nearly_means)
        self.key = Linear(in_channels, embedding, init=nearly_means)
        self.reset_parameters()

    def kernels(self, x: Tensor, guide: Tensor) -> Tensor:
        """The kernels, (B, k², s·H, s·W), at least float32."""
        self.check_maps(x, guide)
        query = self.query(self.norm_guide(guide.permute(0, 2, 3, 1)))
        keys = self.key(self.norm(x.permute(0, 2, 3, 1)))
        query, keys = query.permute(0, 3, 1, 2), keys.permute(0, 3, 1, 2)
        return normalised(affinity(query, keys, self.scale, self.kernel_size))

    def upsample(self, x: Tensor, guide: Tensor) -> Tensor:
        """Upsample ``x`` to the size of ``guide``."""
        return reassemble(x, self.kernels(x, guide), self.scale)

    def flops(self, height: int, width: int) -> Flops:
        """Operations for one map.

        Layers: the embeddings, 2·H·W·d·(C + s²·C_g). Reading: layer norms, 7 for each
        value of both maps; inner products, softmax and weighted sums,
        s²·H·W·k²·(2·d + 2·C + 3).
        """
        pixels, points = height * width, self.scale**2 * height * width
        values = pixels * self.in_channels + points * self.guide_channels
        reading = 7 * values + 2 * points * self.kernel_size**2 * self.embedding
        reading += reassembly_flops(
            self.in_channels, self.kernel_size, self.scale, height, width
        )
        return Flops(2 * self.embedding * values, reading)

    def extra_repr(self) -> str:
        return (
            f"{super().extra_repr()}, kernel_size={self.kernel_size}, "
            f"embedding={self.embedding}"
        )
