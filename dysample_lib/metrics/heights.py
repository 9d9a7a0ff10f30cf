"""How good a map of heights is: the four numbers of monocular depth estimation.

Eigen, Puhrsch and Fergus ("Depth map prediction from a single image using a multi-scale
deep network", NeurIPS 2014) compare predicted with true depths d, pixel by pixel:

- ``rmse``: √ mean (d̂ − d)², in the unit of the map;
- ``mae``: mean \\|d̂ − d\\|, in the unit of the map;
- ``log10``: mean \\|log₁₀ d̂ − log₁₀ d\\|;
- ``delta1``: the share of pixels with max(d̂ / d, d / d̂) < 1.25.

The last two need positive numbers, so heights below a ``floor`` count as the floor in
them, in truth and prediction alike.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torchmetrics import MeanAbsoluteError, MeanMetric, MeanSquaredError

from ..ops.checks import check_positive_number

NAMES = ("rmse", "mae", "log10", "delta1")


class HeightMetrics(nn.Module):
    """The four numbers over a data set, batch by batch, each pixel counting the same.

    >>> metrics = HeightMetrics(floor=1.0)
    >>> metrics.update(torch.tensor([100.0, 7.0]), torch.tensor([110.0, torch.nan]))
    >>> metrics.compute()["rmse"], metrics.compute()["delta1"]
    (10.0, 1.0)

    Args:
        floor: what lower heights count as in ``log10`` and ``delta1``, in the unit of
            the maps.

    Raises:
        TypeError, ValueError: if ``floor`` is no positive number.
    """

    floor: float
    rmse: MeanSquaredError
    mae: MeanAbsoluteError
    log10: MeanAbsoluteError
    delta1: MeanMetric

    def __init__(self, floor: float) -> None:
        check_positive_number("floor", floor)
        super().__init__()
        self.floor = float(floor)
        self.rmse = MeanSquaredError(squared=False)
        self.mae = MeanAbsoluteError()
        self.log10 = MeanAbsoluteError()
        self.delta1 = MeanMetric()
        for name in NAMES:  # a sum of millions of squares
            getattr(self, name).set_dtype(torch.float64)

    def update(self, prediction: Tensor, target: Tensor) -> None:
        """Count a batch.

        Args:
            prediction: any shape, finite.
            target: the same shape; pixels that are not a number are not counted.

        Raises:
            ValueError: if the shapes differ or a counted prediction is not finite;
                nothing has been counted then.
        """
        if prediction.shape != target.shape:
            raise ValueError(
                "prediction and target have to agree in shape, got "
                f"{tuple(prediction.shape)} and {tuple(target.shape)}"
            )
        known = target.isfinite()
        guess, truth = prediction[known].double(), target[known].double()
        if not guess.isfinite().all():
            raise ValueError("prediction has to be finite where it is counted")
        if not len(truth):
            return
        self.rmse.update(guess, truth)
        self.mae.update(guess, truth)
        guess, truth = (x.clamp(min=self.floor).log10() for x in (guess, truth))
        self.log10.update(guess, truth)
        self.delta1.update(((guess - truth).abs() < math.log10(1.25)).double())

    def compute(self) -> dict[str, float]:
        """The four numbers of everything counted; NaN before the first pixel."""
        if not self.mae.total:
            return dict.fromkeys(NAMES, math.nan)
        return {name: getattr(self, name).compute().item() for name in NAMES}
