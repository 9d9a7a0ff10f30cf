"""How much work this machine gets: the one place that knows a GPU from a laptop."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass

import torch

from ..ops.devices import default_device

VARIABLE = "DYSAMPLE_BUDGET"


@dataclass(frozen=True)
class Budget:
    """What a training run costs at most.

    Attributes:
        name: ``"quick"``, ``"full"`` or ``"record"``.
        dataset: the data set that chapters train on.
        encoder: the encoder of :class:`~dysample_lib.testbed.nets.SegmentationNet`.
        epochs: passes over the training split.
        learning_rate: the peak of the schedule; a pretrained encoder takes a lower one.
        seeds: how many seeds a recorded comparison takes.
        evaluate_every: epochs between two evaluations for the learning curves.
    """

    name: str
    dataset: str
    encoder: str
    epochs: int
    learning_rate: float
    seeds: int
    evaluate_every: int

    def __str__(self) -> str:
        return (
            f"{self.name} budget: {self.dataset}, {self.encoder} encoder, "
            f"{self.epochs} epochs, on {default_device().type}"
        )

    def as_dict(self) -> dict[str, object]:
        """Return the fields, for a table."""
        return asdict(self)


BUDGETS = {
    "quick": Budget("quick", "coastlines", "small", 6, 4e-3, 1, 1),
    "full": Budget("full", "pets", "resnet18", 12, 5e-4, 3, 2),
    "record": Budget("record", "coastlines", "small", 24, 4e-3, 5, 24),
}


def current_budget(name: str | None = None) -> Budget:
    """Choose the budget: ``name``, else ``$DYSAMPLE_BUDGET``, else by the machine.

    Raises:
        ValueError: if the name is not one of the budgets.
    """
    source = "budget" if name is not None else VARIABLE
    chosen = name or os.environ.get(VARIABLE)
    if not chosen:
        chosen = "full" if torch.cuda.is_available() else "quick"
    if chosen not in BUDGETS:
        raise ValueError(
            f"{source} has to be one of {', '.join(BUDGETS)}, got {chosen!r}"
        )
    return BUDGETS[chosen]
