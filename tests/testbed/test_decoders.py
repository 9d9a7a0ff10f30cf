"""Decoders: how many upsamplers they take, and what these are given."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from dysample_lib.testbed.decoders import DECODERS
from dysample_lib.testbed.nets import DensePredictionNet
from dysample_lib.train.fit import seeded


def build(**options: object) -> DensePredictionNet:
    with seeded(0):
        return DensePredictionNet(3, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("decoder", "upsamplers"), [("pointwise", 3), ("segformer", 6), ("fpn", 3)]
)
def test_number_of_upsamplers(decoder: str, upsamplers: int) -> None:
    assert len(build(decoder=decoder).decoder.upsamplers) == upsamplers


@pytest.mark.parametrize("decoder", DECODERS)
def test_predictions_are_as_large_as_the_finest_map(decoder: str) -> None:
    net = DECODERS[decoder]((8, 16, 24, 32), 5, "bilinear", 16)
    levels = [
        torch.rand(2, c, 2 * s, 3 * s)
        for c, s in zip((8, 16, 24, 32), (8, 4, 2, 1), strict=True)
    ]
    assert net(levels).shape == (2, 5, 16, 24)


@pytest.mark.parametrize("decoder", DECODERS)
def test_guides_are_the_encoders_maps_of_each_steps_size(decoder: str) -> None:
    net = build(upsampler="fade_ungated", decoder=decoder).eval()
    seen: list[tuple[Tensor, Tensor]] = []

    def note(
        _: nn.Module, inputs: tuple[Tensor, ...], named: dict[str, Tensor]
    ) -> None:
        seen.append((inputs[0], named["guide"]))

    for upsample in net.decoder.upsamplers:
        upsample.register_forward_pre_hook(note, with_kwargs=True)
    images = torch.rand(2, 3, 32, 48)
    net(images)
    levels = net.encode(images)
    part = {"pointwise": "guides", "segformer": "project", "fpn": "lateral"}[decoder]
    layers = getattr(net.decoder, part)
    if decoder == "pointwise":
        layers = layers[::-1]
    guides = [layer(x) for layer, x in zip(layers, levels, strict=False)]
    order = [0, 1, 0, 2, 1, 0] if decoder == "segformer" else [2, 1, 0]
    sizes = {guide.shape[2]: guide for guide in guides}
    assert len(seen) == len(order)
    for x, guide in seen:
        torch.testing.assert_close(guide, sizes[2 * x.shape[2]])
        assert guide.shape[2:] == (2 * x.shape[2], 2 * x.shape[3])
    taken = sorted(x.shape[2] for x, _ in seen)
    assert taken == sorted(guides[level].shape[2] // 2 for level in order)


def test_only_guided_upsamplers_have_guides() -> None:
    assert len(build(upsampler="sapa").decoder.guides) == 3
    assert len(build(upsampler="carafe").decoder.guides) == 0


def test_nothing_spatial_follows_the_encoder_in_the_pointwise_decoder() -> None:
    decoder = build(decoder="pointwise").decoder
    kernels = {m.kernel_size for m in decoder.modules() if isinstance(m, nn.Conv2d)}
    assert kernels == {(1, 1)}


@pytest.mark.parametrize("decoder", DECODERS)
def test_options_reach_every_upsampler(decoder: str) -> None:
    net = build(decoder=decoder, upsampler="grouping", options={"groups": 2})
    assert {upsampler.groups for upsampler in net.decoder.upsamplers} == {2}
