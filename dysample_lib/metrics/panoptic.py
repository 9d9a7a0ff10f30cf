"""Panoptic quality (Kirillov et al., CVPR 2019), and the map that it is measured on.

A panoptic map says of each pixel its category and, for what is counted, which one it
is: (H, W, 2). A category is an index into what fills an image ("stuff"), followed by
what is counted ("things"), as ``DetectionSet.semantics`` has them; the category
-1 is void, which nothing counts in the truth.

Two segments of one category match where their intersection over union is above ½.
``pq`` of a category is the sum of the matches' IoU over their number and half that of
the others; it is the product of ``sq``, the matches' mean IoU, and ``rq``, the F₁ score
of matching.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics.detection import PanopticQuality

NAMES = ("pq", "sq", "rq", "pq_things", "pq_stuff")
VOID = -1

SCORE = 0.5
"""What an object is at least sure of, to be in the map."""

VISIBLE = 0.5
"""How much of it at least no surer object may have taken."""


class PanopticMetrics:
    """PQ, SQ and RQ over a data set, batch by batch; means over the categories.

    Args:
        stuff: how many categories fill the image: the first.
        things: how many are counted: those after them.
    """

    def __init__(self, stuff: int, things: int) -> None:
        self.stuff = stuff
        self._inner = PanopticQuality(
            things=set(range(stuff, stuff + things)),
            stuffs=set(range(stuff)),
            allow_unknown_preds_category=True,
            return_sq_and_rq=True,
            return_per_class=True,
        )

    def update(self, found: Tensor, truth: Tensor) -> None:
        """Count panoptic maps (B, H, W, 2), int64."""
        self._inner.update(found, truth)

    def compute(self) -> dict[str, float]:
        """Shares in [0, 1]; NaN over categories of which there is no segment.

        All are NaN, with a warning, before the first batch.
        """
        inner = self._inner
        counts = inner.true_positives + inner.false_positives + inner.false_negatives
        table = inner.compute().where((counts > 0)[:, None], torch.nan)
        things = len(table) - self.stuff  # they come first in it
        rows = (table, table[:things], table[things:])
        whole, thing, stuff = (part.nanmean(0).tolist() for part in rows)
        return dict(zip(NAMES, (*whole, thing[0], stuff[0]), strict=True))


def merge(found: dict[str, Tensor], stuff: int) -> Tensor:
    """One panoptic map (H, W, 2) of what was detected in an image.

    After Panoptic FPN: objects surer than :data:`SCORE` claim their pixels, the surest
    first; one that keeps less than :data:`VISIBLE` of its own is dropped. What is left
    goes to the stuff that the semantic branch is surest of. No pixel is void, since an
    object that is void in the prediction would count as none that was missed.

    Args:
        found: ``labels`` (M,), from 1, ``scores`` (M,), ``masks`` (M, 1, H, W) in
            [0, 1], and ``semantics`` (K, H, W), logits of the stuff and of all things.
        stuff: how many categories fill the image.
    """
    category = found["semantics"][:stuff].argmax(0)
    number = torch.zeros_like(category)
    for k in found["scores"].argsort(descending=True, stable=True).tolist():
        if found["scores"][k] <= SCORE:
            break
        mask = found["masks"][k, 0] > 0.5
        free = mask & (number == 0)
        if not mask.any() or free.sum() < VISIBLE * mask.sum():
            continue
        category[free] = stuff + int(found["labels"][k]) - 1
        number[free] = k + 1
    return torch.stack([category, number], -1)


def truth_map(target: dict[str, Tensor], ignored: int) -> Tensor:
    """The panoptic map (H, W, 2) of what :meth:`.DetectionSet.batch` gives.

    Args:
        target: of one image.
        ignored: the label of its ``semantics`` that nothing counts.
    """
    semantics = target["semantics"].long()
    category = semantics.masked_fill(semantics == ignored, VOID)
    number = torch.zeros_like(category)
    for k, mask in enumerate(target["masks"], start=1):
        number[mask > 0] = k
    return torch.stack([category, number], -1)
