"""``camvid``: the SegNet tutorial's layout, drawn here, and the real one if given."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from data_samples import CAMVID_PREFIX as PREFIX
from data_samples import CAMVID_SIZE, draw_camvid
from PIL import Image

from dysample_lib.data import fingerprint, load_dataset

REAL = Path(
    os.environ.get("DYSAMPLE_CAMVID")
    or Path(__file__).resolve().parents[3] / "shared" / "camvid"
)
needs_camvid = pytest.mark.skipif(
    not (REAL / "train.txt").is_file(), reason="CamVid is not here: DYSAMPLE_CAMVID"
)

HEIGHT, WIDTH = CAMVID_SIZE


@pytest.mark.parametrize(
    "prefix", [PREFIX, "", "./", "C:\\data\\CamVid\\", "/somebody/train/", "../"]
)
def test_lists_with_any_prefix(tmp_path: Path, prefix: str) -> None:
    draw_camvid(tmp_path, prefix)
    train, val = (
        load_dataset("camvid", split, root=tmp_path) for split in ("train", "val")
    )
    assert train.images[:, 0, 0, 0].tolist() == [0, 10, 20]
    assert val.images[:, 2, 5, 7].tolist() == [1, 11, 21]


def test_labels_classes_and_types(tmp_path: Path) -> None:
    dataset = load_dataset("camvid", "train", root=str(draw_camvid(tmp_path)))
    assert (dataset.name, dataset.split, dataset.ignore_index) == (
        "camvid",
        "train",
        255,
    )
    assert len(dataset.classes) == 11
    assert (dataset.classes[0], dataset.classes[10]) == ("Sky", "Bicyclist")
    assert dataset.images.shape == (3, 3, HEIGHT, WIDTH)
    assert dataset.images.dtype == dataset.masks.dtype == torch.uint8
    expected = torch.arange(HEIGHT * WIDTH) % 12
    expected[expected == 11] = 255
    assert torch.equal(dataset.masks[0].flatten().int(), expected.int())


def test_root_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DYSAMPLE_CAMVID", str(draw_camvid(tmp_path)))
    assert len(load_dataset("camvid", "val")) == 3
    monkeypatch.delenv("DYSAMPLE_CAMVID")
    with pytest.raises(ValueError, match=r"root=None.*SegNet-.*DYSAMPLE_CAMVID"):
        load_dataset("camvid", "val")


def test_size_resizes_images_and_labels(tmp_path: Path) -> None:
    draw_camvid(tmp_path)
    dataset = load_dataset("camvid", "train", root=tmp_path, size=(12, 16))
    stored = load_dataset("camvid", "train", root=tmp_path)
    assert dataset.images.shape == (3, 3, 12, 16)
    doubled = stored.masks.repeat_interleave(2, 1).repeat_interleave(2, 2)
    assert torch.equal(dataset.masks, doubled)  # nearest: no label is blended


def test_a_list_with_blank_lines_and_a_byte_order_mark(tmp_path: Path) -> None:
    draw_camvid(tmp_path)
    path = tmp_path / "train.txt"
    text = path.read_text().replace("\n", "\r\n\r\n")
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert len(load_dataset("camvid", "train", root=tmp_path)) == 3


def test_missing_folder_and_list(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere.*root=\.\.\."):
        load_dataset("camvid", "train", root=tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"no list .*train\.txt.*SegNet"):
        load_dataset("camvid", "train", root=tmp_path)


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_empty_list(tmp_path: Path, text: str) -> None:
    (draw_camvid(tmp_path) / "train.txt").write_text(text)
    with pytest.raises(ValueError, match=r"train\.txt is empty"):
        load_dataset("camvid", "train", root=tmp_path)


def test_malformed_line(tmp_path: Path) -> None:
    (draw_camvid(tmp_path) / "val.txt").write_text(
        "val/0.png valannot/0.png\nval/1.png\n"
    )
    with pytest.raises(
        ValueError, match=r"val\.txt, line 2, has 1 entries instead of 2"
    ):
        load_dataset("camvid", "val", root=tmp_path)


@pytest.mark.parametrize("name", ["train/1.png", "trainannot/2.png"])
def test_missing_file(tmp_path: Path, name: str) -> None:
    (draw_camvid(tmp_path) / name).unlink()
    with pytest.raises(FileNotFoundError, match=rf"no file .*{name}; .*train\.txt"):
        load_dataset("camvid", "train", root=tmp_path)


@pytest.mark.parametrize("name", ["train/0.png", "train/1.png", "trainannot/2.png"])
@pytest.mark.parametrize("keep", [0, 0.3, 0.7])
def test_truncated_file(tmp_path: Path, name: str, keep: float) -> None:
    path = draw_camvid(tmp_path) / name
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data))])
    with pytest.raises(ValueError, match=rf"{name} cannot be decoded.*copy the folder"):
        load_dataset("camvid", "train", root=tmp_path)


def test_unknown_labels(tmp_path: Path) -> None:
    labels = np.full((HEIGHT, WIDTH), 5, np.uint8)
    labels[0, :2] = 12, 77
    Image.fromarray(labels).save(draw_camvid(tmp_path) / "trainannot" / "1.png")
    with pytest.raises(ValueError, match=r"trainannot/1\.png .*labels: \[12, 77\]"):
        load_dataset("camvid", "train", root=tmp_path)


def test_colours_instead_of_labels(tmp_path: Path) -> None:
    colours = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    Image.fromarray(colours).save(draw_camvid(tmp_path) / "valannot" / "0.png")
    with pytest.raises(ValueError, match=r"valannot/0\.png has the mode RGB"):
        load_dataset("camvid", "val", root=tmp_path)


def test_label_map_of_another_size(tmp_path: Path) -> None:
    labels = np.zeros((HEIGHT, WIDTH + 1), np.uint8)
    Image.fromarray(labels).save(draw_camvid(tmp_path) / "valannot" / "2.png")
    for size in (None, (4, 4)):  # resizing does not hide it
        with pytest.raises(ValueError, match=r"valannot/2\.png has the size \(6, 9\)"):
            load_dataset("camvid", "val", root=tmp_path, size=size)


def test_pictures_of_several_sizes_need_a_size(tmp_path: Path) -> None:
    draw_camvid(tmp_path)
    Image.new("RGB", (4, 4)).save(tmp_path / "val" / "1.png")
    Image.new("L", (4, 4)).save(tmp_path / "valannot" / "1.png")
    with pytest.raises(
        ValueError, match=r"val/1\.png has the size \(4, 4\).*give size="
    ):
        load_dataset("camvid", "val", root=tmp_path)
    assert load_dataset("camvid", "val", root=tmp_path, size=4).size == (4, 4)


@needs_camvid
@pytest.mark.parametrize(("split", "count"), [("train", 367), ("val", 101)])
def test_the_real_set(split: str, count: int) -> None:
    dataset = load_dataset("camvid", split, root=REAL)
    assert len(dataset) == count
    assert dataset.images.shape == (count, 3, *dataset.size)
    assert dataset.masks.shape == (count, *dataset.size)
    assert dataset.masks.unique().tolist() == [*range(11), 255]
    # Sky is above and bright, road below: images and labels are the right way round.
    images, masks = dataset.images[::5], dataset.masks[::5]
    rows = torch.arange(dataset.size[0]).view(1, -1, 1).expand_as(masks)
    sky, road = (masks == dataset.classes.index(name) for name in ("Sky", "Road"))
    assert rows[sky].double().mean() < dataset.size[0] / 3
    assert rows[road].double().mean() > dataset.size[0] / 2
    green = images[:, 1].double()
    assert green[sky].mean() > green.mean() + 50


@needs_camvid
def test_recorded_runs_are_of_the_real_set() -> None:
    """The fingerprint that the records have; a PNG is decoded alike everywhere."""
    size = (90, 120)
    digits = [
        fingerprint(load_dataset("camvid", split, root=REAL, size=size))
        for split in ("train", "val")
    ]
    assert digits == ["4a43c4e027579052", "863c5d910f9b26f2"]
