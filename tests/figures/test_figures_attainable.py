"""The picture of what a sampling point and what a kernel can give."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from figure_samples import named

from dysample_lib.figures import attainable_values

ROW = torch.tensor([[1.0, 2.0, 4.0, 5.0, 4.5], [1.0, 3.0, 3.5, 2.0, 0.5]])


def test_a_point_stays_on_a_line_and_a_kernel_fills_the_hull():
    fig = attainable_values(ROW, kernel=3)
    (line,) = named(fig, "line")
    np.testing.assert_allclose(line.get_xydata(), ROW.T)
    (area,) = named(fig, "area")
    corners = {tuple(corner) for corner in area.get_xy().tolist()}
    assert corners == {(2.0, 3.0), (4.0, 3.5), (5.0, 2.0)}


def test_the_border_is_held():
    (area,) = named(attainable_values(ROW, kernel=5, pixel=0), "area")
    corners = {tuple(corner) for corner in area.get_xy().tolist()}
    assert corners == {tuple(place) for place in ROW.T[:3].tolist()}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"row": ROW[:1]}, r"row has to be \(2, n\) with n ≥ 3, got \(1, 5\)"),
        ({"row": ROW, "kernel": 4}, "kernel has to be an odd integer ≥ 3, got 4"),
        ({"row": ROW, "pixel": 5}, r"pixel has to be in 0 … 4, got 5"),
    ],
)
def test_bad_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        attainable_values(**options)
