"""What the viewer of learned offsets shows is whole, small, and what was recorded."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from _repository import source
from _widgets import DATA, NOTEBOOKS, steps_by_name, viewer_data
from PIL import Image
from viewer_data import sampled

from dysample_lib import LADDER, figures, initial_positions
from dysample_lib.data import load_dataset
from dysample_lib.figures.style import CLASS_COLOURS, WRONG
from dysample_lib.study.records import recorded_runs
from dysample_lib.study.tables import scores
from dysample_lib.testbed.nets import DensePredictionNet, upsampler_inputs


def pixels(name: str) -> np.ndarray:
    """The image NAME.png as (H, W, 3), uint8."""
    return np.asarray(Image.open(DATA / f"{name}.png").convert("RGB"))


def rgb(colour: str) -> np.ndarray:
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)], dtype=np.uint8)


def is_land(name: str) -> np.ndarray:
    drawn = pixels(name)
    water, land = ((drawn == rgb(CLASS_COLOURS[i])).all(-1) for i in (0, 1))
    assert (water ^ land).all()
    return land


def test_the_tile_is_the_protagonist_with_its_true_coast():
    val = load_dataset("coastlines", "val")
    image, truth = val[val.protagonist]
    assert list(truth.shape) == viewer_data()["tile"]
    np.testing.assert_array_equal(is_land("truth"), truth.numpy() == 1)
    # 256 colours are enough for a tile, and a third of the bytes.
    error = pixels("tile").astype(int) - image.permute(1, 2, 0).numpy()
    assert np.abs(error).mean() < 3
    across = (truth[:, 1:] != truth[:, :-1]).sum() + (truth[1:] != truth[:-1]).sum()
    assert viewer_data()["coast"].count("M") == across


@pytest.mark.parametrize("name", sorted(steps_by_name()))
def test_predictions_errors_and_counts_agree(name):
    step = steps_by_name()[name]
    wrong = is_land(f"{name}-prediction") != is_land("truth")
    magenta = np.abs(pixels(f"{name}-error").astype(int) - rgb(WRONG)).max(-1) <= 1
    np.testing.assert_array_equal(wrong, magenta)
    assert step["wrong"] == wrong.sum() > 0
    assert step["label"] == figures.label(name)


@pytest.mark.parametrize("name", sorted(steps_by_name()))
def test_each_step_was_trained_as_the_recorded_runs_were(name):
    records = recorded_runs("probe")
    assert viewer_data()["epochs"] == records[0].spec.epochs
    recorded = list(scores(records, name, "boundary_iou").values())
    # Rounding differs between releases and processors, which makes it another draw.
    low, high = min(recorded) - 0.02, max(recorded) + 0.02
    assert low <= steps_by_name()[name]["score"] <= high


def test_all_steps_are_there():
    assert tuple(steps_by_name()) == LADDER


@pytest.mark.parametrize("name", ["dynamic_scope", "dysample_s_plus"])
def test_what_is_exported_of_a_model_is_where_its_points_are(name, scatter):
    model = scatter(DensePredictionNet(2, upsampler=name).eval(), std=0.1)
    image = torch.rand(3, 96, 96)
    levels = sampled(model, image)
    features = upsampler_inputs(model, image[None])
    modules = model.decoder.upsamplers
    for up, x, level in zip(modules, features, levels, strict=True):
        height, width = x.shape[2:]
        shape = (2, up.groups, 2, 2, height, width)
        walks = torch.from_numpy(level["walks"]).view(shape)
        offsets = up.offsets(x)[0].view_as(walks)
        start = initial_positions(2).view(2, 1, 2, 2, 1, 1)
        assert walks.abs().max() > 0
        torch.testing.assert_close(start + walks, offsets)
        ranges = up.walking_range(x)[0].mean(0)
        torch.testing.assert_close(torch.from_numpy(level["ranges"]), ranges)
    fixed = DensePredictionNet(2, upsampler="bilinear")
    assert sampled(fixed, image) == []


def test_walks_are_complete():
    data = viewer_data()
    for name, step in steps_by_name().items():
        levels = [] if name in ("nearest", "bilinear") else data["sizes"]
        assert len(step["levels"]) == len(levels)
        for (height, width), level in zip(levels, step["levels"], strict=True):
            points = step["groups"] * data["scale"] ** 2 * height * width
            assert len(level["walks"]) == 2 * points and any(level["walks"])


def test_ranges_are_constants_or_maps():
    data, steps = viewer_data(), steps_by_name()
    factors = {"naive": 1, "initial_offsets": 1}
    factors |= dict.fromkeys(("static_scope", "grouping", "dysample_s"), 0.25)
    for name, factor in factors.items():
        assert [level["ranges"] for level in steps[name]["levels"]] == 3 * [factor]
    dynamic = ("dynamic_scope", "dysample_s_plus")
    for name, number in itertools.product(dynamic, range(3)):
        size, level = data["sizes"][number], steps[name]["levels"][number]
        ranges = level["ranges"]
        assert 0 <= ranges["lowest"] < ranges["highest"] <= 0.5
        drawn = pixels(f"{name}-ranges-{number + 1}")
        assert list(drawn.shape[:2]) == size
        # Orange has more red than blue, purple less: the map shows both, or one.
        warmer = drawn[..., 0].astype(int) - drawn[..., 2]
        assert (warmer.max() > 0) == (ranges["highest"] > 0.25)
        assert (warmer.min() < 0) == (ranges["lowest"] < 0.25)


def test_the_chapters_say_how_long_the_steps_were_trained():
    epochs = f"{viewer_data()['epochs']} epochs"
    told = [
        " ".join(source(cell).split())
        for cells in NOTEBOOKS.values()
        for cell in cells
        if 'class="step-viewer"' in source(cell)
    ]
    assert told and all(epochs in text for text in told)
    # Another draw of seed 0 than the recorded one, whose scores a reader may compare.
    assert all("`make viewer`" in text and "one more draw" in text for text in told)


def test_it_is_small():
    assert sum(Path(f).stat().st_size for f in DATA.iterdir()) < 1.5e6
