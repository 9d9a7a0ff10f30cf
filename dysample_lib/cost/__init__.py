"""What an upsampler costs: parameters, operations, memory and time.

Everything is measured on the reader's own machine but the operations of sampling and
reassembly, which torch has no counter for and the modules have formulas for.
"""

from .allocator import keep_memory
from .measuring import compare, cost, measure
from .memory import high_water
from .report import (
    bills,
    by_machine,
    conditions,
    cost_json,
    cost_markdown,
    cost_table,
    cost_text,
    read_costs,
    recorded_costs,
    recorded_gpu_costs,
)
from .setting import Cost, Setting
from .timing import in_turns

__all__ = [
    "Cost",
    "Setting",
    "bills",
    "by_machine",
    "compare",
    "conditions",
    "cost",
    "cost_json",
    "cost_markdown",
    "cost_table",
    "cost_text",
    "high_water",
    "in_turns",
    "keep_memory",
    "measure",
    "read_costs",
    "recorded_costs",
    "recorded_gpu_costs",
]
