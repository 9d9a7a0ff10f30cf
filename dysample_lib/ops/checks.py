"""Argument checks of the operators: a message says what it got and what fits."""

from __future__ import annotations

import sys
from numbers import Integral, Real

from torch import Tensor


def divisors(n: int) -> list[int]:
    """All positive divisors of ``n``, in order."""
    return [d for d in range(1, n + 1) if n % d == 0]


def _is_integer(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def check_integer(name: str, value: object, least: int) -> None:
    """Raise unless ``value`` is an integer of at least ``least``."""
    wanted = f"{name} has to be an integer ≥ {least}, got {value!r}"
    if not _is_integer(value):
        raise TypeError(f"{wanted} ({type(value).__name__})")
    if value < least:  # type: ignore[operator]
        raise ValueError(wanted)


def check_positive_integer(name: str, value: object) -> None:
    """Raise unless ``value`` is an integer of at least 1."""
    check_integer(name, value, 1)


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Raise unless ``value`` is one of ``choices``."""
    if value not in choices:
        raise ValueError(
            f"{name} has to be one of {', '.join(map(repr, choices))}, got {value!r}"
        )


def check_groups(groups: object, channels: int, channels_name: str) -> None:
    """Raise unless ``groups`` divides ``channels``."""
    if not _is_integer(groups):
        check_positive_integer("groups", groups)
    if groups < 1 or channels % groups:  # type: ignore[operator]
        fits = ", ".join(map(str, divisors(channels)))
        raise ValueError(
            f"groups has to divide {channels_name}, got groups={groups} for "
            f"{channels_name}={channels} (divisors: {fits})"
        )


def check_number(name: str, value: object, least: float) -> None:
    """Raise unless ``value`` is a finite number of at least ``least``."""
    wanted = f"{name} has to be a finite number ≥ {least:g}"
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"{wanted}, got {value!r} ({type(value).__name__})")
    if not least <= value <= sys.float_info.max:  # type: ignore[operator]
        raise ValueError(f"{wanted}, got {value!r}")


def check_positive_number(name: str, value: object) -> None:
    """Raise unless ``value`` is a finite number above 0."""
    wanted = f"{name} has to be a number > 0, got {value!r}"
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(wanted)
    if not 0 < value <= sys.float_info.max:  # type: ignore[operator]
        raise ValueError(wanted)


def check_scope(scope: object, dynamic: bool = True) -> None:
    """Raise unless ``scope`` is a finite positive number, or ``"dynamic"`` if it may.

    Args:
        scope: the value.
        dynamic: whether ``"dynamic"`` will do.
    """
    wanted = "scope has to be a finite positive number (pixels)"
    if dynamic:
        wanted += ' or "dynamic"'
    if isinstance(scope, str):
        if not dynamic or scope != "dynamic":
            raise ValueError(f"{wanted}, got {scope!r}")
        return
    if not isinstance(scope, Real) or isinstance(scope, bool):
        raise TypeError(f"{wanted}, got {scope!r} ({type(scope).__name__})")
    if not 0 < scope <= sys.float_info.max:  # type: ignore[operator]
        raise ValueError(f"{wanted}, got {scope!r}")


def check_map(name: str, value: object, channels: int | None = None) -> None:
    """Raise unless ``value`` is a floating-point map (B, C, H, W) with H, W ≥ 1."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} has to be a tensor, got {type(value).__name__}")
    if value.dim() != 4:
        raise ValueError(
            f"{name} has to have 4 dimensions (B, C, H, W), got {value.dim()}: "
            f"{tuple(value.shape)}"
        )
    if not value.is_floating_point():
        raise TypeError(
            f"{name} has to be floating point, got {value.dtype}; convert it first, "
            f"for instance with {name}.float()"
        )
    if channels is not None and value.shape[1] != channels:
        raise ValueError(
            f"{name} has to have {channels} channels, got {value.shape[1]}: "
            f"{tuple(value.shape)}"
        )
    if value.shape[2] == 0 or value.shape[3] == 0:
        raise ValueError(
            f"{name} has to have height and width ≥ 1, got {tuple(value.shape)}"
        )
