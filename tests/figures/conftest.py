"""What the tests of the figures share."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pytest
from figure_samples import sample_offsets, sample_tile


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def tile():
    return sample_tile()


@pytest.fixture
def learned():
    return sample_offsets()
