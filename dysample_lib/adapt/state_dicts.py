"""DySample weights from the authors' checkpoints, whichever spelling they have.

Three kinds are in use:

* the standalone module's: ``offset.weight``, ``offset.bias``, for dynamic scope
  ``scope.weight``, and the constant ``init_pos``;
* the segmentation and detection code's, whose scope layer has a bias besides,
  ``scope.bias``;
* whole checkpoints, a dict with a ``state_dict`` in which the upsamplers are some
  entries of many, ``neck.upsample_modules.0.offset.weight`` and so on.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ..upsamplers import DySample, init_pos
from .tensor_files import read_tensors

_LAYERS = ("offset.weight", "offset.bias", "scope.weight", "scope.bias")
_ENTRIES = (*_LAYERS, "init_pos")


@dataclass(frozen=True)
class LoadReport:
    """What :func:`load_dysample_state_dict` did.

    Attributes:
        used: checkpoint entry → the module's parameter that has its values now.
        dropped: checkpoint entry of an upsampler → why it was not needed.
        added: parameter of the module that the checkpoint or the module did not
            have → what it holds.
        ignored: how many entries of the checkpoint belong to something else.
    """

    used: dict[str, str] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)
    added: dict[str, str] = field(default_factory=dict)
    ignored: int = 0

    def __str__(self) -> str:
        lines = [f"used {theirs} as {ours}" for theirs, ours in self.used.items()]
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
    """Load the authors' DySample weights into ``module``.

    Args:
        module: a :class:`~dysample_lib.DySample`, or any module that holds some.
            Several are matched to the checkpoint's by name, counted from what all
            names have in common: ``0``, ``1`` of a ``ModuleList`` to
            ``neck.upsample_modules.0`` and ``.1``. Those the module lacks are dropped.
        state_dict: a state dict in any of the spellings above, a checkpoint with a
            ``"state_dict"`` in it, or the path of one. No code in the file is run: what
            is neither tensor nor plain value is read as an empty stand-in.
        prefix: look only at entries that begin like this, for instance
            ``"neck.upsample_modules.0."`` for one upsampler of several.

    Returns:
        What was used, dropped and added. ``init_pos`` is dropped, as the module
        computes it. A ``scope.bias`` of zeros is dropped where the module's scope
        layer has no bias; any other is kept, and the layer gets a bias for it, a new
        parameter that an optimizer made before does not know.

    Raises:
        TypeError: if an argument is of the wrong kind.
        ValueError: if something is missing, unknown or of another shape, with all
            names and shapes. ``module`` is then as it was.
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"module has to be a module, got {type(module).__name__}")
    if not isinstance(prefix, str):
        raise TypeError(f"prefix has to be a string, got {type(prefix).__name__}")
    if prefix and not prefix.endswith("."):
        prefix += "."
    entries = _entries(state_dict)
    upsamplers = {n: m for n, m in module.named_modules() if isinstance(m, DySample)}
    if not upsamplers:
        raise ValueError(
            f"module has to be or to hold a DySample, got {type(module).__name__} "
            "without one"
        )
    theirs = _upsamplers_in(entries, prefix)
    pairs = _pairs(list(upsamplers), list(theirs), prefix)

    problems: list[str] = []
    for ours, name in pairs.items():
        problems += _problems(upsamplers[ours], name, theirs[name])
    if problems:
        raise ValueError("the checkpoint does not fit: " + "; ".join(problems))

    report = LoadReport(
        ignored=len(entries) - sum(len(state) for state in theirs.values())
    )
    for ours, name in pairs.items():
        _load(upsamplers[ours], ours, name, theirs[name], report)
    for name in theirs.keys() - set(pairs.values()):
        for key in theirs[name]:
            report.dropped[name + key] = "the module has no upsampler of this name"
    return report


def _entries(state_dict: Any) -> Mapping[str, Any]:
    """The names and values, out of whatever wraps them."""
    if isinstance(state_dict, (str, os.PathLike)):
        state_dict = read_tensors(state_dict)
    if not isinstance(state_dict, Mapping):
        raise TypeError(
            "state_dict has to be a state dict, a checkpoint that holds one or the "
            f"path of one, got {type(state_dict).__name__}"
        )
    inner = state_dict.get("state_dict")
    return inner if isinstance(inner, Mapping) else state_dict


def _upsamplers_in(
    entries: Mapping[str, Any], prefix: str
) -> dict[str, dict[str, Any]]:
    """Name up to the last dot → entries of each upsampler under ``prefix``."""
    pattern = re.compile(re.escape(prefix) + r"((?:.*\.)?)offset\.weight")
    names = [prefix + found[1] for key in entries if (found := pattern.fullmatch(key))]
    if not names:
        known = ", ".join(list(entries)[:5]) or "none"
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


def _problems(module: DySample, name: str, state: dict[str, Any]) -> list[str]:
    """Everything about ``state`` that does not fit ``module``, in words."""
    problems = []
    wanted = {key: tuple(p.shape) for key, p in module.named_parameters()}
    if "scope.weight" in wanted:
        wanted["scope.bias"] = wanted["scope.weight"][:1]
    for key, value in state.items():
        if not isinstance(value, Tensor) or not value.is_floating_point():
            kind = value.dtype if isinstance(value, Tensor) else type(value).__name__
            problems.append(f"{name}{key} has to be a floating-point tensor, is {kind}")
        elif key == "init_pos":
            try:
                init_pos.check(module, value, name + key)
            except ValueError as error:
                problems.append(str(error))
        elif key not in wanted:
            problems.append(
                f"{name}{key} {tuple(value.shape)} has no place in "
                f"DySample({module.extra_repr()})"
            )
        elif tuple(value.shape) != wanted[key]:
            problems.append(
                f"{name}{key} is {tuple(value.shape)}, {wanted[key]} is needed by "
                f"DySample({module.extra_repr()})"
            )
    for key in wanted.keys() - state.keys() - {"scope.bias"}:
        problems.append(f"{name}{key} {wanted[key]} is missing")
    return problems


@torch.no_grad()
def _load(
    module: DySample, ours: str, name: str, state: dict[str, Any], report: LoadReport
) -> None:
    def own(key: str) -> str:
        return f"{ours}.{key}" if ours else key

    if "init_pos" in state:
        report.dropped[name + "init_pos"] = "computed, and the same"
    bias = state.get("scope.bias")
    if module.static_scope is None and module.scope.bias is None and bias is not None:
        if not bias.any():
            report.dropped[name + "scope.bias"] = "all zeros, as without a bias"
            bias = None
        else:
            weight = module.scope.weight
            module.scope.bias = nn.Parameter(weight.new_zeros(len(weight)))
            report.added[own("scope.bias")] = "the scope layer has a bias now"
    for key, parameter in module.named_parameters():
        if key in state:
            parameter.copy_(state[key])
            report.used[name + key] = own(key)
        else:  # _problems lets nothing else be missing
            assert key == "scope.bias"
            parameter.zero_()
            report.added[own(key)] = "all zeros, as the checkpoint has none"
