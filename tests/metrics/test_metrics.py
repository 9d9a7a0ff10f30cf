"""Mean, boundary and trimap IoU against hand counts and a nested-loop reference."""

from __future__ import annotations

import math

import pytest
import torch
from label_samples import IGNORE, random_pair, square
from torch import Tensor

from dysample_lib.metrics.boundaries import boundary_iou, trimap
from dysample_lib.metrics.segmentation import Scores, SegmentationMetrics


def measure(
    prediction: Tensor, target: Tensor, classes: int = 2, **options: object
) -> Scores:
    metrics = SegmentationMetrics(classes, **options)  # type: ignore[arg-type]
    metrics.update(prediction, target)
    return metrics.compute()


def test_square_shifted_by_one_counted_on_paper() -> None:
    # A 6×6 square in 12×12 pixels, predicted one column to the right. d = 2.
    # Square: its band is 36 - 2·2 = 32 pixels. Of the common 6×5 pixels the true
    # inside (2×2) and the predicted inside (2×2, one column on) share one column of
    # 2, so 30 - (4 + 4 - 2) = 24 pixels are in both bands: 24 / (32 + 32 - 24).
    # Ground: its band is 10·10 - 36 = 64 pixels. The two frames have 10×9 pixels in
    # common and the two squares cover 6×7 of them: 48 in both, 48 / (64 + 64 - 48).
    scores = measure(square(3, 4), square(3, 3))
    assert scores["class_boundary_iou"] == [48 / 80, 24 / 40]
    assert scores["boundary_iou"] == 0.6
    # Mean IoU: the squares share 30 of 42; ground 102 of 114.
    assert scores["class_iou"] == [102 / 114, 30 / 42]
    assert scores["mean_iou"] == pytest.approx((102 / 114 + 30 / 42) / 2, abs=1e-15)
    # Trimap: 32 + 64 pixels. The true inside, 2×2, is not in it and was hit: 26 of
    # the 30; 6 missed, 6 wrong. Ground: 64 - 6 hit.
    assert scores["class_trimap_iou"] == [58 / 70, 26 / 38]
    assert scores["trimap_iou"] == pytest.approx((58 / 70 + 26 / 38) / 2, abs=1e-15)


def test_square_shifted_by_one_where_the_border_is_a_contour() -> None:
    # The ground's band gains the two outer rings that the frames leave: the true frame
    # covers 10×10 in the middle, which is all but the outer ring; with border=True the
    # rings 0 and 1 belong to both bands. In both: the 144 - 42 pixels outside either
    # square; in either: 144 - 30, as d = 2 covers all ground.
    scores = measure(square(3, 4), square(3, 3), border=True)
    assert scores["class_boundary_iou"] == [102 / 114, 24 / 40]
    assert scores["class_iou"] == [102 / 114, 30 / 42]  # has no border


def test_identical_label_maps_score_one() -> None:
    _, target = random_pair(3, (2, 9, 14), ignored=0.1)
    prediction = target.masked_fill(target == IGNORE, 0)
    for border in (False, True):
        scores = measure(prediction, target, 3, border=border)
        assert scores["mean_iou"] == 1
        assert scores["boundary_iou"] == 1
        assert scores["trimap_iou"] == 1


def test_disjoint_masks_score_zero() -> None:
    target = square(0, 0, side=6)
    scores = measure(1 - target, target)
    assert scores["mean_iou"] == scores["boundary_iou"] == scores["trimap_iou"] == 0


def test_absent_classes_do_not_count() -> None:
    prediction, target = square(3, 4), square(3, 3)
    two, four = measure(prediction, target, 2), measure(prediction, target, 4)
    for name in ("mean_iou", "boundary_iou", "trimap_iou"):
        assert four[name] == two[name]
    for name in ("class_iou", "class_boundary_iou", "class_trimap_iou"):
        assert four[name][:2] == two[name]
        assert all(math.isnan(value) for value in four[name][2:])


def test_class_missing_from_the_prediction_alone_counts_as_zero() -> None:
    target = square(3, 3)
    scores = measure(torch.zeros_like(target), target)
    assert scores["class_iou"] == [108 / 144, 0]
    assert scores["mean_iou"] == pytest.approx(0.375, abs=1e-15)
    assert scores["class_boundary_iou"] == [0, 0]


def test_no_boundary_at_all_is_nan() -> None:
    target = torch.zeros(2, 5, 5, dtype=torch.long)
    scores = measure(target, target)
    assert scores["mean_iou"] == 1
    assert math.isnan(scores["boundary_iou"])
    assert math.isnan(scores["trimap_iou"])
    assert measure(target, target, border=True)["boundary_iou"] == 1


def test_batches_do_not_matter() -> None:
    prediction, target = random_pair(4, (7, 16, 11), ignored=0.05)
    whole = measure(prediction, target, 4)
    parts = SegmentationMetrics(4)
    for part in (slice(0, 3), slice(3, 3), slice(3, 4), slice(4, 7)):
        parts.update(prediction[part], target[part])
    assert parts.compute() == whole
    parts.reset()
    with pytest.warns(UserWarning, match="before the ``update`` method"):
        assert math.isnan(parts.compute()["mean_iou"])
    parts.update(prediction, target)
    assert parts.compute() == whole


