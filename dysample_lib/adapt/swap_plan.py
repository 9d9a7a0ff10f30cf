"""Whether an upsampling module can be replaced, and what takes its place."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from .trace import Call

UPSAMPLING = (nn.Upsample, nn.ConvTranspose2d)


@dataclass(frozen=True)
class Plan:
    """An upsampler to build: for maps of ``channels`` channels, by ``scale``."""

    channels: int
    scale: int


def plan_replacement(module: nn.Module, calls: list[Call] | None) -> Plan | str:
    """Plan what replaces ``module``, or say why it stays.

    Args:
        module: one of :data:`UPSAMPLING`.
        calls: how an example input reached it, ``None`` if there was no example.
    """
    kind = nn.Upsample if isinstance(module, nn.Upsample) else nn.ConvTranspose2d
    if type(module).forward is not kind.forward:
        return f"its class has a forward of its own, {kind.__name__}'s is not used"
    if any(is_lazy(parameter) for parameter in module.parameters()):
        return "its channels are not known yet: pass an example input"
    if module._forward_hooks or module._forward_pre_hooks or module._backward_hooks:
        return "it carries hooks, which would be lost: remove them first"
    for call in calls or ():
        if call.shape is None or len(call.shape) != 4:
            return f"it is called with shape {call.shape}, not with maps (B, C, H, W)"
        if call.further:
            return "it is called with further arguments, such as output_size"
    if isinstance(module, nn.Upsample):
        return _plan_interpolation(module, calls)
    assert isinstance(module, nn.ConvTranspose2d)
    return _plan_transposed(module)


def _plan_interpolation(module: nn.Upsample, calls: list[Call] | None) -> Plan | str:
    if module.scale_factor is None:
        return f"it has a fixed output size, {module.size}, and no scale factor"
    if module.mode in ("linear", "trilinear"):
        return f"mode {module.mode!r} is not for maps (B, C, H, W)"
    factors = module.scale_factor
    height, width = factors if isinstance(factors, tuple) else (factors, factors)
    if height != width or not float(height).is_integer() or height < 2:
        return (
            f"scale factor {factors}: only integers ≥ 2, the same in height and width, "
            "can be replaced"
        )
    if calls is None:
        return "its channels are not known: pass an example input"
    if not calls:
        return "its channels are not known: the example input does not reach it"
    channels = sorted({call.shape[1] for call in calls if call.shape is not None})
    if len(channels) > 1:
        return (
            f"it is called with {' and '.join(map(str, channels))} channels: give each "
            "of these calls a module of its own"
        )
    return Plan(channels[0], int(height))


def _plan_transposed(module: nn.ConvTranspose2d) -> Plan | str:
    scale, across = module.stride
    if scale != across or scale < 2:
        return (
            f"stride {module.stride}: only integers ≥ 2, the same in height and width, "
            "can be replaced"
        )
    for axis in (0, 1):
        # H becomes (H − 1)·s + d·(k − 1) + 1 + o − 2·p.
        covered = module.dilation[axis] * (module.kernel_size[axis] - 1) + 1
        added = module.output_padding[axis] - 2 * int(module.padding[axis])
        beyond = covered + added - scale
        if beyond:
            return (
                f"its output has {beyond:+d} rows or columns beside {scale}× its "
                "input's, an upsampler's has none"
            )
    return Plan(module.out_channels, scale)


def build_replacement(
    module: nn.Module, plan: Plan, factory: Callable[[int, int], nn.Module]
) -> nn.Module:
    """Build what takes ``module``'s place, with its training mode.

    Raises:
        TypeError: if the factory returns something else than a module.
    """
    upsample = factory(plan.channels, plan.scale)
    if not isinstance(upsample, nn.Module):
        raise TypeError(
            "upsampler has to return a torch.nn.Module, got "
            f"{type(upsample).__name__} from upsampler({plan.channels}, {plan.scale})"
        )
    new = upsample
    if isinstance(module, nn.ConvTranspose2d):
        parts = [("project", mean_projection(module)), ("upsample", upsample)]
        new = nn.Sequential(OrderedDict(parts))
    return new.train(module.training)


@torch.no_grad()
def mean_projection(module: nn.ConvTranspose2d) -> nn.Conv2d:
    """The 1×1 convolution that gives a transposed convolution's mean.

    On a constant map each of the s² output values around one input value uses its own
    part of the kernel; their mean uses the kernel's sum, divided by s².
    """
    weight, groups = module.weight.detach(), module.groups
    new = nn.Conv2d(
        module.in_channels,
        module.out_channels,
        1,
        groups=groups,
        bias=module.bias is not None,
        device=weight.device,
        dtype=weight.dtype,
    )
    scale, across = module.stride
    # Transposed convolutions hold (C_in, C_out / groups), convolutions the reverse.
    mean = weight.sum((2, 3)) / (scale * across)
    by_group = mean.unflatten(0, (groups, -1)).transpose(1, 2)
    new.weight.copy_(by_group.flatten(0, 1)[..., None, None])
    new.weight.requires_grad_(module.weight.requires_grad)
    if module.bias is not None:
        assert new.bias is not None
        new.bias.copy_(module.bias.detach())
        new.bias.requires_grad_(module.bias.requires_grad)
    return new
