"""What is learned: what a task loads, builds, loses and measures."""

from .base import Batch, Images, Splits, Task
from .height import Height
from .segmentation import Segmentation

__all__ = ["TASKS", "Batch", "Height", "Images", "Segmentation", "Splits", "Task"]

TASKS: dict[str, Task] = {task.name: task for task in (Segmentation(), Height())}
"""All tasks by name."""