def test_counted_over_the_data_set_not_averaged_over_images() -> None:
    target = torch.cat([square(3, 3), square(0, 0, side=2)])
    prediction = torch.cat([square(3, 3), square(0, 5, side=2)])
    scores = measure(prediction, target)
    assert scores["class_iou"][1] == 36 / (36 + 8)  # a mean over images were 0.5


def test_what_is_predicted_at_ignored_pixels_does_not_matter() -> None:
    prediction, target = random_pair(3, (3, 12, 12), ignored=0.2)
    other = prediction.clone()
    other[target == IGNORE] = torch.randint(3, (int((target == IGNORE).sum()),))
    assert not torch.equal(other, prediction)
    for border in (False, True):
        assert measure(other, target, 3, border=border) == measure(
            prediction, target, 3, border=border
        )


def test_ignored_pixels_make_no_contour() -> None:
    target = torch.zeros(1, 8, 8, dtype=torch.long)
    target[:, 3:5, 3:5] = IGNORE
    assert not trimap(target, 2).any()
    assert math.isnan(boundary_iou(torch.zeros_like(target), target, 2))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32])
@pytest.mark.parametrize("ignore", [255, 7, -1])
def test_label_types_and_ignore_labels(dtype: torch.dtype, ignore: int) -> None:
    prediction, target = random_pair(3, (2, 8, 8), ignored=0.2)
    expected = measure(prediction, target, 3)
    if ignore < 0 and dtype == torch.uint8:
        # uint8 has no -1, and 255 must not pass for it.
        with pytest.raises(ValueError, match=r"target .* got \[255\]"):
            measure(prediction.to(dtype), target.to(dtype), 3, ignore_index=ignore)
        return
    target[target == IGNORE] = ignore
    found = measure(prediction.to(dtype), target.to(dtype), 3, ignore_index=ignore)
    assert found == expected


def test_boundary_iou_tells_apart_what_mean_iou_does_not() -> None:
    # Truth: a 64×64 square in 96×96. The fine prediction has its outline to the pixel
    # and a hole inside; the coarse one is ragged, every other block of 4 pixels along
    # the outline left out. Both miss the same 128 pixels.
    target = square(16, 16, side=64, size=96)
    fine, coarse = target.clone(), target.clone()
    fine[:, 40:48, 40:56] = 0
    for start in range(16, 80, 8):
        coarse[:, 16:20, start : start + 4] = 0
    assert (fine != target).sum() == (coarse != target).sum() == 128
    good, bad = measure(fine, target), measure(coarse, target)
    assert good["mean_iou"] == bad["mean_iou"]
    # The hole's own contour costs the fine one too.
    assert good["boundary_iou"] > bad["boundary_iou"] + 0.05
    assert good["trimap_iou"] == 1
    assert bad["trimap_iou"] < 0.95


def test_wider_bands_come_closer_to_mean_iou() -> None:
    prediction, target = square(3, 4), square(3, 3)
    scores = measure(prediction, target, band=12)
    assert scores["boundary_iou"] == scores["trimap_iou"] == scores["mean_iou"]


LABELS = torch.zeros(1, 4, 4, dtype=torch.long)


@pytest.mark.parametrize(
    ("prediction", "target", "error", "message"),
    [
        (LABELS.float(), LABELS, TypeError, r"prediction .*argmax\(dim=1\)"),
        (LABELS, LABELS.bool(), TypeError, "target has to hold integer"),
        (LABELS, LABELS.tolist(), TypeError, "target has to be a tensor, got list"),
        (LABELS, LABELS[:, :3], ValueError, r"agree in shape .*\(1, 3, 4\)"),
        (LABELS[0, 0], LABELS[0, 0], ValueError, r"prediction .*\(…, H, W\)"),
        (LABELS[:, :0], LABELS[:, :0], ValueError, "H, W ≥ 1"),
        (LABELS + 2, LABELS, ValueError, r"prediction .* 0…1, got \[2\]"),
        (LABELS - 1, LABELS, ValueError, r"prediction .* 0…1, got \[-1\]"),
        (LABELS, LABELS + 9, ValueError, r"target .* 0…1 or 255 .*, got \[9\]"),
    ],
)
def test_label_maps_have_to_fit(
    prediction: Tensor, target: Tensor, error: type[Exception], message: str
) -> None:
    metrics = SegmentationMetrics(2)
    metrics.update(square(3, 4), square(3, 3))
    before = metrics.compute()
    with pytest.raises(error, match=message):
        metrics.update(prediction, target)
    assert metrics.compute() == before


def test_band_as_a_share_of_the_diagonal() -> None:
    prediction, target = random_pair(2, (1, 30, 40))
    assert measure(prediction, target, band=0.06) == measure(prediction, target, band=3)
    assert measure(prediction, target, band=0.06) != measure(prediction, target, band=1)


def test_arguments_have_to_fit() -> None:
    with pytest.raises(ValueError, match="num_classes has to be an integer ≥ 1"):
        SegmentationMetrics(0)
    with pytest.raises(ValueError, match=r"ignore_index has to be .* outside 0…2"):
        SegmentationMetrics(3, ignore_index=2)
