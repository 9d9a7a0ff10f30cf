"""What tasks ask of a tile, heights beside the truth, and rows of feature maps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from figure_samples import named, texts, titles
from matplotlib.colors import to_rgb
from matplotlib.image import AxesImage
from matplotlib.text import Text

from dysample_lib import figures
from dysample_lib.figures import tasks


def target():
    """Two objects that count, of the classes 1 and 2, and one that does not."""
    masks = torch.zeros(3, 24, 32, dtype=torch.uint8)
    masks[0, 2:6, 3:9] = 1
    masks[1, 12:20, 20:30] = 1
    masks[2, 22:24, 0:2] = 1
    semantics = torch.zeros(24, 32, dtype=torch.uint8)
    semantics[masks[2] > 0] = 255
    return {
        "boxes": torch.tensor([[3.0, 2, 9, 6], [20, 12, 30, 20], [0, 22, 2, 24]]),
        "labels": torch.tensor([1, 2, 1]),
        "masks": masks,
        "iscrowd": torch.tensor([0, 0, 1]),
        "semantics": semantics,
    }


def drawn(ax):
    """What the last image of an axes holds."""
    return ax.findobj(AxesImage)[-1].get_array()


def test_a_tile_as_five_tasks_see_it(tile):
    heights = torch.full((24, 32), torch.nan)
    heights[:10] = torch.linspace(0, 900, 32)
    fig = figures.task_panels(*tile, target(), heights, ("island", "lake"))
    assert titles(fig)[:6] == [
        *("image", "semantic", "detection"),
        *("instance", "panoptic", "height"),
    ]
    boxes = [box.get_bbox().bounds for box in named(fig, "box")]
    assert boxes == [(1.5, 0.5, 9, 7), (18.5, 10.5, 13, 11)]  # none of the third
    assert texts(fig) == ["island", "lake"]
    assert len(named(fig, "object")) == 2 * 2
    for panel in fig.axes[3:5]:
        pixels = drawn(panel)
        for k, (row, column) in enumerate([(3, 4), (13, 21)]):
            np.testing.assert_allclose(pixels[row, column], to_rgb(tasks.EACH[k]))
    assert len(set(fig.axes[4].images[-1].get_array()[23, 0])) == 1  # grey
    shown = drawn(fig.axes[5])
    assert np.isnan(shown[10:].filled(np.nan)).all() and shown[0, 31] == 900
    with pytest.raises(ValueError, match="same height and width"):
        figures.task_panels(*tile, target(), heights[:5], ("island", "lake"))


def test_height_panels_share_a_scale_and_leave_the_sea_out(tile):
    image, _ = tile
    truth = torch.full((24, 32), torch.nan)
    truth[:, :16] = torch.arange(24.0)[:, None]
    maps = {"nearest": torch.full((24, 32), 50.0), "grouping": torch.zeros(24, 32)}
    fig = figures.height_panels(image, truth, maps)
    assert titles(fig)[:4] == ["image", "truth", "nearest", "DySample"]
    shown = named(fig, "heights")
    assert {one.get_clim() for one in shown} == {(0, shown[0].get_clim()[1])}
    assert 22 < shown[0].get_clim()[1] <= 23
    for one in shown:
        assert np.isnan(one.get_array().filled(np.nan)[:, 16:]).all()
    assert (shown[1].get_array()[:, :16] == 50).all()
    with pytest.raises(ValueError, match="at least one map, got none"):
        figures.height_panels(image, truth, {})
    with pytest.raises(ValueError, match="same height and width"):
        figures.height_panels(image, truth, {"nearest": torch.zeros(3, 3)})


def test_feature_maps_are_drawn_by_their_length():
    x = torch.zeros(2, 4, 6)
    x[0], x[1] = 3, 4
    x[:, 0, 0] = 0
    fig = figures.feature_maps({"nearest": [x, -x], "carafe": [x, x]}, ("one", "two"))
    assert titles(fig) == ["one", "two", "", ""]
    assert [ax.get_ylabel() for ax in fig.axes] == ["nearest", "", "CARAFE", ""]
    for one in named(fig, "nearest"):
        assert one.get_array()[1, 1] == 5 and one.get_array()[0, 0] == 0
    with pytest.raises(ValueError, match=r"maps\['nearest'\] has to hold a map for"):
        figures.feature_maps({"nearest": [x]}, ("one", "two"))
    with pytest.raises(ValueError, match="at least one row, got none"):
        figures.feature_maps({}, ())


def test_they_fit_a_page_and_save_without_a_warning(tile, tmp_path):
    image, truth = tile
    heights = truth.float()
    drawn = [
        figures.task_panels(*tile, target(), heights, ("island", "lake")),
        figures.height_panels(image, heights, {"nearest": heights}),
        figures.feature_maps({"nearest": [image.float()]}, ("one",), image=image),
    ]
    for number, fig in enumerate(drawn):
        assert fig.get_figwidth() <= 8
        sizes = [text.get_fontsize() for text in fig.findobj(Text)]
        assert min(sizes) >= 9
        fig.savefig(tmp_path / f"{number}.png", dpi=40)
