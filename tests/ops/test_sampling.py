"""The geometry: initial positions, sampling grids, point sampling."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dysample_lib import initial_positions, point_sample, sampling_grid


class Problem(NamedTuple):
    features: Tensor
    offsets: Tensor
    scale: int
    groups: int

    def layout(self) -> Tensor:
        """The offsets as (B, axis, g, sub-row, sub-column, H, W)."""
        s, (batch, _, height, width) = self.scale, self.offsets.shape
        return self.offsets.reshape(batch, 2, self.groups, s, s, height, width)

    def sample(self) -> Tensor:
        return point_sample(*self)


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """Float64 maps with offsets that stay near, or leave the map."""
    small = st.integers(1, 6)
    scale, groups = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    batch, height, width = draw(st.integers(1, 3)), draw(small), draw(small)
    channels = groups * draw(st.integers(1, 3))
    seed = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    kind = {"generator": seed, "dtype": torch.float64}
    features = torch.randn(batch, channels, height, width, **kind)
    offsets = torch.randn(batch, 2 * groups * scale**2, height, width, **kind)
    return Problem(features, draw(st.sampled_from((0.25, 4))) * offsets, scale, groups)


def assert_equal(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("scale", "steps"),
    [
        (1, [0]),
        (2, [-1 / 4, 1 / 4]),
        (3, [-1 / 3, 0, 1 / 3]),
        (4, [-3 / 8, -1 / 8, 1 / 8, 3 / 8]),
    ],
)
def test_initial_positions(scale: int, steps: list[float]) -> None:
    row = torch.tensor(steps, dtype=torch.float64)
    x, y = initial_positions(scale, dtype=torch.float64)
    assert_equal(x, row.expand(scale, scale))
    assert_equal(y, row[:, None].expand(scale, scale))
    assert torch.equal(
        initial_positions(scale, "nearest"), torch.zeros(2, scale, scale)
    )
    assert initial_positions(scale).dtype == torch.float32


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (3, 5), (6, 1)])
def test_the_undisplaced_grid_is_the_identity_transform(
    scale: int, size: tuple[int, int]
) -> None:
    start = initial_positions(scale, dtype=torch.float64).reshape(1, -1, 1, 1)
    grid = sampling_grid(start.expand(2, -1, *size), scale)
    identity = torch.eye(2, 3, dtype=torch.float64).expand(2, 2, 3)
    shape = [2, 1, scale * size[0], scale * size[1]]
    assert_equal(grid[:, 0], F.affine_grid(identity, shape, align_corners=False))


def test_each_offset_moves_its_own_point_on_its_own_axis() -> None:
    scale, groups, height, width = 2, 3, 2, 4
    still = torch.zeros(1, 2 * groups * scale**2, height, width, dtype=torch.float64)
    rest = sampling_grid(still, scale)
    assert rest.shape == (1, groups, scale * height, scale * width, 2)
    layout = [range(n) for n in (2, groups, scale, scale, height, width)]
    for axis, group, i, j, row, column in itertools.product(*layout):
        offsets = still.clone()
        channel = ((axis * groups + group) * scale + i) * scale + j
        offsets[0, channel, row, column] = 1
        moved = torch.zeros_like(rest)
        # One pixel is 2 / size in grid units.
        moved[0, group, scale * row + i, scale * column + j, axis] = (
            2 / (width, height)[axis]
        )
        assert_equal(sampling_grid(offsets, scale) - rest, moved)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_coordinates_are_float32_or_better(dtype: torch.dtype) -> None:
    offsets = torch.zeros(1, 2, 1, 1000, dtype=dtype)
    x = sampling_grid(offsets, 1)[0, 0, 0, :, 0]
    assert x.dtype == torch.float32
    centres = (x.double() + 1) * 500
    assert (centres - torch.arange(1000) - 0.5).abs().max() < 1e-3
    assert sampling_grid(offsets.double(), 1).dtype == torch.float64


def test_points_on_a_2x2_map() -> None:
    toy = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])

    def read(x: float, y: float) -> float:
        """The upper left pixel's point, at (0.5 + x, 0.5 + y)."""
        offsets = torch.zeros(1, 2, 2, 2)
        offsets[0, :, 0, 0] = torch.tensor([x, y])
        return point_sample(toy, offsets, 1)[0, 0, 0, 0].item()

    assert read(0, 0) == 1
    assert read(1, 0) == 2  # positive x is right
    assert read(0, 1) == 3  # positive y is down
    assert read(0.5, 0.5) == 2.5
    assert read(0.25, 0.5) == 2.25
    assert read(100, -100) == 2  # outside reads the border
    assert read(-0.4, 0) == 1
    assert read(-9, 9) == 3


