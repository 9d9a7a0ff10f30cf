"""How much of the one experiment a machine gets, and what each testbed is trained with.

A budget is an amount, not another experiment: the same data and networks, with more or
fewer epochs and seeds. This is the one place that has them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import torch

from ..ops.checks import check_choice
from ..ops.devices import default_device

VARIABLE = "DYSAMPLE_BUDGET"
BUDGETS = ("quick", "full", "record")
"""The sizes of the experiment: a laptop's, a GPU's, and the record's."""


@dataclass(frozen=True)
class Amount:
    """How much a testbed is trained.

    Attributes:
        epochs: passes over the training split.
        seeds: how many runs of each upsampler.
    """

    epochs: int
    seeds: int


@dataclass(frozen=True)
class Testbed:
    """What one encoder is trained with on one data set.

    Attributes:
        width: channels of the maps that the upsamplers see.
        learning_rate: the peak of the schedule.
        quick: the amount on a CPU, within a notebook's minutes.
        full: the amount on a GPU.
        record: the amount of the recorded tables.
        flips: see :class:`~dysample_lib.study.spec.RunSpec`; a frozen encoder's maps
            are kept for mirror images alone.
        batch_size: images a step.
        dataset_options: what the data set is loaded with under every budget.
    """

    __test__ = False  # not pytest's

    width: int
    learning_rate: float
    quick: Amount
    full: Amount
    record: Amount
    flips: str = "h"
    batch_size: int = 16
    dataset_options: tuple[tuple[str, Any], ...] = ()

    def amount(self, budget: str) -> Amount:
        """The amount under a budget."""
        check_choice("budget", budget, BUDGETS)
        amount: Amount = getattr(self, budget)
        return amount


PROBE = Testbed(32, 4e-3, Amount(6, 1), Amount(24, 5), Amount(24, 10), flips="hv")
PAPER = Testbed(32, 4e-3, Amount(8, 3), Amount(24, 10), Amount(24, 20))

TESTBEDS: dict[tuple[str, str, str], Testbed] = {
    ("segmentation", "coastlines", "small"): PROBE,
    ("segmentation", "coastlines", "efficientnet_lite0"): PAPER,
    ("segmentation", "camvid", "efficientnet_lite0"): Testbed(
        48, 2e-3, Amount(12, 1), Amount(12, 5), Amount(12, 10)
    ),
    ("height", "height", "efficientnet_lite0"): Testbed(
        32, 4e-3, Amount(4, 2), Amount(12, 10), Amount(12, 10)
    ),
    **{
        (task, "islands", "efficientnet_lite0"): Testbed(
            32, 3e-3, Amount(4, 1), Amount(8, 5), Amount(8, 5), batch_size=2
        )
        for task in ("detection", "instance", "panoptic")
    },
    **{
        (task, "pennfudan", "efficientnet_lite0"): Testbed(
            32,
            3e-3,
            Amount(4, 1),
            Amount(8, 5),
            Amount(8, 5),
            batch_size=2,
            dataset_options=(("size", (256, 320)),),
        )
        for task in ("detection", "instance")
    },
}
"""By task, data set and encoder."""

OTHERS = {"small": PROBE, "efficientnet_lite0": PAPER}
"""By encoder: what any other data set starts with."""


def testbed(task: str, dataset: str, encoder: str) -> Testbed:
    """What ``encoder`` is trained with on ``dataset``; a default where none was set."""
    other = OTHERS.get(encoder, PROBE)
    return TESTBEDS.get((task, dataset, encoder), other)


def describe(budget: str) -> str:
    """What a budget gives the book's two testbeds, and on what."""
    probe, paper = PROBE.amount(budget), PAPER.amount(budget)
    return (
        f"{budget} budget on {default_device().type}: probe {_times(probe)}, "
        f"paper's setting {_times(paper)}"
    )


def _times(amount: Amount) -> str:
    seeds = "1 seed" if amount.seeds == 1 else f"{amount.seeds} seeds"
    return f"{amount.epochs} epochs × {seeds}"


def current_budget(name: str | None = None) -> str:
    """Choose the budget: ``name``, else ``$DYSAMPLE_BUDGET``, else by the machine.

    Raises:
        ValueError: if the name is not one of the budgets.
    """
    source = "budget" if name is not None else VARIABLE
    chosen = name or os.environ.get(VARIABLE)
    if not chosen:
        chosen = "full" if torch.cuda.is_available() else "quick"
    check_choice(source, chosen, BUDGETS)
    return chosen
