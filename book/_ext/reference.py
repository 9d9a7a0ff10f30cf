"""Sphinx extension: what autodoc and napoleon leave to do for the library's reference.

Names are documented where they are imported from, as the ``__all__`` of a folder has
them, and links know them by every other name that the library has for them.
"""

from __future__ import annotations

import re
import sys
from importlib import import_module
from pkgutil import walk_packages
from pydoc import locate
from typing import Any, TypeVar

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.pycode import ModuleAnalyzer

LIBRARY = "dysample_lib"


def import_paths(documented: str) -> list[str]:
    """The names under which the library's modules have what is documented."""
    home = documented.rpartition(".")[0]
    while home not in sys.modules:  # a method's class is none
        home = home.rpartition(".")[0]
    path = documented.removeprefix(f"{home}.")
    name = path.partition(".")[0]
    value = getattr(sys.modules[home], name)
    return [
        f"{module}.{path}"
        for module, content in list(sys.modules.items())
        if module.partition(".")[0] == LIBRARY and vars(content).get(name) is value
    ]


def note_import_paths(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Let links find what is documented by its other names."""
    objects: dict[str, Any] = env.domaindata["py"]["objects"]
    for documented, entry in list(objects.items()):
        ours = documented.partition(".")[0] == LIBRARY
        if ours and entry.objtype != "module" and not entry.aliased:
            for path in import_paths(documented):
                objects.setdefault(path, entry._replace(aliased=True))
    return []


def leave_type_variables(
    app: Sphinx, env: BuildEnvironment, node: Any, contnode: Any
) -> Any:
    """Write the variables of a signature without a link: they are nothing to read."""
    return contnode if isinstance(locate(node["reftarget"]), TypeVar) else None


def share_constants(app: Sphinx) -> None:
    """Tell autodoc the text below a constant where the constant is imported as well."""
    library = import_module(LIBRARY)
    for found in walk_packages(library.__path__, f"{LIBRARY}."):
        if found.ispkg:
            docs = ModuleAnalyzer.for_module(found.name).find_attr_docs()
            for name in getattr(import_module(found.name), "__all__", ()):
                for path in import_paths(f"{found.name}.{name}"):
                    home = ModuleAnalyzer.for_module(path.rpartition(".")[0])
                    text = home.find_attr_docs().get(("", name))
                    if text:
                        docs["", name] = text


def skip_fields(
    app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any
) -> bool | None:
    """Leave out what a NamedTuple makes of its fields: the class describes them."""
    return True if type(obj).__name__ == "_tuplegetter" else None


def keep_colons(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """Keep napoleon from taking a constant's "The steps: all of them" for its type."""
    if what in ("attribute", "data"):
        lines[:0] = ["..", ""]  # an empty comment: napoleon reads the first line alone


def keep_letters(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """Keep "in_channels: C." from becoming the third entry of a list."""
    for i, line in enumerate(lines):
        lines[i] = re.sub(r"^(:[^:]+:)?(\s+)(\w\.)$", r"\1\2\\\3", line)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("env-updated", note_import_paths)
    app.connect("missing-reference", leave_type_variables)
    app.connect("builder-inited", share_constants)
    app.connect("autodoc-skip-member", skip_fields)
    # Napoleon itself has priority 500.
    app.connect("autodoc-process-docstring", keep_colons, priority=100)
    app.connect("autodoc-process-docstring", keep_letters, priority=900)
    return {"parallel_read_safe": True}
