"""DySample weights from other people's checkpoints, whichever spelling they have.

Four kinds are in use:

* the standalone module's: ``offset.weight``, ``offset.bias``, for dynamic scope
  ``scope.weight``, and the constant ``init_pos``;
* the segmentation and detection code's, whose scope layer has a bias besides,
  ``scope.bias``;
* that of super-resolution networks (spandrel, neosr, traiNNer), which always has
  dynamic scope, and a convolution behind it, ``end_conv.weight``, ``end_conv.bias``;
* whole checkpoints, a dict with a ``state_dict`` (or another of :data:`WRAPPERS`) in
  which the upsamplers are some entries of many,
  ``neck.upsample_modules.0.offset.weight`` and so on.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ..upsamplers import DySample
from .tensor_files import StandIn, kind, read_tensors

WRAPPERS = ("state_dict", "model_state_dict", "params_ema", "params", "ema", "model")
"""Where checkpoints keep their state dict; the first that one has is opened."""

END_CONV = "end_conv.weight"
_LAYERS = ("offset.weight", "offset.bias", "scope.weight", "scope.bias")
_ENTRIES = (*_LAYERS, END_CONV, "end_conv.bias", "init_pos")


@dataclass(frozen=True)
class LoadReport:
    """What :func:`load_dysample_state_dict` did.

    Attributes:
        used: checkpoint entry → the module's parameter that has its values now.
        dropped: checkpoint entry of an upsampler → why it was not needed.
        added: parameter of the module that the checkpoint or the module did not
            have → what it holds.
        ignored: how many entries of the checkpoint belong to something else.
        opened: the keys under which the checkpoint held its state dict.
    """

    used: dict[str, str] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)
    added: dict[str, str] = field(default_factory=dict)
    ignored: int = 0
    opened: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"opened {name}" for name in self.opened]
        lines += [f"used {theirs} as {ours}" for theirs, ours in self.used.items()]
        lines += [f"dropped {name}: {why}" for name, why in self.dropped.items()]
        lines += [f"added {name}: {why}" for name, why in self.added.items()]
        if self.ignored:
            lines.append(f"ignored {self.ignored} entries of other modules")
        return "\n".join(lines)


def load_dysample_state_dict(
    module: nn.Module,
    state_dict: Mapping[str, Any] | str | os.PathLike[str],
    prefix: str = "",
) -> LoadReport:
    """Load the DySample weights of somebody's checkpoint into ``module``.

    Args:
        module: a :class:`~dysample_lib.DySample`, or any module that holds some.
            Several are matched to the checkpoint's by name, counted from what all
            names have in common: ``0``, ``1`` of a ``ModuleList`` to
            ``neck.upsample_modules.0`` and ``.1``. Those the module lacks are dropped.
        state_dict: a state dict in any of the spellings above, a checkpoint with one
            in it, or the path of either, a safetensors file's too. No code in the file
            is run: what is neither tensor nor plain value is read as an empty stand-in.
        prefix: look only at entries that begin like this, for instance
            ``"neck.upsample_modules.0."`` for one upsampler of several.

    Returns:
        What was used, dropped and added. ``init_pos`` is dropped, as the module
        computes it. A ``scope.bias`` of zeros is dropped where the module's scope
        layer has no bias; any other is kept, and the layer gets a bias for it, a new
        parameter that an optimizer made before does not know. ``end_conv.*`` goes to
        the convolution ``end_conv`` that stands beside the upsampler in its parent.

    Raises:
        TypeError: if an argument is of the wrong kind, or the checkpoint holds a
            pickled module in place of a state dict.
        ModuleNotFoundError: for a safetensors file without the package.
        ValueError: if something is missing, unknown or of another shape, with all
            names and shapes. ``module`` is then as it was.
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"module has to be a module, got {type(module).__name__}")
    if not isinstance(prefix, str):
        raise TypeError(f"prefix has to be a string, got {type(prefix).__name__}")
    if prefix and not prefix.endswith("."):
        prefix += "."
    entries, opened = _entries(state_dict)
    upsamplers = {n: m for n, m in module.named_modules() if isinstance(m, DySample)}
    if not upsamplers:
        raise ValueError(
            f"module has to be or to hold a DySample, got {type(module).__name__} "
            "without one"
        )
    theirs = _upsamplers_in(entries, prefix)
    pairs = _pairs(list(upsamplers), list(theirs), prefix)

    places = {
        ours: _places(module, ours, with_end_conv=END_CONV in theirs[name])
        for ours, name in pairs.items()
    }
    problems: list[str] = []
    for ours, name in pairs.items():
        problems += _problems(upsamplers[ours], places[ours], name, theirs[name])
    if problems:
        raise ValueError("the checkpoint does not fit: " + "; ".join(problems))

    report = LoadReport(
        ignored=len(entries) - sum(len(state) for state in theirs.values()),
        opened=opened,
    )
    for ours, name in pairs.items():
        _load(upsamplers[ours], places[ours], name, theirs[name], report)
    for name in theirs.keys() - set(pairs.values()):
        for key in theirs[name]:
            report.dropped[name + key] = "the module has no upsampler of this name"
    return report


