"""The library's modules import each other as the picture in CONTRIBUTING.md says."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from _repository import ROOT

LIBRARY = ROOT / "dysample_lib"
FILES = sorted(LIBRARY.rglob("*.py"))


def floors(text: str) -> list[list[str]]:
    """The picture's floors, from the top, each with its modules from the left."""
    section = re.search(r"^## The house\n(.*?)^## ", text, re.M | re.S)
    picture = section and re.search(r"^```text\n(.*?)^```$", section[1], re.M | re.S)
    assert picture, "no picture under 'The house'"
    lines = [re.split(r" {2,}", line.strip()) for line in picture[1].splitlines()]
    return [modules for _, *modules in lines]


def name_of(path: Path) -> str:
    """A file's name within the library, with dots; ``__init__`` for a folder's own."""
    return ".".join(path.relative_to(LIBRARY).with_suffix("").parts)


NAMES = {name_of(path) for path in FILES}


def resolve(parts: list[str]) -> str:
    """The file that ``dysample_lib.PARTS`` comes from; the last may be an object."""
    for tried in (parts, [*parts, "__init__"], parts[:-1], [*parts[:-1], "__init__"]):
        if ".".join(tried) in NAMES:
            return ".".join(tried)
    raise AssertionError(f"no file for dysample_lib.{'.'.join(parts)}")


def imports(name: str, source: str) -> Iterator[str]:
    """The library's files that the file ``name`` imports, anywhere in its code."""
    folder = name.split(".")[:-1]
    for node in ast.walk(ast.parse(source)):
        found: list[list[str]] = []
        if isinstance(node, ast.ImportFrom):
            module = node.module.split(".") if node.module else []
            if node.level:
                module = [*folder[: len(folder) - node.level + 1], *module]
            elif module[:1] == ["dysample_lib"]:
                module = module[1:]
            else:
                continue
            found = [[*module, alias.name] for alias in node.names]
        elif isinstance(node, ast.Import):
            paths = [alias.name.split(".") for alias in node.names]
            found = [path[1:] or [""] for path in paths if path[0] == "dysample_lib"]
        yield from map(resolve, found)


def graph() -> dict[str, set[str]]:
    """Every file, and the files that it imports."""
    return {
        name_of(path): set(imports(name_of(path), path.read_text(encoding="utf-8")))
        for path in FILES
    }


PICTURE = floors((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
# From the ground up and from left to right: what a module may import comes before it.
ORDER = [module for floor in reversed(PICTURE) for module in floor]


def room(name: str) -> str:
    return name.split(".")[0]


def breaches(edges: dict[str, set[str]]) -> list[str]:
    """The imports that the picture does not allow, between rooms."""
    pairs = [(room(a), room(b)) for a, targets in edges.items() for b in targets]
    return sorted(
        f"{a} imports {b}"
        for a, b in set(pairs)
        if a != b and ORDER.index(b) > ORDER.index(a)
    )


def test_the_picture_names_every_module_once():
    assert len(ORDER) == len(set(ORDER))
    assert sorted(ORDER) == sorted({room(name) for name in NAMES})


def test_imports_go_left_or_down():
    edges = graph()
    assert sum(map(len, edges.values())) > len(edges)
    assert breaches(edges) == []


def test_no_two_files_import_each_other_in_a_circle():
    try:
        order = list(TopologicalSorter(graph()).static_order())
    except CycleError as error:
        pytest.fail(" → ".join(error.args[1]))
    assert set(order) == NAMES


@pytest.mark.parametrize(
    ("name", "source", "found"),
    [
        ("sampling", "from .models import SegmentationNet", ["models"]),
        ("sampling", "def f():\n    from . import models", ["models"]),
        ("upsamplers.fixed", "from .. import models", ["models"]),
        ("upsamplers.fixed", "from ..models import x", ["models"]),
        ("upsamplers.fixed", "from .dysample import DySample", ["upsamplers.dysample"]),
        ("upsamplers.fixed", "from . import LADDER", ["upsamplers.__init__"]),
        ("upsamplers.__init__", "from .fixed import Nearest", ["upsamplers.fixed"]),
        ("budget", "import dysample_lib.testbed.nets as m, torch", ["models"]),
        ("budget", "from dysample_lib.testbed.nets import x", ["models"]),
        ("budget", "from dysample_lib import __version__", ["__init__"]),
        ("budget", "import dysample_lib", ["__init__"]),
        ("budget", "import torch\nfrom torch import nn", []),
    ],
)
def test_imports_are_found_however_they_are_written(name, source, found):
    assert list(imports(name, source)) == found


def test_a_breach_is_found():
    assert breaches({"sampling": {"models"}, "models": {"sampling"}}) == [
        "sampling imports models"
    ]
    assert breaches({"evaluation": {"training"}}) == ["evaluation imports training"]
