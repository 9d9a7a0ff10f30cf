"""What the modules of a model receive while it runs once on an example input."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ..upsamplers import Bilinear, Nearest

OWN_CALLS = (nn.Upsample, Nearest, Bilinear)
"""Modules that call ``F.interpolate`` by design; it is no finding there."""


@dataclass(frozen=True)
class Call:
    """One call of a module.

    Attributes:
        shape: the first argument's shape, ``None`` if it was no tensor.
        further: whether other arguments came with it.
    """

    shape: tuple[int, ...] | None
    further: bool


@dataclass(frozen=True)
class Resize:
    """An ``F.interpolate`` call that enlarged a map.

    Attributes:
        module: the name of the module whose forward made the call; "" is the model.
        size: the map before, (h, w).
        resized: the map after, (H, W).
        mode: the call's ``mode``.
    """

    module: str
    size: tuple[int, int]
    resized: tuple[int, int]
    mode: str


class Trace(TorchFunctionMode):
    """Runs a model once and notes its modules' inputs and its resizing calls.

    The model runs in evaluation mode and without gradients, so that batch statistics
    and dropout leave no mark; every module's mode is restored.

    Attributes:
        calls: for each module that ran, its calls in order.
        resizes: the resizing calls, and how often each was made.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: dict[nn.Module, list[Call]] = {}
        self.resizes: Counter[Resize] = Counter()
        self._running: list[tuple[str, nn.Module]] = []

    def run(self, model: nn.Module, example: Any) -> Trace:
        """Call ``model``: a tuple holds its arguments, a mapping its keywords.

        Raises:
            ValueError: if the model fails on the example.
        """
        args = example if isinstance(example, tuple) else (example,)
        keywords: dict[str, Any] = {}
        if isinstance(example, Mapping):
            args, keywords = (), dict(example)
        modes = [(module, module.training) for module in model.modules()]
        handles = []
        for name, module in model.named_modules():
            if not isinstance(module, torch.jit.ScriptModule):
                handles += [
                    module.register_forward_pre_hook(
                        self._enter(name), with_kwargs=True
                    ),
                    module.register_forward_hook(self._leave, always_call=True),
                ]
        model.eval()
        try:
            with torch.no_grad(), self:
                model(*args, **keywords)
        except Exception as error:
            raise ValueError(
                f"example has to be an input that the model runs on, got "
                f"{type(error).__name__}: {error}"
            ) from error
        finally:
            for handle in handles:
                handle.remove()
            for module, training in modes:
                module.training = training
        return self

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Let every call pass; note those of ``F.interpolate`` that enlarge a map."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if func is F.interpolate and isinstance(result, Tensor) and result.dim() == 4:
            before = args[0] if args else kwargs["input"]
            mode = args[3] if len(args) > 3 else kwargs.get("mode", "nearest")
            self._note(tuple(before.shape[2:]), tuple(result.shape[2:]), mode)
        return result

    def _note(self, size: Any, resized: Any, mode: str) -> None:
        name, module = self._running[-1] if self._running else ("", None)
        grown = all(new >= old for new, old in zip(resized, size, strict=True))
        if grown and resized != size and not isinstance(module, OWN_CALLS):
            self.resizes[Resize(name, size, resized, mode)] += 1

    def _enter(self, name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
            values = [*args, *kwargs.values()]
            shape = None
            if values and isinstance(values[0], Tensor):
                shape = tuple(values[0].shape)
            further = any(value is not None for value in values[1:])
            self.calls.setdefault(module, []).append(Call(shape, further))
            self._running.append((name, module))

        return hook

    def _leave(self, module: nn.Module, *_: object) -> None:
        self._running.pop()
