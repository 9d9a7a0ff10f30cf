"""DySample (ICCV 2023) in PyTorch: the upsamplers behind the DySample book."""

from .adapt.state_dicts import load_dysample_state_dict
from .adapt.swap import swap_upsamplers
from .ops.sampling import initial_positions, point_sample, sampling_grid
from .upsamplers import LADDER, DySample, build_upsampler

__version__ = "0.1.0"

__all__ = [
    "LADDER",
    "DySample",
    "__version__",
    "build_upsampler",
    "initial_positions",
    "load_dysample_state_dict",
    "point_sample",
    "sampling_grid",
    "swap_upsamplers",
]
