"""Detection, instance and panoptic segmentation: what they load, refuse and say."""

from __future__ import annotations

import importlib.util
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from task_samples import task_model, task_spec, toy_objects
from torch import Tensor, nn
from torchvision.ops import box_iou

from dysample_lib.__main__ import main
from dysample_lib.data import load_dataset
from dysample_lib.study.records import Record
from dysample_lib.study.run import resolve
from dysample_lib.tasks import TASKS, base
from dysample_lib.tasks.base import Images, batches
from dysample_lib.tasks.detection import FRAMES
from dysample_lib.testbed.detectors import MATCH, DetectionNet
from dysample_lib.train.fit import fit

NAMES = ("detection", "instance", "panoptic")


class Knows(nn.Module):
    """Finds what there is, in the images' order."""

    def __init__(self, sure: float = 0.9) -> None:
        super().__init__()
        self.sure, self.at = sure, 0
        self.nothing = nn.Parameter(torch.zeros(()))

    def forward(self, images: Tensor) -> list[dict[str, Tensor]]:
        index = torch.arange(self.at, self.at + len(images))
        self.at += len(images)
        _, truth = toy_objects(12, "val").batch(index, everything=True)
        return [
            {
                "boxes": one["boxes"],
                "labels": one["labels"],
                "scores": torch.full((len(one["labels"]),), self.sure),
                "masks": one["masks"][:, None].float(),
                "semantics": torch.stack([one["semantics"] == k for k in range(2)])
                .float()
                .mul(9),
            }
            for one in truth
        ]


@pytest.mark.parametrize("name", NAMES)
def test_what_there_is_is_perfect(name: str) -> None:
    data = toy_objects(12, "val")
    found = TASKS[name].measure(Knows(), Images(data), task_spec(name))
    assert tuple(found) == TASKS[name].metrics
    for metric, value in found.items():
        assert math.isnan(value) or value == pytest.approx(1), metric
    assert found[TASKS[name].metrics[0]] == pytest.approx(1)


def test_the_loss_is_the_sum_of_the_detectors() -> None:
    class Says(nn.Module):
        def encode(self, images: Tensor) -> list[Tensor]:
            return [images]

        def losses(
            self, levels: Any, size: Any, targets: Any, ignored: int
        ) -> dict[str, Tensor]:
            assert (levels[0].shape, size) == ((3, 3, 32, 32), (32, 32))
            assert ignored == 255
            assert len(targets) == 3
            return {"one": torch.tensor(1.5), "other": torch.tensor(2.0)}

    (batch,) = batches(Images(toy_objects(3)))
    assert TASKS["detection"].loss(Says(), batch) == 3.5


@pytest.mark.parametrize("name", NAMES)
def test_it_builds_what_the_spec_says(name: str) -> None:
    spec = task_spec(name, width=16, upsampler="carafe")
    model = TASKS[name].build(spec, toy_objects(2), pretrained=False)
    assert isinstance(model, DetectionNet)
    assert model.frozen
    assert model.enlarge == FRAMES["islands"].enlarge
    assert model.detector.roi_heads.has_mask() == (name != "detection")
    predictor = model.detector.roi_heads.box_predictor
    assert predictor.cls_score.out_features == 3
    assert len(list(TASKS[name].upsamplers(model))) == (9 if name == "panoptic" else 3)
    if name == "panoptic":
        assert model.semantic.classify.out_channels == 2 + 1  # type: ignore[union-attr]


def test_most_of_the_islands_meet_an_anchor() -> None:
    """What meets none by the threshold is left to its nearest, and hardly learned."""
    pytest.importorskip("timm")
    data = load_dataset("islands", "val")
    spec = task_spec("detection", encoder="efficientnet_lite0")
    model = TASKS["detection"].build(spec, data, pretrained=False)
    assert isinstance(model, DetectionNet)
    levels = model.encode(data.images[:1])
    frame = model._frame(levels, data.size)
    (anchors,) = model.detector.rpn.anchor_generator(frame, levels)
    _, truth = data.batch(torch.arange(len(data)))
    best = [box_iou(model._enlarged(one)["boxes"], anchors).amax(1) for one in truth]
    assert (torch.cat(best) >= MATCH).double().mean() > 0.85


def test_a_detector_learns_its_set_within_eighty_steps() -> None:
    spec = task_spec("detection", epochs=20, batch_size=4, learning_rate=4e-3)
    model = task_model(spec)
    found = fit(
        TASKS["detection"], model, toy_objects(16), toy_objects(16, "val"), spec
    )
    assert found.metrics["box_ap50"] > 0.5