def _entries(state_dict: Any) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """The names and values, and the keys under which they were found."""
    if isinstance(state_dict, (str, os.PathLike)):
        state_dict = read_tensors(state_dict)
    opened: tuple[str, ...] = ()
    while True:
        place = "".join(f"[{key!r}]" for key in opened)
        if isinstance(state_dict, (nn.Module, StandIn)):
            raise TypeError(
                f"state_dict{place} is a whole module, {kind(state_dict)}: load it "
                "where its code is, and pass its state dict, "
                f"checkpoint{place}.state_dict()"
            )
        if not isinstance(state_dict, Mapping):
            raise TypeError(
                f"state_dict{place} has to be a state dict, a checkpoint that holds one"
                f" or the path of one, got {kind(state_dict)}"
            )
        for key in WRAPPERS:
            if isinstance(state_dict.get(key), (Mapping, nn.Module, StandIn)):
                opened, state_dict = (*opened, key), state_dict[key]
                break
        else:
            return state_dict, opened


def _upsamplers_in(
    entries: Mapping[str, Any], prefix: str
) -> dict[str, dict[str, Any]]:
    """Name up to the last dot → entries of each upsampler under ``prefix``."""
    pattern = re.compile(re.escape(prefix) + r"((?:.*\.)?)offset\.weight")
    entries = {key: value for key, value in entries.items() if isinstance(key, str)}
    names = [prefix + found[1] for key in entries if (found := pattern.fullmatch(key))]
    if not names:
        known = ", ".join(list(entries)[:5]) or "none"
        if dicts := [k for k, value in entries.items() if isinstance(value, Mapping)]:
            known += f"; dicts in it: {', '.join(dicts)}"
        raise ValueError(
            f"prefix has to lead to a DySample, but no entry is named {prefix}…"
            f"offset.weight, got prefix={prefix!r}; the first entries: {known}"
        )
    return {
        name: {
            key.removeprefix(name): value
            for key, value in entries.items()
            if key.startswith(name)
            # At the top of a dict, all else belongs to other modules.
            and (name or key in _ENTRIES)
            # A model may keep its upsamplers inside one another's names.
            and not any(key.startswith(n) for n in names if len(n) > len(name))
        }
        for name in names
    }


def _pairs(ours: list[str], theirs: list[str], prefix: str) -> dict[str, str]:
    """Which checkpoint upsampler each of the module's gets."""
    if len(ours) == 1 and len(theirs) == 1:
        return {ours[0]: theirs[0]}
    direct = {name: prefix + (f"{name}." if name else "") for name in ours}
    if set(direct.values()) <= set(theirs):
        return direct
    if len(ours) > 1:
        mine, others = _tails([f"{name}." for name in ours]), _tails(theirs)
        if mine.keys() <= others.keys():
            return {name[:-1]: others[tail] for tail, name in mine.items()}
    have = ", ".join(name or "(no prefix)" for name in theirs)
    want = ", ".join(name or "(itself)" for name in ours)
    raise ValueError(
        f"prefix has to single out what belongs to the module, got prefix={prefix!r}: "
        f"the checkpoint has upsamplers {have}; the module has {want}"
    )


