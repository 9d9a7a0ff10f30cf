"""Each rival against its nested loops, and what is particular to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import reference_rivals as reference
import torch
from torch import Tensor, nn
from upsampler_samples import inputs

from dysample_lib import build_upsampler
from dysample_lib.upsamplers import (
    CARAFE,
    FADE,
    RIVALS,
    SAPA,
    Deconv,
    PixelShuffle,
)

Scatter = Callable[..., Any]

REFERENCES: dict[str, Callable[..., Any]] = {
    "deconv": reference.deconv,
    "pixel_shuffle": reference.pixel_shuffle,
    "carafe": reference.carafe,
    "fade": reference.fade,
    "fade_ungated": reference.fade,
    "fade_lite": lambda *args: reference.fade(*args, lite=True),
    "sapa": reference.sapa,
}


def weights(module: nn.Module) -> dict[str, Any]:
    return {name: value.tolist() for name, value in module.named_parameters()}


def assert_equal(actual: Tensor, expected: Any) -> None:
    expected = torch.tensor(expected, dtype=torch.float64)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-12)


def test_every_rival_has_a_reference() -> None:
    assert tuple(REFERENCES) == RIVALS


@pytest.mark.parametrize("scale", [1, 2, 3])
@pytest.mark.parametrize("name", RIVALS)
def test_nested_loops(scatter: Scatter, name: str, scale: int) -> None:
    module = scatter(build_upsampler(name, 3, scale).double(), std=0.3)
    x = torch.randn(1, 3, 3, 5, dtype=torch.float64)
    maps = inputs(name, x, scale)
    lists = (m[0].tolist() for m in maps.values())
    expected = REFERENCES[name](*lists, weights(module), scale)
    assert_equal(module(**maps)[0], expected)


def test_carafe_with_groups(scatter: Scatter) -> None:
    module = scatter(CARAFE(6, groups=3, kernel_size=3, compressed=4).double())
    x = torch.randn(1, 6, 5, 3, dtype=torch.float64)
    expected = reference.carafe(x[0].tolist(), weights(module), 2, groups=3)
    assert_equal(module(x)[0], expected)


@pytest.mark.parametrize("build", [FADE, SAPA])
def test_a_guide_of_other_channels(scatter: Scatter, build: Any) -> None:
    options = {"gated": False, "compressed": 5} if build is FADE else {"embedding": 6}
    module = scatter(build(2, guide_channels=4, **options).double(), std=0.3)
    x = torch.randn(1, 2, 2, 3, dtype=torch.float64)
    guide = torch.randn(1, 4, 4, 6, dtype=torch.float64)
    loops = reference.fade if build is FADE else reference.sapa
    expected = loops(x[0].tolist(), guide[0].tolist(), weights(module), 2)
    assert_equal(module(x, guide=guide)[0], expected)


@pytest.mark.parametrize(("channels", "scale"), [(256, 2), (32, 2), (12, 3)])
def test_parameter_counts(channels: int, scale: int) -> None:
    c, points = channels, scale**2
    gate = c + 1
    fade = 64 * 2 * c + 64 + 9 * 64 * 25 + 25
    wanted = {
        "deconv": c * c * (2 * scale - 1) ** 2 + c,
        "pixel_shuffle": 9 * points * c * c + points * c,
        "carafe": 64 * c + 64 + 9 * 64 * points * 25 + points * 25,
        "fade": fade + gate,
        "fade_ungated": fade,
        "fade_lite": 25 * 2 * c + 25 + 9 * 25 + 25 + gate,
        "sapa": 32 * 2 * c + 64 + 4 * c,
    }
    counted = {
        name: sum(p.numel() for p in build_upsampler(name, c, scale).parameters())
        for name in RIVALS
    }
    assert counted == wanted


def test_published_parameter_counts() -> None:
    """What the authors give for the six upsamplers of SegFormer's head, C = 256."""
    wanted = {"carafe": 0.44e6, "fade": 0.29e6, "fade_lite": 80e3, "sapa": 0.1e6}
    for name, published in wanted.items():
        count = 6 * sum(p.numel() for p in build_upsampler(name, 256).parameters())
        assert abs(count - published) <= 0.05 * published


def test_kernels_start_as_means() -> None:
    x, guide = torch.randn(1, 16, 6, 6), torch.randn(1, 16, 12, 12)
    for kernels in (CARAFE(16).kernels(x), SAPA(16).kernels(x, guide)):
        torch.testing.assert_close(
            kernels, torch.full_like(kernels, 1 / 25), rtol=0, atol=0.01
        )


