"""Each task on a set to be learned within a second, with a small frozen encoder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from training_samples import toy_set, toy_spec

from dysample_lib.data import HeightSet
from dysample_lib.study.spec import RunSpec
from dysample_lib.tasks import TASKS, Task
from dysample_lib.train.fit import seeded


def toy_heights(count: int, split: str = "train") -> HeightSet:
    """The toy's dark half is sea, its bright half rises to the right."""
    data = toy_set(count, split)
    land = data.masks == 1
    heights = land * torch.arange(50.0, 1650, 50)
    return HeightSet("toy", split, data.images, heights, land)


TOYS: dict[str, tuple[Task, Callable[..., Any], dict[str, Any]]] = {
    "height": (TASKS["height"], toy_heights, {"decoder": "segformer"}),
}
"""By task: itself, what makes its toy set, and what its spec has."""


def task_spec(name: str, **changes: Any) -> RunSpec:
    """A run of two epochs of the task on its toy set."""
    values: dict[str, Any] = {
        "task": name,
        "epochs": 2,
        "width": 8,
        "frozen": True,
        "flips": "h",
        "upsampler": "grouping",
    }
    return toy_spec(**(values | TOYS[name][2] | changes))


def task_model(spec: RunSpec) -> nn.Module:
    """The task's model of a spec, with statistics in its encoder."""
    task, toy, _ = TOYS[spec.task]
    with seeded(spec.seed):
        model = task.build(spec, toy(2), pretrained=False)
    with seeded(0):
        for module in model.encoder.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.running_mean, std=0.1)
    return model
