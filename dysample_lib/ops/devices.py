"""Which device things run on, and what it is called."""

from __future__ import annotations

import platform

import torch


def default_device() -> torch.device:
    """Return the GPU where there is one, the CPU otherwise."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def device_name(device: torch.device | str | None = None) -> str:
    """Return the card's name, or the processor's architecture for a CPU."""
    where = default_device() if device is None else torch.device(device)
    if where.type == "cuda":
        return torch.cuda.get_device_name(where)
    return platform.machine()
