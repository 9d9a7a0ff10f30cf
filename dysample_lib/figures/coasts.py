"""Boundaries drawn and compared: truth, a step, and the step before it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ._inputs import array, draw_outline, fills, label_map, picture, same_size
from .style import INK, PREDICTED, TRUTH, WIDTH, WRONG, bare, colour, label, styled
from .tiles import tile

Zoom = tuple[int, int, int, int]


@styled
def boundary_closeups(
    image: Any,
    truth: Any,
    predictions: Mapping[str, Any],
    *,
    zoom: Zoom | None = None,
    ignore_index: int = 255,
) -> Figure:
    """The true boundary, and the one each step draws, as outlines over the imagery.

    The first panel has the truth alone (white); the others add the prediction
    (orange) and give the share of wrong pixels of the part shown.

    Args:
        image: (3, H, W).
        truth: (H, W), class labels.
        predictions: upsampler → (H, W), class labels.
        zoom: top row, left column, height and width of the part to show, in pixels.
        ignore_index: the label that counts nowhere.
    """
    labels = {name: label_map(name, value) for name, value in predictions.items()}
    target = label_map("truth", truth)
    size = same_size(image=picture("image", image), truth=target, **labels)
    window = _window(zoom, size)
    panels = 1 + len(labels)
    columns = 2 if panels in (2, 4) else min(3, panels)
    rows = -(-panels // columns)
    each = WIDTH / columns
    shape = window[2] / window[3]
    fig, axes = plt.subplots(
        rows,
        columns,
        figsize=(WIDTH, rows * (each * shape + 0.3)),
        squeeze=False,
        layout="constrained",
    )
    for ax in axes.flat[panels:]:
        ax.axis("off")
    for ax, name in zip(axes.flat, ["truth", *labels], strict=False):
        tile(ax, image)
        draw_outline(ax, target, TRUTH, 1.2, "truth")
        title = "truth (white)"
        if name in labels:
            draw_outline(ax, labels[name], PREDICTED, 1.8, "predicted")
            title = _title(name, labels[name], target, window, ignore_index)
        ax.set_title(title, color=colour(name), fontweight="bold")
        _look_at(ax, window)
    return fig


@styled
def boundary_panels(
    image: Any,
    truth: Any,
    predecessor: Mapping[str, Any],
    step: Mapping[str, Any],
    *,
    zoom: Zoom | None = None,
    ignore_index: int = 255,
) -> Figure:
    """Two by two: imagery, truth, the step before, and this step, errors in magenta.

    Args:
        image: (3, H, W).
        truth: (H, W), class labels.
        predecessor: one entry, upsampler → (H, W), class labels.
        step: likewise.
        zoom: top row, left column, height and width of the part to show; the first
            panel then has the whole tile in a corner, with the part framed.
        ignore_index: the label that counts nowhere.
    """
    if len(predecessor) != 1 or len(step) != 1 or predecessor.keys() == step.keys():
        raise ValueError(
            "predecessor and step have to hold one entry each, of different names, "
            f"got {list(predecessor)} and {list(step)}"
        )
    pair = {**predecessor, **step}
    labels = {name: label_map(name, value) for name, value in pair.items()}
    target = label_map("truth", truth)
    size = same_size(image=picture("image", image), truth=target, **labels)
    window = _window(zoom, size)
    fig, axes = plt.subplots(
        2, 2, figsize=(WIDTH, WIDTH * window[2] / window[3] + 0.5), layout="constrained"
    )
    tile(axes[0, 0], image, "image")
    _filled(axes[0, 1], fills(target, ignore_index))
    axes[0, 1].set_title("truth")
    for ax, (name, predicted) in zip(axes[1], labels.items(), strict=True):
        wrong = (predicted != target) & (target != ignore_index)
        shown = fills(predicted, ignore_index)
        shown[wrong] = [int(WRONG[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        _filled(ax, shown)
        title = _title(name, predicted, target, window, ignore_index)
        ax.set_title(title, color=colour(name), fontweight="bold")
        ax.set_xlabel("magenta: wrong", color=WRONG, loc="left")
    for ax in axes.flat:
        if ax is not axes[0, 0]:
            draw_outline(ax, target, INK, 0.9, "truth", casing=False)
        _look_at(ax, window)
    if zoom is not None:
        _locator(axes[0, 0], image, window)
    return fig


@styled
def boundary_band_panels(image: Any, truth_band: Any, predicted_band: Any) -> Figure:
    """Boundary IoU by hand: the two bands, their intersection over their union.

    Args:
        image: (3, H, W).
        truth_band: (H, W), bool: pixels of one class near its true contour.
        predicted_band: (H, W), bool: likewise of the prediction.
    """
    true = array("truth_band", truth_band, 2).astype(bool)
    predicted = array("predicted_band", predicted_band, 2).astype(bool)
    pixels = picture("image", image)
    height, width = same_size(image=pixels, truth_band=true, predicted_band=predicted)
    grey = pixels.mean(-1, keepdims=True).repeat(3, -1)
    grey = grey / (255.0 if pixels.dtype == np.uint8 else 1.0) * 0.5 + 0.45
    intersection, union = true & predicted, true | predicted
    fig, axes = plt.subplots(
        1, 3, figsize=(8, 8 / 3 * height / width + 0.75), layout="constrained"
    )
    inks = {"true": (0.94, 0.89, 0.26), "predicted": (0.0, 0.45, 0.7)}
    inks["intersection"] = (0.1, 0.1, 0.1)
    iou = intersection.sum() / max(1, union.sum())
    panels: tuple[tuple[str, list[tuple[np.ndarray, tuple[float, ...]]]], ...] = (
        (f"true band\n{true.sum()} pixels", [(true, inks["true"])]),
        (f"predicted band\n{predicted.sum()} pixels", [(predicted, inks["predicted"])]),
        (
            f"intersection (black) {intersection.sum()}\n"
            f"of union {union.sum()}: IoU {iou:.3f}",
            [
                (true, inks["true"]),
                (predicted, inks["predicted"]),
                (intersection, inks["intersection"]),
            ],
        ),
    )
    for ax, (title, layers) in zip(axes, panels, strict=True):
        drawn = grey.copy()
        for where, ink in layers:
            drawn[where] = ink
        _filled(ax, drawn)
        ax.set_title(title)
    return fig


def _window(zoom: Zoom | None, size: tuple[int, int]) -> Zoom:
    if zoom is None:
        return (0, 0, *size)
    top, left, height, width = zoom
    if top < 0 or left < 0 or height < 1 or width < 1:
        fits = False
    else:
        fits = top + height <= size[0] and left + width <= size[1]
    if not fits:
        raise ValueError(
            "zoom has to be (top, left, height, width) inside the "
            f"{size[0]}×{size[1]} tile, got {zoom}"
        )
    return zoom


def _look_at(ax: Axes, window: Zoom) -> None:
    top, left, height, width = window
    ax.set(xlim=(left, left + width), ylim=(top + height, top))


def _filled(ax: Axes, colours: np.ndarray) -> None:
    height, width = colours.shape[:2]
    ax.imshow(colours, extent=(0, width, height, 0))
    bare(ax)


def _title(
    name: str, predicted: np.ndarray, truth: np.ndarray, window: Zoom, ignore: int
) -> str:
    top, left, height, width = window
    part = (slice(top, top + height), slice(left, left + width))
    counted = truth[part] != ignore
    wrong = (predicted[part] != truth[part]) & counted
    return f"{label(name)}: {100 * wrong.sum() / max(1, counted.sum()):.1f} % wrong"


def _locator(ax: Axes, image: Any, window: Zoom) -> None:
    inset = ax.inset_axes((0.62, 0.62, 0.38, 0.38))
    tile(inset, image)
    top, left, height, width = window
    for ink, line in ((INK, 3.0), (PREDICTED, 1.6)):
        inset.add_patch(
            Rectangle(
                (left, top), width, height, fill=False, edgecolor=ink, linewidth=line
            )
        )
    for spine in inset.spines.values():
        spine.set(color="white", linewidth=2)
