"""Run the chapters as a hosted notebook does: `make hosted`, `make hosted IMAGE=…`.

No repository around them, another working directory, and only what such a host brings:
the first cell installs the rest, with the library from a wheel of this tree in place of
its address. Every chapter starts afresh: in a virtual environment that sees, of the one
that runs this, the packages in BROUGHT and those that they need; or, with an image, in
a new container of it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Iterable
from importlib.metadata import Distribution, distribution, distributions
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[2]
BROUGHT = ("torch", "torchvision", "matplotlib", "numpy", "pandas", "tqdm")
BROUGHT += ("ipykernel", "nbclient", "pip")
ADDRESS = re.compile(r'git\+https://[^"\s]+')
# What a wheel of the library is made of.
PACKAGE = ("pyproject.toml", "README.md", "LICENSE", "dysample_lib", "results")

Command = list[str]


def build_wheel(folder: Path, *options: str) -> Path:
    """Build the library's wheel into ``folder``, from a copy: the tree stays clean."""
    with TemporaryDirectory() as copy:
        for name in PACKAGE:
            source, target = ROOT / name, Path(copy) / name
            if source.is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(source, target, ignore=ignored)
            else:
                shutil.copy2(source, target)
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
        command += [*options, "--wheel-dir", str(folder), copy]
        subprocess.run(command, check=True)
    (wheel,) = folder.glob("dysample_lib-*.whl")
    return wheel


def copy_chapter(chapter: Path, wheel: Path, folder: Path) -> Path:
    """Copy a notebook, with the wheel in place of the library's address.

    Raises:
        ValueError: if the first code cell does not name the address exactly once.
    """
    notebook = json.loads(chapter.read_text(encoding="utf-8"))
    first = next(c for c in notebook["cells"] if c["cell_type"] == "code")
    text, found = ADDRESS.subn(wheel.as_uri(), "".join(first["source"]))
    if found != 1:
        raise ValueError(
            f"the first code cell of {chapter.name} has to install the library from "
            f"one address that starts with git+https://, got {found}"
        )
    first["source"] = text.splitlines(keepends=True)
    copy = folder / chapter.name
    copy.write_text(json.dumps(notebook, ensure_ascii=False), encoding="utf-8")
    return copy


def with_needs(names: Iterable[str]) -> list[Distribution]:
    """The installed packages ``names`` and all that they need."""
    # Here, because a container is run from an environment without any package.
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    found: dict[str, Distribution] = {}
    done = set()
    queue = [Requirement(name) for name in names]
    while queue:
        asked = queue.pop()
        name = canonicalize_name(asked.name)
        for extra in ("", *asked.extras):
            if (name, extra) in done:
                continue
            done.add((name, extra))
            found[name] = distribution(name)
            for need in map(Requirement, found[name].requires or []):
                if not need.marker or need.marker.evaluate({"extra": extra}):
                    queue.append(need)
    return list(found.values())


def mirror(packages: list[Distribution], folder: Path) -> None:
    """Link ``packages`` into ``folder``, and nothing that other packages brought."""
    names = {package.name for package in packages}
    others = [package for package in distributions() if package.name not in names]
    shared = {up for d in others for file in d.files or [] for up in file.parents}
    for package in packages:
        for file in package.files or []:
            if ".." in file.parts:  # scripts, outside of site-packages
                continue
            # The outermost folder that is these packages' alone, or the file.
            path = next(p for p in (*reversed(file.parents), file) if p not in shared)
            link = folder / path
            if not link.is_symlink():
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(package.locate_file(path))


def environment(folder: Path, brought: Path) -> Command:
    """Make a virtual environment in ``folder`` that sees what is in ``brought``."""
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, symlinks=True)
    (site_packages,) = folder.glob("lib/*/site-packages")
    (site_packages / "brought.pth").write_text(f"{brought}\n", encoding="utf-8")
    return [str(folder / "bin" / "python")]


def container(image: str, folder: Path) -> Command:
    """How Python is called in a new container of ``image`` that sees ``folder``."""
    command = ["docker", "run", "--rm", "--entrypoint", "python3"]
    command += ["--env", "DYSAMPLE_BUDGET", "--env", "CI"]
    return [*command, "--volume", f"{folder}:{folder}", "--workdir", str(folder), image]


def run_chapters(
    chapters: list[Path], wheel: Path, folder: Path, host: Callable[[], Command]
) -> list[str]:
    """Execute each chapter with a new ``host()``; return the names of those that fail.

    ``folder`` is where they run: it gets copies, and the script that executes them.
    """
    script = folder / "book" / "scripts" / "execute.py"
    script.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(Path(__file__).with_name(script.name), script)
    outside = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    variables = {k: v for k, v in os.environ.items() if k not in outside}
    variables |= {"PYTHONNOUSERSITE": "1"}
    failed = []
    for chapter in chapters:
        copy = copy_chapter(chapter, wheel, folder)
        start = time.perf_counter()
        done = subprocess.run(
            [*host(), str(script), str(copy)],
            cwd=folder,
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        said = "failed after " if done.returncode else ""
        print(f"{chapter.stem}: {said}{time.perf_counter() - start:.0f} s", flush=True)
        if done.returncode:
            print(done.stdout, flush=True)
            failed.append(chapter.stem)
    return failed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "notebooks", nargs="*", type=Path, help="default: all of notebooks/"
    )
    parser.add_argument("--image", help="of a container, with Python and Jupyter in it")
    args = parser.parse_args()
    chapters = args.notebooks or sorted((ROOT / "notebooks").glob("*.ipynb"))
    # Root of a container leaves files here that another user cannot remove.
    with TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        wheel = build_wheel(folder)
        brought = folder / "brought"
        if not args.image:
            mirror(with_needs(BROUGHT), brought)

        def host() -> Command:
            if args.image:
                return container(args.image, folder)
            return environment(folder / "env", brought)

        failed = run_chapters(chapters, wheel, folder, host)
    if failed:
        print(f"Failed: {', '.join(failed)}", file=sys.stderr)
    return len(failed) > 0


if __name__ == "__main__":
    sys.exit(main())
