"""What every task beside segmentation shares: it trains, repeats and goes on."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from task_samples import TOYS, task_model, task_spec
from torch import nn
from training_samples import same_weights

from dysample_lib.tasks import TASKS
from dysample_lib.tasks.base import Images
from dysample_lib.train import fit as training
from dysample_lib.train.features import KeptMaps
from dysample_lib.train.fit import Fit, fit, seeded
from dysample_lib.upsamplers import UPSAMPLERS

pytestmark = pytest.mark.parametrize("name", TOYS)


def trained(
    name: str, options: dict[str, Any] | None = None, **changes: Any
) -> tuple[nn.Module, Fit]:
    task, toy, _ = TOYS[name]
    spec = task_spec(name, **changes)
    model = task_model(spec)
    return model, fit(task, model, toy(8), toy(4, "val"), spec, **(options or {}))


def test_all_but_segmentation_are_here(name: str) -> None:
    assert set(TOYS) == set(TASKS) - {"segmentation"}
    assert TOYS[name][0].name == name


def test_a_seed_repeats_bit_for_bit_and_another_does_not(name: str) -> None:
    torch.manual_seed(1)
    one, first = trained(name)
    torch.manual_seed(2)  # the caller's random state is not the run's
    again, second = trained(name)
    other, _ = trained(name, seed=1)
    assert same_weights(one, again) and not same_weights(one, other)
    assert first.metrics == pytest.approx(second.metrics, abs=0, nan_ok=True)
    assert tuple(first.metrics) == TOYS[name][0].metrics
    assert first.history[-1]["loss"] < first.history[0]["loss"]
    assert all(math.isnan(v) or v >= 0 for v in first.metrics.values())
    assert not math.isnan(first.metrics[TOYS[name][0].metrics[0]])


def test_it_is_trained_on_kept_maps_as_on_images(name: str) -> None:
    losses = [
        [row["loss"] for row in trained(name, {"keep": keep})[1].history]
        for keep in (None, False)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)


def test_a_model_measures_the_same_on_kept_maps_and_on_images(name: str) -> None:
    task, toy, _ = TOYS[name]
    spec = task_spec(name)
    model, result = trained(name)
    data = toy(4, "val")
    kept = task.measure(model, KeptMaps(model, data, mirrored=False), spec)
    assert kept == pytest.approx(result.metrics, abs=0, nan_ok=True)
    plain = task.measure(model, Images(data), spec)
    assert plain == pytest.approx(kept, rel=0.02, abs=0.02, nan_ok=True)


def test_a_run_that_is_stopped_goes_on_as_if_it_never_was(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, wanted = trained(name, epochs=3)
    path = tmp_path / "run.pt"
    real = training.save_checkpoint

    def stop(path: Path, state: dict[str, Any]) -> None:
        real(path, state)
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "save_checkpoint", stop)
    with pytest.raises(KeyboardInterrupt):
        trained(name, {"checkpoint": path}, epochs=3)
    monkeypatch.undo()
    rest, found = trained(name, {"checkpoint": path}, epochs=3)
    assert same_weights(whole, rest)
    assert found.metrics == pytest.approx(wanted.metrics, abs=0, nan_ok=True)
    assert found.history == wanted.history


def test_what_is_compared_are_the_upsamplers_and_nothing_else(name: str) -> None:
    task = TOYS[name][0]
    models = {
        upsampler: task_model(task_spec(name, upsampler=upsampler))
        for upsampler in ("nearest", "grouping", "carafe")
    }
    plain = models["nearest"].state_dict()
    for upsampler, model in models.items():
        mine = list(task.upsamplers(model))
        assert len(mine) >= 3
        assert all(type(m) is type(mine[0]) for m in mine)
        assert isinstance(mine[0], type(UPSAMPLERS[upsampler].build(8, 2)))
        inside = {id(p) for m in mine for p in m.parameters()}
        for key, value in model.named_parameters():
            if id(value) not in inside:  # one seed gives all the rest the same weights
                assert torch.equal(value, plain[key]), key


def test_it_takes_an_upsamplers_options(name: str) -> None:
    spec = task_spec(name, upsampler_options={"groups": 2})
    with seeded(0):
        upsamplers = list(TOYS[name][0].upsamplers(task_model(spec)))
    assert [u.groups for u in upsamplers] == [2] * len(upsamplers)
