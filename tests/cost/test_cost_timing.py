"""Timing in turns: what counts, in which order, and by which clock."""

from __future__ import annotations

import re
from collections import Counter
from functools import partial
from types import SimpleNamespace

import pytest
import torch

from dysample_lib.cost import in_turns, timing
from dysample_lib.cost.timing import LEAST_REPEATS, WARM_UP, thread_count


class Clock:
    """Time that goes by only where a call says so."""

    def __init__(self) -> None:
        self.now = 0.0
        self.log: list[tuple[str, int]] = []

    def call(self, name: str, seconds: list[float], count: int) -> None:
        turn = sum(logged == name for logged, _ in self.log)
        self.log.append((name, count))
        self.now += seconds[turn]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    fake = SimpleNamespace(perf_counter=lambda: clock.now)
    monkeypatch.setattr(timing, "time", fake)
    return clock


def test_the_median_is_of_the_turns_after_warm_up(clock):
    slow = [9.0] * WARM_UP + [3.0, 1.0, 2.0, 50.0, 4.0, 5.0, 2.5]
    calls = {
        "slow": partial(clock.call, "slow", slow),
        "quick": partial(clock.call, "quick", [0.001] * 9),
    }
    assert in_turns(calls, 7) == pytest.approx({"slow": 3000.0, "quick": 1.0})
    assert Counter(name for name, _ in clock.log) == {"slow": 9, "quick": 9}


def test_all_are_called_once_a_turn_in_changing_order_on_changing_inputs(clock):
    names = ["a", "b", "c", "d"]
    calls = {name: partial(clock.call, name, [1.0] * 40) for name in names}
    in_turns(calls, 30)
    called = [name for name, _ in clock.log]
    turns = [tuple(called[i : i + 4]) for i in range(0, len(called), 4)]
    assert len(turns) == 30 + WARM_UP
    assert all(sorted(turn) == names for turn in turns)
    assert len(set(turns)) > 10
    after = Counter(turn[turn.index("a") + 1] for turn in turns if turn[-1] != "a")
    assert set(after) == {"b", "c", "d"}
    assert [count for _, count in clock.log] == list(range(len(called)))


def test_too_few_turns_are_refused_before_any_call():
    calls = {"a": lambda count: pytest.fail("called")}
    message = f"repeats has to be at least {LEAST_REPEATS}, got 6"
    with pytest.raises(ValueError, match=re.escape(message)):
        in_turns(calls, 6)
    with pytest.raises(TypeError, match="repeats has to be an integer"):
        in_turns(calls, 7.5)


def test_on_cuda_events_are_the_clock_and_the_gpu_is_waited_for(monkeypatch):
    log: list[str] = []

    class Event:
        def __init__(self, enable_timing: bool) -> None:
            assert enable_timing

        def record(self) -> None:
            log.append("record")

        def elapsed_time(self, end: Event) -> float:
            log.append("read")
            return 4.0

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: log.append("wait"))
    assert in_turns({"a": lambda count: log.append("call")}, 7, "cuda") == {"a": 4.0}
    assert log == ["record", "call", "record", "wait", "read"] * (7 + WARM_UP)


def test_threads_are_as_asked_inside_and_as_before_outside():
    before = torch.get_num_threads()
    with thread_count(None) as count:
        assert count == before
    with pytest.raises(KeyError), thread_count(before + 1) as count:
        assert count == torch.get_num_threads() == before + 1
        raise KeyError
    assert torch.get_num_threads() == before
    message = "threads has to be an integer ≥ 1, got 0"
    with pytest.raises(ValueError, match=message), thread_count(0):
        pass
