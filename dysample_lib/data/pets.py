"""``pets``: Oxford-IIIT Pet with its trimaps, through torchvision's download.

Parkhi, Vedaldi, Zisserman and Jawahar, "Cats and dogs", CVPR 2012.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from filelock import FileLock
from torchvision.datasets import OxfordIIITPet

from ..ops.checks import check_choice
from .base import SPLITS, SegmentationSet
from .files import Size, check_size, read_pairs

CLASSES = ("pet", "background", "border")
LISTS = {"train": "trainval", "val": "test"}
FOLDER = "oxford-iiit-pet"  # torchvision's name for it, inside the root

_ARCHIVES = "images.tar.gz and annotations.tar.gz from https://www.robots.ox.ac.uk/~vgg/data/pets/"


def _default_root() -> Path:
    """``dysample`` in the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dysample"


def _find(root: Path, split: str, download: bool) -> Path:
    """The set's folder under ``root``, after torchvision downloaded it if need be.

    Of several processes that ask at once, one downloads and the others wait for it.
    """
    folder = root / FOLDER
    by_hand = f"or unpack {_ARCHIVES} into {folder}"
    if _is_there(folder, by_hand):
        return folder
    if not download:
        raise FileNotFoundError(
            f"there is no Oxford-IIIT Pet in {folder}; give download=True, {by_hand}"
        )
    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / f".{FOLDER}.lock"):
            if not _is_there(folder, by_hand):
                _download(folder, split)
    except Exception as error:  # whatever stopped it, the way out is the same
        raise OSError(
            f"Oxford-IIIT Pet (800 MB) could not be downloaded to {root} "
            f"({type(error).__name__}: {error}); check the network and call again, "
            f"{by_hand}"
        ) from error
    return folder


def _is_there(folder: Path, by_hand: str) -> bool:
    """Whether the folder is there; half of it may be the user's, not ours to replace.

    Raises:
        FileNotFoundError: it is there, and not complete.
    """
    missing = [n for n in ("images", "annotations") if not (folder / n).is_dir()]
    if missing and folder.exists():
        raise FileNotFoundError(
            f"{folder} has no folder {' and no folder '.join(missing)}; delete it and "
            f"call again with download=True, {by_hand}"
        )
    return not missing


def _download(folder: Path, split: str) -> None:
    """Have torchvision download the set, into a folder of its own first.

    torchvision takes a set whose folders exist for complete, which an interrupted
    unpacking would leave behind.
    """
    partial = folder.with_name(f"{FOLDER}-partial")
    OxfordIIITPet(partial, LISTS[split], "segmentation", download=True)
    (partial / FOLDER).rename(folder)
    shutil.rmtree(partial)


def _read_list(path: Path, folder: Path) -> list[tuple[Path, Path]]:
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no list {path}; delete {folder} and call again with "
            "download=True"
        )
    names = [line.split()[0] for line in path.read_text().splitlines() if line.strip()]
    if not names:
        raise ValueError(
            f"{path} is empty; it has to name an image on each line: delete {folder} "
            "and call again with download=True"
        )
    trimaps = folder / "annotations" / "trimaps"
    return [(folder / "images" / f"{n}.jpg", trimaps / f"{n}.png") for n in names]


def load_pets(
    split: str,
    *,
    root: Path | None = None,
    size: int | Size = 224,
    download: bool = True,
) -> SegmentationSet:
    """Load a split: 3680 training images, 3669 for validation.

    Args:
        split: ``"train"`` (the authors' trainval) or ``"val"`` (their test).
        root: the folder that holds ``oxford-iiit-pet/``; by default ``dysample`` in
            the user's cache.
        size: (height, width), or the side of a square, to resize to. The aspect ratio
            is not kept. A split takes 3680 · 4 · height · width bytes: 740 MB at 224.
        download: download 800 MB, with checksums, where the folder is missing.

    Returns:
        Images (N, 3, H, W) and masks (N, H, W), uint8, with the classes
        ``("pet", "background", "border")``; the trimaps' border is a class.

    Raises:
        OSError: the download failed.
        FileNotFoundError: a file is missing.
        ValueError: an empty list, or a file that :func:`~.files.read_pairs` refuses.
    """
    check_choice("split", split, SPLITS)
    wanted = check_size(size)
    folder = _find(root or _default_root(), split, download)
    pairs = _read_list(folder / "annotations" / f"{LISTS[split]}.txt", folder)
    remedy = f"delete {folder} and call again with download=True"
    table = {1: 0, 2: 1, 3: 2}
    images, masks = read_pairs(pairs, wanted, table, remedy)
    return SegmentationSet("pets", split, images, masks, CLASSES)
