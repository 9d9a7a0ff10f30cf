"""Height: the loss is of logarithms over land, the prediction is in metres."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from task_samples import task_spec, toy_heights
from torch import Tensor, nn

from dysample_lib.__main__ import main
from dysample_lib.study.run import resolve
from dysample_lib.tasks import TASKS
from dysample_lib.tasks.base import Images, batches
from dysample_lib.tasks.height import CEILING, FLOOR, UNIT, heights

HEIGHT = TASKS["height"]


class Says(nn.Module):
    """Gives the same output for anything."""

    def __init__(self, output: Tensor) -> None:
        super().__init__()
        self.output = nn.Parameter(output)

    def forward(self, images: Tensor) -> Tensor:
        return self.output[: len(images), None]


def test_the_loss_is_hubers_of_the_logarithm_over_the_land() -> None:
    data = toy_heights(2)
    truth = data.heights.clone()
    truth[0, :, 30], truth[0, :, 31] = (
        -40.0,
        3.0,
    )  # below the floor, and the sea's level
    data = replace(data, heights=truth)
    output = torch.randn(2, 32, 32) * 2
    (batch,) = batches(Images(data))
    error = (output - (truth.clamp(min=FLOOR) / UNIT).log()).abs()
    wanted = torch.where(error < 1, error**2 / 2, error - 0.5)[data.land].mean()
    torch.testing.assert_close(HEIGHT.loss(Says(output), batch), wanted)
    sea = replace(data, land=torch.zeros_like(data.land))
    (batch,) = batches(Images(sea))
    loss = HEIGHT.loss(Says(output), batch)
    assert loss.item() == 0
    assert loss.requires_grad


def test_what_is_measured_is_in_metres_over_the_land() -> None:
    data = toy_heights(3)
    output = (data.heights.clamp(min=1) / UNIT).log()
    found = HEIGHT.measure(Says(output), Images(data), task_spec("height"))
    assert found == pytest.approx(
        {"rmse": 0, "mae": 0, "log10": 0, "delta1": 1}, abs=1e-3
    )
    twice = HEIGHT.measure(
        Says(output + math.log(2)), Images(data), task_spec("height")
    )
    land = data.heights[data.land]
    assert twice == pytest.approx(
        {
            "rmse": land.square().mean().sqrt().item(),
            "mae": land.mean().item(),
            "log10": math.log10(2),
            "delta1": 0,
        },
        rel=1e-4,
    )


def test_no_output_overflows() -> None:
    found = heights(torch.tensor([-1e6, 0.0, 1e6]))
    assert found.tolist() == [0.0, UNIT, CEILING]


def test_by_default_it_is_learned_behind_the_pretrained_encoder() -> None:
    spec = resolve("grouping", task="height", data="given")
    assert (spec.dataset, spec.encoder, spec.decoder) == (
        "height",
        "efficientnet_lite0",
        "segformer",
    )
    assert spec.frozen


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--dataset coastlines", "for height, a HeightSet (height), got 'coastlines'"),
        ("--dataset height --root {root}", "bmng.jpg"),
    ],
)
def test_what_does_not_fit_is_named_before_any_work(
    options: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = options.format(root=tmp_path).split()
    assert main(["train", "--task", "height", *words]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_the_shell_ends_with_a_record(capsys: pytest.CaptureFixture[str]) -> None:
    command = "train --task height --encoder small --upsampler bilinear --epochs 1"
    assert main(command.split()) == 0
    record = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert list(record["metrics"]) == ["rmse", "mae", "log10", "delta1"]
    assert 200 < record["metrics"]["rmse"] < 1000
    assert record["spec"]["task"] == record["spec"]["dataset"] == "height"
