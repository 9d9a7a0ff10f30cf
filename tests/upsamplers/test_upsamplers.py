"""What every upsampler of the registry has to do: a new line there is tested here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from upsampler_samples import (
    BY_KERNELS,
    GUIDED,
    NAMES,
    OFF_LADDER,
    channels_for,
    inputs,
)

from dysample_lib import LADDER, build_upsampler
from dysample_lib.upsamplers import CONTROLS, RIVALS, UPSAMPLERS, Upsampler

Scatter = Callable[..., Any]

KEEPS_CONSTANTS = (*LADDER, *BY_KERNELS)


def test_the_registry_holds_the_ladder_and_the_rivals() -> None:
    assert {*LADDER, *RIVALS} <= set(NAMES)
    assert not set(LADDER) & set(RIVALS)
    assert len({entry.label for entry in UPSAMPLERS.values()}) == len(NAMES)
    assert set(GUIDED) | set(BY_KERNELS) <= set(OFF_LADDER)
    assert set(CONTROLS) <= set(NAMES)
    assert not set(CONTROLS) & {*LADDER, *RIVALS}


@pytest.mark.parametrize("name", NAMES)
def test_all_are_of_one_class_with_one_forward(name: str) -> None:
    module = build_upsampler(name, 16)
    assert isinstance(module, Upsampler)
    assert type(module).forward is Upsampler.forward
    assert module.guided == UPSAMPLERS[name].guided == (name in GUIDED)


@pytest.mark.parametrize("batch", [0, 1, 2])
@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize("name", NAMES)
def test_sizes(name: str, scale: int, batch: int) -> None:
    channels = channels_for(scale)
    module = build_upsampler(name, channels, scale)
    for height, width in ((5, 7), (1, 1), (4, 9)):
        x = torch.randn(batch, channels, height, width, requires_grad=True)
        y = module(**inputs(name, x, scale))
        assert y.shape == (batch, channels, scale * height, scale * width)
        assert y.dtype == x.dtype
        y.sum().backward()
        assert x.grad is not None
        assert x.grad.isfinite().all()


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(GUIDED)))
def test_output_size(name: str) -> None:
    module = build_upsampler(name, 16)
    x = torch.randn(1, 16, 5, 4)
    cut = module(x, output_size=(9, 8))
    assert torch.equal(cut, module(x)[:, :, :9])
    with pytest.raises(ValueError, match=r"output_size has to be .* got \(12, 8\)"):
        module(x, output_size=(12, 8))


@pytest.mark.parametrize("name", NAMES)
def test_images_of_a_batch_do_not_mix(scatter: Scatter, name: str) -> None:
    module = scatter(build_upsampler(name, 16).double(), std=0.3)
    maps = inputs(name, torch.randn(3, 16, 5, 6, dtype=torch.float64))
    alone = torch.cat(
        [module(**{k: m[b : b + 1] for k, m in maps.items()}) for b in range(3)]
    )
    torch.testing.assert_close(module(**maps), alone)


@pytest.mark.parametrize("name", OFF_LADDER)
def test_gradients(scatter: Scatter, name: str) -> None:
    module = scatter(build_upsampler(name, 8).double(), std=0.3)
    maps = inputs(name, torch.randn(2, 8, 3, 2, dtype=torch.float64))
    arguments = [*maps.values(), *module.parameters()]

    def call(*arguments: Tensor) -> Tensor:
        names = [name for name, _ in module.named_parameters()]
        parameters = dict(zip(names, arguments[len(maps) :], strict=True))
        given = dict(zip(maps, arguments, strict=False))
        return torch.func.functional_call(module, parameters, (), given)

    for m in maps.values():
        m.requires_grad_()
    assert torch.autograd.gradcheck(call, arguments, fast_mode=True)


@pytest.mark.parametrize("scale", [2, 3])
@pytest.mark.parametrize("name", BY_KERNELS)
def test_kernels_sum_to_one(scatter: Scatter, name: str, scale: int) -> None:
    module = scatter(build_upsampler(name, 8, scale), std=0.3)
    kernels = module.kernels(**inputs(name, torch.randn(2, 8, 3, 5), scale))
    assert kernels.shape == (2, 25, 3 * scale, 5 * scale)
    assert kernels.min() >= 0
    assert kernels.std() > 0.01
    torch.testing.assert_close(kernels.sum(1), torch.ones(2, 3 * scale, 5 * scale))


@pytest.mark.parametrize("scale", [2, 3])
@pytest.mark.parametrize("name", KEEPS_CONSTANTS)
def test_a_constant_map_stays_constant(scatter: Scatter, name: str, scale: int) -> None:
    """Where no kernel reaches the zeros outside; a gate lets a constant guide pass."""
    channels = channels_for(scale)
    module = scatter(build_upsampler(name, channels, scale), std=0.1)
    x = torch.linspace(-2, 2, channels).view(1, -1, 1, 1).expand(1, -1, 6, 7)
    maps = inputs(name, x, scale)
    if getattr(module, "gated", False):
        maps["guide"] = x[..., :1, :1].expand_as(maps["guide"])
    y = module(**maps)
    if name in BY_KERNELS:
        border = 2 * scale
        y = y[..., border:-border, border:-border]
    assert y.numel() > 0
    torch.testing.assert_close(y, x[..., :1, :1].expand_as(y))


@pytest.mark.parametrize("name", NAMES)
def test_memory_formats(scatter: Scatter, name: str) -> None:
    module = scatter(build_upsampler(name, 16), std=0.1)
    maps = inputs(name, torch.randn(2, 16, 5, 6))
    y = module(**maps)
    for view in (
        lambda m: m.contiguous(memory_format=torch.channels_last),
        lambda m: m.mT.contiguous().mT,
    ):
        viewed = module(**{k: view(m) for k, m in maps.items()})
        torch.testing.assert_close(viewed, y, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", NAMES)
def test_half_precision(name: str, dtype: torch.dtype) -> None:
    module = build_upsampler(name, 16).to(dtype)
    maps = inputs(name, torch.randn(2, 16, 5, 6).to(dtype))
    y = module(**maps)
    assert y.dtype == dtype
    exact = module.double()(**{k: m.double() for k, m in maps.items()})
    error = (y.double() - exact).abs().max() / exact.abs().max()
    assert error <= 4 * torch.finfo(dtype).eps


@pytest.mark.parametrize("name", NAMES)
def test_autocast(name: str) -> None:
    module = build_upsampler(name, 16)
    maps = inputs(name, torch.randn(2, 16, 5, 6, requires_grad=True))
    y = module(**maps)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = module(**maps)
        assert mixed.dtype == torch.float32
        halves = module(**{k: m.bfloat16() for k, m in maps.items()})
        assert halves.dtype == torch.bfloat16
    mixed.sum().backward()
    scale = y.abs().max().item()
    torch.testing.assert_close(mixed, y, rtol=0, atol=0.02 * scale)
    torch.testing.assert_close(halves.float(), y, rtol=0, atol=0.02 * scale)


@pytest.mark.parametrize("name", NAMES)
def test_models_initialised_module_by_module(name: str) -> None:
    """FSDP's recipe, and that of models on the meta device: owners, then layers."""
    fresh = dict(build_upsampler(name, 64).named_parameters())
    with torch.device("meta"):
        module = build_upsampler(name, 64)
    module.to_empty(device="cpu")
    for parameter in module.parameters():
        nn.init.constant_(parameter, 7.0)
    for part in module.modules():
        if hasattr(part, "reset_parameters"):
            part.reset_parameters()
    assert [n for n, _ in module.named_parameters()] == list(fresh)
    for key, parameter in module.named_parameters():
        if fresh[key].numel() < 2 or not fresh[key].std():
            assert torch.equal(parameter, fresh[key]), key
        else:
            assert 0.7 < parameter.std() / fresh[key].std() < 1.4, key
            assert not torch.equal(parameter, fresh[key])


