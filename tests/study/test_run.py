"""A run, from names to a record: resolved once, repeatable, and checked first."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from training_samples import same_weights, toy_folder

from dysample_lib.study import provenance
from dysample_lib.study import run as module
from dysample_lib.study.run import (
    drop_stale,
    evaluate_checkpoint,
    prepare,
    resolve,
    run,
    run_once,
)
from dysample_lib.study.spec import RunSpec
from dysample_lib.train import fit as training
from dysample_lib.train.checkpoints import read_checkpoint
from dysample_lib.train.fit import fit


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_folder(tmp_path_factory.mktemp("toy"))


@pytest.fixture
def short(root: Path) -> dict[str, Any]:
    """A run of a second."""
    return {"dataset": "camvid", "root": root, "epochs": 1, "budget": "quick"}


PROBE = {
    "task": "segmentation",
    "dataset": "coastlines",
    "encoder": "small",
    "decoder": "pointwise",
    "upsampler": "grouping",
    "seed": 0,
    "epochs": 6,
    "width": 32,
    "learning_rate": 4e-3,
    "dataset_options": {},
    "data": "given",
    "frozen": False,
    "upsampler_options": {},
    "batch_size": 16,
    "offset_rate": 1.0,
    "encoder_rate": 1.0,
    "weight_decay": 1e-2,
    "flips": "hv",
    "band": 2,
    "device": "cpu",
    "precision": "float32",
    "budget": "quick",
}
PAPER = PROBE | {
    "encoder": "efficientnet_lite0",
    "decoder": "segformer",
    "frozen": True,
    "flips": "h",
    "epochs": 8,
}


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ({}, PROBE),
        ({"encoder": "efficientnet_lite0"}, PAPER),
        (
            {"encoder": "efficientnet_lite0", "dataset": "camvid"},
            PAPER
            | {"dataset": "camvid", "width": 48, "learning_rate": 2e-3, "epochs": 12},
        ),
        ({"budget": "record"}, PROBE | {"budget": "record", "epochs": 24}),
        (
            {"encoder": "efficientnet_lite0", "finetune": True, "decoder": "fpn"},
            PAPER | {"frozen": False, "decoder": "fpn"},
        ),
        (
            {"upsampler": "grouping,scope=0.5,groups=8", "seed": 3, "width": 16},
            PROBE
            | {"upsampler_options": {"scope": 0.5, "groups": 8}}
            | {"seed": 3, "width": 16},
        ),
        ({"epochs": None, "width": None, "precision": None}, PROBE),
    ],
)
def test_what_is_left_open_is_decided(
    monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any], wanted: dict[str, Any]
) -> None:
    """The recipes of the book: another one means other numbers in every table."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    spec = resolve(**({"budget": "quick", "data": "given"} | asked))
    assert asdict(spec) == wanted


@pytest.mark.parametrize("encoder", ["small", "efficientnet_lite0"])
def test_the_full_budget_is_the_same_experiment(
    monkeypatch: pytest.MonkeyPatch, encoder: str
) -> None:
    asked: dict[str, Any] = {"encoder": encoder, "data": "given"}
    small, large = (resolve(budget=name, **asked) for name in ("quick", "full"))
    assert replace(small, epochs=large.epochs, budget="full") == large
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    on_gpu = replace(large, device="cuda", precision="mixed")
    assert resolve(budget="full", **asked) == on_gpu
    assert resolve(budget="record", **asked).precision == "float32"


