"""A setting, and what an upsampler costs in it."""

from __future__ import annotations

from dataclasses import dataclass

from ..ops.checks import check_positive_integer
from ..upsamplers import UPSAMPLERS, Upsampler, build_upsampler


@dataclass(frozen=True)
class Setting:
    """What is measured; the defaults are the size of the paper's own comparison.

    Attributes:
        upsampler: its name, a key of :data:`dysample_lib.upsamplers.UPSAMPLERS`.
        channels: C.
        height: H, of the low-resolution map.
        width: W, of the low-resolution map.
        scale: s.
        batch: B.
        groups: g, for those that have groups; None is the upsampler's own number.
    """

    upsampler: str
    channels: int = 256
    height: int = 120
    width: int = 120
    scale: int = 2
    batch: int = 1
    groups: int | None = None

    def __post_init__(self) -> None:
        for name in ("channels", "height", "width", "scale", "batch"):
            check_positive_integer(name, getattr(self, name))
        if self.groups is not None:
            check_positive_integer("groups", self.groups)

    def build(self) -> Upsampler:
        """The module, as initialised.

        Raises:
            ValueError: if there is no such upsampler, or the setting does not suit it.
        """
        if self.groups is None:
            return build_upsampler(self.upsampler, self.channels, self.scale)
        entry = UPSAMPLERS.get(self.upsampler)
        if entry is not None and "groups" not in entry.takes():
            raise ValueError(
                f"groups has to be None for {self.upsampler}, which has none, got "
                f"{self.groups}"
            )
        return build_upsampler(
            self.upsampler, self.channels, self.scale, groups=self.groups
        )

    def shapes(self) -> list[tuple[int, int, int, int]]:
        """Of the inputs: the features and, for guided upsamplers, the guide."""
        features = (self.batch, self.channels, self.height, self.width)
        return [features, self.output] if self.guided else [features]

    @property
    def guided(self) -> bool:
        """Whether it also reads a high-resolution map."""
        return UPSAMPLERS[self.upsampler].guided

    @property
    def output(self) -> tuple[int, int, int, int]:
        """The output's shape, (B, C, s·H, s·W)."""
        height, width = self.scale * self.height, self.scale * self.width
        return self.batch, self.channels, height, width

    @property
    def pixels(self) -> int:
        """H·W."""
        return self.height * self.width


@dataclass(frozen=True, kw_only=True)
class Cost(Setting):
    """What one upsampler costs in one setting. Operations and bytes are the batch's.

    Attributes:
        weights: learned values, the biases apart.
        biases: learned values named ``bias``.
        flops_layers: operations of convolutions and matrix products, as torch's own
            counter confirms.
        flops_reading: operations of sampling, interpolation and reassembly, by formula.
        saved_bytes: tensors that the forward pass makes and the backward pass needs.
        saved_input_bytes: inputs that the backward pass needs.
        peak_inference_bytes: the most that is allocated at one time without gradients,
            the output included, inputs and parameters not.
        peak_training_bytes: the same for the forward and the backward pass, the
            gradients of inputs and parameters included, the output's not.
        forward_ms: median milliseconds of the forward pass, without gradients.
        training_ms: median milliseconds of the forward and the backward pass.
        repeats: calls that the medians are of.
        threads: that torch had on the CPU.
        device: ``cpu`` or ``cuda``.
        device_name: the processor's or the GPU's own name.
        allocator: whether the CPU's one ``keeps memory`` (:func:`.keep_memory`).
        torch: its version.
    """

    weights: int
    biases: int
    flops_layers: int
    flops_reading: int
    saved_bytes: int
    saved_input_bytes: int
    peak_inference_bytes: int
    peak_training_bytes: int
    forward_ms: float
    training_ms: float
    repeats: int
    threads: int
    device: str
    device_name: str
    allocator: str
    torch: str

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        return self.weights + self.biases

    @property
    def flops(self) -> int:
        """All operations."""
        return self.flops_layers + self.flops_reading
