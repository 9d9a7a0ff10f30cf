"""The sampling explorer's arithmetic is the library's, in node and in a browser."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from _repository import ROOT
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dysample_lib import DySample, initial_positions, point_sample, sampling_grid
from dysample_lib.figures import range_overlap
from dysample_lib.ops.sampling import INITIAL_MODES

EXPLORER = ROOT / "book" / "_static" / "explorer"
MATHS = EXPLORER / "explorer-maths.js"
Call = Callable[..., Any]


# Typed arrays would become dictionaries.
PLAIN = "(_, value) => (ArrayBuffer.isView(value) ? Array.from(value) : value)"


@pytest.fixture(scope="module", params=["node", "browser"])
def maths(request) -> Iterator[Call]:
    """``maths(name, *arguments)`` calls a function of explorer-maths.js."""
    if request.param == "browser":
        page = request.getfixturevalue("browser").new_page()
        page.add_script_tag(path=MATHS)
        code = (
            f"([name, args]) => JSON.stringify(SamplingMaths[name](...args), {PLAIN})"
        )
        yield lambda name, *args: json.loads(page.evaluate(code, [name, args]))
        page.close()
        return
    if shutil.which("node") is None:
        pytest.skip("node is not installed; the browser runs the same cases")
    program = f"""
    const maths = require(process.argv[1]);
    const lines = require("readline").createInterface({{ input: process.stdin }});
    lines.on("line", (line) => {{
      const [name, args] = JSON.parse(line);
      console.log(JSON.stringify(maths[name](...args), {PLAIN}));
    }});"""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    node = ["node", "-e", program, str(MATHS)]
    with subprocess.Popen(node, text=True, bufsize=1, **pipes) as process:
        assert process.stdin and process.stdout

        def call(name: str, *args: Any) -> Any:
            process.stdin.write(json.dumps([name, args]) + "\n")
            return json.loads(process.stdout.readline())

        yield call
        process.stdin.close()


@st.composite
def cases(draw) -> dict[str, Any]:
    """A shape, maps and offsets, all random: points far outside the map included."""
    groups = draw(st.sampled_from([1, 2, 4]))
    shape = {"height": draw(st.integers(1, 5)), "width": draw(st.integers(1, 5))}
    shape |= {"scale": draw(st.integers(1, 4)), "groups": groups}
    channels = groups * draw(st.integers(1, 2))
    torch.manual_seed(draw(st.integers(0, 2**31)))
    size = (shape["height"], shape["width"])
    features = torch.randn(1, channels, *size, dtype=torch.float64)
    points = 2 * groups * shape["scale"] ** 2
    offsets = torch.randn(1, points, *size, dtype=torch.float64)
    initial = draw(st.sampled_from(INITIAL_MODES))
    factor = draw(st.sampled_from([0.1, 0.25, 0.5, 1.0, 4.0]))
    return {
        "shape": shape,
        "features": features,
        "offsets": offsets,
        "initial": initial,
        "factor": factor,
    }


def flat_maps(maps: torch.Tensor) -> list[list[float]]:
    """(1, C, H, W) as C flat lists, as the explorer holds them."""
    return maps[0].flatten(1).tolist()


def close(ours: Any, theirs: torch.Tensor) -> None:
    torch.testing.assert_close(
        torch.tensor(ours, dtype=torch.float64),
        theirs.to(torch.float64),
        rtol=1e-6,
        atol=1e-6,
    )


random_cases = settings(
    max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@random_cases
@given(case=cases())
def test_what_is_read_is_what_point_sample_reads(maths, case):
    shape, scale = case["shape"], case["shape"]["scale"]
    starts = initial_positions(scale, case["initial"], dtype=torch.float64)
    starts = starts.flatten(1).repeat(1, shape["groups"]).view(1, -1, 1, 1)
    offsets = starts + case["factor"] * case["offsets"]
    read = point_sample(case["features"], offsets, scale, shape["groups"])
    arguments = flat_maps(case["features"]), case["offsets"].flatten().tolist()
    sampled = maths("pointSample", *arguments, shape, case["initial"], case["factor"])
    close(sampled, read[0].flatten(1))


@random_cases
@given(case=cases())
def test_positions_and_crossed_neighbours_are_the_grid_s(maths, case):
    shape, scale = case["shape"], case["shape"]["scale"]
    starts = initial_positions(scale, case["initial"], dtype=torch.float64)
    starts = starts.flatten(1).repeat(1, shape["groups"]).view(1, -1, 1, 1)
    grid = sampling_grid(starts + case["factor"] * case["offsets"], scale)[0]
    size = torch.tensor([shape["width"], shape["height"]])
    expected = (grid + 1) * size / 2  # (g, sH, sW, 2), in pixels
    offsets = case["offsets"].flatten().tolist()
    found = maths("positions", offsets, shape, case["initial"], case["factor"])
    assert len(found) == shape["groups"]
    rows, columns = expected.shape[1:3]
    for points, group in zip(found, expected, strict=True):
        close(points["x"], group[..., 0].flatten())
        close(points["y"], group[..., 1].flatten())
        gaps = torch.cat(
            (group[..., 0].diff(dim=1).flatten(), group[..., 1].diff(dim=0).flatten())
        )
        # Where two points coincide, rounding decides who is first: leave those out.
        if gaps.numel() and gaps.abs().min() > 1e-9:
            counted = {"count": int((gaps < 0).sum()), "of": gaps.numel()}
            assert maths("crossed", points, rows, columns) == counted


@random_cases
@given(case=cases())
def test_the_fixed_rules_are_torch_s(maths, case):
    features = flat_maps(case["features"])
    for mode in INITIAL_MODES:
        rule = F.interpolate(
            case["features"], scale_factor=case["shape"]["scale"], mode=mode
        )
        close(maths("interpolate", features, case["shape"], mode), rule[0].flatten(1))


@pytest.mark.parametrize("initial", INITIAL_MODES)
def test_a_trained_module_can_be_repeated(maths, scatter, initial):
    module = scatter(DySample(8, groups=2, scope=0.5, initial=initial)).double()
    x = torch.randn(1, 8, 3, 4, dtype=torch.float64)
    with torch.no_grad():
        linear, expected = module.offset(x), module(x)
    shape = {"height": 3, "width": 4, "scale": 2, "groups": 2}
    arguments = flat_maps(x), linear.flatten().tolist(), shape, initial, 0.5
    close(maths("pointSample", *arguments), expected[0].flatten(1))


def test_ranges_overlap_as_the_library_says(maths):
    for scale in (1, 2, 3, 4):
        for factor in (0.05, 0.1, 0.125, 0.25, 0.5, 0.75, 1.0):
            share = maths("rangeOverlap", factor, scale, "bilinear")
            assert share == pytest.approx(range_overlap(factor, scale), abs=1e-12)
            # Points that start in one place have the same range.
            assert maths("rangeOverlap", factor, scale, "nearest") == 1


def test_differences_and_points_outside_their_range_are_counted(maths):
    first, second = torch.randn(2, 3, 10, dtype=torch.float64)
    gap = (first - second).abs()
    minus = maths("minus", first.tolist(), second.tolist())
    close(minus, first - second)
    found = maths("size", minus)
    close([found["mean"], found["max"]], torch.stack((gap.mean(), gap.max())))
    offsets = 2 * torch.randn(2, 40, dtype=torch.float64)
    outside = int((offsets.abs() > 1).any(0).sum())
    assert 0 < outside < 40
    answer = {"count": outside, "of": 40}
    assert maths("outside", offsets.flatten().tolist()) == answer
