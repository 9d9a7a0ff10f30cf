"""The testbed: shapes, pairing, and what stands between encoder and result."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch._subclasses import FakeTensorMode
from upsampler_samples import OFF_LADDER

from dysample_lib.ops.parameters import count_parameters
from dysample_lib.testbed.encoders import SmallEncoder
from dysample_lib.testbed.nets import DECODERS, SegmentationNet, upsampler_inputs
from dysample_lib.train.fit import seeded
from dysample_lib.upsamplers import UPSAMPLERS


def build(seed: int = 0, **options: object) -> SegmentationNet:
    with seeded(seed):
        return SegmentationNet(3, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("size", [(32, 48), (33, 17), (5, 90)])
def test_logits_have_the_size_of_the_images(
    decoder: str, size: tuple[int, int]
) -> None:
    net = build(decoder=decoder).eval()
    assert net(torch.rand(2, 3, *size)).shape == (2, 3, *size)


@pytest.mark.parametrize("upsampler", UPSAMPLERS)
@pytest.mark.parametrize("decoder", DECODERS)
def test_every_upsampler_trains_in_every_decoder(upsampler: str, decoder: str) -> None:
    net = build(upsampler=upsampler, decoder=decoder)
    net(torch.rand(2, 3, 32, 32)).square().mean().backward()
    without = [
        name
        for name, p in net.named_parameters()
        if p.grad is None or not p.grad.isfinite().all()
    ]
    assert without == []


@pytest.mark.parametrize("upsampler", ["dysample_s_plus", *OFF_LADDER])
@pytest.mark.parametrize("decoder", DECODERS)
def test_networks_of_one_seed_differ_in_their_upsamplers_only(
    decoder: str, upsampler: str
) -> None:
    plain = build(1, upsampler="bilinear", decoder=decoder).state_dict()
    learned = build(1, upsampler=upsampler, decoder=decoder).state_dict()
    added = (".upsamplers.", ".guides.")
    shared = {key for key in learned if not any(part in key for part in added)}
    assert shared == set(plain)
    assert all(torch.equal(plain[key], learned[key]) for key in shared)
    other = build(2, upsampler="bilinear", decoder=decoder).state_dict()
    assert not torch.equal(
        plain["decoder.classify.weight"], other["decoder.classify.weight"]
    )


@pytest.mark.parametrize(
    ("decoder", "upsamplers"), [("pointwise", 3), ("segformer", 6), ("fpn", 3)]
)
def test_number_of_upsamplers(decoder: str, upsamplers: int) -> None:
    assert len(build(decoder=decoder).decoder.upsamplers) == upsamplers


@pytest.mark.parametrize("decoder", DECODERS)
def test_guides_are_the_encoders_maps_of_each_steps_size(decoder: str) -> None:
    net = build(upsampler="fade_ungated", decoder=decoder).eval()
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    for upsample in net.decoder.upsamplers:
        upsample.register_forward_pre_hook(lambda _, inputs: seen.append(inputs))
    images = torch.rand(2, 3, 32, 48)
    net(images)
    levels = net.encoder((images - net.mean) / net.std)
    part = {"pointwise": "guides", "segformer": "project", "fpn": "lateral"}[decoder]
    layers = getattr(net.decoder, part)
    if decoder == "pointwise":
        layers = layers[::-1]
    guides = [layer(x) for layer, x in zip(layers, levels, strict=False)]
    order = [0, 1, 0, 2, 1, 0] if decoder == "segformer" else [2, 1, 0]
    for (x, guide), level in zip(seen, order, strict=True):
        torch.testing.assert_close(guide, guides[level])
        assert guide.shape[2:] == (2 * x.shape[2], 2 * x.shape[3])


def test_only_guided_upsamplers_have_guides() -> None:
    assert len(build(upsampler="sapa").decoder.guides) == 3
    assert len(build(upsampler="carafe").decoder.guides) == 0


def test_nothing_spatial_follows_the_encoder_in_the_pointwise_decoder() -> None:
    decoder = build(decoder="pointwise").decoder
    kernels = {m.kernel_size for m in decoder.modules() if isinstance(m, nn.Conv2d)}
    assert kernels == {(1, 1)}


def test_bytes_and_floats_give_the_same_logits() -> None:
    net = build().eval()
    images = torch.randint(0, 256, (1, 3, 32, 32), dtype=torch.uint8)
    torch.testing.assert_close(net(images), net(images.float() / 255))


def test_encoder_strides_and_size() -> None:
    maps = SmallEncoder()(torch.rand(2, 3, 64, 96))
    assert [m.shape[1:] for m in maps] == [
        (24, 32, 48),
        (32, 16, 24),
        (48, 8, 12),
        (64, 4, 6),
    ]
    assert 0.1e6 < count_parameters(SmallEncoder()).total < 0.2e6


def test_resnet_encoder_has_four_levels() -> None:
    pytest.importorskip("torchvision")
    net = build(encoder="resnet18", width=16).eval()
    assert [m.shape[-1] for m in net.encoder(torch.rand(1, 3, 64, 64))] == [16, 8, 4, 2]
    assert net(torch.rand(1, 3, 40, 50)).shape == (1, 3, 40, 50)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"decoder": "unet"}, "decoder has to be one of .*'pointwise'.*got 'unet'"),
        ({"encoder": "vgg"}, "encoder has to be one of .*'small'.*got 'vgg'"),
        ({"upsampler": "cubic"}, "upsampler has to be one of nearest, .*got 'cubic'"),
        ({"width": 6}, "groups has to divide in_channels, got groups=4 .*=6"),
        ({"width": 0}, "width has to be an integer ≥ 1, got 0"),
    ],
)
def test_bad_arguments_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_images_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"images has to be \(B, 3, H, W\), got \(1, "):
        build()(torch.rand(1, 1, 32, 32))


def test_upsampler_inputs_are_what_the_upsamplers_read() -> None:
    net = build().train()
    inputs = upsampler_inputs(net, torch.rand(2, 3, 64, 96))
    assert [x.shape for x in inputs] == [(2, 32, 4 * k, 6 * k) for k in (1, 2, 4)]
    upsample = net.decoder.upsamplers[0]
    torch.testing.assert_close(upsample(inputs[0]), inputs[1])
    assert net.training
    assert not upsample._forward_pre_hooks


@pytest.mark.parametrize("upsampler", UPSAMPLERS)
@pytest.mark.parametrize("decoder", DECODERS)
def test_a_network_on_a_gpu_mixes_in_no_tensor_from_elsewhere(
    upsampler: str, decoder: str
) -> None:
    # Fake tensors know their device and refuse to meet others; they need no GPU.
    # In the forward pass a tensor made without a device would be on the CPU.
    with FakeTensorMode(), torch.no_grad():
        with torch.device("cuda"):
            net = SegmentationNet(2, upsampler=upsampler, decoder=decoder)
        images = torch.empty(2, 3, 33, 48, dtype=torch.uint8, device="cuda")
        logits = net(images)
    assert (logits.device.type, logits.shape) == ("cuda", (2, 2, 33, 48))
