"""Checkpoints: a run survives a kill, and a file that does not fit is refused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from training_samples import (
    SEGMENTATION,
    same_weights,
    toy_net,
    toy_set,
    toy_spec,
    train,
)

from dysample_lib.testbed.nets import DensePredictionNet
from dysample_lib.train.checkpoints import read_checkpoint, save_checkpoint
from dysample_lib.train.fit import fit, load_trained_state, trained_state


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
    options: dict[str, Any] = {"checkpoint": path, "checkpoint_every": every}
    with pytest.raises(Stop):
        fit(SEGMENTATION, net, *data, toy_spec(), **options)
    handle.remove()
    assert read_checkpoint(path)["epoch"] == 3 // every * every
    resumed = train(**options)
    assert same_weights(resumed, train())
    assert len(read_checkpoint(path)["history"]) == 4


def _after(calls: int, action: Callable[[], object]) -> Callable[..., None]:
    seen = 0

    def hook(*_: object) -> None:
        nonlocal seen
        seen += 1
        if seen > calls:
            action()

    return hook


START = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from training_samples import train
"""


@pytest.mark.slow
def test_a_run_killed_at_any_moment_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    script = f"{START}train(epochs=40, checkpoint={str(path)!r})"
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


KILLED_WHILE_SAVING = """
import torch
from dysample_lib.train import checkpoints

class Torch:
    saves = 0
    def save(self, state, file):
        self.saves += 1
        if self.saves == 3:
            file.write(b"the first half")
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        torch.save(state, file)

checkpoints.torch = Torch()
train(checkpoint=sys.argv[1])
"""


@pytest.mark.slow
def test_a_run_killed_while_it_saves_goes_on_from_the_save_before(
    tmp_path: Path,
) -> None:
    path = tmp_path / "run.pt"
    command = [sys.executable, "-c", START + KILLED_WHILE_SAVING, str(path)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert read_checkpoint(path)["epoch"] == 2
    (draft,) = tmp_path.glob("run.pt.*.part")
    os.utime(draft, (0, 0))  # an hour later, or more
    fresh = tmp_path / "run.pt.of-another.part"
    fresh.touch()
    assert same_weights(train(checkpoint=path), train())
    assert sorted(file.name for file in tmp_path.iterdir()) == ["run.pt", fresh.name]


@pytest.mark.slow
def test_two_processes_that_save_under_one_name_do_not_collide(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    script = f"{START}train(epochs=6, checkpoint={str(path)!r})"
    command = [sys.executable, "-c", script]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(2)]
    for process in processes:
        _, errors = process.communicate(timeout=300)
        assert (process.returncode, errors) == (0, b"")
    assert read_checkpoint(path)["epoch"] == 6
    assert [file.name for file in tmp_path.iterdir()] == ["run.pt"]


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    first = train(checkpoint=path)
    state = path.read_bytes()
    assert same_weights(train(checkpoint=path), first)
    assert path.read_bytes() == state


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    train(checkpoint=path)
    with pytest.raises(ValueError, match="epochs: 4 there, 5 here"):
        train(checkpoint=path, epochs=5)
    path.unlink()
    train(checkpoint=path, identity={"upsampler": "naive"})
    with pytest.raises(ValueError, match="upsampler: 'naive' there, 'grouping' here"):
        train(checkpoint=path, identity={"upsampler": "grouping"})


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    with pytest.raises(FileNotFoundError, match=r"run\.pt does not exist"):
        read_checkpoint(path)
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


def test_a_frozen_encoder_is_in_no_checkpoint() -> None:
    frozen, free = (DensePredictionNet(2, frozen=f) for f in (True, False))
    state = trained_state(frozen)
    assert state.keys() == frozen.decoder.state_dict(prefix="decoder.").keys()
    assert any(name.startswith("encoder.") for name in trained_state(free))
    other = DensePredictionNet(2, frozen=True)
    kept = {k: v.clone() for k, v in other.encoder.state_dict().items()}
    load_trained_state(other, state)
    assert same_weights(other.decoder, frozen.decoder)
    assert all(torch.equal(kept[k], v) for k, v in other.encoder.state_dict().items())
    with pytest.raises(RuntimeError, match=r"another model, it differs in \['encoder"):
        load_trained_state(free, state)
