"""fit: it learns, it repeats, and it says what is wrong."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.optim.optimizer import Optimizer, register_optimizer_step_pre_hook
from training_samples import (
    SEGMENTATION,
    same_weights,
    toy_net,
    toy_set,
    toy_spec,
    train,
)

from dysample_lib.data.base import SegmentationSet
from dysample_lib.tasks.base import Batch, Images
from dysample_lib.tasks.segmentation import evaluate
from dysample_lib.testbed.nets import DensePredictionNet
from dysample_lib.train.checkpoints import read_checkpoint
from dysample_lib.train.fit import _Session, fit, seeded


def test_fit_learns_the_toy() -> None:
    net, validation = toy_net(), toy_set(6, "val")
    before = evaluate(net, validation, device="cpu")
    spec = toy_spec(epochs=12, batch_size=8)
    result = fit(SEGMENTATION, net, toy_set(80), validation, spec)
    assert result.metrics["mean_iou"] > max(0.8, before["mean_iou"])
    assert [row["epoch"] for row in result.history] == list(range(1, 13))
    assert result.history[-1]["loss"] < 0.5 * result.history[0]["loss"]
    assert result.metrics == evaluate(net, validation, device="cpu")
    assert set(result.metrics) == {"mean_iou", "boundary_iou", "trimap_iou"}
    assert not net.training


def test_a_seed_repeats_bit_for_bit_and_another_does_not() -> None:
    assert same_weights(train(seed=3), train(seed=3))
    assert not same_weights(train(seed=3), train(seed=4))


def test_evaluation_between_epochs_changes_nothing_but_the_history() -> None:
    nets, rows = [], []
    for every in (1, 2, None):
        net, data = toy_net(), (toy_set(20), toy_set(6, "val"))
        result = fit(SEGMENTATION, net, *data, toy_spec(), evaluate_every=every)
        nets.append(net)
        rows.append([row["epoch"] for row in result.history if "mean_iou" in row])
    assert rows == [[1, 2, 3, 4], [2, 4], [4]]
    assert same_weights(nets[0], nets[1])
    assert same_weights(nets[0], nets[2])


def test_fit_leaves_the_global_random_state_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train(epochs=1)
    assert torch.equal(torch.rand(3), expected)


def test_seeding_is_silent_beside_several_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    states: list[int] = []
    fakes = {
        "is_available": lambda: True,
        "device_count": lambda: 8,
        "current_device": lambda: 3,
        "manual_seed_all": lambda seed: None,
        "get_rng_state": lambda device: states.append(device) or torch.zeros(1),
        "set_rng_state": lambda state, device: states.append(device),
    }
    for name, fake in fakes.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    with warnings.catch_warnings(), seeded(3):
        warnings.simplefilter("error")  # fork_rng warns if it has to choose
        assert torch.initial_seed() == 3
    assert states == [3, 3]


def test_ignored_pixels_are_neither_learned_nor_counted() -> None:
    data = toy_set(6)
    blind = replace(data, masks=torch.full_like(data.masks, 255))
    with pytest.raises(FloatingPointError, match="loss is nan at epoch 1, step 1"):
        fit(SEGMENTATION, toy_net(), blind, data, toy_spec(epochs=1))


class Exploding(nn.Module):
    """Gives a finite loss for some calls and then none."""

    def __init__(self, calls: int) -> None:
        super().__init__()
        self.inner, self.left = toy_net(), calls
        self.encoder, self.decoder = self.inner.encoder, self.inner.decoder

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
        fit(SEGMENTATION, Exploding(11), *data, toy_spec(), checkpoint=path)
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
    data = toy_set(20), toy_set(6, "val")
    with pytest.raises(FloatingPointError, match=r"weight is .* epoch 2, step 5 of 5"):
        fit(SEGMENTATION, net, *data, toy_spec(), checkpoint=path)
    assert read_checkpoint(path)["epoch"] == 1


def test_a_step_that_mixed_precision_skips_does_not_move_the_schedule() -> None:
    spec = toy_spec(epochs=1, precision="mixed")
    session = _Session(SEGMENTATION, toy_net(), Images(toy_set(20)), spec)
    session.scaler = torch.amp.GradScaler("cpu", init_scale=3e38, backoff_factor=1e-20)
    # The first gradients overflow. A scheduler that steps all the same warns.
    session.model.decoder.classify.weight.register_hook(lambda gradient: 1e3 * gradient)
    session.train_epoch(0)
    assert session.scaler.get_scale() < 3e38
    assert session.schedule.last_epoch == session.steps - 1 == 4


def test_mixed_precision_trains_in_half_precision() -> None:
    seen: set[torch.dtype] = set()
    net, data = toy_net(), (toy_set(8), toy_set(4, "val"))
    net.decoder.classify.register_forward_hook(lambda *a: seen.add(a[-1].dtype))
    fit(SEGMENTATION, net, *data, toy_spec(epochs=1, precision="mixed"))
    assert torch.bfloat16 in seen


@pytest.fixture
def rates() -> Iterator[list[list[float]]]:
    """The learning rates of every step that any optimiser takes."""
    taken: list[list[float]] = []

    def note(optimizer: Optimizer, *_: object) -> None:
        taken.append([group["lr"] for group in optimizer.param_groups])

    handle = register_optimizer_step_pre_hook(note)
    yield taken
    handle.remove()


def test_the_rates_follow_one_cycle_to_those_of_the_spec(
    rates: list[list[float]],
) -> None:
    spec = toy_spec(learning_rate=0.01, offset_rate=4.0, encoder_rate=0.1, epochs=8)
    fit(SEGMENTATION, toy_net(), toy_set(20), toy_set(6, "val"), spec)
    assert len(rates) == 8 * 5
    # 5 of 40 steps on either side of the peak, which is at 30 %.
    peaks = sorted(map(max, zip(*rates, strict=True)))
    assert peaks == pytest.approx([0.001, 0.01, 0.04])
    for step in rates:
        assert sorted(step) == pytest.approx([0.1 * sorted(step)[1], *sorted(step)[1:]])
    base = [sorted(step)[1] for step in rates]
    top = base.index(max(base))
    assert 10 <= top <= 12
    assert base[0] == pytest.approx(0.01 / 25)
    assert base[: top + 1] == sorted(base[: top + 1])
    assert base[top:] == sorted(base[top:], reverse=True)
    assert base[-1] < 1e-6


@pytest.mark.parametrize(
    ("rate", "part"), [("offset_rate", ".offset."), ("encoder_rate", "encoder.")]
)
def test_a_rate_is_for_its_own_part(rate: str, part: str) -> None:
    start = {k: v.detach().clone() for k, v in toy_net().named_parameters()}
    net = toy_net()
    spec = toy_spec(epochs=1, **{rate: 1e-9})
    fit(SEGMENTATION, net, toy_set(20), toy_set(6, "val"), spec)
    changes = {
        k: float((v - start[k]).detach().abs().max()) for k, v in net.named_parameters()
    }
    slow = {name for name, change in changes.items() if change < 1e-8}
    assert slow == {name for name in changes if part in name}
    assert slow


def test_the_offset_rate_is_for_blind_points_too() -> None:
    net = DensePredictionNet(2, upsampler="blind", width=16)
    spec = toy_spec(epochs=1, upsampler="blind", offset_rate=1e-9)
    fit(SEGMENTATION, net, toy_set(20), toy_set(6, "val"), spec)
    points = [p for n, p in net.named_parameters() if "upsamplers." in n]
    assert points
    assert all(0 < p.detach().abs().max() < 1e-8 for p in points)


def test_weights_decay_as_the_spec_says() -> None:
    lengths = []
    for decay in (0.0, 0.01, 1.0):
        net = toy_net()
        spec = toy_spec(weight_decay=decay)
        fit(SEGMENTATION, net, toy_set(20), toy_set(6, "val"), spec)
        weights = [p for p in net.parameters() if p.dim() > 1]
        lengths.append(sum(float(p.detach().square().sum()) for p in weights))
    assert lengths[0] > lengths[1] > lengths[2]


def oriented(count: int) -> SegmentationSet:
    """Each image says in each pixel what its mask says there, and has no symmetry."""
    masks = torch.randint(0, 250, (count, 16, 16), dtype=torch.uint8)
    masks[:, 0, 0] = torch.arange(count)
    images = masks[:, None].expand(-1, 3, -1, -1).clone()
    return SegmentationSet("oriented", "train", images, masks, ("any",) * 250)


def epoch_of(flips: str, epoch: int = 0, seed: int = 0) -> list[Batch]:
    spec = toy_spec(flips=flips, seed=seed, batch_size=16)
    session = _Session(SEGMENTATION, toy_net(), Images(oriented(90)), spec)
    return list(session.batches(epoch))


@pytest.mark.parametrize(
    ("flips", "wanted"),
    [
        ("", {()}),
        ("h", {(), (-1,)}),
        ("v", {(), (-2,)}),
        ("hv", {(), (-1,), (-2,), (-1, -2)}),
    ],
)
def test_an_epoch_is_every_image_once_with_its_own_mask_flipped_alike(
    flips: str, wanted: set[tuple[int, ...]]
) -> None:
    torch.manual_seed(0)
    data = oriented(90)
    torch.manual_seed(0)
    found, seen = [], []
    for batch in epoch_of(flips):
        assert isinstance(batch.inputs, Tensor)
        for image, mask in zip(batch.inputs, batch.targets, strict=True):
            assert torch.equal(image, mask.expand(3, -1, -1))
            (which,) = [
                (k, axes)
                for axes in ((), (-1,), (-2,), (-1, -2))
                for k in range(90)
                if torch.equal(mask.flip(axes) if axes else mask, data.masks[k])
            ]
            seen.append(which[0])
            found.append(which[1])
    assert sorted(seen) == list(range(90))
    assert seen != list(range(90))
    assert set(found) == wanted
    # Half of them along each axis: 45 ± 5 √(90) / 2.
    for letter, axis in (("h", -1), ("v", -2)):
        if letter in flips:
            assert 21 < sum(axis in axes for axes in found) < 69


def test_order_and_flips_are_of_the_seed_and_the_epoch() -> None:
    def first(**which: int) -> Tensor:
        torch.manual_seed(0)
        inputs = epoch_of("hv", **which)[0].inputs
        assert isinstance(inputs, Tensor)
        return inputs

    assert torch.equal(first(), first())
    assert not torch.equal(first(), first(epoch=1))
    assert not torch.equal(first(), first(seed=1))


def test_bad_arguments_are_named() -> None:
    data = toy_set(4)
    none = SegmentationSet("toy", "val", data.images[:0], data.masks[:0], data.classes)
    with pytest.raises(ValueError, match="validation has to hold at least one image"):
        fit(SEGMENTATION, toy_net(), data, none, toy_spec())
    with pytest.raises(ValueError, match="train has to hold at least one image"):
        fit(SEGMENTATION, toy_net(), none, data, toy_spec())
    for name in ("evaluate_every", "checkpoint_every"):
        with pytest.raises(ValueError, match=f"{name} has to be an integer ≥ 1, got 0"):
            train(**{name: 0})


def test_progress_is_silent_in_ci(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CI", "true")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    train(epochs=1)
    assert capsys.readouterr() == ("", "")
    train(epochs=1, progress=True)
    assert "1/1" in capsys.readouterr().err
    monkeypatch.delenv("CI")
    train(epochs=1)
    assert "1/1" in capsys.readouterr().err
