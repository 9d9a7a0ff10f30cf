"""From names to a record: run, sweep, the shell commands and the budgets."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path

import pytest
import torch
from training_samples import same_weights, toy_set

from dysample_lib import LADDER
from dysample_lib.__main__ import main
from dysample_lib.data import SegmentationSet
from dysample_lib.study import run as experiments
from dysample_lib.study.budget import BUDGETS, current_budget
from dysample_lib.study.records import Record, read_records, recorded_runs
from dysample_lib.study.sweep import Job, sweep
from dysample_lib.testbed.nets import SegmentationNet
from dysample_lib.train.fit import fit


@pytest.fixture
def toy_data(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Stand in for the data set, so that a run takes a second; note what is loaded."""
    loaded: list[str] = []

    def load(name: str, split: str, **_: object) -> SegmentationSet:
        loaded.append(f"{name} {split}")
        return toy_set(24 if split == "train" else 6, split)

    monkeypatch.setattr(experiments, "load_dataset", load)
    experiments._load.cache_clear()
    yield loaded
    experiments._load.cache_clear()


@pytest.mark.usefixtures("toy_data")
def test_a_run_says_all_about_itself() -> None:
    result = experiments.run("grouping", seed=1, epochs=2, budget="quick")
    record = result.record
    assert (record.dataset, record.decoder) == ("coastlines", "pointwise")
    assert (record.upsampler, record.seed, record.epochs) == ("grouping", 1, 2)
    assert record.upsampler_parameters == 3 * (32 * 32 + 32)
    assert record.parameters == sum(p.numel() for p in result.model.parameters())
    assert record.mean_iou == result.metrics["mean_iou"]
    assert record.seconds > 0
    assert record.torch == torch.__version__
    assert len(result.history) == 2


def test_runs_of_one_seed_see_the_same_start_and_the_same_images(
    toy_data: list[str],
) -> None:
    first = experiments.run("bilinear", epochs=1, budget="quick")
    again = experiments.run("bilinear", epochs=1, budget="quick")
    assert same_weights(first.model, again.model)
    assert toy_data == ["coastlines train", "coastlines val"]  # and not once a run


@pytest.mark.usefixtures("toy_data")
def test_what_was_prepared_trains_to_what_run_gives() -> None:
    settings = {"seed": 2, "epochs": 1, "budget": "quick"}
    expected = experiments.run("naive", **settings)  # type: ignore[arg-type]
    start = experiments.prepare("naive", **settings)  # type: ignore[arg-type]
    assert not same_weights(start.model, expected.model)
    assert fit(*start).metrics == expected.metrics
    assert same_weights(start.model, expected.model)


@pytest.mark.usefixtures("toy_data")
def test_a_checkpoint_says_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    result = experiments.run("naive", epochs=2, budget="quick", checkpoint=path)
    assert experiments.evaluate_checkpoint(path) == pytest.approx(result.metrics)
    with pytest.raises(ValueError, match="upsampler: 'naive' there, 'initial_offsets'"):
        experiments.run("initial_offsets", epochs=2, budget="quick", checkpoint=path)


@pytest.mark.usefixtures("toy_data")
def test_the_full_budget_takes_pets_and_a_pretrained_encoder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: dict[str, object] = {}

    def without_download(pretrained: bool, **design: object) -> SegmentationNet:
        asked.update(design, pretrained=pretrained)
        return SegmentationNet(**design)  # type: ignore[arg-type]

    monkeypatch.setattr(experiments, "SegmentationNet", without_download)
    start = experiments.prepare("dysample_s", budget="full")
    assert (asked["encoder"], asked["pretrained"]) == ("resnet18", True)
    assert start.recipe.learning_rate == BUDGETS["full"].learning_rate
    record = experiments.run("dysample_s", epochs=1, budget="full").record
    assert (record.dataset, record.budget) == ("pets", "full")


