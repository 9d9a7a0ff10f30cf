"""Budgets are amounts of one experiment."""

from __future__ import annotations

from dataclasses import fields

import pytest
import torch

from dysample_lib.data import DATASETS
from dysample_lib.study import budget
from dysample_lib.study.budget import (
    BUDGETS,
    OTHERS,
    TESTBEDS,
    Amount,
    Testbed,
    current_budget,
    describe,
)
from dysample_lib.tasks import TASKS
from dysample_lib.testbed.encoders import ENCODERS


def test_the_budget_is_named_or_the_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DYSAMPLE_BUDGET", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert current_budget() == "quick"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert current_budget() == "full"
    monkeypatch.setenv("DYSAMPLE_BUDGET", "record")
    assert current_budget() == "record"
    assert current_budget("quick") == "quick"
    monkeypatch.setenv("DYSAMPLE_BUDGET", "huge")
    with pytest.raises(ValueError, match=r"DYSAMPLE_BUDGET has to be .*got 'huge'"):
        current_budget()
    with pytest.raises(ValueError, match=r"budget has to be .*got 'tiny'"):
        current_budget("tiny")


def test_budgets_are_amounts_and_nothing_else() -> None:
    assert {f.name for f in fields(Amount)} == {"epochs", "seeds"}
    for bed in [*TESTBEDS.values(), *OTHERS.values()]:
        quick, full, record = (bed.amount(name) for name in BUDGETS)
        assert quick.epochs <= full.epochs <= record.epochs
        assert quick.seeds <= full.seeds <= record.seeds
    with pytest.raises(ValueError, match=r"budget has to be one of .*got 'huge'"):
        bed.amount("huge")


def test_every_testbed_is_of_names_that_there_are() -> None:
    for task, dataset, encoder in TESTBEDS:
        assert task in TASKS
        assert dataset in DATASETS
        assert encoder in ENCODERS
    assert set(OTHERS) <= set(ENCODERS)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_new_data_set_starts_with_its_encoders_default(encoder: str) -> None:
    bed = budget.testbed("segmentation", "mine", encoder)
    assert isinstance(bed, Testbed)
    assert bed is OTHERS[encoder]


def test_a_budget_says_what_it_gives() -> None:
    text = describe("quick")
    assert text.startswith("quick budget on ")
    assert "probe 6 epochs × 1 seed, " in text
    assert "paper's setting 8 epochs × 3 seeds" in text
