"""What a swap of upsamplers did to a model, as data and as text."""

from __future__ import annotations

from dataclasses import dataclass

from .trace import Resize


@dataclass(frozen=True)
class Replaced:
    """One module that was replaced.

    Attributes:
        names: its names in the model; several if the model holds it more than once.
        was: the old module's description.
        now: the new module's description.
        channels: of the maps that are upsampled.
        scale: upsampling ratio.
        parameters_before: of the old module.
        parameters_after: of the new module.
        calls: how often the example input reached it, ``None`` without an example.
    """

    names: tuple[str, ...]
    was: str
    now: str
    channels: int
    scale: int
    parameters_before: int
    parameters_after: int
    calls: int | None

    def __str__(self) -> str:
        change = self.parameters_after - self.parameters_before
        text = f"{_join(self.names)}: {self.was} → {self.now}, {change:+,} parameters"
        if len(self.names) > 1:
            text += f"; one module under {len(self.names)} names, as before"
        if self.calls is not None and self.calls > 1:
            text += f"; called {self.calls} times, with one set of weights"
        if self.calls == 0:
            text += "; the example input does not reach it"
        return text


@dataclass(frozen=True)
class Left:
    """One upsampling module that stays, and why.

    Attributes:
        names: its names in the model.
        module: its description.
        reason: why it stays.
    """

    names: tuple[str, ...]
    module: str
    reason: str

    def __str__(self) -> str:
        return f"{_join(self.names)}: {self.module}: {self.reason}"


@dataclass(frozen=True)
class SwapReport:
    """The result of :func:`dysample_lib.adapt.swap.swap_upsamplers`; print it.

    Attributes:
        upsampler: what was put in: a registry name, or the factory's name.
        replaced: the modules that were replaced, in the model's order.
        left: the upsampling modules that stay, in the model's order.
        resizes: ``F.interpolate`` calls outside these modules that enlarged a map, and
            how often each was made; ``None`` without an example input.
    """

    upsampler: str
    replaced: tuple[Replaced, ...]
    left: tuple[Left, ...]
    resizes: tuple[tuple[Resize, int], ...] | None

    @property
    def added_parameters(self) -> int:
        """By how many parameters the model has grown; negative if it shrank."""
        return sum(r.parameters_after - r.parameters_before for r in self.replaced)

    def __str__(self) -> str:
        total = len(self.replaced) + len(self.left)
        lines = [
            f"Replaced {len(self.replaced)} of {total} upsampling modules "
            f"by {self.upsampler}, {self.added_parameters:+,} parameters."
        ]
        lines += [f"  {entry}" for entry in self.replaced]
        if self.left:
            lines += ["Left:", *(f"  {entry}" for entry in self.left)]
        return "\n".join([*lines, *self._about_resizes()])

    def _about_resizes(self) -> list[str]:
        if self.resizes is None:
            return [
                "Calls of F.interpolate in a forward are no modules, they stay as they "
                "are; with an example input this report lists them."
            ]
        if not self.resizes:
            return ["No F.interpolate call besides enlarged a map of the example."]
        lines = [
            "Calls of F.interpolate, no modules: to replace one, edit its forward."
        ]
        for resize, count in self.resizes:
            (h, w), (height, width) = resize.size, resize.resized
            times = "" if count == 1 else f", {count} times"
            lines.append(
                f"  {resize.module or '(model)'}: {h}×{w} → {height}×{width}, "
                f"{resize.mode}{times}"
            )
        return lines


def _join(names: tuple[str, ...]) -> str:
    return ", ".join(name or "(model)" for name in names)
