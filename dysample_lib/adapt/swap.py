"""Put DySample in the place of a model's own upsampling modules."""

from __future__ import annotations

import fnmatch
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules import module as hooks
from torch.overrides import TorchFunctionMode

from ..ops.parameters import count_parameters
from ..upsamplers import UPSAMPLERS, Bilinear, Nearest, build_upsampler

Factory = Callable[[int, int], nn.Module]
Where = str | Callable[[str, nn.Module], bool]

REPLACEABLE = (nn.Upsample, nn.ConvTranspose2d)
# What these hold by themselves; anything else was put on a module by somebody.
PLAIN = vars(nn.Upsample()).keys() | vars(nn.ConvTranspose2d(1, 1, 1)).keys()


@dataclass(frozen=True)
class SwapReport:
    """What :func:`swap_upsamplers` did to a model; print it.

    Attributes:
        upsampler: what was put in: a registry name, or the factory's name.
        replaced: name of each module that was replaced → what became what.
        left: name of each upsampling module that stays → what it is, and why.
        added_parameters: by how many the model has grown; negative if it shrank.
        resizes: the calls of ``F.interpolate`` outside these modules that enlarged a
            map → how often each was made; ``None`` without an example input.
    """

    upsampler: str
    replaced: Mapping[str, str]
    left: Mapping[str, str]
    added_parameters: int
    resizes: Mapping[str, int] | None

    def __str__(self) -> str:
        lines = [
            f"Replaced {len(self.replaced)} of {len(self.replaced) + len(self.left)} "
            f"upsampling modules by {self.upsampler}, {self.added_parameters:+,} "
            "parameters."
        ]
        lines += [f"  {name}: {text}" for name, text in self.replaced.items()]
        lines += ["Left:"] * bool(self.left)
        lines += [f"  {name or '(model)'}: {text}" for name, text in self.left.items()]
        if self.resizes is None:
            lines += ["Calls of F.interpolate stay; with an example they are listed."]
        elif self.resizes:
            lines += ["Calls of F.interpolate stay; to replace one, edit its forward:"]
            for call, times in self.resizes.items():
                lines += [f"  {call}" + f", {times} times" * (times > 1)]
        else:
            lines += ["No F.interpolate call besides enlarged a map of the example."]
        return "\n".join(lines)


