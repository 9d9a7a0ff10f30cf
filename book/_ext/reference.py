"""Sphinx extension: what autodoc and napoleon leave to do for the library's reference.

Names are documented in the module that defines them. Links know them by the room and by
the front door as well, where these export them.
"""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment


def open_doors(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Let links find ``library.room.module.name`` as any door has it that exports it.

    The doors are the library's front door and its rooms.
    """
    objects: dict[str, Any] = env.domaindata["py"]["objects"]
    documented = [
        (name.split("."), entry)
        for name, entry in objects.items()
        if name.count(".") >= 3 and not entry.aliased
    ]
    doors = {".".join(parts[:n]) for parts, _ in documented for n in (1, 2)}
    for parts, entry in documented:
        module, name = import_module(".".join(parts[:3])), parts[3:]
        for door in map(import_module, doors):
            exported = name[0] in getattr(door, "__all__", ())
            if exported and getattr(door, name[0]) is getattr(module, name[0]):
                objects[".".join([door.__name__, *name])] = entry._replace(aliased=True)
    return []


def skip_fields(
    app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any
) -> bool | None:
    """Leave out what a NamedTuple makes of its fields: the class describes them."""
    return True if type(obj).__name__ == "_tuplegetter" else None


def keep_colons(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """Keep napoleon from taking a constant's "The steps: all of them" for its type."""
    if what in ("attribute", "data", "property"):
        lines[:0] = ["..", ""]  # an empty comment: napoleon reads the first line alone


def keep_letters(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """Keep "in_channels: C." from becoming the third entry of a list."""
    for i, line in enumerate(lines):
        lines[i] = re.sub(r"^(:[^:]+:)?(\s+)(\w\.)$", r"\1\2\\\3", line)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("env-updated", open_doors)
    app.connect("autodoc-skip-member", skip_fields)
    # Napoleon itself has priority 500.
    app.connect("autodoc-process-docstring", keep_colons, priority=100)
    app.connect("autodoc-process-docstring", keep_letters, priority=900)
    return {"parallel_read_safe": True}
