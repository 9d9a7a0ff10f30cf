"""Sweeps for real: processes that die, two at once, a full disk, a Dask cluster."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from record_samples import RECORD, SPEC
from training_samples import toy_folder

from dysample_lib.__main__ import main
from dysample_lib.study import sweep as module
from dysample_lib.study.compare import plan
from dysample_lib.study.provenance import code_digest, environment
from dysample_lib.study.records import Record, append_record, read_records
from dysample_lib.study.run import run
from dysample_lib.study.spec import RunSpec
from dysample_lib.study.sweep import (
    ATTEMPTS,
    Claims,
    Processes,
    beside,
    duration,
    make_run,
    sweep,
    time_left,
)
from dysample_lib.train.checkpoints import read_checkpoint

REPOSITORY = Path(__file__).parents[2]
PATIENCE = 240  # seconds that a busy machine may take to import torch


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_folder(tmp_path_factory.mktemp("toy"))


def planned(root: Path, *names: str, epochs: int = 2, **settings: Any) -> list[RunSpec]:
    asked: dict[str, Any] = {"dataset": "camvid", "root": root, "epochs": epochs}
    return plan(names, **({"seeds": 1} | asked | settings))


def command(root: Path, output: Path | str, *names: str, **options: Any) -> list[str]:
    given = {"dataset": "camvid", "root": root, "epochs": 2, "seeds": 1} | options
    pairs = [
        text
        for name, value in given.items()
        for text in (f"--{name.replace('_', '-')}", str(value))
    ]
    return ["sweep", "--output", str(output), *pairs, "--upsamplers", *names]


def shell(
    arguments: list[str], cwd: Path = REPOSITORY, **options: Any
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "dysample_lib", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        # A shell's background jobs hand down that an interrupt is ignored.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
        **options,
    )


def wait_for(condition: Callable[[], Any]) -> Any:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.01)
    raise TimeoutError


@contextmanager
def meanwhile(action: Callable[[], None]) -> Iterator[None]:
    """Have ``action`` done by a thread; it has to be done at the end."""
    errors: list[BaseException] = []

    def act() -> None:
        try:
            action()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=act)
    thread.start()
    yield
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert errors == []


def lines(output: Path) -> list[str]:
    """The lines of a record file, each of a run of its own."""
    found = output.read_text("utf-8").splitlines()
    keys = [Record.from_json(line).key for line in found]
    assert len(set(keys)) == len(keys)
    return found


@pytest.mark.slow
def test_two_processes_make_every_run_once_though_one_is_killed(
    tmp_path: Path, root: Path
) -> None:
    output = tmp_path / "runs.jsonl"
    most = 0

    def kill() -> None:
        nonlocal most
        wait_for(lambda: list(beside(output).glob("*.pt")))
        children = wait_for(multiprocessing.active_children)
        most = len(children)
        os.kill(children[0].pid, signal.SIGKILL)

    names = ("nearest", "bilinear", "nearest")
    options = {"seeds": 2, "epochs": 160, "workers": 2, "threads": 1}
    with meanwhile(kill):
        assert main(command(root, output, *names, **options)) == 0
    assert most == 2
    records = read_records(output)
    jobs = planned(root, *names, seeds=2, epochs=160, budget="record")
    assert {r.spec for r in records} == set(jobs)
    assert len(lines(output)) == len(jobs) == 4
    assert {record.environment["threads"] for record in records} == {1}
    assert not beside(output).exists()
    expected = run(jobs[0], root=root).record
    assert next(r for r in records if r.spec == jobs[0]).metrics == pytest.approx(
        expected.metrics, abs=1e-3
    )


def test_a_run_that_kills_every_worker_is_given_up(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "runs.jsonl"
    killed: set[int] = set()

    def kill() -> None:
        while len(killed) < ATTEMPTS:
            for child in multiprocessing.active_children():
                if child.pid not in killed:
                    with suppress(ProcessLookupError):
                        os.kill(child.pid, signal.SIGKILL)
                    killed.add(child.pid)

    with meanwhile(kill):
        assert main(command(root, output, "nearest")) == 1
    assert len(killed) == ATTEMPTS == 3
    assert not output.exists()
    assert not beside(output).exists()
    told = capsys.readouterr().out.splitlines()
    wanted = "failed: camvid small pointwise nearest seed 0 epochs 2: BrokenProcessPool"
    assert told[-1].startswith(wanted)


@pytest.mark.slow
def test_a_run_that_diverges_does_not_stop_the_others(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "runs.jsonl"
    jobs = [
        *planned(root, "nearest", learning_rate=1e6, epochs=30),
        *planned(root, "bilinear"),
        *planned(root, "nearest"),
        *planned(root, "bilinear", budget="record"),  # the second again
    ]
    first, cut = (replace(RECORD, spec=spec).to_json_line() for spec in (jobs[2], SPEC))
    output.write_text(first + "\n" + cut[:100])
    told: list[str] = []
    with pytest.warns(UserWarning, match="line 2: broken"):
        outcome = sweep(
            jobs,
            output,
            checkpoints=tmp_path / "mine",
            root=root,
            report=told.append,
            progress=True,
        )
    assert [record.spec for record in outcome.made] == [jobs[1]]
    assert list(outcome.failed) == [jobs[0]]
    assert outcome.elsewhere == 0
    assert told[0] == "3 runs, 1 recorded, 2 to go"
    assert told[-1].startswith("failed: camvid small pointwise nearest seed 0 epochs")
    assert "FloatingPointError: the loss is nan" in told[-1]
    text = output.read_text("utf-8").splitlines()
    assert text[:2] == [first, cut[:100]]
    assert Record.from_json(text[2]) == outcome.made[0]
    assert len(text) == 3
    assert not beside(output).exists()
    assert not list((tmp_path / "mine").glob("*"))
    bar = capsys.readouterr().err
    assert "2/2" in bar
    assert "left by the records" in bar


@pytest.mark.slow
def test_two_sweeps_at_once_share_the_runs_of_one_file(
    tmp_path: Path, root: Path
) -> None:
    folder = tmp_path / "inside"
    folder.mkdir()
    names = ("nearest", "bilinear", "nearest")
    asked = {"seeds": 2, "epochs": 60, "threads": 1}
    arguments = command(root, "here.jsonl", *names, **asked)
    both = [shell(arguments, folder) for _ in range(2)]
    told = []
    for process in both:
        out, errors = process.communicate(timeout=PATIENCE)
        assert (process.returncode, errors) == (0, "")
        told += [line for line in out.splitlines() if "boundary_iou" in line]
    assert len(lines(folder / "here.jsonl")) == len(told) == 4
    assert [path.name for path in folder.iterdir()] == ["here.jsonl"]
    assert [path.name for path in tmp_path.iterdir()] == ["inside"]


@pytest.mark.slow
def test_a_sweep_that_is_stopped_or_killed_goes_on_from_its_checkpoint(
    tmp_path: Path, root: Path
) -> None:
    output = tmp_path / "runs.jsonl"
    (job,) = planned(root, "bilinear", epochs=400, budget="record")
    checkpoint = beside(output) / f"{job.key}.pt"
    arguments = command(root, output, "bilinear", epochs=400, threads=1)
    reached = [0]
    for how, status in ((signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)):
        process = shell(arguments)
        wait_for(lambda: epoch_of(checkpoint) > reached[-1])
        workers = children_of(process.pid)
        assert workers
        process.send_signal(how)
        _, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == status
        if how is signal.SIGINT:
            assert errors == "sweep: interrupted\n"
        wait_for(lambda left=workers: not any(map(lives, left)))
        reached.append(read_checkpoint(checkpoint)["epoch"])
        assert not output.exists()
    assert 0 < reached[1] <= reached[2] < 400
    assert main(arguments) == 0
    assert len(lines(output)) == 1
    assert not beside(output).exists()


def test_a_recorded_run_leaves_nothing_of_what_was_being_written_at_a_kill(
    tmp_path: Path, root: Path
) -> None:
    output = tmp_path / "runs.jsonl"
    (job,) = jobs = planned(root, "nearest")
    beside(output).mkdir()
    (beside(output) / f"{job.key}.pt.cut_off.part").write_bytes(b"half")
    sweep(jobs, output, root=root, report=lambda _: None)
    assert len(lines(output)) == 1
    assert not beside(output).exists()


def epoch_of(checkpoint: Path) -> int:
    return read_checkpoint(checkpoint)["epoch"] if checkpoint.exists() else 0


def children_of(parent: int) -> list[int]:
    """The processes that a process started, by the system's own list."""
    found = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(parent)],
        capture_output=True,
        text=True,
        check=False,
    )
    return [int(pid) for pid in found.stdout.split()]


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or " Z " not in state.read_text()