class Projected(nn.Sequential):
    """What replaces a transposed convolution: ``project`` 1×1, then ``upsample``."""

    project: nn.Conv2d
    upsample: nn.Module

    def forward(self, x: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """Upsample ``x``; ``output_size`` ends in (H, W), as for the convolution."""
        x = self.project(x)
        if output_size is None:
            return self.upsample(x)
        return self.upsample(x, output_size=tuple(output_size[-2:]))


def swap_upsamplers(
    model: nn.Module,
    upsampler: str | Factory = "grouping",
    *,
    where: Where | Sequence[Where] | None = None,
    example: Any = None,
) -> SwapReport:
    r"""Replace the upsampling modules of ``model``, in place, and say what was done.

    Replaced are ``nn.Upsample`` with an integer scale factor s of at least 2, and
    ``nn.ConvTranspose2d`` with stride s whose output is exactly s times its input.
    Everything else stays, with the reason in the report.

    * ``nn.Upsample`` does not know its channels: they are read from a run on
      ``example``. Without one it stays.
    * ``nn.ConvTranspose2d`` mixes channels as well: a 1×1 convolution does that in
      front of the upsampler. Its weights are the old kernels' sums divided by s², its
      bias is the old one, so that on a constant map it gives the mean of the s² values
      that the old module gave.
    * A module that the model holds or calls several times becomes one module with one
      set of weights, if its calls agree in channels; otherwise it stays.
    * Calls of ``F.interpolate`` inside a forward are no modules and cannot be replaced
      from outside. With ``example`` the report lists those that enlarge a map.

    All other parameters and buffers keep their identity and values. The new modules
    start as interpolation, trainable, on the device and in the dtype of the parameters
    around them: hand them to your optimizer. What a framework has put on an old module
    (YOLO's ``i`` and ``f``) is on the new one.

    Args:
        model: any module; a torchscript module has to be swapped before scripting.
        upsampler: a name of :data:`dysample_lib.upsamplers.UPSAMPLERS`, or a factory
            called as ``factory(channels, scale)``. If it refuses a module's channels or
            scale with a ``ValueError``, that module stays and the report says why.
        where: which modules: a name or shell pattern (``"decoder.*.up"``, where ``*``
            matches dots too), a predicate ``where(name, module)``, or a list of these.
            By default all.
        example: an input of the model: a tuple is passed as arguments, a mapping as
            keywords, anything else as the one argument. The model runs on it once, in
            evaluation mode and without gradients.

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
    every = model.named_modules(remove_duplicate=False)
    held = {name: module for name, module in every if isinstance(module, REPLACEABLE)}
    selected = _select(held, where)
    watch = None if example is None else _Watch(model, example)
    new: dict[nn.Module, nn.Module] = {}
    replaced, left, growth = {}, {}, 0
    for name, module in held.items():
        was = _describe(module)
        try:
            if module not in selected:
                raise ValueError("it is not selected by where")
            if not name:
                raise ValueError("it is the whole model: put it into another module")
            if module in new:
                replaced[name] = f"{was} -> the same new module as before"
                continue
            new[module] = _adapt(_replacement(module, watch, factory), model, name)
        except ValueError as reason:
            left[name] = f"{was}: {reason}"
            continue
        added = count_parameters(new[module]).total - count_parameters(module).total
        replaced[name] = f"{was} -> {_describe(new[module])}, {added:+,} parameters"
        growth += added
    # Only now, as everything that can fail is behind us.
    for name in replaced:
        path, _, child = name.rpartition(".")
        setattr(model.get_submodule(path), child, new[held[name]])
    resizes = None if watch is None else watch.resizes
    return SwapReport(label, replaced, left, growth, resizes)


def _factory(upsampler: object) -> tuple[str, Factory]:
    choices = [name for name, entry in UPSAMPLERS.items() if not entry.guided]
    if isinstance(upsampler, str):
        if upsampler not in choices:
            raise ValueError(
                f"upsampler has to be one of {', '.join(choices)}, which take one map, "
                f"or a factory, got {upsampler!r}"
            )
        return upsampler, partial(build_upsampler, upsampler)
    if not callable(upsampler) or isinstance(upsampler, nn.Module):
        raise TypeError(
            "upsampler has to be a name or a factory called with channels and scale, "
            f"got {type(upsampler).__name__}"
        )
    return getattr(upsampler, "__name__", repr(upsampler)), upsampler


def _select(held: Mapping[str, nn.Module], where: Any) -> set[nn.Module]:
    """Those that ``where`` selects; every part of it has to select something."""
    selected: set[nn.Module] = set()
    parts = ["*"] if where is None else where
    for part in parts if isinstance(parts, (list, tuple)) and parts else [parts]:
        if isinstance(part, str):
            names = fnmatch.filter(held, part)
        elif callable(part):
            names = [name for name, module in held.items() if part(name, module)]
        else:
            raise TypeError(
                "where has to be a name or shell pattern, a predicate of name and "
                f"module, or a list of these, got {part!r}"
            )
        if not names and where is not None:
            have = ", ".join(f"{name} ({type(m).__name__})" for name, m in held.items())
            raise ValueError(
                "where has to select an nn.Upsample or nn.ConvTranspose2d, got "
                f"{part!r}; the model has {have or 'none'}"
            )
        selected |= {held[name] for name in names}
    return selected


class _Watch(TorchFunctionMode):
    """One run of a model: its upsamplers' channels, and its resizing calls.

    It runs without gradients and in evaluation mode, to leave no mark.
    """

    def __init__(self, model: nn.Module, example: Any) -> None:
        super().__init__()
        self.channels: dict[nn.Module, set[int]] = defaultdict(set)
        self.resizes: Counter[str] = Counter()
        self._names = {module: name for name, module in model.named_modules()}
        self._running = [model]
        named = example if isinstance(example, Mapping) else {}
        given = example if isinstance(example, tuple) else (example,) * (not named)
        modes = [(module, module.training) for module in model.modules()]
        enter = hooks.register_module_forward_pre_hook(
            lambda module, _: self._running.append(module)
        )
        leave = hooks.register_module_forward_hook(
            lambda *_: self._running.__delitem__(-1), always_call=True
        )
        try:
            with torch.no_grad(), self:
                model.eval()(*given, **named)
        except Exception as error:
            raise ValueError(
                "example has to be an input that the model runs on, got "
                f"{type(error).__name__}: {error}"
            ) from error
        finally:
            enter.remove()
            leave.remove()
            for module, training in modes:
                module.training = training

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Let every call pass; note those of ``F.interpolate`` on maps."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if func is F.interpolate and result.dim() == 4:
            (_, channels, h, w) = (args[0] if args else kwargs["input"]).shape
            mode = args[3] if len(args) > 3 else kwargs.get("mode", "nearest")
            height, width = result.shape[2:]
            module = self._running[-1]
            if isinstance(module, nn.Upsample):
                self.channels[module].add(channels)
            elif height * width > h * w and not isinstance(module, (Nearest, Bilinear)):
                name = self._names.get(module) or "(model)"
                self.resizes[f"{name}: {h}x{w} -> {height}x{width}, {mode}"] += 1
        return result


def _replacement(
    module: nn.Upsample | nn.ConvTranspose2d, watch: _Watch | None, factory: Factory
) -> nn.Module:
    """What takes the place of ``module``; a ``ValueError`` says why nothing can."""
    kind = nn.Upsample if isinstance(module, nn.Upsample) else nn.ConvTranspose2d
    if type(module).forward is not kind.forward:
        raise ValueError(f"its class has a forward of its own, not {kind.__name__}'s")
    if module._forward_hooks or module._forward_pre_hooks or module._backward_hooks:
        raise ValueError("it carries hooks (a lazy module does), which would be lost")
    if isinstance(module, nn.Upsample):
        scale, channels = _scale(module.scale_factor), _channels(module, watch)
    else:
        scale, channels = _scale(module.stride), module.out_channels
        _check_size(module, scale)
    new = factory(channels, scale)
    if not isinstance(new, nn.Module):
        raise TypeError(
            "upsampler has to return a torch.nn.Module, got "
            f"{type(new).__name__} from upsampler({channels}, {scale})"
        )
    if isinstance(module, nn.ConvTranspose2d):
        parts = {"project": _projection(module, scale), "upsample": new}
        new = Projected(OrderedDict(parts))
    for name in vars(module).keys() - PLAIN:
        setattr(new, name, getattr(module, name))
    return new.train(module.training)


def _scale(factors: Any) -> int:
    """The one integer that ``factors``, a number or a pair of them, is."""
    scales = set(factors) if isinstance(factors, tuple) else {factors}
    scale = scales.pop()
    if scales or scale is None or scale < 2 or scale != int(scale):
        raise ValueError(
            f"it scales by {factors}: only one integer of at least 2 can be replaced"
        )
    return int(scale)


def _channels(module: nn.Upsample, watch: _Watch | None) -> int:
    if watch is None:
        raise ValueError("its channels are not known: pass an example input")
    found = sorted(watch.channels[module])
    if not found:
        raise ValueError("the example input does not reach it with a map (B, C, H, W)")
    if len(found) > 1:
        raise ValueError(
            f"it is called with {' and '.join(map(str, found))} channels: give each of "
            "these calls a module of its own"
        )
    return found[0]


def _check_size(module: nn.ConvTranspose2d, scale: int) -> None:
    for axis in (0, 1):
        # H becomes (H - 1)·s + d·(k - 1) + 1 + o - 2·p.
        covered = module.dilation[axis] * (module.kernel_size[axis] - 1) + 1
        added = module.output_padding[axis] - 2 * int(module.padding[axis])
        if beyond := covered + added - scale:
            raise ValueError(
                f"its output has {beyond:+d} rows or columns beside {scale} times its "
                "input's, an upsampler's has none"
            )


def _projection(module: nn.ConvTranspose2d, scale: int) -> nn.Conv2d:
    """The 1×1 convolution that gives a transposed convolution's mean.

    On a constant map each of the s² output values around one input value uses its own
    part of the kernel; their mean uses the kernel's sum, divided by s².
    """
    inputs, outputs, groups = module.in_channels, module.out_channels, module.groups
    new = nn.Conv2d(inputs, outputs, 1, groups=groups, bias=module.bias is not None)
    # Transposed convolutions hold (C_in, C_out / groups), convolutions the reverse.
    mean = module.weight.detach().sum((2, 3), keepdim=True) / scale**2
    mean = mean.unflatten(0, (groups, -1)).transpose(1, 2).flatten(0, 1)
    new.weight = nn.Parameter(mean, module.weight.requires_grad)
    if module.bias is not None:
        bias = module.bias.detach().clone()
        new.bias = nn.Parameter(bias, module.bias.requires_grad)
    return new


def _adapt(new: nn.Module, model: nn.Module, name: str) -> nn.Module:
    """Move ``new`` to the device and dtype of the parameters around ``name``."""
    for place in [name.rsplit(".", n)[0] for n in range(name.count(".") + 1)] + [""]:
        for parameter in model.get_submodule(place).parameters():
            if parameter.is_floating_point():
                return new.to(parameter.device, parameter.dtype)
    return new


def _describe(module: nn.Module) -> str:
    if isinstance(module, Projected):
        return ", then ".join(map(_describe, module))
    return f"{type(module).__name__}({module.extra_repr()})"
