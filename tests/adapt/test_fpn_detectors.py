"""The one-liner that puts DySample into torchvision's detectors."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torchvision.models import detection
from torchvision.ops import FeaturePyramidNetwork

from dysample_lib import DySample
from dysample_lib.adapt.fpn import (
    DySampleFPN,
    UpsamplerFPN,
    with_dysample_fpn,
    with_upsampler_fpn,
)
from dysample_lib.ops.parameters import count_parameters

# What the builder is, how many upsamplers its pyramid has, and how to keep a run small.
FEW = {"rpn_post_nms_top_n_test": 8, "box_detections_per_img": 4}
BUILDERS: dict[str, tuple[Callable[..., nn.Module], int, dict[str, int]]] = {
    "faster_rcnn": (detection.fasterrcnn_resnet50_fpn, 3, FEW),
    "mask_rcnn": (detection.maskrcnn_resnet50_fpn, 3, FEW),
    "retinanet": (detection.retinanet_resnet50_fpn, 2, {"topk_candidates": 8}),
}


@pytest.mark.parametrize("name", BUILDERS)
def test_in_torchvisions_detectors(name: str) -> None:
    build, upsamplers, few = BUILDERS[name]
    detector = build(
        weights=None,
        weights_backbone=None,
        num_classes=3,
        min_size=32,
        max_size=64,
        **few,
    ).eval()
    before = OrderedDict(detector.state_dict())  # the tensors themselves
    values = {key: value.clone() for key, value in before.items()}
    trainable = {n: p.requires_grad for n, p in detector.named_parameters()}
    images = [torch.rand(3, 32, 64), torch.rand(3, 25, 40)]
    with torch.no_grad():
        features = detector.backbone(torch.stack([images[0]] * 2))

    assert with_dysample_fpn(detector, initial="nearest") is detector
    after = detector.state_dict()
    for key, value in before.items():
        assert after[key].data_ptr() == value.data_ptr()
        assert torch.equal(after[key], values[key])
    new = after.keys() - before.keys()
    assert len(new) == 2 * upsamplers
    assert all(key.startswith("backbone.fpn.upsamplers.") for key in new)
    added = count_parameters(detector, of=DySample)
    assert added == (8192 * upsamplers, 32 * upsamplers)
    now = {n: p.requires_grad for n, p in detector.named_parameters()}
    assert now == trainable | dict.fromkeys(new, True)
    assert [key for key in now if key in trainable] == list(trainable)

    found = detector.load_state_dict(values, strict=False)
    assert found.unexpected_keys == [] and set(found.missing_keys) == new

    for part in detector.modules():
        if isinstance(part, DySample):
            nn.init.zeros_(part.offset.weight)
    with torch.no_grad():
        result = detector.backbone(torch.stack([images[0]] * 2))
        assert list(result) == list(features)
        for level, value in features.items():
            torch.testing.assert_close(result[level], value, rtol=1e-4, atol=1e-4)
        assert len(detector(images)) == 2


def test_a_detector_trains_through_its_upsamplers() -> None:
    backbone = detection.backbone_utils.resnet_fpn_backbone(
        backbone_name="resnet18", weights=None
    )
    detector = detection.FasterRCNN(backbone, num_classes=3, min_size=64, max_size=64)
    with_dysample_fpn(detector, scope="dynamic")
    target = {"boxes": torch.tensor([[5.0, 5, 40, 50]]), "labels": torch.tensor([1])}
    sum(detector([torch.rand(3, 64, 64)], [target]).values()).backward()
    for name, parameter in detector.backbone.fpn.upsamplers.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_a_pyramid_held_twice_stays_one() -> None:
    model = nn.ModuleDict({"a": FeaturePyramidNetwork([4, 6, 8], 8)})
    model["b"] = model["a"]
    with_dysample_fpn(model)
    assert isinstance(model["a"], DySampleFPN) and model["a"] is model["b"]


def test_a_refused_option_leaves_the_detector_as_it_was() -> None:
    model = nn.Sequential(FeaturePyramidNetwork([4, 6, 8], 8))
    with pytest.raises(ValueError, match="groups"):
        with_dysample_fpn(model, groups=3)
    assert type(model[0]) is FeaturePyramidNetwork


@pytest.mark.filterwarnings("ignore:.torch.jit.script:FutureWarning")
@pytest.mark.parametrize("name", ["nearest", "carafe", "sapa"])
def test_any_upsampler_goes_into_a_detector(name: str) -> None:
    backbone = detection.backbone_utils.resnet_fpn_backbone(
        backbone_name="resnet18", weights=None
    )
    detector = detection.RetinaNet(backbone, num_classes=3, min_size=64, max_size=64)
    state = detector.state_dict()
    assert with_upsampler_fpn(detector.eval(), name) is detector
    assert type(detector.backbone.fpn) is UpsamplerFPN
    found = detector.load_state_dict(state, strict=False)
    assert found.unexpected_keys == []
    assert bool(found.missing_keys) == (name != "nearest")
    with torch.no_grad():
        assert len(detector([torch.rand(3, 64, 64)])) == 1
    with pytest.raises(TypeError, match="UpsamplerFPN cannot be scripted"):
        torch.jit.script(detector)