@pytest.mark.parametrize(
    ("asked", "error", "message"),
    [
        ({"task": "depth"}, ValueError, "task has to be one of .*got 'depth'"),
        ({"dataset": "mine"}, ValueError, "dataset has to be one of .*got 'mine'"),
        ({"encoder": "vgg"}, ValueError, "encoder has to be one of .*got 'vgg'"),
        ({"decoder": "unet"}, ValueError, "decoder has to be one of .*got 'unet'"),
        ({"upsampler": "cubic"}, ValueError, "upsampler has to be one of .*'cubic'"),
        ({"upsampler": "grouping,groups=3"}, ValueError, "groups has to divide"),
        ({"upsampler": "grouping,speed=3"}, TypeError, "DySample .*got speed"),
        ({"upsampler": "naive,groups"}, ValueError, "written name=value, got 'groups'"),
        ({"width": 6}, ValueError, "groups has to divide in_channels"),
        ({"epochs": 0}, ValueError, "epochs has to be an integer ≥ 1, got 0"),
        ({"seed": -1}, ValueError, r"seed has to be in 0 … 2\*\*32 - 1, got -1"),
        ({"budget": "huge"}, ValueError, "budget has to be one of .*got 'huge'"),
        ({"rate": 1.0}, TypeError, "a run has no field rate; it has task, dataset"),
        ({"frozen": True}, TypeError, "frozen is decided by finetune, .*frozen=True"),
        ({"upsampler_options": {}}, TypeError, "upsampler_options is decided by upsa"),
    ],
)
def test_bad_arguments_are_named_before_any_work(
    monkeypatch: pytest.MonkeyPatch,
    asked: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    monkeypatch.setattr(module, "fit", None)
    with pytest.raises(error, match=message):
        run(**({"data": "given"} | asked))


def test_a_run_says_all_about_itself(short: dict[str, Any]) -> None:
    result = run("grouping", seed=1, width=16, **short)
    record = result.record
    assert record.spec == resolve("grouping", seed=1, width=16, **short)
    assert len(record.spec.data) == 2 * 16 + 1
    # Three steps of ×2: 16 channels to 2 · 4 groups · 2² numbers, and their bias.
    assert record.upsampler_parameters == 3 * (16 + 1) * 32
    assert record.parameters == sum(p.numel() for p in result.model.parameters())
    assert record.metrics == result.metrics
    assert set(record.metrics) == {"mean_iou", "boundary_iou", "trimap_iou"}
    assert record.seconds > 0
    assert record.environment == provenance.environment("cpu")
    assert [row["epoch"] for row in result.history] == [1]


def test_options_of_an_upsampler_are_built(short: dict[str, Any]) -> None:
    plain, more = (run(name, **short) for name in ("grouping", "grouping,groups=8"))
    assert more.record.upsampler_parameters == 2 * plain.record.upsampler_parameters
    assert more.record.key != plain.record.key


def test_runs_of_one_seed_see_the_same_start_and_the_same_images(
    short: dict[str, Any],
) -> None:
    first, again, other = (run("bilinear", seed=s, **short) for s in (0, 0, 1))
    assert same_weights(first.model, again.model)
    assert first.metrics == again.metrics
    assert not same_weights(first.model, other.model)


def test_what_was_prepared_trains_to_what_run_gives(short: dict[str, Any]) -> None:
    expected = run("naive", seed=2, **short)
    start = prepare("naive", seed=2, **short)
    assert not same_weights(start.model, expected.model)
    assert fit(*start).metrics == expected.metrics
    assert same_weights(start.model, expected.model)
    again = run(start.spec, root=short["root"])
    assert same_weights(again.model, expected.model)


def test_the_splits_are_the_callers_own_to_change(short: dict[str, Any]) -> None:
    expected = run("bilinear", **short)
    start = prepare("bilinear", **short)
    start.train.images.zero_()
    start.validation.masks.zero_()
    assert run("bilinear", **short).metrics == expected.metrics


def test_evaluations_and_checkpoints_come_as_often_as_asked(
    tmp_path: Path, short: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[int] = []
    real = training.save_checkpoint

    def save(path: Path, state: dict[str, Any]) -> None:
        saved.append(state["epoch"])
        real(path, state)

    monkeypatch.setattr(training, "save_checkpoint", save)
    result = run(
        "bilinear",
        **(short | {"epochs": 5}),
        checkpoint=tmp_path / "run.pt",
        checkpoint_every=2,
        evaluate_every=3,
    )
    rows = [row["epoch"] for row in result.history if "boundary_iou" in row]
    assert rows == [3, 5]
    assert saved == [2, 4, 5]


def test_the_origin_is_asked_for_before_the_training(
    short: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []

    def spy(name: str) -> None:
        real = getattr(module, name)

        def called(*args: Any, **kwargs: Any) -> Any:
            order.append(name)
            return real(*args, **kwargs)

        monkeypatch.setattr(module, name, called)

    spy("environment")
    spy("fit")
    record = run("nearest", origin={"commit": "before"}, **short).record
    assert order == ["environment", "fit"]
    assert record.environment == provenance.environment("cpu") | {"commit": "before"}


def test_two_folders_are_two_runs(tmp_path: Path, short: dict[str, Any]) -> None:
    same = toy_folder(tmp_path / "same")
    other = toy_folder(tmp_path / "other", train=9)
    here = resolve(**short)
    assert resolve(**(short | {"root": same})) == here
    there = resolve(**(short | {"root": other}))
    assert there.key != here.key and there.setting != here.setting
    for call in (prepare, run):
        with pytest.raises(ValueError, match=rf"what the run is of, {here.data}, got"):
            call(here, root=other)


def test_a_checkpoint_says_what_it_holds(tmp_path: Path, short: dict[str, Any]) -> None:
    path = tmp_path / "run.pt"
    result = run("naive", checkpoint=path, **(short | {"epochs": 20}))
    root = short["root"]
    assert evaluate_checkpoint(path, root=root) == pytest.approx(result.metrics)
    wide = evaluate_checkpoint(path, root=root, band=9)
    assert wide["mean_iou"] == pytest.approx(result.metrics["mean_iou"])
    assert wide["trimap_iou"] != pytest.approx(result.metrics["trimap_iou"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"upsampler": "initial_offsets"}, "upsampler: 'naive' there, 'initial_off"),
        ({"learning_rate": 0.1}, "learning_rate: 0.004 there, 0.1 here"),
        ({"seed": 5}, "seed: 0 there, 5 here"),
        ({"root": "other"}, "data: '.*' there, '.*' here"),
        ({"device": "cuda"}, "device: 'cpu' there, 'cuda' here"),
    ],
)
def test_a_checkpoint_of_another_run_is_not_gone_on_from(
    tmp_path: Path, short: dict[str, Any], change: dict[str, Any], message: str
) -> None:
    path = tmp_path / "run.pt"
    asked = {"upsampler": "naive", **short}
    run(checkpoint=path, **asked)
    before = path.read_bytes()
    if "root" in change:
        change = {"root": toy_folder(tmp_path / "other", train=9)}
    if "device" in change:  # without a GPU
        spec = resolve(**asked, **change)
        drop_stale(path, spec)
        assert not path.exists()
        return
    with pytest.raises(ValueError, match=message):
        run(checkpoint=path, **(asked | change))
    assert path.read_bytes() == before


def test_a_budget_is_no_other_run(tmp_path: Path, short: dict[str, Any]) -> None:
    path = tmp_path / "run.pt"
    run("naive", checkpoint=path, **short)
    before = path.read_bytes()
    run("naive", checkpoint=path, **(short | {"budget": "record"}))
    assert path.read_bytes() == before


def test_a_run_of_other_code_is_made_again(
    tmp_path: Path, short: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run_once("naive", folder=tmp_path, **short)
    (path,) = tmp_path.glob("*.pt")
    assert path.stem == first.record.key
    kept = path.read_bytes()
    again = run_once("naive", folder=tmp_path, **short)
    assert path.read_bytes() == kept
    assert same_weights(first.model, again.model)
    assert again.record.seconds == first.record.seconds
    monkeypatch.setattr(module, "code_digest", lambda: "another")
    with pytest.raises(ValueError, match=r"code: '.*' there, 'another' here"):
        run("naive", checkpoint=path, **short)
    run_once("naive", folder=tmp_path, **short)
    assert read_checkpoint(path)["identity"]["code"] == "another"


def test_a_run_that_was_stopped_is_gone_on_with_and_not_taken_for_done(
    tmp_path: Path, short: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = short | {"epochs": 2}
    train_epoch = training._Session.train_epoch

    def stopped(session: Any, epoch: int) -> float:
        if epoch == 1:
            raise KeyboardInterrupt
        return train_epoch(session, epoch)

    with monkeypatch.context() as changed:
        changed.setattr(training._Session, "train_epoch", stopped)
        with pytest.raises(KeyboardInterrupt):
            run_once("naive", folder=tmp_path, **asked)
    (path,) = tmp_path.glob("*.pt")
    assert read_checkpoint(path)["epoch"] == 1
    gone_on = run_once("naive", folder=tmp_path, **asked)
    assert [row["epoch"] for row in gone_on.history] == [1, 2]
    assert same_weights(gone_on.model, run("naive", **asked).model)


def test_what_is_no_runs_checkpoint_is_told(
    tmp_path: Path, short: dict[str, Any]
) -> None:
    path = tmp_path / "run.pt"
    with pytest.raises(FileNotFoundError, match=r"run\.pt does not exist"):
        evaluate_checkpoint(path)
    fit(*prepare("naive", **short), checkpoint=path, identity={"mine": 1})
    with pytest.raises(ValueError, match=r"run\.pt does not say what it is of .*mine"):
        evaluate_checkpoint(path)
    spec = RunSpec(**asdict(resolve("naive", **short)))
    drop_stale(path, spec)
    assert not path.exists()
    drop_stale(path, spec)  # nothing there: nothing to do
    path.write_bytes(b"half a file")
    drop_stale(path, spec)
    assert not path.exists()
