"""``pets``: a folder in Oxford-IIIT Pet's layout, drawn here. No network."""

from __future__ import annotations

import hashlib
import shutil
import sys
import tarfile
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from subprocess import PIPE, Popen
from threading import Thread
from urllib.error import URLError

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import OxfordIIITPet

from dysample_lib.data import load_dataset

NAMES = {"trainval": ("Abyssinian_1", "beagle_2", "Bombay_3"), "test": ("pug_4",)}


def draw(root: Path) -> Path:
    """Pictures of several sizes: a pet (1) with a border (3) on a background (2)."""
    folder = root / "oxford-iiit-pet"
    (folder / "images").mkdir(parents=True)
    (folder / "annotations" / "trimaps").mkdir(parents=True)
    for split, names in NAMES.items():
        lines = []
        for k, name in enumerate(names):
            height, width = 40 + 10 * k, 60 - 10 * k
            image = np.full((height, width, 3), (200, 30, 30), np.uint8)
            trimap = np.full((height, width), 2, np.uint8)
            trimap[10:-10, 10:-10] = 3
            trimap[14:-14, 14:-14] = 1
            image[trimap == 1] = (20, 20, 220)
            Image.fromarray(image).save(folder / "images" / f"{name}.jpg", quality=95)
            Image.fromarray(trimap).save(
                folder / "annotations" / "trimaps" / f"{name}.png"
            )
            lines.append(f"{name} {k + 1} 1 1")
        (folder / "annotations" / f"{split}.txt").write_text("\n".join(lines) + "\n")
    return folder


def test_labels_classes_and_types(tmp_path: Path) -> None:
    draw(tmp_path)
    dataset = load_dataset("pets", "train", root=tmp_path, size=(40, 60))
    assert (dataset.name, dataset.split) == ("pets", "train")
    assert dataset.classes == ("pet", "background", "border")
    assert dataset.images.shape == (3, 3, 40, 60)
    assert dataset.masks.shape == (3, 40, 60)
    assert dataset.images.dtype == dataset.masks.dtype == torch.uint8
    expected = torch.ones(40, 60, dtype=torch.uint8)
    expected[10:-10, 10:-10] = 2
    expected[14:-14, 14:-14] = 0
    assert torch.equal(dataset.masks[0], expected)  # stored at this size
    assert dataset.masks.unique().tolist() == [0, 1, 2]  # and no label is blended
    # The pet is blue, the background red, in every picture.
    for image, mask in zip(dataset.images, dataset.masks, strict=True):
        red, _, blue = image.double()
        assert (blue - red)[mask == 0].mean() > 100
        assert (blue - red)[mask == 1].mean() < -100


def test_splits_and_default_size(tmp_path: Path) -> None:
    draw(tmp_path)
    dataset = load_dataset("pets", "val", root=str(tmp_path), download=False)
    assert (len(dataset), dataset.size) == (1, (224, 224))


def test_the_same_samples_as_torchvision(tmp_path: Path) -> None:
    draw(tmp_path)
    ours = load_dataset("pets", "train", root=tmp_path, size=24)
    theirs = OxfordIIITPet(tmp_path, "trainval", "segmentation")
    assert len(ours) == len(theirs)
    for k, (image, trimap) in enumerate(theirs):
        resized = np.array(image.resize((24, 24), Image.Resampling.BILINEAR))
        labels = np.array(trimap.resize((24, 24), Image.Resampling.NEAREST))
        assert np.array_equal(ours.images[k].permute(1, 2, 0).numpy(), resized)
        assert np.array_equal(ours.masks[k].numpy() + 1, labels)


