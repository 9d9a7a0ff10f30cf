"""How the operations of an upsampler are counted."""

from __future__ import annotations

from typing import NamedTuple


class Flops(NamedTuple):
    """Floating-point operations for one image; a product and its sum are two.

    Attributes:
        layers: the module's convolutions and linear layers, which torch's own counter
            sees one by one.
        reading: all the rest. Making the output's values from the map, with the
            positions, similarities and weights that it takes.
    """

    layers: int
    reading: int

    @property
    def total(self) -> int:
        """Both together."""
        return self.layers + self.reading
