"""What tasks ask of a tile, heights as they were read off it, and feature maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ._inputs import array, draw_outline, fills, label_map, picture, same_size
from .style import INK, SEQUENTIAL, WIDTH, bare, colour, method, styled
from .tiles import tile

OBJECT_COLOURS = ("#ffd166", "#ff5d8f")
"""Of the boxes of the first class that is counted, and of the second."""

EACH = (
    *("#0072b2", "#d55e00", "#339911", "#aa2288", "#f2c14e", "#3377ee"),
    *("#8c5a4a", "#0099bb", "#ff1177", "#5b5b7b"),
)
"""What tells one object from the next."""

SEA = "#bcd3e2"


@styled
def task_panels(
    image: Any,
    surface: Any,
    target: Mapping[str, Any],
    heights: Any,
    classes: Sequence[str],
) -> Figure:
    """One tile, and what five tasks want to have read off it.

    Args:
        image: (3, H, W).
        surface: (H, W), class labels.
        target: what :meth:`.DetectionSet.batch` gives of the tile with
            ``everything=True``.
        heights: (H, W) in metres, not a number where there is no land.
        classes: names of the objects' classes, without the background.
    """
    boxes, labels = array("boxes", target["boxes"]), array("labels", target["labels"])
    counted = array("iscrowd", target["iscrowd"]) == 0
    masks = array("masks", target["masks"]).astype(bool)[counted]
    boxes, labels = boxes[counted], labels[counted]
    stuff = label_map("semantics", target["semantics"])
    land = label_map("surface", surface)
    metres = array("heights", heights, 2)
    shown = picture("image", image)
    same_size(image=shown, surface=land, semantics=stuff, h=metres)
    fig, axes = plt.subplots(2, 3, figsize=(8, 5.2), layout="constrained")
    flat = list(axes.flat)
    names = ["image", "semantic", "detection", "instance", "panoptic", "height"]
    for ax, name in zip(flat, names, strict=True):
        tile(ax, image, name)
    _over(flat[1], fills(land))
    named = set()
    for box, which in zip(boxes, labels, strict=True):
        ink = OBJECT_COLOURS[(which - 1) % len(OBJECT_COLOURS)]
        text = classes[which - 1] if which not in named else ""
        named.add(which)
        _box(flat[2], box, ink, text)
    faint = 0.35 * shown / (255.0 if shown.max() > 1 else 1.0) + 0.6
    _over(flat[3], _numbered(faint, masks))
    whole = fills(stuff)
    whole[stuff == 255] = (0.8, 0.8, 0.8)
    _over(flat[4], _numbered(whole, masks))
    for ax in flat[3:5]:
        for mask in masks:
            draw_outline(ax, mask.astype(int), INK, 0.5, "object", casing=False)
    top = max(1.0, float(np.nanpercentile(metres, 99)))
    drawn = _heights(flat[5], metres, top)
    fig.colorbar(drawn, ax=axes[:, 2], label="height [m]", shrink=0.6, extend="max")
    return fig


def _box(ax: Axes, box: np.ndarray, ink: str, text: str) -> None:
    """A frame around an object, and a name on the side that has room for it."""
    left, upper, right, lower = box
    frame = (left - 1.5, upper - 1.5), right - left + 3, lower - upper + 3
    ax.add_patch(Rectangle(*frame, fill=False, edgecolor=ink, linewidth=1.4, gid="box"))
    if text:
        beside = left > ax.get_xlim()[1] / 2
        ax.annotate(
            text,
            (left - 5 if beside else right + 5, (upper + lower) / 2),
            color="white",
            fontsize=9,
            ha="right" if beside else "left",
            va="center",
            bbox={"facecolor": INK, "edgecolor": ink, "pad": 1.5},
        )


def _numbered(background: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Colours (H, W, 3): each of the masks in one of its own."""
    result = background.copy()
    for k, mask in enumerate(masks):
        result[mask] = to_rgb(EACH[k % len(EACH)])
    return result


