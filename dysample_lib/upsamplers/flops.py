"""How the operations of an upsampler are counted."""

from __future__ import annotations

from typing import NamedTuple


class Flops(NamedTuple):
    """Floating-point operations for one image; a product and its sum are two.

    Attributes:
        layers: convolutions and matrix products that make points or kernels.
        reading: making the output's values from the map, with the positions and
            weights that it takes; what torch's counter does not see of sampling.
    """

    layers: int
    reading: int

    @property
    def total(self) -> int:
        """Both together."""
        return self.layers + self.reading
