"""What the tests of the project, the notebooks and the site all look at."""

from __future__ import annotations

import json
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import yaml

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ROOT / "book" / "scripts"

# Absolute paths of somebody's machine, and whatever else only it can mean.
MACHINE_PATH = re.compile(
    r"(?<![\w.$/])/(?:work|root|home|tmp|Users|mnt|opt|usr|var|content)/\w"
    r"|[A-Z]:\\\\?Users|file://"
)
MACHINE = re.compile(
    MACHINE_PATH.pattern + r"|site-packages|ipykernel_\d|localhost|127\.0\.0\.1"
)


@cache
def project() -> dict[str, Any]:
    """pyproject.toml as a dictionary."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def repository_url() -> str:
    """The one place that the repository's address stands in."""
    return project()["project"]["urls"]["Repository"]


def read_yaml(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def chapter_names() -> list[str]:
    """The notebooks that the table of contents lists, in reading order."""
    parts = read_yaml("book/_toc.yml")["parts"]
    files = [chapter["file"] for part in parts for chapter in part["chapters"]]
    return [Path(file).name for file in files if file.startswith("notebooks/")]


def notebook_paths() -> list[Path]:
    return sorted((ROOT / "notebooks").glob("*.ipynb"))


@cache
def read_notebook(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def code_cells(path: Path) -> list[dict[str, Any]]:
    return [c for c in read_notebook(path)["cells"] if c["cell_type"] == "code"]


def tracked_files() -> list[Path]:
    """Every file that git tracks or would track; all of them where git is missing."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        skipped = {".venv", "_build", "__pycache__", ".git"}
        found = [p for p in ROOT.rglob("*") if not skipped & set(p.parts)]
    else:
        found = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    return [path for path in found if path.is_file()]


SETUP_CELL = f"""\
import importlib.util

if importlib.util.find_spec("dysample_lib") is None:  # on a hosted notebook
    %pip install -q "dysample-lib[notebooks] @ git+{repository_url()}"
"""
