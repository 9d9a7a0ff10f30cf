"""Put DySample in the place of a model's own upsampling modules."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

import torch
from torch import nn

from ..upsamplers import UPSAMPLERS, build_upsampler
from .swap_plan import UPSAMPLING, Plan, build_replacement, plan_replacement
from .swap_report import Left, Replaced, SwapReport
from .trace import Trace

Factory = Callable[[int, int], nn.Module]
Predicate = Callable[[str, nn.Module], bool]
Where = str | re.Pattern[str] | Predicate


def swap_upsamplers(
    model: nn.Module,
    upsampler: str | Factory = "grouping",
    *,
    where: Where | Sequence[str | re.Pattern[str]] | None = None,
    example: Any = None,
) -> SwapReport:
    r"""Replace the upsampling modules of ``model``, in place, and say what was done.

    Replaced are ``nn.Upsample`` (and its ``UpsamplingNearest2d`` and
    ``UpsamplingBilinear2d``) with an integer scale factor s ≥ 2, and
    ``nn.ConvTranspose2d`` with stride s ≥ 2 whose output is exactly s times its input.
    Everything else stays, with the reason in the report.

    * ``nn.Upsample`` does not know its channels: they are read from a run on
      ``example``. Without one it stays.
    * ``nn.ConvTranspose2d`` mixes channels as well, so that a 1×1 convolution,
      ``project``, goes in front of the new ``upsample``: it works on the small map. Its
      weights are the old kernels' sums divided by s², its bias is the old one: on a
      constant map it gives the mean of the s² values that the old module gave. Biases
      and groups are kept.
    * A module that the model holds under several names stays one module. One that is
      called several times becomes one upsampler with one set of weights, if its calls
      agree in channels; otherwise it stays.
    * Calls of ``F.interpolate`` inside a forward are no modules and cannot be replaced
      from outside. With ``example`` the report lists those that enlarge a map.

    All other parameters and buffers keep their identity and values. The new modules
    start as interpolation, trainable, on the device and in the dtype of the parameters
    around them: hand them to your optimizer.

    Args:
        model: any module; a torchscript module has to be swapped before scripting.
        upsampler: a name of :data:`dysample_lib.upsamplers.UPSAMPLERS`, or a factory
            called as ``factory(channels, scale)``. If it refuses a module's channels or
            scale with a ``ValueError``, that module stays and the report says why.
        where: which modules: a name or shell pattern (``"decoder.*.up"``, where ``*``
            matches dots too), a compiled regular expression that the whole name has to
            match, a list of these, or a predicate ``where(name, module)``. By default
            all.
        example: an input of the model: a tuple is passed as arguments, a mapping as
            keywords, anything else as the one argument (a dict as the one argument
            goes into a tuple). The model runs on it once, in evaluation mode and
            without gradients.

    Raises:
        TypeError, ValueError: for arguments that do not fit, and if ``where`` selects
            none of the model's upsampling modules; the model is unchanged then.

    >>> model = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Upsample(scale_factor=2))
    >>> report = swap_upsamplers(model, example=torch.zeros(1, 3, 4, 4))
    >>> print(type(model[1]).__name__, report.added_parameters)
    DySample 288
    """
    label, factory = _factory(upsampler)
    if not isinstance(model, nn.Module) or isinstance(model, torch.jit.ScriptModule):
        raise TypeError(
            "model has to be a torch.nn.Module that is not scripted, got "
            f"{type(model).__name__}"
        )
    held = _upsampling_modules(model)
    selected = _select(held, where)
    trace = None if example is None else Trace().run(model, example)
    replaced, left, new = [], [], []
    for module, names in held.items():
        calls = None if trace is None else trace.calls.get(module, [])
        plan: Plan | str = "it is not selected by where"
        if module in selected:
            plan = plan_replacement(module, calls)
        if "" in names:
            plan = "it is the whole model: put it into another module first"
        if isinstance(plan, Plan):
            try:
                new.append(
                    _adapt(build_replacement(module, plan, factory), model, names[0])
                )
            except ValueError as error:
                plan = str(error)
        if isinstance(plan, str):
            left.append(Left(names, _describe(module), plan))
            continue
        replaced.append(
            Replaced(
                names=names,
                was=_describe(module),
                now=_describe(new[-1]),
                channels=plan.channels,
                scale=plan.scale,
                parameters_before=_count(module),
                parameters_after=_count(new[-1]),
                calls=None if calls is None else len(calls),
            )
        )
    # Only now, as everything that can fail is behind us.
    for entry, module in zip(replaced, new, strict=True):
        for name in entry.names:
            path, _, child = name.rpartition(".")
            setattr(model.get_submodule(path), child, module)
    resizes = None if trace is None else tuple(trace.resizes.items())
    return SwapReport(label, tuple(replaced), tuple(left), resizes)


def _factory(upsampler: object) -> tuple[str, Factory]:
    if isinstance(upsampler, str):
        if upsampler not in UPSAMPLERS:
            raise ValueError(
                f"upsampler has to be one of {', '.join(UPSAMPLERS)}, or a factory, "
                f"got {upsampler!r}"
            )
        if UPSAMPLERS[upsampler].guided:
            raise ValueError(
                "upsampler has to take one map, as what it replaces does, got "
                f"{upsampler!r}, which takes a second one"
            )
        return upsampler, partial(build_upsampler, upsampler)
    if not callable(upsampler) or isinstance(upsampler, nn.Module):
        raise TypeError(
            "upsampler has to be a name or a factory called with channels and scale, "
            f"got {type(upsampler).__name__}"
        )
    return getattr(upsampler, "__name__", repr(upsampler)), upsampler


def _upsampling_modules(model: nn.Module) -> dict[nn.Module, tuple[str, ...]]:
    """The modules in question and all their names, in the model's order."""
    held: dict[nn.Module, tuple[str, ...]] = {}
    for name, module in model.named_modules(remove_duplicate=False):
        if isinstance(module, UPSAMPLING):
            held[module] = (*held.get(module, ()), name)
    return held


