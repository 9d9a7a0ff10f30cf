"""Pyramids with upsamplers against torchvision's pyramid."""

from __future__ import annotations

import copy
import re
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool, LastLevelP6P7

from dysample_lib import DySample
from dysample_lib.adapt.fpn import (
    DySampleFPN,
    UpsamplerFPN,
    with_dysample_fpn,
    with_upsampler_fpn,
)
from dysample_lib.ops.parameters import count_parameters
from dysample_lib.upsamplers import UPSAMPLERS, build_upsampler

CHANNELS = [4, 6, 8]
EVEN = [(24, 16), (12, 8), (6, 4)]
ODD = [(33, 21), (17, 11), (9, 6)]


def pyramid(sizes: list[tuple[int, int]], dtype: torch.dtype = torch.float64) -> Any:
    return OrderedDict(
        (f"c{i}", torch.randn(2, c, *size, dtype=dtype))
        for i, (c, size) in enumerate(zip(CHANNELS, sizes, strict=True))
    )


def no_offsets(module: nn.Module) -> nn.Module:
    """Leave every sampling point at its initial position."""
    for part in module.modules():
        if isinstance(part, DySample):
            nn.init.zeros_(part.offset.weight)
    return module


def assert_same(actual: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert list(actual) == list(expected)
    for name, value in expected.items():
        torch.testing.assert_close(actual[name], value, rtol=0, atol=1e-10)


def differ(actual: dict[str, Tensor], expected: dict[str, Tensor]) -> list[str]:
    return [n for n in expected if not torch.equal(actual[n], expected[n])]


@pytest.fixture
def bilinear(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make torchvision's pyramid interpolate bilinearly."""

    interpolate = F.interpolate

    def bilinearly(x: Tensor, size: Any, mode: str) -> Tensor:
        assert mode == "nearest"
        return interpolate(x, size=size, mode="bilinear", align_corners=False)

    monkeypatch.setattr(F, "interpolate", bilinearly)


@pytest.mark.parametrize("sizes", [EVEN, ODD], ids=["even", "odd"])
@pytest.mark.parametrize("scope", [0.25, "dynamic"])
def test_nearest_points_give_torchvisions_pyramid(sizes: Any, scope: Any) -> None:
    fpn = FeaturePyramidNetwork(CHANNELS, 8, LastLevelMaxPool()).double()
    x = pyramid(sizes)
    ours = DySampleFPN.from_fpn(fpn, initial="nearest", scope=scope)
    assert_same(no_offsets(ours)(x), fpn(x))


@pytest.mark.usefixtures("bilinear")
def test_zero_offsets_give_the_bilinear_pyramid() -> None:
    fpn = FeaturePyramidNetwork(CHANNELS, 8, LastLevelP6P7(8, 8)).double()
    x = pyramid(EVEN)
    ours = DySampleFPN.from_fpn(fpn)
    assert_same(no_offsets(ours)(x), fpn(x))


@pytest.mark.parametrize(
    "sizes", [ODD, [(33, 21), (16, 10), (8, 5)]], ids=["cut", "repeated"]
)
def test_odd_sizes_keep_the_doubled_map(sizes: Any) -> None:
    fpn = no_offsets(DySampleFPN(CHANNELS, 8).double())
    x = pyramid(sizes)
    out = fpn(x)
    assert [tuple(y.shape) for y in out.values()] == [(2, 8, *s) for s in sizes]
    inner = fpn.inner_blocks[2](x["c2"])
    for i, (h, w) in ((1, sizes[1]), (0, sizes[0])):
        doubled = F.interpolate(inner, scale_factor=2.0, mode="bilinear")
        doubled = F.pad(doubled, (0, 1, 0, 1), mode="replicate")
        inner = fpn.inner_blocks[i](x[f"c{i}"]) + doubled[..., :h, :w]
        expected = fpn.layer_blocks[i](inner)
        torch.testing.assert_close(out[f"c{i}"], expected, rtol=0, atol=1e-10)


def test_each_upsampler_serves_its_own_level(
    scatter: Callable[..., nn.Module],
) -> None:
    fpn = no_offsets(DySampleFPN(CHANNELS, 8).double())
    x = pyramid(EVEN)
    for i, changed in ((0, ["c0"]), (1, ["c0", "c1"])):
        other = copy.deepcopy(fpn)
        scatter(other.upsamplers[i])
        assert differ(other(x), fpn(x)) == changed


def test_a_new_pyramid_starts_as_torchvisions_does() -> None:
    def norm(channels: int) -> nn.Module:
        return nn.GroupNorm(2, channels)

    torch.manual_seed(1)
    theirs = FeaturePyramidNetwork(CHANNELS, 8, LastLevelP6P7(8, 8), norm)
    torch.manual_seed(1)
    ours = DySampleFPN(CHANNELS, 8, LastLevelP6P7(8, 8), norm, groups=2)
    state = ours.state_dict()
    assert differ(state, theirs.state_dict()) == []
    assert {key.split(".")[0] for key in state.keys() - theirs.state_dict().keys()} == {
        "upsamplers"
    }
    assert all(upsample.groups == 2 for upsample in ours.upsamplers)


def test_from_fpn_takes_the_blocks_over() -> None:
    fpn = FeaturePyramidNetwork(CHANNELS, 8, LastLevelMaxPool()).bfloat16().eval()
    fpn.inner_blocks[0].requires_grad_(False)
    ours = DySampleFPN.from_fpn(fpn)
    assert ours.extra_blocks is fpn.extra_blocks
    named = dict(ours.named_parameters())
    for name, parameter in fpn.named_parameters():
        assert named[name] is parameter
    assert not any(module.training for module in ours.modules())
    assert {p.dtype for p in ours.upsamplers.parameters()} == {torch.bfloat16}
    assert all(p.requires_grad for p in ours.upsamplers.parameters())
    y = ours(pyramid(ODD, torch.bfloat16))
    assert {value.dtype for value in y.values()} == {torch.bfloat16}


def test_all_upsamplers_learn() -> None:
    fpn = DySampleFPN(CHANNELS, 8, scope="dynamic")
    sum(y.square().sum() for y in fpn(pyramid(ODD, torch.float32)).values()).backward()
    for name, parameter in fpn.upsamplers.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("name", UPSAMPLERS)
def test_every_upsampler_at_odd_sizes(name: str) -> None:
    fpn = UpsamplerFPN(CHANNELS, 8, upsampler=name)
    assert [repr(u) for u in fpn.upsamplers] == [repr(build_upsampler(name, 8))] * 2
    sizes = [(13, 9), (7, 4), (3, 2)]  # cut, and repeated
    x = pyramid(sizes, torch.float32)
    out = fpn(x)
    assert [tuple(y.shape) for y in out.values()] == [(2, 8, *s) for s in sizes]
    sum(y.square().sum() for y in out.values()).backward()
    for parameter in fpn.parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0


def test_nearest_is_torchvisions_pyramid() -> None:
    fpn = FeaturePyramidNetwork(CHANNELS, 8, LastLevelMaxPool()).double()
    ours = UpsamplerFPN.from_fpn(fpn, upsampler="nearest")
    assert type(ours) is UpsamplerFPN
    for sizes in (EVEN, ODD):
        x = pyramid(sizes)
        assert_same(ours(x), fpn(x))


class Told(nn.Module):
    """Returns its guide, and notes what it was given."""

    guided = True

    def __init__(self, channels: int, scale: int) -> None:
        super().__init__()
        self.asked = (channels, scale)

    def forward(self, x: Tensor, *, guide: Tensor) -> Tensor:
        assert guide.shape[2:] == (2 * x.shape[2], 2 * x.shape[3])
        return guide


@pytest.mark.parametrize("sizes", [EVEN, ODD, [(33, 21), (16, 10), (8, 5)]])
def test_the_guide_is_the_lateral_map(sizes: Any) -> None:
    fpn = UpsamplerFPN(CHANNELS, 8, upsampler=Told).double()
    assert [u.asked for u in fpn.upsamplers] == [(8, 2), (8, 2)]
    x = pyramid(sizes)
    out = fpn(x)
    for i in (0, 1):
        lateral = fpn.inner_blocks[i](x[f"c{i}"])
        expected = fpn.layer_blocks[i](2 * lateral)
        expected, cut = (
            y[..., : sizes[1][0], : sizes[1][1]] for y in (expected, out[f"c{i}"])
        )
        # Where the guide is repeated at the border, it is cut off again.
        torch.testing.assert_close(cut, expected, rtol=0, atol=1e-10)


@pytest.mark.filterwarnings("ignore:.torch.jit.script:FutureWarning")
@pytest.mark.parametrize("name", ["grouping", "sapa"])
def test_captured_but_not_scripted(name: str) -> None:
    fpn = UpsamplerFPN(CHANNELS, 8, LastLevelMaxPool(), upsampler=name)
    fpn.requires_grad_(False)
    model = nn.Sequential(fpn).eval()
    with pytest.raises(TypeError, match="UpsamplerFPN cannot be scripted, as its up"):
        torch.jit.script(model)
    x = pyramid(ODD, torch.float32)
    program = torch.export.export(fpn, (x,))
    for name, value in program.module()(x).items():
        torch.testing.assert_close(value, fpn(x)[name])


@pytest.mark.parametrize(
    ("levels", "scope", "weights", "biases", "published"),
    [
        (4, 0.25, 24_576, 96, "+24.6K"),
        (4, "dynamic", 49_152, 96, "+49.2K"),
        (5, 0.25, 32_768, 128, "+32.7K"),
        (5, "dynamic", 65_536, 128, "+65.5K"),
    ],
)
def test_the_published_parameter_counts(
    levels: int, scope: Any, weights: int, biases: int, published: str
) -> None:
    with torch.device("meta"):
        fpn = DySampleFPN([256] * levels, 256, scope=scope)
        plain = FeaturePyramidNetwork([256] * levels, 256)
    assert count_parameters(fpn, of=DySample) == (weights, biases)
    numel = [sum(p.numel() for p in m.parameters()) for m in (fpn, plain)]
    assert numel[0] - numel[1] == weights + biases
    # Three upsamplers are published rounded, four are cut after the first decimal.
    tenths = weights // 100 if levels == 5 else round(weights / 100)
    assert published == f"+{tenths / 10}K"


class OtherPyramid(FeaturePyramidNetwork):
    def forward(self, x: dict[str, Tensor]) -> dict[str, Tensor]:
        return x


def small() -> FeaturePyramidNetwork:
    return FeaturePyramidNetwork(CHANNELS, 8)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: DySampleFPN(CHANNELS, 8, scale=4),
            TypeError,
            "scale is no option, got scale=4",
        ),
        (
            lambda: DySampleFPN(CHANNELS, 8, groups=3),
            ValueError,
            "groups has to divide in_channels, got groups=3",
        ),
        (lambda: DySampleFPN(CHANNELS, 8, group=2), TypeError, "'group'"),
        (
            lambda: UpsamplerFPN(CHANNELS, 8, upsampler="linear"),
            ValueError,
            "upsampler has to be one of nearest, bilinear",
        ),
        (
            lambda: with_upsampler_fpn(nn.Sequential(small()), DySample(8)),  # type: ignore[arg-type]
            TypeError,
            "upsampler has to be a name or a factory called with channels and scale",
        ),
        (
            lambda: DySampleFPN.from_fpn(nn.Identity()),  # type: ignore[arg-type]
            TypeError,
            "fpn has to be a torchvision.ops.FeaturePyramidNetwork, got Identity",
        ),
        (
            lambda: DySampleFPN.from_fpn(OtherPyramid(CHANNELS, 8)),
            TypeError,
            "fpn has to run torchvision's forward, got a OtherPyramid",
        ),
        (
            lambda: DySampleFPN.from_fpn(DySampleFPN(CHANNELS, 8)),
            TypeError,
            "fpn has to run torchvision's forward, got a DySampleFPN",
        ),
        (
            lambda: with_dysample_fpn("detector"),  # type: ignore[type-var]
            TypeError,
            "detector has to be a torch.nn.Module, got str",
        ),
        (
            lambda: with_dysample_fpn(nn.Sequential(nn.Identity())),
            ValueError,
            "detector has to hold a torchvision.ops.FeaturePyramidNetwork",
        ),
        (
            lambda: with_dysample_fpn(small()),
            TypeError,
            "got the pyramid itself: see from_fpn of UpsamplerFPN",
        ),
        (
            lambda: DySampleFPN(CHANNELS, 8)({"a": torch.zeros(1, 4, 2, 2)}),
            ValueError,
            "x has to hold 3 maps, one for each level, got 1: a",
        ),
        (
            lambda: DySampleFPN(CHANNELS, 8).double()(
                pyramid([(12, 8), (12, 8), (6, 4)])
            ),
            ValueError,
            "x['c1'] has to be half as large as x['c0'], rounded up or down, "
            "got (12, 8) for (12, 8)",
        ),
    ],
)
def test_bad_arguments(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        call()
