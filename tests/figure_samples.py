"""What the tests of the pictures share: estimates, and ways to look into a figure."""

from __future__ import annotations

from typing import NamedTuple

import matplotlib
import numpy as np
import torch
from torch import Tensor

from dysample_lib import DySample

matplotlib.use("Agg")


class Estimate(NamedTuple):
    mean: float
    low: float | None
    high: float | None
    n: int


def named(fig, gid):
    """All artists of a figure whose ``gid`` it is, in drawing order."""
    return [artist for ax in fig.axes for artist in ax.findobj(has_gid(gid))]


def has_gid(gid):
    return lambda artist: artist.get_gid() == gid


def titles(fig):
    return [ax.get_title(loc="left") for ax in fig.axes]


def texts(fig):
    return [text.get_text() for ax in fig.axes for text in ax.texts]


def luminance(colour):
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour
    ]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def sample_tile() -> tuple[Tensor, Tensor]:
    """An image (3, 24, 32) of noise, and labels with one rectangle of 10 × 12."""
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (3, 24, 32), generator=generator, dtype=torch.uint8)
    truth = torch.zeros(24, 32, dtype=torch.uint8)
    truth[5:15, 8:20] = 1
    return image, truth


def sample_offsets() -> Tensor:
    """Offsets (1, 16, 3, 4) of two groups of points that lie anywhere."""
    torch.manual_seed(0)
    module = DySample(8, groups=2)
    torch.nn.init.normal_(module.offset.weight)
    with torch.no_grad():
        return module.offsets(torch.randn(1, 8, 3, 4))
