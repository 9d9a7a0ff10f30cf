"""Kept features: what is trained on them is what is trained without them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from training_samples import SEGMENTATION, same_weights, toy_set, toy_spec

from dysample_lib.data import SegmentationSet, memory
from dysample_lib.tasks.base import predict_batch
from dysample_lib.testbed.nets import DensePredictionNet
from dysample_lib.train.features import KeptMaps
from dysample_lib.train.fit import fit, seeded


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    memory.forget()
    yield
    memory.forget()


def frozen_net(encoder: str = "small", **options: Any) -> DensePredictionNet:
    with seeded(0):
        net = DensePredictionNet(2, encoder=encoder, frozen=True, width=16, **options)
        if encoder == "small":
            for module in net.encoder.modules():
                if isinstance(module, nn.BatchNorm2d):
                    # Statistics of no data: any that are not the identity.
                    nn.init.normal_(module.running_mean, std=0.1)
    return net


def test_batches_are_the_images_maps_flipped_where_asked() -> None:
    net, data = frozen_net(), toy_set(20)
    maps = KeptMaps(net, data, mirrored=True)
    assert len(maps) == 20
    index = torch.tensor([3, 19, 0, 7])
    chosen = torch.tensor([True, False, False, True])
    batch = maps.batch(index, {-1: chosen})
    images, masks = data.batch(index, {-1: chosen})
    assert torch.equal(batch.targets, masks)
    assert batch.size == (32, 32)
    assert batch.data.classes == data.classes
    net.eval()
    for kept, level in zip(batch.inputs, net.encode(images), strict=True):
        assert kept.dtype == torch.float32
        torch.testing.assert_close(kept, level, rtol=2**-10, atol=1e-6)
    torch.testing.assert_close(
        predict_batch(net, batch), net(images), rtol=0.01, atol=0.01
    )


def test_training_on_them_is_training_without_them() -> None:
    data = toy_set(20), toy_set(6, "val")
    spec = toy_spec(frozen=True, flips="h", epochs=3)
    nets, results = [], []
    for keep in (True, False, None):
        nets.append(frozen_net())
        results.append(fit(SEGMENTATION, nets[-1], *data, spec, keep=keep))
    assert same_weights(nets[0], nets[2])  # they are kept by default
    for name, value in nets[0].named_parameters():
        other = dict(nets[1].named_parameters())[name]
        torch.testing.assert_close(value, other, rtol=0.02, atol=0.005)
    assert results[0].metrics == pytest.approx(results[1].metrics, abs=0.01)
    losses = [[row["loss"] for row in result.history] for result in results[:2]]
    assert losses[0] == pytest.approx(losses[1], rel=2e-3)
    assert losses[0][-1] < losses[0][0]


def test_the_pretrained_encoders_maps_lose_half_precisions_rounding() -> None:
    pytest.importorskip("timm")
    net = frozen_net(encoder="efficientnet_lite0", decoder="segformer")
    images = torch.randint(0, 256, (3, 3, 40, 64), dtype=torch.uint8)
    masks = torch.zeros(3, 40, 64, dtype=torch.uint8)
    data = SegmentationSet("noise", "train", images, masks, ("a", "b"))
    maps = KeptMaps(net, data, mirrored=True)
    index = torch.arange(3)
    batch = maps.batch(index, {-1: torch.tensor([False, True, True])})
    mixed = torch.stack([images[0], images[1].flip(-1), images[2].flip(-1)])
    net.eval()
    with torch.no_grad():
        for kept, level in zip(batch.inputs, net.encode(mixed), strict=True):
            torch.testing.assert_close(kept, level, rtol=2**-10, atol=1e-4)
        exact, mine = net(mixed), predict_batch(net, batch)
    torch.testing.assert_close(mine, exact, rtol=0, atol=0.005 * float(exact.std()))
    assert (mine.argmax(1) == exact.argmax(1)).float().mean() > 0.995


def test_maps_are_computed_once_for_one_encoder_and_one_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[int] = []
    real = DensePredictionNet.encode

    def encode(self: DensePredictionNet, images: Tensor) -> list[Tensor]:
        seen.append(len(images))
        return real(self, images)

    monkeypatch.setattr(DensePredictionNet, "encode", encode)
    data, net = toy_set(20), frozen_net()
    KeptMaps(net, data, mirrored=True)
    assert sum(seen) == 40
    KeptMaps(net, toy_set(20), mirrored=True)  # the same content
    other = frozen_net(upsampler="bilinear", decoder="fpn")
    other.encoder.load_state_dict(net.encoder.state_dict())
    KeptMaps(other, data, mirrored=True)  # the same encoder
    assert sum(seen) == 40
    KeptMaps(net, data, mirrored=False)
    assert sum(seen) == 60
    changed = data.images.clone()
    changed[4, 0, 0, 0] ^= 1
    KeptMaps(net, replace(data, images=changed), mirrored=False)
    assert sum(seen) == 80
    with torch.no_grad():
        next(net.encoder.parameters()).add_(0.1)
    KeptMaps(net, data, mirrored=False)
    assert sum(seen) == 100


def test_maps_of_a_trained_encoder_are_refused() -> None:
    with pytest.raises(ValueError, match="has to have a frozen encoder"):
        KeptMaps(DensePredictionNet(2), toy_set(4), mirrored=False)


@pytest.mark.parametrize(("mirrored", "axis"), [(True, -2), (False, -1)])
def test_flips_that_were_not_kept_are_refused(mirrored: bool, axis: int) -> None:
    maps = KeptMaps(frozen_net(), toy_set(4), mirrored=mirrored)
    index = torch.arange(4)
    with pytest.raises(ValueError, match=rf"flips has to be .*got axes \[{axis}\]"):
        maps.batch(index, {axis: torch.ones(4, dtype=torch.bool)})


def test_a_frozen_encoder_with_vertical_flips_is_trained_on_images() -> None:
    net, data = frozen_net(), (toy_set(8), toy_set(4, "val"))
    fit(SEGMENTATION, net, *data, toy_spec(frozen=True, flips="hv", epochs=1))
    assert not memory._kept
    with pytest.raises(ValueError, match="flips has to be along the axis -1"):
        spec = toy_spec(frozen=True, flips="hv", epochs=1)
        fit(SEGMENTATION, frozen_net(), *data, spec, keep=True)


@pytest.mark.parametrize("keep", [True, False])
def test_training_leaves_a_frozen_encoder_as_it_was(keep: bool) -> None:
    net, data = frozen_net(), (toy_set(8), toy_set(4, "val"))
    before = {k: v.clone() for k, v in net.encoder.state_dict().items()}
    spec = toy_spec(frozen=True, flips="h", epochs=2)
    fit(SEGMENTATION, net, *data, spec, keep=keep)
    assert all(torch.equal(before[k], v) for k, v in net.encoder.state_dict().items())
    assert not any(
        p.requires_grad or p.grad is not None for p in net.encoder.parameters()
    )


def test_the_progress_of_keeping_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    KeptMaps(frozen_net(), toy_set(20), mirrored=True, progress=True)
    shown = capsys.readouterr().err
    assert "4/4" in shown and "features" in shown