def pedestrians(root: Path, size: int = 24) -> Path:
    """The layout of Penn-Fudan, with a bright box for a pedestrian."""
    for folder in ("PNGImages", "PedMasks"):
        (root / folder).mkdir(parents=True)
    random = np.random.default_rng(0)
    for k in range(170):
        image = random.integers(0, 60, (size, size, 3), np.uint8)
        mask = np.zeros((size, size), np.uint8)
        left = 2 + k % 8
        image[4:20, left : left + 8], mask[4:20, left : left + 8] = 220, 1
        Image.fromarray(image).save(root / "PNGImages" / f"P{k:05}.png")
        Image.fromarray(mask).save(root / "PedMasks" / f"P{k:05}_mask.png")
    return root


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pedestrians(tmp_path_factory.mktemp("pedestrians"))


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Photographs of 32 × 32 pixels, whatever the testbed says."""
    from dysample_lib.study import budget

    key = ("instance", "pennfudan", "small")
    bed = budget.PROBE
    small = replace(bed, flips="h", dataset_options=(("size", (32, 32)),))
    monkeypatch.setitem(budget.TESTBEDS, key, small)


@pytest.mark.slow
def test_the_shell_trains_records_sweeps_and_evaluates(
    root: Path, tmp_path: Path, tiny: None, capsys: pytest.CaptureFixture[str]
) -> None:
    options = f"--task instance --dataset pennfudan --root {root} --encoder small"
    options += " --epochs 1 --width 8"
    checkpoint = tmp_path / "run.pt"
    command = f"train {options} --upsampler grouping --checkpoint {checkpoint}"
    assert main(command.split()) == 0
    record = Record.from_json(capsys.readouterr().out.splitlines()[-1])
    assert tuple(record.metrics) == TASKS["instance"].metrics
    assert record.spec.dataset_options == {"size": [32, 32]}
    assert main(["evaluate", f"--checkpoint={checkpoint}", f"--root={root}"]) == 0
    again = json.loads(capsys.readouterr().out.replace("NaN", "null"))
    assert again["mask_ap"] == pytest.approx(record.metrics["mask_ap"])


@pytest.mark.parametrize("name", NAMES)
def test_by_default_it_is_islands_behind_the_pretrained_encoder(name: str) -> None:
    spec = resolve("grouping", task=name, data="given")
    assert (spec.dataset, spec.decoder) == ("islands", "fpn")
    assert (spec.encoder, spec.frozen) == ("efficientnet_lite0", True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("detection --dataset height", "for detection, a DetectionSet (islands, penn"),
        ("instance --decoder segformer", "decoder of instance has to be one of 'fpn'"),
        ("instance --dataset pennfudan", "pennfudan needs its folder"),
        ("detection --dataset pennfudan --root {root}", "there is no folder"),
        ("panoptic --dataset islands --root {root}", "bmng.jpg is needed"),
    ],
)
def test_what_does_not_fit_is_named_before_any_work(
    options: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = options.format(root=tmp_path / "none").split()
    assert main(["train", "--task", *words]) == 1
    assert message in capsys.readouterr().err


def test_objects_alone_are_not_enough_for_panoptic(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = f"train --task panoptic --dataset pennfudan --root {root}"
    assert main(command.split()) == 1
    assert "a class for every pixel" in capsys.readouterr().err


def test_images_of_several_sizes_are_refused(root: Path) -> None:
    spec = task_spec("detection", dataset="pennfudan")
    image = Image.open(root / "PNGImages" / "P00000.png")
    other = root / "PNGImages" / "P00000.png"
    mask = root / "PedMasks" / "P00000_mask.png"
    kept = other.read_bytes(), mask.read_bytes()
    try:
        image.resize((30, 24)).save(other)
        Image.open(mask).resize((30, 24)).save(mask)
        with pytest.raises(ValueError, match=r"has to hold size=\(height, width\)"):
            TASKS["detection"].load(spec, root)
    finally:
        other.write_bytes(kept[0])
        mask.write_bytes(kept[1])


@pytest.mark.parametrize(
    ("name", "package"), [("detection", "pycocotools"), ("panoptic", "torchvision")]
)
def test_a_missing_package_is_named(
    name: str,
    package: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    there = importlib.util.find_spec

    def without(wanted: str) -> Any:
        return None if wanted == package else there(wanted)

    monkeypatch.setattr(base, "find_spec", without)
    assert main(["train", "--task", name]) == 1
    text = capsys.readouterr().err
    assert f"{name} needs the package {package}" in text
    assert "pip install" in text