def test_initial_weights() -> None:
    carafe, fade, sapa = CARAFE(256), FADE(256), SAPA(256)
    assert abs(carafe.encode.weight.std().item() - 0.001) < 5e-5
    for layer in (carafe.compress, *fade.children()):
        assert isinstance(layer, nn.Conv2d)
        area = layer.weight[0, 0].numel()
        fans = area * (layer.in_channels + layer.out_channels)
        bound = (6 / fans) ** 0.5
        assert 0.95 * bound < layer.weight.abs().max() <= bound
    for linear in (sapa.query, sapa.key):
        assert abs(linear.weight.std().item() - 0.02) < 1e-3
    for module in (carafe, fade, sapa):
        biases = [p for name, p in module.named_parameters() if name.endswith("bias")]
        assert biases
        assert not any(bias.any() for bias in biases)
        before = {name: p.clone() for name, p in module.named_parameters()}
        module.reset_parameters()
        assert any(not torch.equal(p, before[n]) for n, p in module.named_parameters())


def test_an_open_gate_passes_the_guide_and_a_shut_one_nothing() -> None:
    x, guide = torch.randn(1, 8, 3, 4), torch.randn(1, 8, 6, 8)
    gated, ungated = FADE(8), FADE(8, gated=False)
    ungated.load_state_dict(gated.state_dict(), strict=False)
    assert gated.gate.bias is not None
    nn.init.zeros_(gated.gate.weight)
    nn.init.constant_(gated.gate.bias, 100.0)
    torch.testing.assert_close(gated(x, guide=guide), guide)
    with torch.no_grad():
        without = gated(x, guide=guide)
    assert torch.equal(without, gated(x, guide=guide))  # one formula
    nn.init.constant_(gated.gate.bias, -200.0)
    assert torch.equal(gated(x, guide=guide), ungated(x, guide=guide))


def test_transposed_convolution_can_be_bilinear() -> None:
    """Where outputs lie on the inputs' corners: the kernel is as wide as a tent."""
    module = Deconv(1, 3)
    ramp = torch.tensor([1.0, 2.0, 3.0, 2.0, 1.0]) / 3
    with torch.no_grad():
        module.conv.weight.copy_(ramp.outer(ramp))
        assert module.conv.bias is not None
        module.conv.bias.zero_()
    line = module(torch.tensor([[[[0.0, 3.0, 0.0]]]]))[0, 0, 0]
    assert line.tolist() == pytest.approx([0, 1, 2, 3, 2, 1, 0, 0, 0])


def test_pixel_shuffle_places_the_channels_as_torch_does() -> None:
    module, x = PixelShuffle(5, 3), torch.randn(2, 5, 4, 3)
    assert torch.equal(module(x), nn.functional.pixel_shuffle(module.conv(x), 3))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: CARAFE(8, groups=3), "groups has to divide in_channels, got groups=3"),
        (lambda: CARAFE(8, kernel_size=4), "kernel_size has to be odd, got 4"),
        (lambda: CARAFE(8, compressed=0), "compressed has to be an integer ≥ 1, got 0"),
        (lambda: FADE(8, kernel_size=2), "kernel_size has to be odd, got 2"),
        (lambda: FADE(8, compressed=0), "compressed has to be an integer ≥ 1, got 0"),
        (
            lambda: FADE(8, guide_channels=4),
            "guide_channels has to equal in_channels=8 where the gate .*, got 4; or "
            "pass gated=False",
        ),
        (lambda: SAPA(8, embedding=0), "embedding has to be an integer ≥ 1, got 0"),
        (lambda: SAPA(8, kernel_size=0), "kernel_size has to be an integer ≥ 1, got 0"),
        (lambda: SAPA(8, guide_channels=0), "guide_channels has to be .* ≥ 1, got 0"),
    ],
)
def test_bad_arguments_are_named(build: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize(
    ("module", "parts"),
    [
        (
            CARAFE(8, 3, groups=2),
            ("8, scale=3, groups=2, kernel_size=5, compressed=64",),
        ),
        (FADE(8, lite=True), ("guide_channels=8, gated=True, lite=True",)),
        (SAPA(8), ("guide_channels=8, kernel_size=5, embedding=32",)),
        (Deconv(8, 3), ("8, scale=3",)),
        (PixelShuffle(8), ("8, scale=2",)),
    ],
)
def test_repr_tells_the_variant(module: nn.Module, parts: tuple[str, ...]) -> None:
    for part in parts:
        assert part in repr(module)
