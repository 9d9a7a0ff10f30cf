"""The cores that a process may use, and the names of devices."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from dysample_lib.ops import devices


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "400000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu.max": "strange\n"}, None),
        ({}, None),
    ],
)
def test_a_containers_quota_is_asked_for(
    tmp_path: Path, files: dict[str, str], quota: float | None
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert devices._container_quota(tmp_path) == quota


@pytest.mark.parametrize(
    ("quota", "cores"), [("50000 100000", 1), ("250000 100000", 2), ("max 100000", 8)]
)
def test_cores_are_those_of_the_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, cores: int
) -> None:
    (tmp_path / "cpu.max").write_text(quota)
    monkeypatch.setattr(devices, "CGROUP", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    assert devices.available_cores() == cores


def test_cores_are_those_that_the_process_may_run_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "CGROUP", tmp_path)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 5, 7})
    assert devices.available_cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    assert devices.available_cores() == 64


def test_devices_have_names(monkeypatch: pytest.MonkeyPatch) -> None:
    assert devices.device_name("cpu") == devices.processor_name()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "a card")
    assert devices.default_device() == torch.device("cuda")
    assert devices.device_name() == "a card"
    assert devices.device_name("cpu") == devices.processor_name()
