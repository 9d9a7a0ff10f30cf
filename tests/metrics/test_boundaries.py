"""Bands along contours and the trimap, held to their definitions."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from label_samples import IGNORE, random_pair

from dysample_lib.metrics.boundaries import (
    band_width,
    boundary_band,
    trimap,
)
from dysample_lib.metrics.segmentation import SegmentationMetrics


@given(
    height=st.integers(1, 12),
    width=st.integers(1, 12),
    d=st.integers(1, 5),
    border=st.booleans(),
)
def test_band_is_what_d_erosions_by_a_3x3_square_remove(
    height: int, width: int, d: int, border: bool
) -> None:
    mask = torch.rand(height, width) < 0.8
    inside = mask
    for _ in range(d):
        padded = torch.full((height + 2, width + 2), not border)
        padded[1:-1, 1:-1] = inside
        shifted = [
            padded[y : y + height, x : x + width] for y in range(3) for x in range(3)
        ]
        inside = torch.stack(shifted).all(dim=0)
    assert torch.equal(boundary_band(mask, d, border=border), mask & ~inside)


@pytest.mark.parametrize("d", [1, 2, 3, 4, 5, 8, 11, 12, 40])
def test_band_around_one_pixel_is_a_square_cut_off_at_the_edges(d: int) -> None:
    for hole in range(12):
        mask = torch.ones(2, 12, dtype=torch.bool)
        mask[0, hole] = False
        near = (torch.arange(12) - hole).abs() <= d
        for plane, wanted in ((mask, near), (mask.T, near[:, None])):
            assert torch.equal(boundary_band(plane, d), plane & wanted)
            assert torch.equal(trimap(plane.int(), d), wanted.expand_as(plane))


@given(
    height=st.integers(1, 12),
    width=st.integers(1, 12),
    d=st.integers(1, 20),
    classes=st.integers(1, 4),
)
def test_trimap_is_the_union_of_the_bands_of_all_classes(
    height: int, width: int, d: int, classes: int
) -> None:
    _, labels = random_pair(classes, (2, height, width), ignored=0.1)
    valid = labels != IGNORE
    union = torch.zeros_like(valid)
    for label in range(classes):
        union |= boundary_band(labels == label, d, valid=valid)
    assert torch.equal(trimap(labels, d), union)


def test_band_width() -> None:
    assert band_width(3, 10, 10) == 3
    assert band_width(0.02, 480, 640) == 16  # 0.02 · 800
    assert band_width(0.02, 96, 96) == 3  # 0.02 · 135.8 = 2.7
    assert band_width(0.001, 96, 96) == 1


@pytest.mark.parametrize("band", [0, -1, 0.0, -0.5, 1.0, 2.0, math.nan, math.inf])
def test_band_has_to_fit(band: float) -> None:
    for call in (
        lambda: band_width(band, 10, 10),
        lambda: SegmentationMetrics(2, band=band),
    ):
        with pytest.raises(ValueError, match=r"band has to be an integer ≥ 1.*got"):
            call()


@pytest.mark.parametrize("band", ["2", None, True, 1j])
def test_band_has_to_be_a_number(band: object) -> None:
    with pytest.raises(TypeError, match="band has to be an integer ≥ 1"):
        SegmentationMetrics(2, band=band)  # type: ignore[arg-type]


def test_arguments_have_to_fit() -> None:
    labels = torch.zeros(1, 4, 4, dtype=torch.long)
    with pytest.raises(TypeError, match="mask has to be bool"):
        boundary_band(labels, 1)
    with pytest.raises(ValueError, match="width has to be an integer ≥ 1"):
        boundary_band(labels == 0, 0)
    with pytest.raises(ValueError, match="valid has to be bool of mask's shape"):
        boundary_band(labels == 0, 1, valid=labels[:, :2] == 0)
    with pytest.raises(ValueError, match="width has to be an integer ≥ 1"):
        trimap(labels, 0)
