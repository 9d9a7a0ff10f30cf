"""The shell: every option goes where it should, and what is wrong is named."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from training_samples import toy_folder

from dysample_lib.__main__ import main
from dysample_lib.study import run as running
from dysample_lib.study.records import Record
from dysample_lib.study.run import evaluate_checkpoint

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_folder(tmp_path_factory.mktemp("toy"))


LEAN = """
import sys
from importlib.machinery import PathFinder

WITHOUT = ("pandas", "scipy", "matplotlib")

class Without(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.split(".")[0] not in WITHOUT:
            return super().find_spec(name, path, target)

    @classmethod
    def find_distributions(cls, context):
        if context.name in WITHOUT:
            return ()
        return super().find_distributions(context)

sys.meta_path[sys.meta_path.index(PathFinder)] = Without
from dysample_lib.__main__ import main
raise SystemExit(main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_train_ends_with_its_record_and_needs_no_tables_or_pictures(
    tmp_path: Path, root: Path
) -> None:
    command = f"train --dataset camvid --root {root} --upsampler bilinear --epochs 1"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LEAN, *command.split(), "--seed", "3"],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    values = json.loads(done.stdout.splitlines()[-1])
    assert list(values)[:3] == ["schema", "spec", "metrics"]
    assert values["schema"] == 2
    record = Record.from_json(done.stdout.splitlines()[-1])
    assert (record.spec.upsampler, record.spec.seed) == ("bilinear", 3)
    assert record.environment["code"]


def test_every_option_of_train_is_in_the_record(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted: dict[str, Any] = {
        "task": "segmentation",
        "dataset": "camvid",
        "encoder": "small",
        "decoder": "fpn",
        "budget": "full",
        "epochs": 1,
        "width": 16,
        "batch_size": 4,
        "learning_rate": 0.002,
        "offset_rate": 4.0,
        "encoder_rate": 0.5,
        "precision": "mixed",
        "device": "cpu",
        "seed": 7,
    }
    options = [f"--{k.replace('_', '-')}={v}" for k, v in wanted.items()]
    name = "grouping,groups=2"
    assert main(["train", *options, f"--root={root}", f"--upsampler={name}"]) == 0
    spec = Record.from_json(capsys.readouterr().out.splitlines()[-1]).spec
    found = asdict(spec)
    assert {k: found[k] for k in wanted} == wanted
    assert spec.variant == name
    assert not spec.frozen


@pytest.mark.parametrize(("flag", "frozen"), [([], True), (["--finetune"], False)])
def test_finetuning_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, flag: list[str], frozen: bool
) -> None:
    seen: list[bool] = []

    def stop(spec: Any, root: Any) -> None:
        seen.append(spec.frozen)
        raise ValueError("far enough")

    monkeypatch.setattr(running.TASKS["segmentation"], "load", stop)
    assert main(["train", "--encoder", "efficientnet_lite0", *flag]) == 1
    assert seen == [frozen]


def test_a_checkpoint_is_gone_on_from_and_evaluated_within_any_band(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.pt"
    command = ["train", "--dataset=camvid", f"--root={root}", "--epochs=20"]
    assert main([*command, f"--checkpoint={path}"]) == 0
    first = capsys.readouterr().out
    kept = path.read_bytes()
    assert main([*command, f"--checkpoint={path}"]) == 0
    assert capsys.readouterr().out == first
    assert path.read_bytes() == kept
    evaluated = ["evaluate", f"--checkpoint={path}", f"--root={root}"]
    for extra, band in (([], None), (["--band=9"], 9)):
        assert main([*evaluated, *extra]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found == evaluate_checkpoint(path, root=root, band=band)
    assert main(evaluated[:2]) == 1
    assert "camvid needs its folder" in capsys.readouterr().err


def test_a_dry_run_lists_every_combination_seed_by_seed(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "runs.jsonl"
    command = [
        *("sweep", "--dry-run", "--output", str(output)),
        *("--dataset", "camvid", "--root", str(root), "--epochs", "2"),
        *("--decoder", "fpn", "segformer", "--seeds", "4-5"),
        *("--upsamplers", "nearest", "grouping,scope=0.5"),
    ]
    assert main(command) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[:-1] == [
        f"camvid small {decoder} {name} seed {seed} epochs 2"
        for seed in (4, 5)
        for decoder in ("fpn", "segformer")
        for name in ("nearest", "grouping,scope=0.5")
    ]
    assert told[-1] == "8 runs, 0 recorded, 8 to go: no record says how long"
    assert not output.exists()


@pytest.mark.parametrize(
    ("text", "seeds"), [("2", [0, 1]), ("5-7", [5, 6, 7]), ("1,4", [1, 4])]
)
def test_seeds_are_a_number_a_range_or_a_list(
    tmp_path: Path,
    root: Path,
    capsys: pytest.CaptureFixture[str],
    text: str,
    seeds: list[int],
) -> None:
    command = f"sweep --dry-run --dataset camvid --root {root} --seeds {text}"
    output = ["--output", str(tmp_path / "runs.jsonl")]
    assert main([*command.split(), *output, "--upsamplers", "nearest"]) == 0
    told = capsys.readouterr().out.splitlines()[:-1]
    assert [int(line.split()[5]) for line in told] == seeds


def test_the_shell_names_what_is_wrong(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "none.pt"
    assert main(["evaluate", "--checkpoint", str(missing)]) == 1
    assert "none.pt does not exist" in capsys.readouterr().err
    data = ["--dataset", "camvid", "--root", str(root)]
    sweep = ["sweep", *data, "--output", str(tmp_path / "none.jsonl")]
    train = ["train", *data]
    wrong = {
        (*train, "--upsampler", "cubic"): "upsampler has to be one of",
        (*train, "--epochs", "0"): "epochs has to be an integer ≥ 1, got 0",
        (*train, "--seed", "-1"): "seed has to be in 0 … 2**32 - 1, got -1",
        (*sweep, "--epochs", "0"): "epochs has to be an integer ≥ 1, got 0",
        (*sweep, "--seeds", "0"): "seeds has to be an integer ≥ 1, got 0",
        (*sweep, "--workers", "0"): "workers has to be an integer ≥ 1, got 0",
        (*sweep, "--threads", "0"): "threads has to be an integer ≥ 1, got 0",
        (*sweep, "--verify", "0"): "verify has to be an integer ≥ 1, got 0",
    }
    for arguments, message in wrong.items():
        assert main(arguments) == 1
        assert message in capsys.readouterr().err
    for seeds in ("9-5", "x", "1,,2"):
        with pytest.raises(SystemExit):
            main([*sweep, "--seeds", seeds])
        wanted = "has to be a number (5), a range (5-9) or a list (1,4), got"
        assert wanted in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_shell_says_how_to_get_a_missing_package(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*_: object, **__: object) -> None:
        raise ModuleNotFoundError("No module named 'tqdm'", name="tqdm")

    monkeypatch.setattr(running, "run", run)
    assert main(["train"]) == 1
    wanted = "No module named 'tqdm'; pip install 'dysample-lib[notebooks]' brings"
    assert wanted in capsys.readouterr().err