def test_features_keep_their_dtype_whatever_the_offsets() -> None:
    kinds = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
    for mine, theirs in itertools.product(kinds, kinds):
        features, offsets = torch.ones(1, 2, 2, 3), torch.zeros(1, 8, 2, 3)
        assert point_sample(features.to(mine), offsets.to(theirs), 2).dtype == mine


@given(problems(), st.floats(-1e6, 1e6))
def test_a_constant_map_stays_constant(problem: Problem, value: float) -> None:
    features = torch.full_like(problem.features, value)
    result = problem._replace(features=features).sample()
    torch.testing.assert_close(
        result, torch.full_like(result, value), rtol=1e-12, atol=0
    )


@given(problems())
def test_the_output_stays_within_each_channel_s_range(problem: Problem) -> None:
    low, high = problem.features.aminmax(dim=-1)
    low, high = low.amin(-1)[..., None, None], high.amax(-1)[..., None, None]
    result = problem.sample()
    assert ((low - 1e-12 <= result) & (result <= high + 1e-12)).all()


@given(problems())
def test_mirrored_offsets_mirror_the_output(problem: Problem) -> None:
    for axis, dim in ((0, -1), (1, -2)):
        sign = torch.ones(1, 2, 1, 1, 1, 1, 1, dtype=torch.float64)
        sign[:, axis] = -1
        mirrored = (sign * problem.layout()).flip(dim, dim - 2)
        result = point_sample(
            problem.features.flip(dim),
            mirrored.reshape_as(problem.offsets),
            problem.scale,
            problem.groups,
        )
        assert_equal(result, problem.sample().flip(dim))


@given(problems())
def test_transposed_offsets_transpose_the_output(problem: Problem) -> None:
    layout = problem.layout().flip(1).transpose(3, 4).transpose(5, 6)
    result = point_sample(
        problem.features.mT, layout.flatten(1, 4), problem.scale, problem.groups
    )
    assert_equal(result, problem.sample().mT)


@given(problems())
def test_one_whole_pixel_further_reads_the_shifted_map(problem: Problem) -> None:
    # Half a pixel at most: the second pixel's points then stay off the border.
    near = problem._replace(offsets=problem.offsets.clamp(-0.5, 0.5))
    for axis, dim in ((0, -1), (1, -2)):
        step = torch.zeros(1, 2, 1, 1, 1, 1, 1, dtype=torch.float64)
        step[:, axis] = 1
        further = near._replace(
            offsets=(near.layout() + step).reshape_as(near.offsets)
        ).sample()
        size = near.features.shape[dim]
        ahead = (torch.arange(size) + 1).clamp(max=size - 1)
        shifted = near._replace(features=near.features.index_select(dim, ahead))
        inside = torch.arange(near.scale, near.scale * size)
        assert_equal(
            further.index_select(dim, inside),
            shifted.sample().index_select(dim, inside),
        )


@given(problems())
def test_batch_items_and_groups_do_not_see_each_other(problem: Problem) -> None:
    result = problem.sample()
    features = problem.features.chunk(problem.groups, dim=1)
    for item, group in itertools.product(range(len(result)), range(problem.groups)):
        alone = point_sample(
            features[group][item : item + 1],
            problem.layout()[item : item + 1, :, group].flatten(1, 3),
            problem.scale,
        )
        together = result.chunk(problem.groups, dim=1)[group][item : item + 1]
        assert_equal(alone, together)
