"""Maps of what was learned: ranges beside the image."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from ._inputs import draw_outline, label_map, per_point, show
from .style import DIVERGING, INK, bare, styled


@styled
def scope_map(
    scope: Any, scale: int, groups: int, image: Any, *, mask: Any = None
) -> Figure:
    """The learned ranges beside the image: where above their start, where below.

    Args:
        scope: (2·g·s², h, w), in feature pixels, as ``DySample.walking_range`` gives
            it for dynamic scope; averaged over both axes, all groups and the s² points
            of a pixel.
        scale: s.
        groups: g.
        image: (3, H, W).
        mask: (H, W) labels whose boundary is drawn, if given.
    """
    values, height, width = per_point("scope", scope, scale, groups)
    shown = values.mean(axis=(0, 1, 2, 3))
    far = max(float(np.abs(shown - 0.25).max()), 0.01)
    fig, axes = plt.subplots(
        1, 2, figsize=(8, 3.7 * height / width + 0.4), layout="constrained"
    )
    show(axes[0], image, (width, height))
    axes[0].set_title("image")
    drawn = axes[1].imshow(
        shown,
        cmap=DIVERGING,
        vmin=0.25 - far,
        vmax=0.25 + far,
        extent=(0, width, height, 0),
    )
    axes[1].set_title("range, mean of a pixel's points")
    for ax in axes:
        bare(ax)
        if mask is not None and ax is axes[1]:
            labels = label_map("mask", mask)
            draw_outline(ax, labels, INK, 0.7, "truth", (width, height), False)
    bar = fig.colorbar(drawn, ax=axes[1], fraction=0.05)
    bar.set_label("feature pixels (start: 0.25)")
    return fig
