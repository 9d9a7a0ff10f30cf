"""The detectors: torchvision's, with upsamplers in the pyramid and nothing else new."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from task_samples import toy_objects
from torch import Tensor, nn

from dysample_lib.adapt.fpn import UpsamplerFPN
from dysample_lib.testbed.detectors import DetectionNet, SemanticBranch
from dysample_lib.train.fit import seeded
from dysample_lib.upsamplers import UPSAMPLERS

SMALL = {"encoder": "small", "width": 8}


def net(**options: object) -> DetectionNet:
    with seeded(0):
        return DetectionNet(3, **(SMALL | options))  # type: ignore[arg-type]


def targets(count: int = 2) -> tuple[Tensor, list[dict[str, Tensor]]]:
    return toy_objects(count).batch(torch.arange(count))  # type: ignore[return-value]


@pytest.mark.parametrize("upsampler", UPSAMPLERS)
def test_every_upsampler_fits_into_the_pyramid_and_the_branch(upsampler: str) -> None:
    model = net(upsampler=upsampler, masks=True, semantics=3)
    images, truth = targets()
    losses = model.losses(model.encode(images), (32, 32), truth)
    assert set(losses) == {
        "loss_objectness",
        "loss_rpn_box_reg",
        "loss_classifier",
        "loss_box_reg",
        "loss_mask",
        "loss_semantic",
    }
    torch.stack(list(losses.values())).sum().backward()
    assert len(model.upsamplers) == 3 + 6
    for upsampler_ in model.upsamplers:
        assert all(p.grad is not None for p in upsampler_.parameters())


def test_what_is_found_is_in_pixels_of_the_image_as_it_came() -> None:
    model = net(masks=True, semantics=3, enlarge=2).eval()
    for size in ((32, 32), (20, 37)):
        images = torch.rand(2, 3, *size)
        for one in model(images):
            boxes = one["boxes"]
            assert len(boxes)
            assert (boxes >= 0).all()
            assert (boxes[:, [0, 2]] <= size[1]).all()
            assert (boxes[:, [1, 3]] <= size[0]).all()
            assert boxes[:, 2].max() > size[1] / 2
            assert one["masks"].shape == (len(boxes), 1, *size)
            assert one["semantics"].shape == (3, *size)
            assert one["scores"].diff().max() <= 0


def test_boxes_and_masks_are_enlarged_with_the_image() -> None:
    model = net(enlarge=3)
    _, (first, _) = targets()
    larger = model._enlarged(first)
    assert torch.equal(larger["boxes"], 3 * first["boxes"])
    assert torch.equal(larger["masks"][:, 1::3, 1::3], first["masks"])
    assert larger["masks"].sum() == 9 * first["masks"].sum()
    assert model.encode(torch.rand(1, 3, 32, 32))[0].shape[-2:] == (48, 48)


def test_anchors_grow_with_the_levels() -> None:
    for encoder, finest in (("small", 2), ("efficientnet_lite0", 4)):
        if encoder != "small":
            pytest.importorskip("timm")
        model = net(encoder=encoder, anchor=2, pretrained=False)
        generator = model.detector.rpn.anchor_generator
        assert generator.sizes == tuple((2 * finest * 2**k,) for k in range(4))


@pytest.mark.parametrize("width", [8, 64])
def test_the_proposals_head_answers_whatever_the_width(width: int) -> None:
    head = net(width=width).detector.rpn.head
    with seeded(1):
        answer = head.conv(torch.randn(1, width, 16, 16))
    assert 0.6 < answer.std() < 1.2  # of relu(N(0, √2)): 0.83


def test_with_nearest_it_is_torchvisions_pyramid() -> None:
    model = net(upsampler="nearest").eval()
    pyramid = model.detector.backbone
    assert isinstance(pyramid, UpsamplerFPN)
    levels = model.encode(torch.rand(1, 3, 32, 32))
    named = {str(k): level for k, level in enumerate(levels)}
    from torchvision.ops import FeaturePyramidNetwork

    channels = list(model.encoder.channels)
    plain = FeaturePyramidNetwork(channels, 8, norm_layer=nn.BatchNorm2d).eval()
    plain.load_state_dict(pyramid.state_dict())
    for one, other in zip(pyramid(named).values(), plain(named).values(), strict=True):
        torch.testing.assert_close(one, other)


def test_the_semantic_loss_is_of_stuff_and_all_things_together() -> None:
    model = net(semantics=3)
    images, truth = targets(4)
    levels = model.encode(images)
    pyramid = model._pyramid(levels)
    logits = model._semantics(model.semantic, pyramid, (32, 32))  # type: ignore[arg-type]
    labels = torch.stack([t["semantics"] for t in truth]).long()
    assert set(labels.unique().tolist()) == {0, 1, 2, 3, 255}
    known = labels != 255
    chosen = logits.log_softmax(1).gather(1, labels.clamp(max=2)[:, None])[:, 0]
    losses = model.losses(levels, (32, 32), truth)
    torch.testing.assert_close(losses["loss_semantic"], -chosen[known].mean() / 2)
    other = [dict(t) for t in truth]
    for t in other:
        t["semantics"] = t["semantics"].masked_fill(t["semantics"] == 255, 77)
    again = model.losses(levels, (32, 32), other, ignored=77)
    torch.testing.assert_close(again["loss_semantic"], losses["loss_semantic"])
    unknown = [t | {"semantics": torch.full_like(t["semantics"], 255)} for t in truth]
    assert model.losses(levels, (32, 32), unknown)["loss_semantic"] == 0


def test_the_branch_brings_every_level_to_the_finest() -> None:
    branch = SemanticBranch(4, 4, 3)
    branch.add(lambda: nn.Upsample(scale_factor=2), guided=False)
    pyramid = [torch.rand(1, 4, 16 // 2**k, 16 // 2**k) for k in range(4)]
    assert branch(pyramid).shape == (1, 3, 16, 16)
    for k in range(4):  # each of them matters
        changed = [p + (k == i) for i, p in enumerate(pyramid)]
        assert not torch.allclose(branch.eval()(changed), branch(pyramid))


def test_an_image_without_objects_is_learned_from() -> None:
    data = toy_objects(2)
    nothing = replace(
        data,
        instances=torch.zeros_like(data.instances),
        labels=[torch.zeros(0, dtype=torch.int64)] * 2,
        counted=[torch.zeros(0, dtype=torch.bool)] * 2,
    )
    images, truth = nothing.batch(torch.arange(2))
    model = net(masks=True, enlarge=2)
    losses = model.losses(model.encode(images), (32, 32), truth)
    assert all(value.isfinite() for value in losses.values())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, "width has to be"),
        ({"anchor": 0}, "anchor has to be"),
        ({"enlarge": 0}, "enlarge has to be"),
        ({"encoder": "vgg"}, "encoder has to be one of .*got 'vgg'"),
        ({"upsampler": "mine"}, "has to be one of .*got 'mine'"),
        ({"options": {"groups": 3}}, "groups has to"),
    ],
)
def test_bad_arguments_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        net(**options)
