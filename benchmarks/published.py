"""DySample as its paper writes it down, to hold the library against.

The formulas of section 3 one after the other, with what such a transcription does by
nature: the coordinates have the features' type, and the features are viewed as groups
where they lie in memory. Not for use.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Published(nn.Module):
    """X' = grid_sample(X, G + O); arguments and shapes as in ``DySample``, s = 2."""

    init_pos: Tensor

    def __init__(
        self,
        channels: int,
        *,
        groups: int = 4,
        style: str = "lp",
        dynamic: bool = False,
    ) -> None:
        super().__init__()
        self.groups = groups
        self.style = style
        if style == "pl":
            channels, out = channels // 4, 2 * groups
        else:
            out = 8 * groups
        self.offset = nn.Conv2d(channels, out, 1)
        nn.init.normal_(self.offset.weight, std=0.001)
        nn.init.zeros_(self.offset.bias)
        if dynamic:
            self.scope = nn.Conv2d(channels, out, 1, bias=False)
            nn.init.zeros_(self.scope.weight)
        step = torch.tensor([-0.25, 0.25])
        x = step.repeat(2)  # of the points (0, 0), (0, 1), (1, 0), (1, 1)
        y = step.repeat_interleave(2)
        start = torch.cat((x.repeat(groups), y.repeat(groups)))
        self.register_buffer("init_pos", start.view(1, -1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → (B, C, 2·H, 2·W)."""
        seen = F.pixel_shuffle(x, 2) if self.style == "pl" else x
        offset = self.offset(seen)
        if hasattr(self, "scope"):
            offset = 0.5 * self.scope(seen).sigmoid() * offset
        else:
            offset = 0.25 * offset
        if self.style == "pl":
            offset = F.pixel_unshuffle(offset, 2)
        return self.sample(x, offset + self.init_pos)

    def sample(self, x: Tensor, offset: Tensor) -> Tensor:
        """Read ``x`` at the points."""
        batch, _, height, width = x.shape
        kind = {"dtype": x.dtype, "device": x.device}
        rows, columns = torch.meshgrid(
            torch.arange(height, **kind) + 0.5,
            torch.arange(width, **kind) + 0.5,
            indexing="ij",
        )
        centres = torch.stack((columns, rows)).view(1, 2, 1, height, width)
        size = torch.tensor([width, height], **kind).view(1, 2, 1, 1, 1)
        offset = offset.view(batch, 2, -1, height, width)
        grid = 2 * (centres + offset) / size - 1
        grid = F.pixel_shuffle(grid.view(batch, -1, height, width), 2)
        grid = grid.view(batch, 2, self.groups, 2 * height, 2 * width)
        grid = grid.permute(0, 2, 3, 4, 1).contiguous().flatten(0, 1)
        sampled = F.grid_sample(
            x.view(batch * self.groups, -1, height, width),
            grid,
            mode="bilinear",
            padding_mode="border",
            align_corners=False,
        )
        return sampled.view(batch, -1, 2 * height, 2 * width)
