"""Each task on a set to be learned within a second, with a small frozen encoder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from training_samples import toy_set, toy_spec

from dysample_lib.data import DetectionSet, HeightSet
from dysample_lib.study.spec import RunSpec
from dysample_lib.tasks import TASKS, Task
from dysample_lib.train.fit import seeded


def toy_heights(count: int, split: str = "train") -> HeightSet:
    """The toy's dark half is sea, its bright half rises to the right."""
    data = toy_set(count, split)
    land = data.masks == 1
    heights = land * torch.arange(50.0, 1650, 50)
    return HeightSet("toy", split, data.images, heights, land)


def toy_objects(count: int, split: str = "train") -> DetectionSet:
    """A white box on the left of each image, and a red one on the right of each other.

    In every fourth the red one is not counted.
    """
    generator = torch.Generator().manual_seed(len(split))
    images = torch.randint(0, 60, (count, 3, 32, 32), generator=generator).byte()
    instances = torch.zeros(count, 32, 32, dtype=torch.int16)
    semantics = torch.zeros(count, 32, 32, dtype=torch.uint8)
    semantics[:, 24:] = 1
    corners = torch.randint(2, 8, (count, 4), generator=generator).tolist()
    labels, counted = [], []
    for k, (top, left, other, right) in enumerate(corners):
        white = slice(top, 14 + top // 2), slice(left, 14)
        red = slice(other, 16 + other), slice(16 + right // 2, 29)
        images[k][:, white[0], white[1]] = 250
        instances[k][white], semantics[k][white] = 1, 2
        if k % 2:
            images[k][:, red[0], red[1]] = 20
            images[k][0, red[0], red[1]] = 250
            instances[k][red], semantics[k][red] = 2, 255 if k % 4 == 3 else 3
        labels.append(torch.tensor([1, 2][: 1 + k % 2]))
        counted.append(torch.tensor([True, k % 4 == 1][: 1 + k % 2]))
    return DetectionSet(
        "toy",
        split,
        images,
        instances,
        labels,
        counted,
        ("background", "white", "red"),
        semantics,
        ("above", "below"),
    )


TOYS: dict[str, tuple[Task, Callable[..., Any], dict[str, Any]]] = {
    "height": (TASKS["height"], toy_heights, {"decoder": "segformer"}),
    **{
        name: (TASKS[name], toy_objects, {"decoder": "fpn", "dataset": "islands"})
        for name in ("detection", "instance", "panoptic")
    },
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
