"""Export what the viewer of learned offsets shows: `make viewer`.

Trains each step of the ladder on seed 0, as the recorded runs were trained
(`--budget quick`: in minutes, less far), or takes it from its checkpoint under runs/.
Writes to book/_static/viewer/ the protagonist tile and, for each step, its prediction,
errors, how far its points walked and how far they may, as small images and one file of
JSON.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from front_page import METRIC, trained
from PIL import Image

from dysample_lib import LADDER, DySample, figures
from dysample_lib.data import load_dataset
from dysample_lib.figures import style
from dysample_lib.figures._inputs import fills, outline
from dysample_lib.tasks.segmentation import predict
from dysample_lib.testbed.nets import upsampler_inputs

OUT = Path(__file__).resolve().parents[1] / "_static" / "viewer"
UNIT = 100  # walks are whole hundredths of a feature pixel
START = 0.25  # of the ranges of dynamic scope


def path(labels: np.ndarray) -> str:
    """The outline of a label map as an SVG path in pixels."""
    parts = []
    for (x, y), (to_x, _) in outline(labels).astype(int):
        parts.append(f"M{x} {y}{'h1' if to_x > x else 'v1'}")
    return "".join(parts)


def save(name: str, pixels: np.ndarray) -> None:
    """Write colours (H, W, 3), uint8 or in [0, 1], as a small PNG of 256 colours."""
    if pixels.dtype != np.uint8:
        pixels = np.round(255 * pixels).astype(np.uint8)
    picture = Image.fromarray(pixels)
    picture = picture.quantize(256, dither=Image.Dither.NONE)
    picture.save(OUT / f"{name}.png", optimize=True)


def errors(image: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """The tile in pale grey with the wrong pixels in magenta, (H, W, 3)."""
    grey = 0.45 + 0.5 * image.mean(-1, keepdims=True).repeat(3, -1) / 255
    grey[wrong] = matplotlib.colors.to_rgb(style.WRONG)
    return grey


@torch.no_grad()
def sampled(model: torch.nn.Module, image: torch.Tensor) -> list[dict[str, Any]]:
    """Walks and ranges on one tile, for each upsampler that moves points."""
    levels = []
    maps = upsampler_inputs(model, image[None])
    for up, features in zip(model.decoder.upsamplers, maps, strict=True):
        if not isinstance(up, DySample):
            return []
        offsets = up.offsets(features)
        walks = offsets - up.initial_offsets(offsets.dtype, offsets.device)
        ranges = up.walking_range(features)
        if isinstance(ranges, torch.Tensor):  # of all points of a pixel, on average
            ranges = ranges.mean(dim=(0, 1)).cpu().numpy()
        levels.append({"walks": walks[0].cpu().numpy(), "ranges": ranges})
    return levels


def step(name: str, budget: str, image: torch.Tensor, truth: np.ndarray) -> dict:
    """Write the images of one step and return its entry of the JSON."""
    run = trained(name, budget)
    labels = predict(run.model, image[None])[0].numpy()
    wrong = labels != truth
    save(f"{name}-prediction", fills(labels))
    save(f"{name}-error", errors(image.permute(1, 2, 0).numpy(), wrong))
    up = run.model.decoder.upsamplers[0]
    moved = sampled(run.model, image)
    maps = [lv["ranges"] for lv in moved if isinstance(lv["ranges"], np.ndarray)]
    far = max((np.abs(m - START).max() for m in maps), default=0)  # one scale for all
    levels = []
    for number, level in enumerate(moved, start=1):
        ranges = level["ranges"]
        if isinstance(ranges, np.ndarray):
            share = 0.5 + (ranges - START) / (2 * far)
            colours = matplotlib.colormaps[style.DIVERGING](share)[..., :3]
            save(f"{name}-ranges-{number}", colours)
            ends = {"lowest": ranges.min(), "highest": ranges.max(), "far": far}
            ranges = {key: round(float(value), 4) for key, value in ends.items()}
        walks = np.round(UNIT * level["walks"]).astype(int)
        levels.append({"walks": walks.ravel().tolist(), "ranges": ranges})
    return {
        "name": name,
        "label": figures.label(name),
        "score": round(run.metrics[METRIC], 4),
        "wrong": int(wrong.sum()),
        "initial": getattr(up, "initial", name),
        "groups": getattr(up, "groups", 1),
        "levels": levels,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--budget", choices=("quick", "record"), default="record")
    budget = parser.parse_args().budget
    OUT.mkdir(parents=True, exist_ok=True)
    val = load_dataset("coastlines", "val")
    image, truth = val[val.protagonist]
    save("tile", image.permute(1, 2, 0).numpy())
    save("truth", fills(truth.numpy()))
    maps = upsampler_inputs(trained(LADDER[0], budget).model, image[None])
    steps = [step(name, budget, image, truth.numpy()) for name in LADDER]
    data = {
        "epochs": trained(LADDER[0], budget).record.spec.epochs,
        "tile": list(truth.shape),
        "coast": path(truth.numpy()),
        "sizes": [list(m.shape[-2:]) for m in maps],
        "scale": 2,
        "unit": UNIT,
        "steps": steps,
    }
    # A script rather than bare JSON: browsers fetch no JSON for a page read from disk.
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
    (OUT / "steps.js").write_text(f"window.LEARNED_STEPS = {text};\n", encoding="utf-8")
    size = sum(file.stat().st_size for file in OUT.iterdir())
    print(f"{OUT}: {size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