def jobs(*names: str, epochs: int = 1) -> list[Job]:
    return [Job("coastlines", "pointwise", name, 0, epochs, "quick") for name in names]


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let the sweep work in this process, and note which runs it makes."""
    from concurrent.futures import Future

    from dysample_lib.study import sweep as module

    made: list[str] = []

    class Pool:
        def __init__(self, *_: object, **__: object) -> None: ...
        def shutdown(self, *, cancel_futures: bool) -> None:
            assert cancel_futures

        def submit(self, function: object, job: Job, *rest: object) -> Future[Record]:
            made.append(job.upsampler)
            future: Future[Record] = Future()
            future.set_result(function(job, *rest))  # type: ignore[operator]
            return future

    monkeypatch.setattr(module, "ProcessPoolExecutor", Pool)
    return made


@pytest.mark.usefixtures("toy_data")
def test_a_sweep_makes_only_what_is_missing(
    tmp_path: Path, in_process: list[str]
) -> None:
    output = tmp_path / "results" / "toy.jsonl"
    quiet = {"report": lambda line: None}
    assert sweep(jobs("nearest", "naive"), output, **quiet) == 2  # type: ignore[arg-type]
    before = output.read_bytes()
    again = sweep(jobs("nearest", "grouping", "naive"), output, **quiet)  # type: ignore[arg-type]
    assert again == 1
    assert in_process == ["nearest", "naive", "grouping"]
    assert output.read_bytes().startswith(before)
    names = [record.upsampler for record in read_records(output)]
    assert sorted(names) == ["grouping", "naive", "nearest"]
    assert not list((tmp_path / "runs").glob("*.pt"))


def test_a_run_that_fails_ends_the_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DYSAMPLE_CAMVID", str(tmp_path / "nowhere"))
    todo = [Job("camvid", "segformer", "naive", seed, 1, "quick") for seed in range(3)]
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere"):
        sweep(todo, tmp_path / "toy.jsonl", report=lambda line: None)
    assert not (tmp_path / "toy.jsonl").exists()


def test_the_shell_trains_on_the_real_tiles(tmp_path: Path) -> None:
    command = "train --upsampler bilinear --epochs 1 --seed 3 --budget quick"
    done = subprocess.run(
        [sys.executable, "-m", "dysample_lib", *command.split()],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    record = json.loads(done.stdout.splitlines()[-1])
    assert set(record) == {field.name for field in fields(Record)}
    assert (record["dataset"], record["seed"]) == ("coastlines", 3)
    assert 0.8 < record["mean_iou"] < 1


def test_the_shell_names_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "none.pt"
    assert main(["evaluate", "--checkpoint", str(missing)]) == 1
    assert "none.pt does not exist" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["train", "--upsampler", "cubic"])
    assert "invalid choice: 'cubic'" in capsys.readouterr().err
    output = ["--output", str(tmp_path / "none.jsonl")]
    wrong = {
        ("train", "--epochs", "0"): "epochs has to be an integer ≥ 1, got 0",
        ("train", "--seed", "-1"): "seed has to be in 0 … 2**32 - 1, got -1",
        ("sweep", "--epochs", "0", *output): "epochs has to be an integer ≥ 1, got 0",
        ("sweep", "--seeds", "0", *output): "seeds has to be an integer ≥ 1, got 0",
    }
    for arguments, message in wrong.items():
        assert main(arguments) == 1
        assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_shell_says_how_to_get_a_missing_package(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*_: object, **__: object) -> None:
        raise ModuleNotFoundError("No module named 'tqdm'", name="tqdm")

    monkeypatch.setattr(experiments, "run", run)
    assert main(["train"]) == 1
    wanted = "No module named 'tqdm'; pip install 'dysample-lib[notebooks]' brings"
    assert wanted in capsys.readouterr().err


def test_budgets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DYSAMPLE_BUDGET", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert current_budget() is BUDGETS["quick"]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert current_budget() is BUDGETS["full"]
    monkeypatch.setenv("DYSAMPLE_BUDGET", "record")
    assert current_budget() is BUDGETS["record"]
    assert current_budget("quick") is BUDGETS["quick"]
    monkeypatch.setenv("DYSAMPLE_BUDGET", "huge")
    with pytest.raises(ValueError, match=r"DYSAMPLE_BUDGET has to be .*got 'huge'"):
        current_budget()


def test_the_recorded_ladder_is_whole() -> None:
    records = recorded_runs("ladder")
    budget = BUDGETS["record"]
    seen = {(r.upsampler, r.seed) for r in records}
    assert seen == {(name, seed) for name in LADDER for seed in range(budget.seeds)}
    assert {(r.dataset, r.decoder, r.epochs, r.budget) for r in records} == {
        (budget.dataset, "pointwise", budget.epochs, budget.name)
    }
    assert not any("dirty" in str(asdict(r)["commit"]) for r in records)


def test_unknown_recorded_runs_are_named() -> None:
    with pytest.raises(FileNotFoundError, match=r"no record 'snakes.jsonl'; .*ladder"):
        recorded_runs("snakes")
