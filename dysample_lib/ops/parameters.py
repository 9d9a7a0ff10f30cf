"""How many values a model has learned."""

from __future__ import annotations

from typing import NamedTuple

from torch import nn


class Parameters(NamedTuple):
    """A count of learned values.

    Attributes:
        weights: all but the biases; what papers tend to report.
        biases: of the parameters named ``bias``.
    """

    weights: int
    biases: int

    @property
    def total(self) -> int:
        """Both together."""
        return self.weights + self.biases


def count_parameters(module: nn.Module, of: type[nn.Module] = nn.Module) -> Parameters:
    """Count the learned values of ``module``, each once however often it is used.

    Args:
        module: a layer, an upsampler, a whole model.
        of: only what belongs to modules of this type, such as all upsamplers of a
            detector.

    >>> from dysample_lib import DySample
    >>> count_parameters(DySample(256))
    Parameters(weights=8192, biases=32)
    """
    found = {
        parameter: name.rpartition(".")[2] == "bias"
        for part in module.modules()
        if isinstance(part, of)
        for name, parameter in part.named_parameters()
    }
    biases = sum(p.numel() for p, is_bias in found.items() if is_bias)
    return Parameters(sum(p.numel() for p in found) - biases, biases)
