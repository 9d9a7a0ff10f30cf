"""Every picture of the book. Functions take plain tensors and return one ``Figure``.

In a notebook a cell ends with ``fig = figures.…(…)``: the figure is shown once, when
the cell ends, and nothing else is printed. Needs matplotlib.
"""

from .attainable import attainable_values
from .coasts import boundary_band_panels, boundary_closeups, boundary_panels
from .cost import cost_bubbles
from .curves import forest_panels, forest_plot, ladder_plot, learning_curves
from .diagram import (
    detector_diagram,
    panoptic_diagram,
    pyramid_diagram,
    segformer_diagram,
    testbed_diagram,
)
from .fields import scope_map
from .groups import group_offsets
from .points import sampling_points
from .precision import error_against_width
from .ranges import range_overlap, walking_ranges
from .sensitivity import sensitivity_plot
from .slopes import edge_slope, kink
from .style import COLOURS, label, method, use_style
from .tasks import feature_maps, height_panels, task_panels
from .tiles import cells, tile_page, world_bands
from .toy import number_line, number_tables, start_points

__all__ = [
    "COLOURS",
    "attainable_values",
    "boundary_band_panels",
    "boundary_closeups",
    "boundary_panels",
    "cells",
    "cost_bubbles",
    "detector_diagram",
    "edge_slope",
    "error_against_width",
    "feature_maps",
    "forest_panels",
    "forest_plot",
    "group_offsets",
    "height_panels",
    "kink",
    "label",
    "ladder_plot",
    "learning_curves",
    "method",
    "number_line",
    "number_tables",
    "panoptic_diagram",
    "pyramid_diagram",
    "range_overlap",
    "sampling_points",
    "scope_map",
    "segformer_diagram",
    "sensitivity_plot",
    "start_points",
    "task_panels",
    "testbed_diagram",
    "tile_page",
    "use_style",
    "walking_ranges",
    "world_bands",
]