def _over(ax: Axes, colours: np.ndarray) -> None:
    height, width = colours.shape[:2]
    ax.imshow(colours, extent=(0, width, height, 0))


@styled
def height_panels(
    image: Any, truth: Any, predictions: Mapping[str, Any], *, unit: str = "m"
) -> Figure:
    """A tile, the heights of its land, and those that were read off the image.

    All maps share one scale, which ends where all but one per cent of the truth lie
    below.

    Args:
        image: (3, H, W).
        truth: (H, W), not a number where there is no land.
        predictions: upsampler → (H, W); shown over land alone.
        unit: of the heights.
    """
    if not predictions:
        raise ValueError("predictions has to hold at least one map, got none")
    target = array("truth", truth, 2)
    maps = {name: array(name, value, 2) for name, value in predictions.items()}
    same_size(image=picture("image", image), truth=target, **maps)
    panels = 2 + len(maps)
    columns = 2 if panels in (2, 4) else 3
    rows = -(-panels // columns)
    size = (WIDTH, rows * ((WIDTH - 1) / columns + 0.28))
    fig, axes = plt.subplots(
        rows, columns, figsize=size, squeeze=False, layout="constrained"
    )
    for ax in axes.flat[panels:]:
        ax.axis("off")
    tile(axes.flat[0], image, "image")
    top = max(1.0, float(np.nanpercentile(target, 99)))
    unknown = ~np.isfinite(target)
    shown = {"truth": target, **maps}
    for ax, (name, values) in zip(axes.flat[1:], shown.items(), strict=False):
        drawn = _heights(ax, np.where(unknown, np.nan, values), top)
        ax.set_title(method(name), color=colour(name), fontweight="bold")
    fig.colorbar(drawn, ax=axes, label=f"height [{unit}]", shrink=0.7, extend="max")
    return fig


def _heights(ax: Axes, metres: np.ndarray, top: float) -> Any:
    height, width = metres.shape
    ax.set_facecolor(SEA)
    drawn = ax.imshow(
        metres, cmap=SEQUENTIAL, vmin=0, vmax=top, extent=(0, width, height, 0)
    )
    ax.images[-1].set_gid("heights")
    bare(ax)
    if len(ax.images) > 1:  # the tile under it would show through the sea
        ax.images[0].remove()
    return drawn


@styled
def feature_maps(
    maps: Mapping[str, Sequence[Any]], titles: Sequence[str], *, image: Any = None
) -> Figure:
    """Feature maps as their length at each pixel, one row for each upsampler.

    The length of a feature vector depends on no choice of channels, so maps of
    networks that were trained apart can stand side by side. Each panel has its own
    scale, from the first to the last percentile.

    Args:
        maps: upsampler → maps (C, H, W), as many for each.
        titles: what they are, a column each.
        image: (3, H, W), drawn in front of every row.
    """
    if not maps:
        raise ValueError("maps has to hold at least one row, got none")
    for name, row in maps.items():
        if len(row) != len(titles):
            raise ValueError(
                f"maps[{name!r}] has to hold a map for each of {len(titles)} titles, "
                f"got {len(row)}"
            )
    first = int(image is not None)
    columns = first + len(titles)
    each = (8 - 0.3) / columns
    fig, axes = plt.subplots(
        len(maps),
        columns,
        figsize=(8, len(maps) * (each + 0.02) + 0.3),
        squeeze=False,
        layout="constrained",
    )
    for line, (name, row) in zip(axes, maps.items(), strict=True):
        if first:
            tile(line[0], image)
        for ax, values in zip(line[first:], row, strict=True):
            lengths = np.linalg.norm(array(name, values, 3), axis=0)
            low, high = np.percentile(lengths, (1, 99))
            ax.imshow(lengths, cmap=SEQUENTIAL, vmin=low, vmax=high, gid=name)
            bare(ax)
        line[0].set_ylabel(method(name), color=colour(name), fontweight="bold")
    for ax, title in zip(axes[0, first:], titles, strict=True):
        ax.set_title(title)
    return fig
