"""What was read is kept: once, within a limit, and out of the callers' reach."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from data_samples import draw_camvid
from torch import Tensor

from dysample_lib.data import load_dataset, memory
from dysample_lib.data.memory import forget, keep, nbytes, stamp


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    forget()
    yield
    forget()


class Reader:
    """Reads a tensor of a number of bytes, and counts how often it does."""

    def __init__(self, size: int = 10) -> None:
        self.size, self.times = size, 0

    def __call__(self) -> Tensor:
        self.times += 1
        return torch.zeros(self.size, dtype=torch.uint8)


def test_a_thing_is_read_once() -> None:
    read = Reader()
    assert keep("a", read) is keep("a", read)
    keep("b", read)
    assert read.times == 2
    forget()
    keep("a", read)
    assert read.times == 3


def test_the_limit_holds_and_the_longest_unused_goes_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory, "LIMIT", 25)
    readers = {name: Reader() for name in "abc"}
    for name in "abac":  # two fit; b was not asked for the longest
        keep(name, readers[name])
    assert [readers[name].times for name in "abc"] == [1, 1, 1]
    for name in "cab":
        keep(name, readers[name])
    assert [readers[name].times for name in "abc"] == [1, 2, 1]


def test_what_is_larger_than_the_limit_drives_nothing_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory, "LIMIT", 25)
    small, large = Reader(), Reader(26)
    for _ in range(2):
        keep("small", small)
        assert len(keep("large", large)) == 26
    assert (small.times, large.times) == (1, 2)


def test_reading_may_keep_things_too() -> None:
    inner, outer = Reader(), Reader()
    keep("outer", lambda: (keep("inner", inner), outer()))
    keep("inner", inner)
    assert inner.times == 1


def test_an_error_is_not_kept() -> None:
    def fail() -> None:
        raise ValueError("no such file")

    with pytest.raises(ValueError, match="no such file"):
        keep("a", fail)
    assert len(keep("a", Reader())) == 10


def test_bytes_in_containers() -> None:
    ten, array = torch.zeros(10, dtype=torch.uint8), np.zeros(3, np.float32)
    assert nbytes([{"a": ten, "b": (array, "text", None, 5)}]) == 22
    assert nbytes(load_dataset("coastlines", "val")) == 72 * 4 * 96 * 96


def test_a_stamp_changes_with_any_file(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    one, other, third = (folder / name for name in "abc")
    one.write_bytes(b"1")
    stamps = [stamp(tmp_path)]
    changes: list[Callable[[], object]] = [
        lambda: one.write_bytes(b"22"),
        lambda: other.write_bytes(b"33"),
        lambda: os.utime(one, (1, 1)),  # written again, and as large as before
        lambda: other.rename(third),
        lambda: (one.rename(other), third.rename(one)),
        lambda: one.unlink(),
    ]
    for change in changes:
        change()
        stamps.append(stamp(tmp_path))
        assert stamp(tmp_path) == stamps[-1]
    assert len(set(stamps)) == 7
    (folder / "dangling").symlink_to(tmp_path / "nowhere")
    assert stamp(tmp_path) == stamps[-1]


def test_sets_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dysample_lib.data import camvid

    reads = []
    read = camvid.read_pairs
    monkeypatch.setattr(
        camvid, "read_pairs", lambda *given: reads.append(given) or read(*given)
    )
    draw_camvid(tmp_path)

    def count(split: str = "train", **options: object) -> int:
        load_dataset("camvid", split, root=tmp_path, **options)
        return len(reads)

    assert [count(), count(), count(size=None)] == [1, 1, 1]
    assert [count("val"), count(size=4), count(size=[4, 4])] == [2, 3, 4]
    assert [count(), count("val"), count(size=4)] == [4, 4, 4]
    os.utime(tmp_path / "train" / "0.png", (1, 1))  # a file changed
    assert count() == 5


def test_the_world_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from dysample_lib.data import earth

    reads = []
    read = earth.read_verified
    monkeypatch.setattr(
        earth, "read_verified", lambda *given: reads.append(given) or read(*given)
    )
    for split in ("train", "val"):
        for lakes in (False, True):
            load_dataset("coastlines", split, lakes=lakes)
    assert len(reads) == 2  # imagery and mask


def test_a_caller_cannot_change_the_next_load(tmp_path: Path) -> None:
    draw_camvid(tmp_path)
    for name, root in (("coastlines", None), ("camvid", tmp_path)):
        data = load_dataset(name, "val", root=root)
        images, masks = data.images.clone(), data.masks.clone()
        for _ in range(2):  # the first to read it, and one who gets what is kept
            spoilt = load_dataset(name, "val", root=root)
            spoilt.images.zero_()
            spoilt.masks.fill_(7)
        data.images.zero_()
        again = load_dataset(name, "val", root=root)
        assert torch.equal(again.images, images)
        assert torch.equal(again.masks, masks)
