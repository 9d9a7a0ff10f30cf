"""Where a number comes from: library, commit, code, torch and machine."""

from __future__ import annotations

import ast
import hashlib
import io
import os
import subprocess
import tokenize
from functools import cache
from pathlib import Path
from typing import Any

import torch

from .. import __version__
from ..ops.devices import device_name

PACKAGE = Path(__file__).resolve().parents[1]
DECIDING = ("ops", "upsamplers", "data", "metrics", "testbed", "tasks", "train")
"""The rooms whose code decides what a run gives."""


def environment(
    device: torch.device | str | None = None, package: Path = PACKAGE
) -> dict[str, Any]:
    """What a record says of its origin; asked before the first run, never fails.

    Returns:
        ``version`` and ``commit`` of this library, a digest of the ``code`` that
        decides numbers, the version of ``torch``, ``device_name`` and ``threads``.
    """
    return {
        "version": __version__,
        "commit": commit(package),
        "code": code_digest(package),
        "torch": str(torch.__version__),
        "device_name": device_name(device),
        "threads": torch.get_num_threads(),
    }


@cache
def commit(package: Path = PACKAGE) -> str:
    """The commit of the library's own checkout, ``-dirty`` if its code was changed.

    ``unknown`` where there is no git or no checkout: installed inside somebody else's
    repository, the library does not take that one's commit for its own.
    """
    checkout = package.parent
    if not (checkout / ".git").exists() or not (checkout / "pyproject.toml").is_file():
        return "unknown"
    if 'name = "dysample-lib"' not in (checkout / "pyproject.toml").read_text("utf-8"):
        return "unknown"
    found = _git(checkout, "rev-parse", "--short=12", "HEAD")
    # By the library alone: what a sweep writes to results/ changes no number.
    changed = _git(checkout, "status", "--porcelain", "--", package.name)
    if not found or changed is None:
        return "unknown"
    return f"{found}-dirty" if changed else found


def _git(folder: Path, *arguments: str) -> str | None:
    """What git prints, or None where it fails or is missing."""
    try:
        answer = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            # Inside a hook of git, its variables name another repository.
            env={k: v for k, v in os.environ.items() if not k.startswith("GIT_")},
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None


@cache
def code_digest(package: Path = PACKAGE) -> str:
    """A digest of the code that decides numbers; comments and docstrings apart.

    Two runs of one spec and one digest are repetitions. A checkpoint of another digest
    is not gone on from, and a record of another one may be out of date.
    """
    digest = hashlib.sha256()
    for room in DECIDING:
        for path in sorted((package / room).rglob("*.py")):
            digest.update(path.relative_to(package).as_posix().encode())
            digest.update(_bare(path.read_text(encoding="utf-8")).encode())
    return digest.hexdigest()[:12]


def _bare(source: str) -> str:
    """The source without comments, strings that stand alone, and empty lines.

    By line, as the syntax trees of different Pythons differ.
    """
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            assert node.end_lineno is not None
            for row in range(node.lineno - 1, node.end_lineno):
                lines[row] = ""
    return "\n".join(line.rstrip() for line in lines if line.strip())