def test_default_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw(tmp_path / "dysample")
    monkeypatch.delenv("DYSAMPLE_PETS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert len(load_dataset("pets", "train", size=8)) == 3
    monkeypatch.setenv("DYSAMPLE_PETS", str(tmp_path / "elsewhere"))
    with pytest.raises(FileNotFoundError, match=r"elsewhere.*download=True"):
        load_dataset("pets", "train", download=False)


class Mirror(ThreadingHTTPServer):
    """A folder over HTTP that notes what it served, ``seconds`` after it was asked."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.seconds = folder, 0.0
        self.served: list[str] = []
        super().__init__(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))


class Quiet(SimpleHTTPRequestHandler):
    server: Mirror

    def do_GET(self) -> None:
        self.server.served.append(self.path)
        time.sleep(self.server.seconds)
        super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    """The two archives, made and served here; torchvision is told to take them."""
    folder = draw(tmp_path / "mirror")
    server = Mirror(folder.parent)
    resources = []
    for part in ("images", "annotations"):
        archive = server.folder / f"{part}.tar.gz"
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(folder / part, arcname=part)
        md5 = hashlib.md5(archive.read_bytes()).hexdigest()
        url = f"http://127.0.0.1:{server.server_port}/{archive.name}"
        resources.append((url, md5))
    monkeypatch.setattr(OxfordIIITPet, "_RESOURCES", tuple(resources))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


# Python 3.12 and 3.13 warn of how torchvision unpacks.
@pytest.mark.filterwarnings("ignore:Python 3.14 will:DeprecationWarning")
def test_download(tmp_path: Path, mirror: Mirror) -> None:
    dataset = load_dataset("pets", "train", root=tmp_path / "data", size=8)
    assert len(dataset) == 3
    shutil.rmtree(mirror.folder)  # the second call needs no source
    assert len(load_dataset("pets", "val", root=tmp_path / "data", size=8)) == 1
    left = sorted(path.name for path in (tmp_path / "data").iterdir())
    assert left == [".oxford-iiit-pet.lock", "oxford-iiit-pet"]


LOAD_FROM_MIRROR = """
import sys, warnings
from torchvision.datasets import OxfordIIITPet
from dysample_lib.data import load_dataset

warnings.filterwarnings("ignore", "Python 3.14 will", DeprecationWarning)
OxfordIIITPet._RESOURCES = eval(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()  # both begin at once
print(len(load_dataset("pets", "train", root=sys.argv[1], size=8)))
"""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Python 3.14 will:DeprecationWarning")
def test_two_processes_at_once_download_once(tmp_path: Path, mirror: Mirror) -> None:
    load_dataset("pets", "train", root=tmp_path / "alone", size=8)
    requests = sorted(mirror.served)
    mirror.served.clear()
    mirror.seconds = 0.3  # longer than one process is ahead of the other
    command = [sys.executable, "-c", LOAD_FROM_MIRROR, str(tmp_path / "data")]
    processes = [
        Popen(
            [*command, repr(OxfordIIITPet._RESOURCES)],
            stdin=PIPE,
            stdout=PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout is not None and process.stdin is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=300)[0] for process in processes]
    assert answers == ["3\n", "3\n"]
    assert [process.returncode for process in processes] == [0, 0]
    assert sorted(mirror.served) == requests


def test_download_with_a_wrong_checksum(tmp_path: Path, mirror: Mirror) -> None:
    archive = mirror.folder / "annotations.tar.gz"
    archive.write_bytes(archive.read_bytes() + b"!")
    root = tmp_path / "data"
    with pytest.raises(OSError, match=r"could not be downloaded.*or unpack images"):
        load_dataset("pets", "train", root=root)
    assert not (root / "oxford-iiit-pet").exists()  # nothing half-made is left


def test_download_without_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise URLError("no network here")

    monkeypatch.setattr(
        "torchvision.datasets.oxford_iiit_pet.download_and_extract_archive", fail
    )
    with pytest.raises(OSError) as caught:
        load_dataset("pets", "train", root=tmp_path)
    message = str(caught.value)
    assert "no network here" in message and str(tmp_path) in message
    assert "check the network and call again" in message
    assert "images.tar.gz and annotations.tar.gz" in message


@pytest.mark.parametrize("part", ["images", "annotations"])
def test_incomplete_folder_is_left_alone(tmp_path: Path, part: str) -> None:
    folder = draw(tmp_path)
    shutil.rmtree(folder / part)
    with pytest.raises(FileNotFoundError, match=f"has no folder {part}; delete it"):
        load_dataset("pets", "train", root=tmp_path)
    assert any(folder.iterdir())


@pytest.mark.parametrize(
    "name", ["images/beagle_2.jpg", "annotations/trimaps/beagle_2.png"]
)
def test_missing_and_truncated_files(tmp_path: Path, name: str) -> None:
    path = draw(tmp_path) / name
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match=rf"{name} cannot be decoded.*download=True"):
        load_dataset("pets", "train", root=tmp_path)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=rf"no file .*{name}.*download=True"):
        load_dataset("pets", "train", root=tmp_path)


def test_unknown_label(tmp_path: Path) -> None:
    path = draw(tmp_path) / "annotations" / "trimaps" / "pug_4.png"
    Image.fromarray(np.zeros((40, 60), np.uint8)).save(path)
    with pytest.raises(ValueError, match=r"pug_4\.png has unknown labels: \[0\]"):
        load_dataset("pets", "val", root=tmp_path)


def test_trimap_of_another_size(tmp_path: Path) -> None:
    path = draw(tmp_path) / "annotations" / "trimaps" / "pug_4.png"
    Image.fromarray(np.ones((60, 40), np.uint8)).save(path)
    with pytest.raises(ValueError, match=r"pug_4\.png has the size \(60, 40\)"):
        load_dataset("pets", "val", root=tmp_path)


@pytest.mark.parametrize("text", ["", "\n"])
def test_empty_and_missing_list(tmp_path: Path, text: str) -> None:
    path = draw(tmp_path) / "annotations" / "test.txt"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"test\.txt is empty"):
        load_dataset("pets", "val", root=tmp_path)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"no list .*test\.txt"):
        load_dataset("pets", "val", root=tmp_path)
