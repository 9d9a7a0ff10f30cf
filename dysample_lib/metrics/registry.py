"""What is measured: title, unit, and which way is better.

A metric is stored in its base unit: a share in [0, 1], which is shown as percent, or
metres. NaN says that there was nothing to measure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..ops.checks import check_choice

MINUS = "−"


@dataclass(frozen=True)
class Metric:
    """How a metric is named, compared and written.

    Attributes:
        title: its name in the field.
        unit: ``"%"`` of a share, ``"m"``, or ``""``.
        direction: 1 if more is better, -1 if less is.
        margin: a difference up to which two models count as equal, in the stored
            unit; half a percentage point of a share.
        digits: after the point, as shown.
    """

    title: str
    unit: str
    direction: int
    margin: float = 0.005
    digits: int = 1

    @property
    def scale(self) -> float:
        """What stored values are multiplied by to be shown."""
        return 100.0 if self.unit == "%" else 1.0

    @property
    def heading(self) -> str:
        """Title and unit, over a column or along an axis.

        >>> METRICS["rmse"].heading
        'RMSE [m]'
        """
        return f"{self.title} [{self.unit}]" if self.unit else self.title

    @property
    def difference_unit(self) -> str:
        """The unit of a difference: shares differ by percentage points."""
        return "points" if self.unit == "%" else self.unit

    def text(self, value: float, digits: int | None = None) -> str:
        """A stored value as it is shown, without its unit.

        >>> METRICS["boundary_iou"].text(0.4283), METRICS["rmse"].text(465.31)
        ('42.8', '465.3')
        """
        if math.isnan(value):
            return "–"
        digits = self.digits if digits is None else digits
        return f"{self.scale * value:.{digits}f}".replace("-", MINUS)


def _family(kind: str) -> dict[str, Metric]:
    sizes = ("small", "medium", "large")
    names = {f"{kind}_ap": f"{kind} AP"}
    names |= {f"{kind}_ap{share}": f"{kind} AP{share}" for share in (50, 75)}
    names |= {f"{kind}_ap_{size}": f"{kind} AP, {size}" for size in sizes}
    return {name: Metric(title, "%", 1) for name, title in names.items()}


METRICS: dict[str, Metric] = {
    # Segmentation: dysample_lib.metrics.segmentation
    "mean_iou": Metric("mean IoU", "%", 1),
    "boundary_iou": Metric("boundary IoU", "%", 1),
    "trimap_iou": Metric("trimap IoU", "%", 1),
    # A continuous map, here heights in metres (Eigen et al., NeurIPS 2014)
    "rmse": Metric("RMSE", "m", -1, margin=5.0),
    "mae": Metric("MAE", "m", -1, margin=5.0),
    "log10": Metric("log10 error", "", -1, digits=3),
    "delta1": Metric("δ < 1.25", "%", 1),
    # Detection and instance segmentation as COCO has them
    **_family("box"),
    **_family("mask"),
    # Panoptic segmentation (Kirillov et al., CVPR 2019)
    "pq": Metric("PQ", "%", 1),
    "sq": Metric("SQ", "%", 1),
    "rq": Metric("RQ", "%", 1),
    "pq_things": Metric("PQ, things", "%", 1),
    "pq_stuff": Metric("PQ, stuff", "%", 1),
}
"""Every metric that a record can hold, by its name there."""


def find_metric(name: str) -> Metric:
    """The metric called ``name`` in records.

    Raises:
        ValueError: if there is none, naming those there are.
    """
    check_choice("metric", name, tuple(METRICS))
    return METRICS[name]
