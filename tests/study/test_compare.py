"""Several upsamplers over several seeds: planned balanced, trained, compared."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock, Timeout
from training_samples import same_weights, toy_folder

from dysample_lib.study import compare as module
from dysample_lib.study.compare import compare, plan
from dysample_lib.study.run import resolve, run, run_once
from dysample_lib.train import fit as fitting


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    root = toy_folder(tmp_path_factory.mktemp("toy"))
    return {"dataset": "camvid", "root": root, "epochs": 1, "budget": "quick"}


def names(specs: list[Any]) -> list[tuple[str, int]]:
    return [(spec.variant, spec.seed) for spec in specs]


def test_a_plan_goes_seed_by_seed() -> None:
    specs = plan(["naive", "grouping,scope=0.5"], seeds=2, data="given")
    assert names(specs) == [
        ("naive", 0),
        ("grouping,scope=0.5", 0),
        ("naive", 1),
        ("grouping,scope=0.5", 1),
    ]
    assert len({spec.setting for spec in specs}) == 1
    assert specs[1] == resolve("grouping,scope=0.5", data="given")


def test_seeds_are_how_many_or_which_or_the_budgets() -> None:
    asked: dict[str, Any] = {"data": "given", "encoder": "efficientnet_lite0"}
    assert [s.seed for s in plan(["naive"], seeds=[7, 3], **asked)] == [7, 3]
    for budget, count in (("quick", 3), ("full", 10), ("record", 20)):
        specs = plan(["naive"], budget=budget, **asked)
        assert [spec.seed for spec in specs] == list(range(count))


def test_what_is_named_twice_is_planned_once() -> None:
    twice = ["naive", "grouping", "naive", "grouping,groups=4"]
    specs = plan(twice, seeds=[0, 0], data="given")
    assert names(specs) == [("naive", 0), ("grouping", 0), ("grouping,groups=4", 0)]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"upsamplers": []}, "upsamplers has to hold at least one name"),
        ({"seeds": 0}, "seeds has to be an integer ≥ 1, got 0"),
        ({"seeds": []}, "seeds has to hold at least one seed"),
        ({"upsamplers": ["naive", "cubic"]}, "upsampler has to be one of .*'cubic'"),
        ({"metric": "miou"}, "metric has to be one of 'boundary_iou', .*got 'miou'"),
    ],
)
def test_bad_arguments_are_named_before_any_work(
    monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any], message: str
) -> None:
    monkeypatch.setattr(module, "run", None)
    with pytest.raises(ValueError, match=message):
        compare(**({"upsamplers": ["naive"], "data": "given"} | asked))


def test_a_comparison_has_runs_models_records_and_a_table(
    short: dict[str, Any],
) -> None:
    result = compare(["nearest", "bilinear"], seeds=2, **short)
    assert list(result.runs) == ["nearest", "bilinear"]
    assert names([record.spec for record in result.records]) == [
        ("nearest", 0),
        ("nearest", 1),
        ("bilinear", 0),
        ("bilinear", 1),
    ]
    alone = run("bilinear", seed=1, **short)
    assert same_weights(result.model("bilinear", 1), alone.model)
    assert result.metric == "boundary_iou"
    table = result.table()
    assert list(table["seeds"]) == ["2", "2"]
    with pytest.raises(ValueError, match=r"variant has to be one of .*got 'naive'"):
        result.model("naive")
    with pytest.raises(ValueError, match="seed has to be one of 0, 1, got 2"):
        result.model("nearest", 2)


def test_a_comparison_is_evaluated_as_often_as_asked(short: dict[str, Any]) -> None:
    asked = short | {"epochs": 3}
    for every, epochs in ((None, [3]), (1, [1, 2, 3]), (2, [2, 3])):
        found = compare(["nearest"], seeds=1, evaluate_every=every, **asked)
        history = found.runs["nearest"][0].history
        assert [row["epoch"] for row in history if "boundary_iou" in row] == epochs


def test_the_data_is_read_for_the_first_alone(
    tmp_path: Path, short: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def spy(name: str, **settings: Any) -> Any:
        asked.append(settings.get("data", ""))
        return resolve(name, **settings)

    monkeypatch.setattr(module, "resolve", spy)
    specs = plan(["nearest", "bilinear"], seeds=1, **short)
    assert asked == ["", specs[0].data]


def test_a_run_that_is_kept_is_not_trained_again(
    tmp_path: Path, short: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = compare(["nearest", "naive"], seeds=2, **short)
    monkeypatch.setenv(module.RUNS, str(tmp_path / "runs"))
    compare(["naive"], seeds=2, **short)
    kept = {path: path.read_bytes() for path in (tmp_path / "runs").glob("*.pt")}
    assert len(kept) == 2
    with monkeypatch.context() as changed:
        changed.setattr(fitting, "_Session", None)  # nothing can be trained
        again = compare(["naive"], seeds=2, **short)
    both = compare(["nearest", "naive"], seeds=2, **short)
    assert len(list((tmp_path / "runs").glob("*.pt"))) == 4
    assert {path: path.read_bytes() for path in kept} == kept
    for found in (again, both):
        for name, runs in found.runs.items():
            for one, other in zip(runs, alone.runs[name], strict=True):
                assert same_weights(one.model, other.model)
                assert not one.model.training
                assert one.history == other.history
                assert one.metrics == other.record.metrics
    # The scores of each epoch are not in what is kept.
    every = compare(["naive"], seeds=1, evaluate_every=1, **(short | {"epochs": 2}))
    assert "boundary_iou" in every.runs["naive"][0].history[0]
    assert len(list((tmp_path / "runs").glob("*.pt"))) == 4


def test_what_another_is_at_comes_last(
    tmp_path: Path, short: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(module.RUNS, str(tmp_path))
    first, second = plan(["nearest", "bilinear"], seeds=1, **short)
    mine = tmp_path / f"{second.key}.pt"
    at_it, told = threading.Event(), threading.Event()

    def other() -> None:
        """At the first run until the second is there and someone was turned away."""
        with FileLock(tmp_path / f"{first.key}.lock"):
            at_it.set()
            patience = time.monotonic() + 60  # rather than for ever
            while not mine.exists() and time.monotonic() < patience:
                time.sleep(0.05)
            told.wait()

    thread = threading.Thread(target=other)
    thread.start()
    at_it.wait()
    with pytest.raises(Timeout):
        run_once(first, folder=tmp_path, root=short["root"], timeout=0)
    told.set()
    found = compare(["nearest", "bilinear"], seeds=1, **short)
    thread.join()
    assert names([record.spec for record in found.records]) == [
        ("nearest", 0),
        ("bilinear", 0),
    ]
    assert mine.stat().st_mtime < (tmp_path / f"{first.key}.pt").stat().st_mtime
