"""What is learned: what a task loads, builds, loses and measures."""

from .base import Batch, Images, Splits, Task
from .detection import Detection, Instance
from .height import Height
from .panoptic import Panoptic
from .segmentation import Segmentation

__all__ = [
    "TASKS",
    "Batch",
    "Detection",
    "Height",
    "Images",
    "Instance",
    "Panoptic",
    "Segmentation",
    "Splits",
    "Task",
]

TASKS: dict[str, Task] = {
    task.name: task
    for task in (Segmentation(), Height(), Detection(), Instance(), Panoptic())
}
"""All tasks by name."""
