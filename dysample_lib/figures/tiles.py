"""The data: tiles with their labels, the world they are cut from, the coarse cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from ..ops.checks import check_positive_integer
from ._inputs import array, draw_outline, fills, label_map, picture, same_size
from .style import TRUTH, WIDTH, bare, styled

SPLIT_COLOURS = {"train": "#ffd166", "val": "#ff5d8f"}


@styled
def tile_page(
    images: Any, masks: Any, titles: Sequence[str] | None = None, columns: int = 4
) -> Figure:
    """Tiles with the true boundary drawn on, four in a row.

    Args:
        images: (N, 3, H, W), uint8 or float in [0, 1].
        masks: (N, H, W), class labels.
        titles: N short texts.
        columns: tiles in a row.
    """
    check_positive_integer("columns", columns)
    images, masks = array("images", images, 4), array("masks", masks, 3)
    titles = [""] * len(images) if titles is None else list(titles)
    if not len(images) == len(masks) == len(titles) or not len(images):
        raise ValueError(
            f"images, masks and titles have to be equally many, at least one, got "
            f"{len(images)}, {len(masks)} and {len(titles)}"
        )
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    tall = 0.25 * any(titles)
    fig, axes = plt.subplots(
        rows,
        columns,
        figsize=(WIDTH, rows * (WIDTH / columns + tall)),
        squeeze=False,
        layout="constrained",
    )
    for ax in axes.flat[len(images) :]:
        ax.axis("off")
    for ax, image, mask, title in zip(axes.flat, images, masks, titles, strict=False):
        tile(ax, image, title)
        draw_outline(ax, label_map("masks", mask), TRUTH, 0.9, "truth")
    return fig


def tile(ax: Axes, image: Any, title: str = "") -> tuple[int, int]:
    """Draw an image (3, H, W) in its own pixels, without ticks; return H and W."""
    pixels = picture("image", image)
    height, width = pixels.shape[:2]
    ax.imshow(pixels, extent=(0, width, height, 0))
    bare(ax)
    ax.set_title(title)
    return height, width


@styled
def world_bands(
    world_map: Any,
    train_bands: Sequence[tuple[float, float]],
    val_bands: Sequence[tuple[float, float]],
    tiles: Mapping[str, Any] | None = None,
) -> Figure:
    """The world with the longitude bands of both splits, and where tiles lie.

    Args:
        world_map: (3, H, W) or (H, W, 3) image, or (H, W) labels, north up, from
            180° W to 180° E.
        train_bands: (west, east) pairs, in degrees.
        val_bands: likewise.
        tiles: split → tile centres: objects with ``longitude`` and ``latitude``, or
            (N, 2) of both, in degrees.
    """
    world = array("world_map", world_map)
    if world.ndim == 3 and world.shape[0] == 3:
        world = np.moveaxis(world, 0, -1)
    # More pixels than the page shows would only make the file heavy.
    step = max(1, world.shape[1] // 675)
    world = world[::step, ::step]
    if world.ndim == 2:
        world = fills(world.astype(np.int64))
    fig, ax = plt.subplots(figsize=(8, 4.5), layout="constrained")
    ax.imshow(world, extent=(-180, 180, -90, 90))
    for split, bands in (("train", train_bands), ("val", val_bands)):
        ink = SPLIT_COLOURS[split]
        for west, east in _joined(bands):
            tint = 0.2 if split == "val" else 0.0
            ax.axvspan(west, east, color=ink, alpha=tint, gid=f"{split} band")
            for edge in (west, east):
                ax.axvline(edge, color=ink, linewidth=1.2)
            ax.text(
                (west + east) / 2,
                -83,
                split,
                color=ink,
                ha="center",
                fontsize=11 if east - west >= 30 else 9,
                fontweight="bold",
                path_effects=[withStroke(linewidth=3, foreground="black")],
            )
        if tiles is not None and split in tiles:
            places = _centres(split, tiles[split])
            ax.plot(
                *places.T,
                "o",
                color=ink,
                markersize=3.6,
                markeredgecolor="black",
                markeredgewidth=0.5,
                gid=f"{split} tiles",
            )
    ax.set(xlim=(-180, 180), ylim=(-90, 90), aspect="equal")
    ax.set(xticks=range(-180, 181, 60), yticks=range(-90, 91, 30))
    ax.set(xlabel="longitude (degrees)", ylabel="latitude (degrees)")
    return fig


def _joined(bands: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Bands from the west, neighbours that share a border made one."""
    result: list[tuple[float, float]] = []
    for west, east in sorted(bands):
        if result and result[-1][1] >= west:
            west = result.pop()[0]
        result.append((west, east))
    return result


def _centres(split: str, places: Any) -> np.ndarray:
    if len(places) and hasattr(places[0], "longitude"):
        places = [(place.longitude, place.latitude) for place in places]
    return array(f"tiles[{split!r}]", places, 2)


@styled
def cells(image: Any, mask: Any = None, stride: int = 16) -> Figure:
    """A tile as the encoder leaves it: one feature vector for each cell.

    Args:
        image: (3, H, W).
        mask: (H, W) labels whose boundary is drawn, if given.
        stride: side of a cell, in pixels.
    """
    check_positive_integer("stride", stride)
    fig, ax = plt.subplots(figsize=(4.6, 4.8), layout="constrained")
    height, width = tile(
        ax, image, f"one feature vector per {stride} × {stride} pixels"
    )
    if mask is not None:
        labels = label_map("mask", mask)
        same_size(image=picture("image", image), mask=labels)
        draw_outline(ax, labels, TRUTH, 1.0, "truth")
    for x in range(stride, width, stride):
        ax.plot([x, x], [0, height], color="#ffd166", linewidth=1.4, gid="cell")
    for y in range(stride, height, stride):
        ax.plot([0, width], [y, y], color="#ffd166", linewidth=1.4, gid="cell")
    ax.set(xlim=(0, width), ylim=(height, 0))
    ax.set_xlabel(f"{width} pixels = {width / stride:g} cells")
    return fig