def _tails(names: list[str]) -> dict[str, str]:
    """Each name (ending in a dot) without the leading parts that all share → itself."""
    paths = [name.split(".")[:-2] for name in names]
    shared = 0
    while all(
        len(path) > shared and path[shared] == paths[0][shared] for path in paths
    ):
        shared += 1
    return {".".join(name.split(".")[shared:]): name for name in names}


def _places(
    module: nn.Module, name: str, with_end_conv: bool
) -> dict[str, tuple[str, nn.Parameter]]:
    """Checkpoint entry of one upsampler → the name and parameter that are for it."""
    parent = name.rpartition(".")[0]
    layers = {"": name}
    end_conv = module.get_submodule(parent)._modules.get("end_conv")
    if with_end_conv and isinstance(end_conv, nn.Conv2d):
        layers["end_conv."] = f"{parent}.end_conv".lstrip(".")
    return {
        start + key: (f"{layer}.{key}".lstrip("."), parameter)
        for start, layer in layers.items()
        for key, parameter in module.get_submodule(layer).named_parameters()
    }


def _problems(
    module: DySample,
    places: Mapping[str, tuple[str, nn.Parameter]],
    name: str,
    state: Mapping[str, Any],
) -> list[str]:
    """Everything about ``state`` that does not fit, in words."""
    wanted = {key: tuple(parameter.shape) for key, (_, parameter) in places.items()}
    if "scope.weight" in wanted:
        wanted["scope.bias"] = wanted["scope.weight"][:1]
    problems = [
        f"{ours} is on the meta device, where nothing holds values: call "
        "module.to_empty(device=...) first"
        for ours, parameter in places.values()
        if parameter.is_meta
    ]
    for key, value in state.items():
        problem = _problem(module, wanted, key, value)
        problems += [f"{name}{key} {problem}"] if problem else []
    for key in wanted.keys() - state.keys() - {"scope.bias"}:
        problems.append(f"{name}{key} {wanted[key]} is missing")
    return problems


def _problem(
    module: DySample, wanted: Mapping[str, tuple[int, ...]], key: str, value: Any
) -> str | None:
    about = f"DySample({module.extra_repr()})"
    if not isinstance(value, Tensor) or not value.is_floating_point():
        found = value.dtype if isinstance(value, Tensor) else kind(value)
        return f"has to be a floating-point tensor, is {found}"
    shape = tuple(value.shape)
    if value.is_meta:
        return f"{shape} is on the meta device, where nothing holds values"
    if key == "init_pos":
        try:
            module.check_init_pos(value, "")
        except ValueError as error:
            return str(error).strip()
        return None
    if key in wanted:
        needed = f"is {shape}, {wanted[key]} is needed by {about}"
        return needed if shape != wanted[key] else None
    if key == END_CONV and len(shape) == 4:
        outputs, inputs, size, _ = shape
        padding = f", padding={size // 2}" * (size > 1)
        return (
            f"{shape} has no place: it is of the convolution that super-resolution "
            f"networks put behind, load into nn.Sequential(OrderedDict(upsample={about}"
            f", end_conv=nn.Conv2d({inputs}, {outputs}, {size}{padding})))"
        )
    return f"{shape} has no place in {about}"


@torch.no_grad()
def _load(
    module: DySample,
    places: Mapping[str, tuple[str, nn.Parameter]],
    name: str,
    state: Mapping[str, Any],
    report: LoadReport,
) -> None:
    if "init_pos" in state:
        report.dropped[name + "init_pos"] = "computed, and the same"
    for key, (ours, parameter) in places.items():
        if key in state:
            parameter.copy_(state[key])
            report.used[name + key] = ours
        else:  # _problems lets nothing else be missing
            assert key == "scope.bias"
            parameter.zero_()
            report.added[ours] = "all zeros, as the checkpoint has none"
    bias = state.get("scope.bias")
    if bias is None or "scope.bias" in places:
        return
    if not bias.any():
        report.dropped[name + "scope.bias"] = "all zeros, as without a bias"
        return
    weight = module.scope.weight
    module.scope.bias = nn.Parameter(bias.to(weight.device, weight.dtype, copy=True))
    ours = places["scope.weight"][0].removesuffix("weight") + "bias"
    report.used[name + "scope.bias"] = ours
    report.added[ours] = "the scope layer has a bias now"
