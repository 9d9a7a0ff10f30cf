"""What all tests share: a seed, hypothesis settings, the golden vectors."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from _browser import browser as browser
from _browser import open_page as open_page
from _browser import site as site
from _browser import site_url as site_url
from hypothesis import settings
from torch import Tensor, nn

settings.register_profile(
    "project", deadline=None, derandomize=True, max_examples=25, print_blob=True
)
settings.load_profile("project")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--record-support",
        action="store_true",
        help="write what upsamplers/test_support.py finds to results/support.json",
    )
    parser.addoption(
        "--all-cells",
        action="store_true",
        help="run all cells of the support matrix, and not a captured graph's in"
        " float32 alone",
    )
    parser.addoption(
        "--hosted",
        action="store_true",
        help="run all chapters as a hosted notebook does, and not one alone",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow files go first, so that no process ends long after the others.

    Tests marked ``cuda`` need a GPU, or a CPU in its place by ``GPU_DRY=1``.
    """
    slow = Counter(i.path for i in items if i.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])
    if torch.cuda.is_available() or os.environ.get("GPU_DRY") == "1":
        return
    for item in items:
        if item.get_closest_marker("cuda"):
            item.add_marker(pytest.mark.skip(reason="needs a GPU (GPU_DRY=1: a CPU)"))


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def golden() -> list[dict[str, Tensor]]:
    """The authors' module in float64: one dict of tensors for each configuration.

    Keys: ``config`` (channels, scale, 0 = lp or 1 = pl, groups, dynamic scope), ``x``,
    ``y``, ``grad_y``, ``grad_x``, ``param/NAME`` and ``grad/NAME``.
    """
    cases: dict[str, dict[str, Tensor]] = {}
    with np.load(Path(__file__).parent / "golden" / "dysample_golden.npz") as arrays:
        for key in arrays.files:
            case, _, name = key.partition("/")
            cases.setdefault(case, {})[name] = torch.from_numpy(arrays[key])
    return [cases[case] for case in sorted(cases)]


@pytest.fixture
def scatter() -> Callable[..., nn.Module]:
    """Give every parameter random values, so that points lie anywhere.

    Fresh upsamplers start as plain interpolation, where wrong offsets hardly show and
    where the output has kinks as a function of the positions.
    """

    def scatter_(module: nn.Module, std: float = 0.5) -> nn.Module:
        for parameter in module.parameters():
            nn.init.normal_(parameter, std=std)
        return module

    return scatter_
