"""Segmentation: what it loads, builds, loses and measures; predict and evaluate."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from training_samples import SEGMENTATION, toy_folder, toy_net, toy_set, toy_spec

from dysample_lib.metrics.registry import METRICS
from dysample_lib.tasks import TASKS
from dysample_lib.tasks.base import Batch, Images, batches, predict_batch
from dysample_lib.tasks.segmentation import evaluate, measure, predict


@pytest.mark.parametrize("name", TASKS)
def test_every_task_is_registered_under_its_name_with_known_metrics(name: str) -> None:
    task = TASKS[name]
    assert task.name == name
    assert task.metrics
    assert set(task.metrics) <= set(METRICS)


def test_it_loads_both_splits_of_a_folder(tmp_path: Path) -> None:
    spec = toy_spec(dataset="camvid")
    train, val = SEGMENTATION.load(spec, toy_folder(tmp_path, 5, 3))
    assert (train.split, len(train), val.split, len(val)) == ("train", 5, "val", 3)
    assert torch.equal(train.masks, toy_set(5).masks)
    spec = replace(spec, dataset_options={"size": [16, 24]})
    assert SEGMENTATION.load(spec, tmp_path).val.size == (16, 24)


def test_it_builds_what_the_spec_says() -> None:
    spec = toy_spec(
        upsampler="grouping",
        upsampler_options={"groups": 2},
        decoder="fpn",
        width=8,
        frozen=True,
    )
    net = SEGMENTATION.build(spec, toy_set(2))
    assert net.frozen
    assert net.decoder.classify.out_channels == 2
    assert type(net.decoder).__name__ == "FPNDecoder"
    upsamplers = list(SEGMENTATION.upsamplers(net))
    assert [(u.in_channels, u.groups) for u in upsamplers] == [(8, 2)] * 3


class Says(nn.Module):
    """Gives the same logits for anything."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = nn.Parameter(logits)

    def forward(self, images: Tensor) -> Tensor:
        return self.logits[: len(images)]


def test_the_loss_is_cross_entropy_where_there_is_a_label() -> None:
    data = toy_set(2)
    masks = data.masks.clone()
    masks[:, 4:] = 255
    data = replace(data, masks=masks)
    logits = torch.randn(2, 2, 32, 32)
    (batch,) = batches(Images(data))
    wanted = -logits.log_softmax(1).gather(1, data.masks[:, None].long() % 255)
    loss = SEGMENTATION.loss(Says(logits), batch)
    torch.testing.assert_close(loss, wanted[:, :, :4].mean())


def test_batches_are_all_samples_in_order() -> None:
    data = toy_set(7)
    found = list(batches(Images(data), 3))
    assert [len(batch.targets) for batch in found] == [3, 3, 1]
    assert torch.equal(torch.cat([batch.inputs for batch in found]), data.images)
    assert torch.equal(torch.cat([batch.targets for batch in found]), data.masks)


def test_a_batch_of_maps_is_decoded() -> None:
    net, images = toy_net().eval(), toy_set(2).images
    batch = Batch(net.encode(images), (32, 32), None, None)
    torch.testing.assert_close(predict_batch(net, batch), net(images))


def test_what_is_measured_is_iou_within_the_specs_band() -> None:
    data = toy_set(3)
    perfect = torch.nn.functional.one_hot(data.masks.long(), 2).permute(0, 3, 1, 2)
    model = Says(perfect.float())
    spec = toy_spec()
    found = SEGMENTATION.measure(model, Images(data), spec)
    assert found == dict.fromkeys(SEGMENTATION.metrics, 1.0)
    # Off by two columns: everything within the band is wrong, and less beyond it.
    model = Says(perfect.roll(2, -1).float())
    narrow, wide = (
        SEGMENTATION.measure(model, Images(data), replace(spec, band=band))
        for band in (1, 6)
    )
    assert narrow["boundary_iou"] < wide["boundary_iou"] < wide["mean_iou"] < 1
    assert narrow["trimap_iou"] < wide["trimap_iou"]
    assert narrow["mean_iou"] == wide["mean_iou"]
    assert narrow == measure(model, Images(data), 1)
    assert wide == evaluate(model, data, band=6, device="cpu")


def test_predict_does_not_depend_on_the_batch() -> None:
    net, images = toy_net().train(), toy_set(5).images
    one = predict(net, images, batch_size=1, device="cpu")
    assert torch.equal(one, predict(net, images, batch_size=5, device="cpu"))
    assert (one.dtype, one.shape, one.device.type) == (torch.uint8, (5, 32, 32), "cpu")
    with torch.no_grad():
        assert torch.equal(one, net.eval()(images).argmax(1))


@pytest.mark.parametrize("fails", [False, True])
def test_predict_keeps_every_modules_mode_and_what_is_frozen(fails: bool) -> None:
    net = toy_net().train()
    net.encoder.eval().requires_grad_(False)  # by hand: the network knows nothing of it
    modes = [module.training for module in net.modules()]
    frozen = [p.requires_grad for p in net.parameters()]
    statistics = {k: v.clone() for k, v in net.state_dict().items()}
    images = toy_set(5).images
    if fails:
        with pytest.raises(ValueError, match="images has to be"):
            predict(net, images[:, :1], device="cpu")
    else:
        predict(net, images, device="cpu")
    assert [module.training for module in net.modules()] == modes
    assert [p.requires_grad for p in net.parameters()] == frozen
    assert all(torch.equal(statistics[k], v) for k, v in net.state_dict().items())
    assert torch.is_grad_enabled()
    assert {True, False} == set(modes) == set(frozen)