@pytest.mark.parametrize("name", ["dysample_s_plus", "carafe", "fade", "sapa"])
def test_the_remedy_after_a_loop_over_all_layers(name: str) -> None:
    module = build_upsampler(name, 64)
    state = {key: value.clone() for key, value in module.state_dict().items()}
    for part in module.modules():
        if isinstance(part, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(part.weight)
    for key, value in module.state_dict().items():
        if key == "offset.weight":
            assert value.std() > 100 * state[key].std()
    module.reset_parameters()
    for key, value in module.state_dict().items():
        expected = state[key].std(correction=0).item()
        assert abs(value.std(correction=0).item() - expected) <= 0.3 * expected, key


def test_seeds_draw_what_they_drew() -> None:
    """Recorded runs start there: torch's own initialisation first, then this one."""
    torch.manual_seed(0)
    ours = build_upsampler("carafe", 16)
    torch.manual_seed(0)
    compress, encode = nn.Conv2d(16, 64, 1), nn.Conv2d(64, 100, 3, padding=1)
    nn.init.xavier_uniform_(compress.weight)
    nn.init.normal_(encode.weight, std=0.001)
    assert torch.equal(ours.compress.weight, compress.weight)
    assert torch.equal(ours.encode.weight, encode.weight)


@pytest.mark.parametrize("name", NAMES)
def test_bad_maps_are_named(name: str) -> None:
    module = build_upsampler(name, 16)
    maps = inputs(name, torch.randn(1, 16, 3, 4))
    for x, error, message in (
        (torch.randn(1, 8, 3, 4), ValueError, "x has to have 16 channels, got 8"),
        (torch.randn(16, 3, 4), ValueError, "x has to have 4 dimensions"),
        (torch.randn(1, 16, 0, 4), ValueError, "x has to have height and width ≥ 1"),
        (torch.ones(1, 16, 3, 4).long(), TypeError, "x has to be floating point"),
    ):
        with pytest.raises(error, match=message):
            module(**{**maps, "x": x})
    for options in ((0, 2), (16, 0)):
        with pytest.raises(ValueError, match=r"(in_channels|scale) has to be .* got 0"):
            build_upsampler(name, *options)


@pytest.mark.parametrize("name", GUIDED)
def test_bad_guides_are_named(name: str) -> None:
    module = build_upsampler(name, 16)
    x = torch.randn(1, 16, 3, 4)
    wanted = r"\(1, 16, 6, 8\)"
    missing = rf"guide is missing: .* \(1, 16, 3, 4\) by .* feature of {wanted}"
    with pytest.raises(TypeError, match=missing):
        module(x)
    with pytest.raises(TypeError, match="guide has to be a tensor, got tuple"):
        module(x, guide=(6, 8))
    for shape in ((1, 16, 3, 4), (1, 16, 6, 9), (1, 8, 6, 8), (2, 16, 6, 8)):
        got = str(shape).replace("(", r"\(").replace(")", r"\)")
        with pytest.raises(ValueError, match=rf"guide has to be .* {wanted}.*{got}"):
            module(x, guide=torch.randn(shape))
