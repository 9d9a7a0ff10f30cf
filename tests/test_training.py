"""fit: it learns, it repeats, it survives a kill, and it says what is wrong."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from dysample_lib.checkpoints import read_checkpoint, save_checkpoint
from dysample_lib.datasets.base import SegmentationSet
from dysample_lib.evaluation import evaluate, predict
from dysample_lib.models import SegmentationNet
from dysample_lib.training import Recipe, fit, seeded


def toy_set(count: int, split: str = "train") -> SegmentationSet:
    """A bright half beside a dark one, to be told apart within seconds."""
    generator = torch.Generator().manual_seed(len(split))
    images = torch.randint(0, 60, (count, 3, 32, 32), generator=generator)
    masks = torch.zeros(count, 32, 32, dtype=torch.uint8)
    edges = torch.randint(8, 24, (count,), generator=generator)
    for mask, edge in zip(masks, edges, strict=True):
        mask[:, edge:] = 1
    images = (images + 150 * masks[:, None]).to(torch.uint8)
    return SegmentationSet("toy", split, images, masks, ("dark", "bright"))


def toy_net(seed: int = 0) -> SegmentationNet:
    with seeded(seed):
        return SegmentationNet(2, upsampler="dynamic_scope", width=16)


def train(seed: int = 0, epochs: int = 4, **options: object) -> SegmentationNet:
    net = toy_net(seed)
    data = toy_set(20), toy_set(6, "val")
    recipe = Recipe(epochs=epochs, seed=seed, batch_size=4)
    fit(net, *data, recipe, device="cpu", **options)  # type: ignore[arg-type]
    return net


def same_weights(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


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


@pytest.mark.parametrize("every", [1, 2, 3])
def test_a_finished_part_goes_on_to_the_same_weights(
    tmp_path: Path, every: int
) -> None:
    class Stop(Exception):
        pass

    def stop(*_: object) -> None:
        raise Stop

    path = tmp_path / "run.pt"
    net, data = toy_net(), (toy_set(20), toy_set(6, "val"))
    handle = net.register_forward_hook(_after(17, stop))  # in the fourth epoch
    recipe = Recipe(epochs=4, batch_size=4)
    options = {"device": "cpu", "checkpoint": path, "checkpoint_every": every}
    with pytest.raises(Stop):
        fit(net, *data, recipe, evaluate_every=4, **options)  # type: ignore[arg-type]
    handle.remove()
    assert read_checkpoint(path)["epoch"] == 3 // every * every
    resumed = train(checkpoint=path, checkpoint_every=every)
    assert same_weights(resumed, train())
    assert len(read_checkpoint(path)["history"]) == 4


def _after(calls: int, action: object) -> object:
    seen = 0

    def hook(*_: object) -> None:
        nonlocal seen
        seen += 1
        if seen > calls:
            action()  # type: ignore[operator]

    return hook


KILLED = """
import sys
sys.path.insert(0, {tests!r})
from test_training import train
train(epochs=40, checkpoint={path!r})
"""


def test_a_run_killed_at_any_moment_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    script = KILLED.format(tests=str(Path(__file__).parent), path=str(path))
    kills = 0
    for pause in (0.0, 0.13, 0.31):
        before = path.stat().st_mtime_ns if path.exists() else 0
        process = subprocess.Popen([sys.executable, "-c", script])
        while process.poll() is None:
            if path.exists() and path.stat().st_mtime_ns != before:
                time.sleep(pause)
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.005)
        kills += process.wait() == -signal.SIGKILL
    assert kills >= 2
    assert 0 < read_checkpoint(path)["epoch"] < 40
    assert same_weights(train(epochs=40, checkpoint=path), train(epochs=40))


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    first = train(checkpoint=path)
    state = path.read_bytes()
    assert same_weights(train(checkpoint=path), first)
    assert path.read_bytes() == state


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    train(checkpoint=path, about={"upsampler": "naive"})
    with pytest.raises(ValueError, match="epochs: 4 there, 5 here"):
        train(checkpoint=path, epochs=5, about={"upsampler": "naive"})
    with pytest.raises(ValueError, match="upsampler: 'naive' there, 'grouping' here"):
        train(checkpoint=path, about={"upsampler": "grouping"})


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    train(checkpoint=path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"run\.pt cannot be read"):
        train(checkpoint=path)
    torch.save({"weights": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match=r"run\.pt was not written by fit"):
        train(checkpoint=path)


def test_a_failed_write_keeps_the_checkpoint_before(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    save_checkpoint(path, {"identity": {}, "epoch": 1})
    with pytest.raises(Exception, match="pickle"):
        save_checkpoint(path, {"identity": {}, "epoch": lambda: 2})
    assert read_checkpoint(path)["epoch"] == 1
    assert [file.name for file in tmp_path.iterdir()] == ["run.pt"]


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
