"""Average precision of boxes and masks, as COCO counts it (Lin et al., ECCV 2014).

torchmetrics' mean average precision, which asks pycocotools. An object is small below
32 × 32 pixels, medium below 96 × 96, and large from there on.
"""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor
from torchmetrics.detection import MeanAveragePrecision

KINDS = {"box": "bbox", "mask": "segm"}
"""What is compared, and what COCO calls it."""

SHORT = {
    "ap": "map",
    "ap50": "map_50",
    "ap75": "map_75",
    "ap_small": "map_small",
    "ap_medium": "map_medium",
    "ap_large": "map_large",
}
"""Our names of the six numbers of a kind, and torchmetrics' ones."""


def names(*kinds: str) -> tuple[str, ...]:
    """The metrics of some kinds, as records have them.

    >>> names("box")[:3]
    ('box_ap', 'box_ap50', 'box_ap75')
    """
    return tuple(f"{kind}_{short}" for kind in kinds for short in SHORT)


class ObjectMetrics:
    """Average precision over a data set, batch by batch.

    Args:
        kinds: ``"box"`` and ``"mask"``, or one of them.
    """

    def __init__(self, *kinds: str) -> None:
        self.kinds = kinds
        theirs: Any = tuple(KINDS[kind] for kind in kinds)
        self._inner = MeanAveragePrecision(iou_type=theirs)

    def update(
        self, found: list[dict[str, Tensor]], truth: list[dict[str, Tensor]]
    ) -> None:
        """Count some images.

        Args:
            found: for each a dict of ``boxes`` (M, 4), ``labels`` (M,), ``scores`` (M,)
                and, for masks, ``masks`` (M, 1, H, W) in [0, 1].
            truth: what :meth:`.DetectionSet.batch` gives with ``everything=True``;
                objects with ``iscrowd`` 1 are neither to be found nor wrong to find.
        """
        self._inner.update([self._plain(one) for one in found], truth)

    def _plain(self, one: dict[str, Tensor]) -> dict[str, Tensor]:
        plain = {name: one[name] for name in ("boxes", "labels", "scores")}
        if "mask" in self.kinds:
            plain["masks"] = one["masks"][:, 0] > 0.5
        return plain

    def compute(self) -> dict[str, float]:
        """Shares in [0, 1]; NaN where no object is of a size."""
        result: dict[str, Any] = self._inner.compute()
        found = {}
        for kind in self.kinds:
            prefix = f"{KINDS[kind]}_" if len(self.kinds) > 1 else ""
            for short, theirs in SHORT.items():
                value = float(result[prefix + theirs])
                found[f"{kind}_{short}"] = math.nan if value < 0 else value
        return found
