"""``pennfudan``: the archive's layout, drawn here, and the real one if given."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dysample_lib.data import load_dataset

REAL = Path(
    os.environ.get("DYSAMPLE_PENNFUDAN")
    or Path(__file__).resolve().parents[3] / "shared" / "pennfudan"
)
needs_pennfudan = pytest.mark.skipif(
    not (REAL / "PedMasks").is_dir(), reason="no Penn-Fudan here: DYSAMPLE_PENNFUDAN"
)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """170 pictures 8 to 12 wide, one grey each, with k % 3 pedestrians, number 1 white.

    Pedestrian 1 is a pixel in the lower left, pedestrian 2 a line in the upper right.
    """
    root = tmp_path_factory.mktemp("pennfudan")
    for folder in ("PNGImages", "PedMasks"):
        (root / folder).mkdir()
    for k in range(170):
        width = 8 + k % 5
        image = np.full((6, width, 3), k, np.uint8)
        mask = np.zeros((6, width), np.uint8)
        if k % 3 >= 1:
            mask[5, 0] = 1
        if k % 3 == 2:
            mask[0, -4:] = 2
        image[mask == 1] = 255
        name = f"Fudan{k:03}"
        Image.fromarray(image).save(root / "PNGImages" / f"{name}.png")
        Image.fromarray(mask).save(root / "PedMasks" / f"{name}_mask.png")
    return root


@pytest.fixture
def copy(drawn: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(drawn, tmp_path / "copy"))


def test_the_first_120_train_and_the_last_50_validate(drawn: Path) -> None:
    for split, expected in (("train", range(120)), ("val", range(120, 170))):
        data = load_dataset("pennfudan", split, root=drawn)
        assert [int(image[0, 3, 3]) for image in data.images] == list(expected)
        assert [len(labels) for labels in data.labels] == [k % 3 for k in expected]
        assert all(counted.all() for counted in data.counted)
        assert (data.name, data.split) == ("pennfudan", split)
        assert data.classes == ("background", "pedestrian")
        assert data.size == (6, 12)


def test_sizes_boxes_and_masks(drawn: Path) -> None:
    data = load_dataset("pennfudan", "train", root=drawn)
    image, target = data[2]
    assert image.shape == (3, 6, 10) and image.dtype == torch.uint8
    assert target["boxes"].tolist() == [[0, 5, 1, 6], [6, 0, 10, 1]]
    assert target["labels"].tolist() == [1, 1]
    assert torch.equal(target["masks"][0].bool(), image[0] == 255)
    _, empty = data[0]
    assert empty["boxes"].shape == (0, 4) and empty["masks"].shape == (0, 6, 8)


def test_size_resizes_photographs_and_maps(drawn: Path) -> None:
    data = load_dataset("pennfudan", "train", root=drawn, size=(12, 20))
    assert data.images.shape == (120, 3, 12, 20)
    _, target = data[2]  # twice as large
    assert target["boxes"].tolist() == [[0, 10, 2, 12], [12, 0, 20, 2]]
    small = load_dataset("pennfudan", "train", root=drawn, size=2)
    assert {len(labels) for labels in small.labels} <= {0, 1, 2}
    assert len(small[2][1]["boxes"]) == int(small.instances[2].max()) < 2


def test_root_from_the_environment(
    drawn: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DYSAMPLE_PENNFUDAN", str(drawn))
    assert len(load_dataset("pennfudan", "val")) == 50
    monkeypatch.delenv("DYSAMPLE_PENNFUDAN")
    with pytest.raises(
        ValueError, match=r"root=None.*PennFudanPed\.zip.*DYSAMPLE_PENNFUDAN"
    ):
        load_dataset("pennfudan", "val")


@pytest.mark.parametrize("folder", ["", "PNGImages", "PedMasks"])
def test_missing_folder(copy: Path, folder: str) -> None:
    shutil.rmtree(copy / folder)
    with pytest.raises(FileNotFoundError, match=rf"no folder .*{folder}; .*PennFudanP"):
        load_dataset("pennfudan", "train", root=copy)


def test_another_number_of_photographs(copy: Path) -> None:
    (copy / "PNGImages" / "Fudan003.png").unlink()
    with pytest.raises(ValueError, match=r"PNGImages holds 169 .* instead of 170"):
        load_dataset("pennfudan", "train", root=copy)


def test_missing_truncated_and_mismatched_maps(copy: Path) -> None:
    path = copy / "PedMasks" / "Fudan005_mask.png"
    data = path.read_bytes()
    path.write_bytes(data[:50])
    with pytest.raises(ValueError, match=r"Fudan005_mask\.png cannot be decoded.*Penn"):
        load_dataset("pennfudan", "train", root=copy)
    Image.new("L", (3, 3)).save(path)
    with pytest.raises(ValueError, match=r"Fudan005_mask\.png has the size \(3, 3\)"):
        load_dataset("pennfudan", "train", root=copy)
    Image.new("RGB", (8, 6)).save(path)
    with pytest.raises(ValueError, match=r"Fudan005_mask\.png has the mode RGB"):
        load_dataset("pennfudan", "train", root=copy)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"no file .*Fudan005_mask\.png.*PennF"):
        load_dataset("pennfudan", "train", root=copy)
    assert len(load_dataset("pennfudan", "val", root=copy)) == 50  # not read there


@needs_pennfudan
@pytest.mark.parametrize(
    ("split", "count", "people"), [("train", 120, 307), ("val", 50, 116)]
)
def test_the_real_set(split: str, count: int, people: int) -> None:
    data = load_dataset("pennfudan", split, root=REAL)
    assert len(data) == count
    assert sum(map(len, data.labels)) == people
    _, targets = data.batch(torch.arange(count))
    boxes = torch.cat([target["boxes"] for target in targets])
    width, height = (boxes[:, 2:] - boxes[:, :2]).unbind(1)
    assert (height > width).double().mean() > 0.95  # they stand or walk
