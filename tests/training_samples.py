"""A task to be learned within seconds, and a network for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import nn

from dysample_lib.data.base import SegmentationSet
from dysample_lib.study.spec import RunSpec
from dysample_lib.tasks import TASKS
from dysample_lib.testbed.nets import DensePredictionNet
from dysample_lib.train.fit import fit, seeded

SEGMENTATION = TASKS["segmentation"]


def toy_set(count: int, split: str = "train") -> SegmentationSet:
    """A bright half beside a dark one, to be told apart within seconds."""
    generator = torch.Generator().manual_seed(len(split))
    images = torch.randint(0, 60, (count, 3, 32, 32), generator=generator)
    masks = torch.zeros(count, 32, 32, dtype=torch.uint8)
    edges = torch.randint(8, 24, (count,), generator=generator)
    for mask, edge in zip(masks, edges, strict=True):
        mask[:, edge:] = 1
    images = (images + 150 * masks[:, None]).to(torch.uint8)
    return SegmentationSet("toy", split, images, masks, ("dark", "bright"))


def toy_folder(root: Path, train: int = 8, val: int = 4) -> Path:
    """The toy in the layout of CamVid, which worker processes can load."""
    for split, count in (("train", train), ("val", val)):
        data = toy_set(count, split)
        lines = []
        for folder in (split, f"{split}annot"):
            (root / folder).mkdir(parents=True)
        for k, (image, mask) in enumerate(zip(data.images, data.masks, strict=True)):
            names = f"{split}/{k}.png", f"{split}annot/{k}.png"
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(root / names[0])
            Image.fromarray(mask.numpy()).save(root / names[1])
            lines.append(" ".join(names))
        (root / f"{split}.txt").write_text("\n".join(lines))
    return root


def toy_spec(**changes: Any) -> RunSpec:
    """A run on the toy, to vary in tests."""
    values: dict[str, Any] = {
        "task": "segmentation",
        "dataset": "toy",
        "encoder": "small",
        "decoder": "pointwise",
        "upsampler": "dynamic_scope",
        "seed": 0,
        "epochs": 4,
        "width": 16,
        "learning_rate": 4e-3,
        "batch_size": 4,
    }
    return RunSpec(**(values | changes))


def toy_net(seed: int = 0) -> DensePredictionNet:
    with seeded(seed):
        return DensePredictionNet(2, upsampler="dynamic_scope", width=16)


def train(seed: int = 0, epochs: int = 4, **options: Any) -> DensePredictionNet:
    net = toy_net(seed)
    data = toy_set(20), toy_set(6, "val")
    fit(SEGMENTATION, net, *data, toy_spec(epochs=epochs, seed=seed), **options)
    return net


def same_weights(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)
