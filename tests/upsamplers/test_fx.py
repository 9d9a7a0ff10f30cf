"""Graphs by ``torch.fx.symbolic_trace``: one for all sizes, and it checks its maps."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.feature_extraction import create_feature_extractor
from upsampler_samples import NAMES, channels_for, inputs

from dysample_lib import DySample, build_upsampler

SIZES = ((8, 10), (5, 7), (1, 1), (3, 300))


def agree(graph: nn.Module, module: nn.Module, name: str, **options: Any) -> None:
    """In every bit, in value and gradient."""
    for size in SIZES:
        x = torch.randn(2, module.in_channels, *size).requires_grad_()
        maps = inputs(name, x, module.scale)
        results = []
        for net in (graph, module):
            y = net(**maps, **options)
            found = dict(net.named_parameters())  # a graph's are in another order
            parameters = [found[key] for key, _ in module.named_parameters()]
            slopes = torch.autograd.grad(y.square().sum(), (x, *parameters))
            results.append((y, *slopes))
        for mine, theirs in zip(*results, strict=True):
            assert torch.equal(mine, theirs)


@pytest.mark.parametrize("name", NAMES)
def test_a_graph_of_each(name: str, scatter: Callable[..., Any]) -> None:
    module = scatter(build_upsampler(name, 16), std=0.2)
    graph = torch.fx.symbolic_trace(module)
    agree(graph, module, name)
    agree(copy.deepcopy(torch.fx.symbolic_trace(graph)), module, name)


@pytest.mark.parametrize(
    "options",
    [
        {"scale": 3, "style": "pl"},
        {"limit": "tanh", "scope": "dynamic", "scope_bias": True},
        {"deterministic": True, "style": "pl", "scope": "dynamic"},
        {"initial": "nearest", "groups": 1},
    ],
)
def test_all_options(options: dict[str, Any], scatter: Callable[..., Any]) -> None:
    channels = channels_for(options.get("scale", 2))
    module = scatter(DySample(channels, **options), std=0.2)
    agree(torch.fx.symbolic_trace(module), module, "grouping")


def test_the_graph_keeps_checks_and_output_sizes() -> None:
    module = DySample(16)
    graph = torch.fx.symbolic_trace(module)
    with pytest.raises(ValueError, match="x has to have 16 channels, got 8"):
        graph(torch.randn(1, 8, 3, 4))
    x = torch.randn(1, 16, 3, 4)
    for size in ((5, 7), (6, 9)):
        assert torch.equal(graph(x, output_size=size), module(x, output_size=size))
    with pytest.raises(ValueError, match="output_size has to be"):
        graph(x, output_size=(9, 9))
    with pytest.raises(TypeError, match="guide is missing"):
        torch.fx.symbolic_trace(build_upsampler("sapa", 16))(x)


class Head(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.coarse = nn.Conv2d(3, 16, 3, 2, 1)
        self.fine = nn.Conv2d(3, 16, 1)
        self.up = build_upsampler("dysample_s_plus", 16)
        self.guided = build_upsampler("fade", 16)

    def forward(self, x: Tensor) -> Tensor:
        coarse, fine = self.coarse(x), self.fine(x)
        y = self.up(coarse, output_size=fine.shape[-2:])
        return y + self.guided(coarse, guide=fine)


def test_features_of_a_model_that_holds_one() -> None:
    model = Head().eval()
    extractor = create_feature_extractor(model, ["coarse", "up", "add"])
    for size in ((16, 12), (10, 8)):
        x = torch.randn(2, 3, *size)
        found = extractor(x)
        assert torch.equal(found["add"], model(x))
        expected = model.up(found["coarse"], output_size=size)
        assert torch.equal(found["up"], expected)
