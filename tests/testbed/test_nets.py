"""The testbed: shapes, pairing, and what stands between encoder and result."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from upsampler_samples import OFF_LADDER

from dysample_lib.testbed.decoders import DECODERS
from dysample_lib.testbed.encoders import ENCODERS
from dysample_lib.testbed.nets import DensePredictionNet, evaluating, upsampler_inputs
from dysample_lib.train.fit import seeded
from dysample_lib.upsamplers import UPSAMPLERS


def build(seed: int = 0, **options: object) -> DensePredictionNet:
    with seeded(seed):
        return DensePredictionNet(3, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("size", [(32, 48), (33, 17), (5, 90)])
def test_logits_have_the_size_of_the_images(
    decoder: str, size: tuple[int, int]
) -> None:
    net = build(decoder=decoder).eval()
    assert net(torch.rand(2, 3, *size)).shape == (2, 3, *size)


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("decoder", DECODERS)
def test_every_encoder_fits_every_decoder(encoder: str, decoder: str) -> None:
    net = build(encoder=encoder, decoder=decoder, width=16, pretrained=False).eval()
    assert net(torch.rand(1, 3, 40, 50)).shape == (1, 3, 40, 50)


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


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.int64])
def test_integers_and_floats_give_the_same_logits(
    encoder: str, dtype: torch.dtype
) -> None:
    net = build(encoder=encoder, pretrained=False).eval()
    images = torch.randint(0, 256, (1, 3, 32, 32), dtype=dtype)
    torch.testing.assert_close(net(images), net(images.float() / 255))


@pytest.mark.parametrize(
    ("encoder", "mean", "std"),
    [
        ("small", [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]),
        ("efficientnet_lite0", [127.0] * 3, [128.0] * 3),
    ],
)
def test_images_are_normalised_as_the_encoder_was_trained(
    encoder: str, mean: list[float], std: list[float]
) -> None:
    net = build(encoder=encoder, pretrained=False)
    seen: list[Tensor] = []
    net.encoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    net(images)
    shape = (1, 3, 1, 1)
    wanted = (images - torch.tensor(mean).view(shape)) / torch.tensor(std).view(shape)
    torch.testing.assert_close(seen[0], wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"decoder": "unet"}, "decoder has to be one of .*'pointwise'.*got 'unet'"),
        ({"encoder": "vgg"}, "encoder has to be one of .*'small'.*got 'vgg'"),
        ({"upsampler": "cubic"}, "upsampler has to be one of .*got 'cubic'"),
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


def test_a_frozen_encoder_has_no_gradients_and_stays_in_evaluation_mode() -> None:
    net = build(frozen=True)
    assert net.training and net.decoder.training
    assert not any(module.training for module in net.encoder.modules())
    before = {k: v.clone() for k, v in net.encoder.state_dict().items()}
    levels = net.encode(torch.rand(2, 3, 32, 32))
    assert not any(level.requires_grad for level in levels)
    net(torch.rand(2, 3, 32, 32)).mean().backward()
    net.eval().train()
    net(torch.rand(2, 3, 32, 32)).mean().backward()
    assert not any(module.training for module in net.encoder.modules())
    assert all(p.grad is None and not p.requires_grad for p in net.encoder.parameters())
    assert all(p.grad is not None for p in net.decoder.parameters())
    # Batch norm's statistics are part of what is frozen.
    assert all(torch.equal(before[k], v) for k, v in net.encoder.state_dict().items())


def test_a_trained_encoder_has_gradients() -> None:
    net = build()
    net(torch.rand(2, 3, 32, 32)).mean().backward()
    assert all(p.grad is not None for p in net.encoder.parameters())


@pytest.mark.parametrize("fails", [False, True])
def test_evaluating_gives_every_module_its_own_mode_back(fails: bool) -> None:
    net = build(frozen=True)
    net.decoder.project.eval()  # frozen by hand
    before = {name: module.training for name, module in net.named_modules()}
    try:
        with evaluating(net):
            assert not any(module.training for module in net.modules())
            assert not torch.is_grad_enabled()
            if fails:
                raise KeyError
    except KeyError:
        assert fails
    assert torch.is_grad_enabled()
    assert {n: module.training for n, module in net.named_modules()} == before
    assert set(before.values()) == {True, False}


def test_upsampler_inputs_are_what_the_upsamplers_read() -> None:
    net = build().train()
    inputs = upsampler_inputs(net, torch.rand(2, 3, 64, 96))
    assert [x.shape for x in inputs] == [(2, 32, 4 * k, 6 * k) for k in (1, 2, 4)]
    upsample = net.decoder.upsamplers[0]
    torch.testing.assert_close(upsample(inputs[0]), inputs[1])
    assert net.training
    assert not upsample._forward_pre_hooks


def test_upsampler_inputs_leave_no_hook_behind_an_error() -> None:
    net = build().train()
    with pytest.raises(ValueError, match="images has to be"):
        upsampler_inputs(net, torch.rand(2, 1, 64, 96))
    assert net.training
    hooks: list[nn.Module] = [u for u in net.decoder.upsamplers if u._forward_pre_hooks]
    assert hooks == []


@pytest.mark.parametrize("upsampler", UPSAMPLERS)
@pytest.mark.parametrize("decoder", DECODERS)
def test_a_network_on_a_gpu_mixes_in_no_tensor_from_elsewhere(
    upsampler: str, decoder: str
) -> None:
    # Fake tensors know their device and refuse to meet others; they need no GPU.
    # In the forward pass a tensor made without a device would be on the CPU.
    with FakeTensorMode(), torch.no_grad():
        with torch.device("cuda"):
            net = DensePredictionNet(2, upsampler=upsampler, decoder=decoder)
        images = torch.empty(2, 3, 33, 48, dtype=torch.uint8, device="cuda")
        logits = net(images)
    assert (logits.device.type, logits.shape) == ("cuda", (2, 2, 33, 48))