def _select(
    held: dict[nn.Module, tuple[str, ...]], where: object
) -> Iterable[nn.Module]:
    """Those that ``where`` selects; every part of it has to select something."""
    if where is None:
        return held
    parts = [where]
    if isinstance(where, Sequence) and not isinstance(where, str):
        parts = list(where)
    if not parts:
        raise ValueError("where has to select something, got an empty list")
    chosen: set[nn.Module] = set()
    for part in parts:
        matches = _matcher(part)
        found = {m for m, names in held.items() if any(matches(n, m) for n in names)}
        if not found:
            names = [f"{n} ({type(m).__name__})" for m in held for n in held[m]]
            raise ValueError(
                "where has to select an nn.Upsample or nn.ConvTranspose2d, got "
                f"{part!r}; the model has {', '.join(names) or 'none'}"
            )
        chosen |= found
    return chosen


def _matcher(where: object) -> Predicate:
    if isinstance(where, str):
        return lambda name, module: fnmatchcase(name, where)
    if isinstance(where, re.Pattern):
        return lambda name, module: where.fullmatch(name) is not None
    if callable(where) and not isinstance(where, nn.Module):
        return where
    raise TypeError(
        "where has to be a name or shell pattern, a compiled regular expression, a "
        "list of these, or a predicate of name and module, got "
        f"{type(where).__name__}"
    )


def _adapt(new: nn.Module, model: nn.Module, name: str) -> nn.Module:
    """Move ``new`` to the device and dtype of the parameters around ``name``.

    The old module's own come first, then those of the module that holds it, and so on.
    """
    while True:
        for parameter in model.get_submodule(name).parameters():
            if parameter.is_floating_point():
                return new.to(parameter.device, parameter.dtype)
        if not name:
            return new
        name = name.rpartition(".")[0]


def _describe(module: nn.Module) -> str:
    if isinstance(module, nn.Sequential):
        return ", then ".join(map(_describe, module))
    return f"{type(module).__name__}({module.extra_repr()})"


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
