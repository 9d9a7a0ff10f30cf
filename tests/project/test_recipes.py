"""CONTRIBUTING's recipes, followed in a copy of the library: one file, one line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from _repository import ROOT

UPSAMPLER = '''
from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from .base import Flops, Upsampler



class Mine(Upsampler):
    """The nearest pixel, turned upside down."""

    def upsample(self, x: Tensor) -> Tensor:
        return -F.interpolate(x, scale_factor=self.scale)

    def flops(self, height: int, width: int) -> Flops:
        return Flops(0, 0)
'''
DATA = '''
from __future__ import annotations

from pathlib import Path

import torch

from .base import SegmentationSet


def load_mine(
    split: str, *, root: Path | None = None, count: int = 6
) -> SegmentationSet:
    """Noise, bright where the label is 1."""
    masks = (torch.arange(32 * 32 * count) // 7 % 2).reshape(count, 32, 32)
    images = (200 * masks[:, None]).expand(-1, 3, -1, -1)
    kinds = ("dark", "bright")
    return SegmentationSet("mine", split, images.byte(), masks.byte(), kinds)
'''
DECODER = '''
class Mine(Decoder):
    """The coarsest map, one step up."""

    def build(self, channels: tuple[int, ...], out_channels: int, width: int) -> None:
        self.project = conv_norm_relu(channels[-1], width)
        self.classify = PointwiseConv2d(width, out_channels)

    @staticmethod
    def steps(levels: int) -> int:
        return 1

    def forward(self, levels: list[Tensor]) -> Tensor:
        *_, guide, x = levels
        return self.classify(self.upsample(0, self.project(x), guide))
'''
ENCODER = '''
class Mine(Encoder):
    """Two maps, by averages."""

    channels = (3, 3)
    stride = 4

    def __init__(self, pretrained: bool = False) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> list[Tensor]:
        pool = nn.functional.avg_pool2d
        return [self.scale * pool(x, 2), self.scale * pool(x, 4)]
'''
TASK = '''
from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ..data import SegmentationSet
from ..testbed.nets import evaluating
from .base import Batch, Source, Task, batches, predict_batch
from .segmentation import build_net


class Mine(Task):
    """The brightness of a pixel."""

    name = "mine"
    dataset = "mine"
    kind = SegmentationSet
    metrics = ("mae",)

    def build(self, spec: Any, data: Any, *, pretrained: bool = True) -> nn.Module:
        return build_net(spec, 1, pretrained)

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        return (predict_batch(model, batch)[:, 0] - batch.targets).abs().mean()

    def measure(self, model: nn.Module, source: Source, spec: Any) -> dict[str, float]:
        with evaluating(model):
            errors = [float(self.loss(model, batch)) for batch in batches(source)]
        return {"mae": sum(errors) / len(errors)}
'''


def insert(path: Path, before: str, text: str) -> None:
    """Put ``text`` in front of the one place that ``before`` is at."""
    source = path.read_text("utf-8")
    assert source.count(before) == 1, (path, before)
    path.write_text(source.replace(before, text + before), "utf-8")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library with an upsampler, a data set, an encoder, a decoder and a task."""
    folder = tmp_path_factory.mktemp("copy")
    package = folder / "dysample_lib"
    leave = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "dysample_lib", package, ignore=leave)
    (package / "upsamplers" / "mine.py").write_text(UPSAMPLER)
    registry = package / "upsamplers" / "registry.py"
    insert(registry, "from .pixel_shuffle import", "from .mine import Mine\n")
    insert(registry, '    "bilinear": Entry', '    "mine": Entry("my own", Mine),\n')
    (package / "data" / "mine.py").write_text(DATA)
    line = '    "mine": SegmentationSet,\n'
    insert(package / "data" / "__init__.py", '    "pets": SegmentationSet', line)
    decoders, encoders = (package / "testbed" / f"{n}coders.py" for n in ("de", "en"))
    insert(decoders, "DECODERS: dict", DECODER + "\n\n")
    insert(decoders, '    "pointwise": ', '    "mine": Mine,\n')
    insert(encoders, "@dataclass(frozen=True)", ENCODER + "\n\n")
    insert(encoders, '    "small": Enc', '    "mine": EncoderEntry("my own", Mine),\n')
    (package / "tasks" / "mine.py").write_text(TASK)
    tasks = package / "tasks" / "__init__.py"
    insert(tasks, "from .segmentation import", "from .mine import Mine\n")
    source = tasks.read_text("utf-8")
    assert source.count("(Segmentation(),") == 1
    tasks.write_text(source.replace("(Segmentation(),", "(Segmentation(), Mine(),"))
    return folder


@pytest.mark.slow
def test_each_recipe_gives_a_name_to_every_command(copy: Path, tmp_path: Path) -> None:
    kinds = ("task", "dataset", "encoder", "decoder", "upsampler")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "dysample_lib", "train", "--epochs", "2"),
            *(word for kind in kinds for word in (f"--{kind}", "mine")),
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(copy)},
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    record = json.loads(done.stdout.splitlines()[-1])
    assert [record["spec"][kind] for kind in kinds] == ["mine"] * 5
    assert list(record["metrics"]) == ["mae"]
    assert record["environment"]["commit"] == "unknown"
