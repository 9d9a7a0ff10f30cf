"""Latency: calls timed in turns, so that what disturbs one disturbs all of them."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

import torch

from ..ops.checks import check_positive_integer

LEAST_REPEATS = 7
"""The fewest turns that a median is taken of."""

WARM_UP = 2
"""Turns that do not count: caches fill, and libraries choose their kernels."""

Key = TypeVar("Key", bound=Hashable)


def in_turns(
    calls: Mapping[Key, Callable[[int], object]],
    repeats: int = 9,
    device: torch.device | str = "cpu",
) -> dict[Key, float]:
    """Time some calls against each other within one process.

    In every turn each is called once, in an order drawn anew: nobody always runs after
    the same neighbour, and a slower minute of the machine is slower for all.

    Args:
        calls: what to time, by name. Each is given how many calls there were before,
            to choose one of several inputs by, so that none stays in a cache.
        repeats: turns that count, at least ``LEAST_REPEATS``.
        device: on ``"cuda"`` the GPU's own events are the clock.

    Returns:
        The median of each, in milliseconds.

    Raises:
        ValueError: if there are too few turns.
    """
    check_repeats(repeats)
    clock = _cuda_milliseconds if torch.device(device).type == "cuda" else _milliseconds
    times: dict[Key, list[float]] = {name: [] for name in calls}
    order, count = list(calls), 0
    shuffle = random.Random(0).shuffle
    for turn in range(WARM_UP + repeats):
        shuffle(order)
        for name in order:
            elapsed = clock(calls[name], count)
            count += 1
            if turn >= WARM_UP:
                times[name].append(elapsed)
    return {name: statistics.median(values) for name, values in times.items()}


def check_repeats(repeats: object) -> None:
    """Raise unless ``repeats`` is enough for a median that one bad turn cannot move."""
    check_positive_integer("repeats", repeats)
    if repeats < LEAST_REPEATS:  # type: ignore[operator]
        raise ValueError(f"repeats has to be at least {LEAST_REPEATS}, got {repeats}")


def _milliseconds(call: Callable[[int], object], count: int) -> float:
    start = time.perf_counter()
    call(count)
    return 1e3 * (time.perf_counter() - start)


def _cuda_milliseconds(call: Callable[[int], object], count: int) -> float:
    start = torch.cuda.Event(enable_timing=True)
    end = torch.cuda.Event(enable_timing=True)
    start.record()
    call(count)
    end.record()
    torch.cuda.synchronize()  # a call returns before its kernels have run
    return start.elapsed_time(end)


@contextmanager
def thread_count(count: int | None) -> Iterator[int]:
    """Let torch use ``count`` threads inside, or as many as before for None."""
    if count is not None:
        check_positive_integer("threads", count)
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(before)
