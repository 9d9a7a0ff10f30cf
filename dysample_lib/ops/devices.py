"""Which device things run on, and what it is called."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import torch

CGROUP = Path("/sys/fs/cgroup")
"""Where Linux keeps a container's limits."""


def default_device() -> torch.device:
    """Return the GPU where there is one, the CPU otherwise."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def device_name(device: torch.device | str | None = None) -> str:
    """The GPU's or the processor's own name; its architecture where it says none."""
    where = default_device() if device is None else torch.device(device)
    if where.type == "cuda":
        return torch.cuda.get_device_name(where)
    return processor_name()


def processor_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name by ``cpuinfo``: Python itself does not know it on Linux."""
    lines = cpuinfo.read_text("utf-8").splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2] for line in lines if line.startswith("model name")]
    return (names[0] if names else platform.processor()).strip() or platform.machine()


def available_cores() -> int:
    """How many cores this process may use, by its affinity and its container."""
    cores = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    quota = _container_quota(CGROUP)
    return cores if quota is None else max(1, min(cores, int(quota)))


def _container_quota(root: Path) -> float | None:
    """The cores that a Linux container may use, or None where nothing limits it."""
    try:
        quota, period = (root / "cpu.max").read_text().split()  # cgroup v2
    except (OSError, ValueError):
        try:
            quota = (root / "cpu" / "cpu.cfs_quota_us").read_text().strip()
            period = (root / "cpu" / "cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    if not quota.isdigit() or not period.isdigit():  # "max", or -1
        return None
    return int(quota) / int(period)