FULL_DISK = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
from dysample_lib.__main__ import main
raise SystemExit(main(sys.argv[2:]))
"""


@pytest.mark.slow
def test_on_a_full_disk_the_sweep_stops_and_keeps_the_checkpoint(
    tmp_path: Path, root: Path
) -> None:
    output = tmp_path / "runs.jsonl"
    limit = 4 * 2**20  # of any file: the checkpoint has room, the record has not
    output.write_bytes(b" " * (limit - 101) + b"\n")
    arguments = command(root, output, "bilinear", "nearest")
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(limit), *arguments],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        check=False,
    )
    assert done.returncode == 1
    assert "sweep: " in done.stderr and "is the disk full?" in done.stderr
    assert "Traceback" not in done.stderr
    assert output.stat().st_size == limit - 100
    (checkpoint,) = beside(output).glob("*.pt")
    seconds = read_checkpoint(checkpoint)["seconds"]
    assert main([*arguments, "--threads", "3"]) == 0
    records = read_records(output)
    assert [r.spec.upsampler for r in records] == ["bilinear", "nearest"]
    assert {record.environment["threads"] for record in records} == {3}
    assert records[0].seconds == round(seconds, 2), "trained again"
    assert not beside(output).exists()


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of the scheduler's, as a worker is lost
def test_a_cluster_makes_every_run_once_though_a_worker_is_killed(
    tmp_path: Path, root: Path
) -> None:
    distributed = pytest.importorskip("distributed")
    output = tmp_path / "runs.jsonl"
    options: dict[str, Any] = {"n_workers": 2, "threads_per_worker": 1}
    with distributed.LocalCluster(**options, dashboard_address=None) as cluster:
        nannies = list(cluster.workers.values())

        def kill() -> None:
            wait_for(lambda: list(beside(output).glob("*.pt")))
            os.kill(nannies[0].pid, signal.SIGKILL)

        address = cluster.scheduler_address
        names = ("nearest", "bilinear")
        asked = {"seeds": 2, "epochs": 160, "scheduler": address}
        with meanwhile(kill):
            assert main(command(root, output, *names, **asked)) == 0
    jobs = planned(root, *names, seeds=2, epochs=160, budget="record")
    records = read_records(output)
    assert {record.spec for record in records} == set(jobs)
    assert len(lines(output)) == 4
    assert not beside(output).exists()


def test_a_cluster_that_is_not_there_is_an_error(
    tmp_path: Path,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    output = tmp_path / "runs.jsonl"
    asked = command(root, output, "nearest", scheduler="tcp://127.0.0.1:1")
    assert main(asked) == 1
    wanted = "needs the package distributed: pip install 'dysample-lib[distributed]'"
    assert wanted in capsys.readouterr().err


@pytest.mark.slow
def test_a_worker_has_its_threads_and_is_started_anew_after_its_death() -> None:
    workers = Processes(1, threads=3)
    try:
        assert workers.slots() == 1
        assert workers.submit(torch.get_num_threads).result(PATIENCE) == 3
        with pytest.raises(BrokenExecutor):
            workers.submit(os._exit, 1).result(PATIENCE)
        assert workers.submit(torch.get_num_threads).result(PATIENCE) == 3
    finally:
        workers.close()
    assert multiprocessing.active_children() == []


def test_workers_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "available_cores", lambda: 9)
    assert [Processes(n).threads for n in (1, 2, 4, 20)] == [9, 4, 2, 1]
    assert Processes(2, threads=7).threads == 7
    for name in ("workers", "threads"):
        with pytest.raises(ValueError, match=f"{name} has to be an integer ≥ 1, got 0"):
            Processes(**{name: 0})


def test_a_checkpoint_of_other_code_is_dropped_and_one_of_this_is_used(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (job,) = planned(root, "bilinear")
    path = tmp_path / f"{job.key}.pt"
    origin = environment() | {"commit": "of the sweep"}
    first = make_run(job, root, path, origin)
    assert first.environment["commit"] == "of the sweep"
    kept = path.read_bytes()
    assert make_run(job, root, path, origin) == first
    assert path.read_bytes() == kept
    state = read_checkpoint(path)
    state["identity"]["code"] = "of before"
    torch.save(state, path)
    assert make_run(job, root, path, origin).metrics == first.metrics
    assert read_checkpoint(path)["identity"]["code"] == code_digest()


def test_a_worker_with_another_library_is_refused(root: Path) -> None:
    (job,) = planned(root, "nearest")
    with pytest.raises(
        RuntimeError, match=r"has to be the sweep's \(code of another\)"
    ):
        make_run(job, root, None, environment() | {"code": "of another"})


def test_a_sweep_with_nothing_to_do_does_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "runs.jsonl"
    append_record(output, RECORD)
    before = output.read_bytes()
    outcome = sweep([SPEC, replace(SPEC, budget="quick")], output)
    assert (outcome.made, outcome.failed) == ([], {})
    assert capsys.readouterr().out == "1 runs, 1 recorded, 0 to go\n"
    assert output.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["runs.jsonl"]


def test_a_run_is_claimed_by_one(tmp_path: Path) -> None:
    mine, other = Claims(tmp_path / "runs"), Claims(tmp_path / "runs")
    assert mine.take("a")
    assert not other.take("a")
    assert other.take("b")
    mine.release_all()
    assert [path.stem for path in (tmp_path / "runs").iterdir()] == ["b"]
    assert mine.take("a")
    mine.release("a")
    assert other.take("a")
    other.release_all()
    assert not (tmp_path / "runs").exists()


def test_a_claim_on_what_was_cleared_holds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, other = Claims(tmp_path / "runs"), Claims(tmp_path / "runs")
    real = Path.open

    def slow(path: Path, *args: Any, **kwargs: Any) -> Any:
        file = real(path, *args, **kwargs)
        monkeypatch.undo()
        path.unlink()  # another sweep is done, between opening and locking
        return file

    monkeypatch.setattr(Path, "open", slow)
    assert mine.take("a")
    assert not other.take("a")
    mine.release_all()


def test_a_killed_processs_claims_are_free(tmp_path: Path) -> None:
    script = (
        "import fcntl, sys, time; file = open(sys.argv[1], 'a'); "
        "fcntl.flock(file, fcntl.LOCK_EX); print('held', flush=True); time.sleep(600)"
    )
    claims = Claims(tmp_path)
    started = [sys.executable, "-c", script, str(tmp_path / "a.claim")]
    with subprocess.Popen(started, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert not claims.take("a")
        process.kill()
    assert claims.take("a")
    claims.release_all()


def test_time_left_is_by_the_upsamplers_records_or_the_settings() -> None:
    fast, slow = (replace(SPEC, upsampler=name) for name in ("nearest", "carafe"))
    records = [
        replace(RECORD, spec=replace(spec, seed=seed), seconds=seconds)
        for spec, times in ((fast, (10, 20)), (slow, (90,)))
        for seed, seconds in enumerate(times)
    ]
    assert time_left([replace(fast, seed=s) for s in (5, 6)], records) == 30
    assert time_left([replace(slow, seed=7), replace(fast, seed=7)], records) == 105
    assert time_left([SPEC], records) == 40
    assert time_left([replace(SPEC, epochs=99)], records) is None
    assert time_left([], records) == 0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (1.2, "2 s"), (90, "2 min"), (600, "10 min"), (9000, "2.5 h")],
)
def test_durations_are_written_as_said(seconds: float, text: str) -> None:
    assert duration(seconds) == text
