"""Checkpoint files of training frameworks: read, and no code in them is run."""

from __future__ import annotations

import datetime
import os
import pickle
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from dysample_lib import DySample
from dysample_lib.adapt.state_dicts import load_dysample_state_dict
from dysample_lib.adapt.tensor_files import read_tensors

RAN: list[str] = []


def run(what: str) -> None:
    RAN.append(what)


class Trap:
    """Pickled, it is a call of ``run``, or of what it is given."""

    def __init__(self, *call: Any) -> None:
        self.call = call or (run, ("trap",))

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


def save(path: Path, **beside: Any) -> DySample:
    """A whole checkpoint of a network with one upsampler; returns the upsampler."""
    source = DySample(16, scope="dynamic", scope_bias=True)
    for parameter in source.parameters():
        nn.init.normal_(parameter)
    state: dict[str, Any] = {"backbone.conv1.weight": torch.zeros(2)}
    for name, value in source.state_dict().items():
        state[f"neck.upsample_modules.0.{name}"] = value
    torch.save({"state_dict": state} | beside, path)
    return source


def loads(path: Path, source: DySample) -> None:
    module = DySample(16, scope="dynamic")
    report = load_dysample_state_dict(module, path)
    assert len(report.used) == 4
    x = torch.randn(1, 16, 3, 4)
    assert torch.equal(module(x), source(x))


def test_histories_and_random_states_beside_the_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the authors' detection framework keeps them, of a class that is not there."""
    path = tmp_path / "epoch_12.pth"
    absent = ModuleType("framework_that_is_not_installed")
    history = type("History", (), {"__module__": absent.__name__})
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, absent.__name__, absent)
        patch.setattr(absent, "History", history, raising=False)
        losses = history()
        losses.values, losses.last = np.arange(3.0), np.float64(0.5)
        meta = {"time": datetime.datetime(2023, 8, 29), "random": np.random.get_state()}
        source = save(path, message_hub={"loss": losses}, meta=meta)
    with pytest.raises(pickle.UnpicklingError):  # torch alone
        torch.load(path, weights_only=True)
    loads(path, source)
    assert absent.__name__ not in sys.modules


CALLS: dict[str, tuple[Any, ...]] = {
    "function": (),
    "builtin": (eval, ("__import__('test_tensor_files').run('eval')",)),
    "shell": (os.system, ("exit 3",)),
    "method": (getattr, (RAN, "append")),
}


@pytest.mark.parametrize("kind", CALLS)
@pytest.mark.parametrize("legacy", [False, True])
def test_no_call_in_a_file_is_made(tmp_path: Path, kind: str, legacy: bool) -> None:
    path = tmp_path / "trap.pth"
    trap = Trap(*CALLS[kind])
    pickle.loads(pickle.dumps(Trap()))  # what a plain unpickler does
    assert RAN.pop() == "trap"
    source = save(path, optimizer=trap)
    if legacy:
        checkpoint = {"state_dict": source.state_dict(), "optimizer": trap}
        torch.save(checkpoint, path, _use_new_zipfile_serialization=False)
    if legacy or kind == "shell":  # whose module torch blocks by name
        with pytest.raises(ValueError, match=r"trap\.pth cannot be read as plain"):
            load_dysample_state_dict(DySample(16, scope="dynamic"), path)
    else:
        loads(path, source)
    assert RAN == []


def test_a_stand_in_is_no_weight(tmp_path: Path) -> None:
    path = tmp_path / "trap.pth"
    torch.save({"offset.weight": Trap(), "offset.bias": torch.zeros(32)}, path)
    module = DySample(16)
    before = module.offset.weight.clone()
    with pytest.raises(ValueError, match=r"floating-point tensor, is .*\.run$"):
        load_dysample_state_dict(module, path)
    assert torch.equal(module.offset.weight, before)
    assert RAN == []


@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_bytes(b"no checkpoint"),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(pickle.dumps({"offset.weight": Trap()})),
    ],
)
def test_what_is_no_checkpoint(tmp_path: Path, write: Callable[[Path], None]) -> None:
    path = tmp_path / "file.pth"
    write(path)
    with pytest.raises(ValueError, match=r"file\.pth cannot be read as plain tensors"):
        load_dysample_state_dict(DySample(16), path)
    with pytest.raises(FileNotFoundError):
        load_dysample_state_dict(DySample(16), tmp_path / "none.pth")
    assert RAN == []


@pytest.mark.parametrize("name", ["model.safetensors", "renamed.pth"])
def test_safetensors(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = DySample(16)
    nn.init.normal_(source.offset.weight)
    path = tmp_path / name
    save_file(source.state_dict(), path)
    # Newer versions of torch read the suffix by themselves; the others do not.
    with monkeypatch.context() as patch:
        patch.setattr(torch, "load", None)
        found = read_tensors(path)
    assert torch.equal(found["offset.weight"], source.offset.weight)
    module = DySample(16)
    load_dysample_state_dict(module, path)
    assert torch.equal(module.offset.weight, source.offset.weight)

    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ValueError, match="cannot be read as plain tensors"):
        load_dysample_state_dict(module, path)
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)
    with pytest.raises(ModuleNotFoundError, match=f"{name} is a safetensors file: pip"):
        load_dysample_state_dict(module, path)


def test_a_pickled_module_asks_for_its_state_dict(tmp_path: Path) -> None:
    """As YOLO saves: half the model in ``ema``, nothing in ``model``."""
    path = tmp_path / "last.pt"
    net = nn.Sequential(nn.Conv2d(3, 16, 1), DySample(16)).half()
    where = "load it where its code is, and pass its state dict, checkpoint"
    for key, checkpoint in {
        "['ema']": {"epoch": 3, "model": None, "ema": net, "updates": 7},
        "['model']": {"epoch": -1, "model": net, "ema": None},
        "": net,
    }.items():
        torch.save(checkpoint, path)
        message = (
            f"state_dict{key} is a whole module, torch.nn.modules.container.Sequential"
            f": {where}{key}.state_dict()"
        )
        for given in (path, checkpoint):
            with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
                load_dysample_state_dict(DySample(16), given)
    assert len(load_dysample_state_dict(DySample(16), net.state_dict()).used) == 2
