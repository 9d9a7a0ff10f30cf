"""fit: it learns, it repeats, and it says what is wrong."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from training_samples import same_weights, toy_net, toy_set, train

from dysample_lib.data.base import SegmentationSet
from dysample_lib.tasks.segmentation import evaluate, predict
from dysample_lib.train.checkpoints import read_checkpoint
from dysample_lib.train.fit import Recipe, _Session, fit


def test_fit_learns_the_toy() -> None:
    net, validation = toy_net(), toy_set(6, "val")
    before = evaluate(net, validation, device="cpu")
    recipe = Recipe(epochs=12, batch_size=8)
    result = fit(net, toy_set(80), validation, recipe, device="cpu")
    assert result.metrics["mean_iou"] > max(0.8, before["mean_iou"])
    assert [row["epoch"] for row in result.history] == list(range(1, 13))
    assert result.history[-1]["loss"] < 0.5 * result.history[0]["loss"]
    assert result.metrics == evaluate(net, validation, device="cpu")
    assert set(result.metrics) == {"mean_iou", "boundary_iou", "trimap_iou"}


def test_a_seed_repeats_bit_for_bit_and_another_does_not() -> None:
    assert same_weights(train(seed=3), train(seed=3))
    assert not same_weights(train(seed=3), train(seed=4))


def test_evaluation_between_epochs_changes_nothing() -> None:
    assert same_weights(train(evaluate_every=1), train(evaluate_every=4))


def test_fit_leaves_the_global_random_state_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train(epochs=1)
    assert torch.equal(torch.rand(3), expected)


def test_ignored_pixels_are_neither_learned_nor_counted() -> None:
    data = toy_set(6)
    blind = SegmentationSet(
        "toy", "train", data.images, torch.full_like(data.masks, 255), data.classes
    )
    with pytest.raises(FloatingPointError, match="loss is nan at epoch 1, step 1"):
        fit(toy_net(), blind, data, Recipe(epochs=1), device="cpu")


class Exploding(nn.Module):
    """Gives a finite loss for some calls and then none."""

    def __init__(self, calls: int) -> None:
        super().__init__()
        self.inner, self.left = toy_net(), calls

    def forward(self, x: Tensor) -> Tensor:
        self.left -= self.training
        return self.inner(x) * (float("nan") if self.left < 0 else 1.0)


def test_a_loss_that_is_not_finite_stops_and_keeps_the_checkpoint(
    tmp_path: Path,
) -> None:
    path = tmp_path / "run.pt"
    data = toy_set(20), toy_set(6, "val")
    with pytest.raises(
        FloatingPointError, match=r"loss is nan at epoch 3, step 2 of 5 .*lower"
    ):
        fit(
            Exploding(11),
            *data,
            Recipe(epochs=4, batch_size=4),
            device="cpu",
            checkpoint=path,
        )
    state = read_checkpoint(path)
    assert state["epoch"] == 2
    assert all(t.isfinite().all() for t in state["model"].values())


def test_a_weight_that_the_last_step_spoils_stops_before_the_checkpoint(
    tmp_path: Path,
) -> None:
    net, steps = toy_net(), []

    def spoil(gradient: Tensor) -> Tensor:
        steps.append(gradient)
        return gradient * (float("nan") if len(steps) == 10 else 1)

    net.decoder.classify.weight.register_hook(spoil)
    path = tmp_path / "run.pt"
    options = {"device": "cpu", "checkpoint": path}
    recipe = Recipe(epochs=4, batch_size=4)
    with pytest.raises(FloatingPointError, match=r"weight is .* epoch 2, step 5 of 5"):
        fit(net, toy_set(20), toy_set(6, "val"), recipe, **options)  # type: ignore[arg-type]
    assert read_checkpoint(path)["epoch"] == 1


def test_a_step_that_mixed_precision_skips_does_not_move_the_schedule() -> None:
    session = _Session(
        toy_net(), toy_set(20), Recipe(epochs=1, batch_size=4), torch.device("cpu")
    )
    session.scaler = torch.amp.GradScaler("cpu", init_scale=3e38, backoff_factor=1e-20)
    # The first gradients overflow. A scheduler that steps all the same warns.
    session.model.decoder.classify.weight.register_hook(lambda gradient: 1e3 * gradient)
    session.train_epoch(0)
    assert session.scaler.get_scale() < 3e38
    assert session.schedule.last_epoch == session.steps - 1 == 4


def test_bad_arguments_are_named() -> None:
    data = toy_set(4)
    none = SegmentationSet("toy", "val", data.images[:0], data.masks[:0], data.classes)
    with pytest.raises(ValueError, match="validation has to hold at least one image"):
        fit(toy_net(), data, none, device="cpu")
    with pytest.raises(ValueError, match=r"epochs has to be an integer ≥ 1, got 0"):
        Recipe(epochs=0)
    with pytest.raises(ValueError, match=r"learning_rate has to be .*got nan"):
        Recipe(learning_rate=float("nan"))


def test_predict_keeps_the_mode_and_does_not_depend_on_the_batch() -> None:
    net, images = toy_net().train(), toy_set(5).images
    one = predict(net, images, batch_size=1, device="cpu")
    assert torch.equal(one, predict(net, images, batch_size=5, device="cpu"))
    assert one.dtype == torch.uint8
    assert net.training


def test_progress_is_silent_in_ci(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CI", "true")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    train(epochs=1)
    assert capsys.readouterr() == ("", "")
    train(epochs=1, progress=True)
    assert "1/1" in capsys.readouterr().err
