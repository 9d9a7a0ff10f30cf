"""``load_dataset``: names, splits, options, and what it needs installed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from inspect import Parameter
from pathlib import Path
from types import ModuleType

import pytest
import torch

from dysample_lib.data import (
    DATASETS,
    SPLITS,
    SegmentationSet,
    dataset_options,
    load_dataset,
)
from dysample_lib.data.files import check_size


def test_splits() -> None:
    assert SPLITS == ("train", "val")


@pytest.mark.parametrize("name", DATASETS)
def test_every_registered_set_has_a_loader_with_defaults(name: str) -> None:
    assert Parameter.empty not in dataset_options(name).values()


def test_options_with_their_defaults() -> None:
    assert dataset_options("coastlines") == {"lakes": False}
    assert dataset_options("pets") == {"size": 224, "download": True}
    assert dataset_options("camvid") == {"size": None}


@pytest.mark.parametrize("call", [load_dataset, dataset_options])
def test_unknown_name_lists_the_names(call: Callable[[str], object]) -> None:
    with pytest.raises(
        ValueError, match=r"name .*'coastlines', 'pets', 'camvid'.*'ade'"
    ):
        call("ade")


@pytest.mark.parametrize("name", DATASETS)
def test_unknown_split_lists_the_splits(name: str) -> None:
    with pytest.raises(ValueError, match=r"split .*'train', 'val'.*'test'"):
        load_dataset(name, "test")


def test_option_of_another_set_is_refused() -> None:
    with pytest.raises(
        TypeError, match=r"camvid takes no option 'lakes'.*'root', 'size'"
    ):
        load_dataset("camvid", "val", lakes=True)


def test_a_set_indexes_into_its_tensors() -> None:
    dataset = load_dataset("coastlines", "val")
    image, mask = dataset[3]
    assert len(dataset) == len(dataset.images) == len(dataset.masks)
    assert torch.equal(image, dataset.images[3])
    assert torch.equal(mask, dataset.masks[3])
    assert dataset.size == tuple(mask.shape) == (96, 96)


def test_a_set_of_ones_own_is_a_module_and_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What CONTRIBUTING's recipe makes: options, root and environment reach it."""
    calls = []

    def load_mine(split: str, *, root: Path | None, bright: int = 7) -> SegmentationSet:
        calls.append((split, root))
        images = torch.full((2, 3, 4, 5), bright, dtype=torch.uint8)
        masks = torch.zeros(2, 4, 5, dtype=torch.uint8)
        return SegmentationSet("mine", split, images, masks, ("only",))

    module = ModuleType("dysample_lib.data.mine")
    module.load_mine = load_mine  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(DATASETS, "mine", SegmentationSet)
    assert dataset_options("mine") == {"bright": 7}
    assert load_dataset("mine", "val").images.unique().tolist() == [7]
    assert load_dataset("mine", "val", bright=9).images.unique().tolist() == [9]
    monkeypatch.setenv("DYSAMPLE_MINE", str(tmp_path))
    load_dataset("mine", "val")
    load_dataset("mine", "train", root=tmp_path / "..")
    assert calls == [
        ("val", None),
        ("val", None),
        ("val", tmp_path),
        ("train", tmp_path.parent),
    ]
    with pytest.raises(TypeError, match=r"mine takes no option 'size'; .*'bright'"):
        load_dataset("mine", "val", size=8)


def test_importing_needs_torch_alone_and_loading_says_what_it_needs() -> None:
    script = """
import sys
for name in ("PIL", "torchvision", "mpl_toolkits", "matplotlib", "h5py", "scipy"):
    sys.modules[name] = None  # as if it were not installed
from dysample_lib.data import load_dataset
for name in ("coastlines", "height", "islands"):
    try:
        load_dataset(name, "val")
    except ModuleNotFoundError as error:
        print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    for line, name in zip(lines, ("PIL", "h5py", "scipy"), strict=True):
        assert f"needs the package {name}: pip install 'dysample-lib[not" in line


@pytest.mark.parametrize(
    ("size", "expected"), [(7, (7, 7)), ((2, 3), (2, 3)), ([4, 5], (4, 5))]
)
def test_sizes(size: object, expected: tuple[int, int]) -> None:
    assert check_size(size) == expected


@pytest.mark.parametrize("size", ["8", 2.0, (1, 2, 3), (1, 2.5), (True, 2)])
def test_sizes_of_a_wrong_type(size: object) -> None:
    with pytest.raises(TypeError, match="size has to be an integer or"):
        check_size(size)


@pytest.mark.parametrize("size", [0, (4, 0), (-1, 4)])
def test_sizes_below_one_pixel(size: object) -> None:
    with pytest.raises(ValueError, match="at least 1 pixel"):
        check_size(size)
