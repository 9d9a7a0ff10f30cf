"""The bill of every upsampler: what is counted agrees with what can be worked out."""

from __future__ import annotations

import math
import re
import subprocess
import sys

import pytest
import torch
from torch import Tensor

from dysample_lib.cost import Cost, Setting, compare, cost
from dysample_lib.cost.measuring import Passes
from dysample_lib.cost.operations import count_flops
from dysample_lib.ops.parameters import Parameters, count_parameters
from dysample_lib.upsamplers import FADE, UPSAMPLERS, DySample, Flops

C, H, W = 16, 5, 7


@pytest.fixture(scope="module")
def costs() -> dict[str, Cost]:
    """All upsamplers, in one comparison of two images."""
    measured = compare(list(UPSAMPLERS), C, H, W, batch=2, repeats=7, threads=1)
    assert [cost.upsampler for cost in measured] == list(UPSAMPLERS)
    return {cost.upsampler: cost for cost in measured}


@pytest.mark.parametrize("name", UPSAMPLERS)
def test_every_upsampler_has_a_bill(costs, name):
    cost = costs[name]
    module = Setting(name, C, H, W).build()
    assert cost.parameters == sum(p.numel() for p in module.parameters())
    assert cost.flops == 2 * module.flops(H, W).total
    output = 4 * 2 * C * 2 * H * 2 * W
    assert cost.peak_inference_bytes >= output
    assert cost.peak_training_bytes >= output + cost.saved_bytes
    inputs = output // 4 + (output if UPSAMPLERS[name].guided else 0)
    assert cost.saved_input_bytes in (0, output // 4, inputs)
    assert 0 < cost.forward_ms < math.inf and 0 < cost.training_ms < math.inf
    assert (cost.channels, cost.height, cost.width, cost.batch) == (C, H, W, 2)
    assert (cost.repeats, cost.threads, cost.device) == (7, 1, "cpu")
    assert cost.torch == torch.__version__ and cost.device_name


def test_the_fixed_rules_learn_and_keep_nothing(costs):
    for name in ("nearest", "bilinear"):
        assert costs[name].parameters == costs[name].flops_layers == 0
        assert costs[name].saved_bytes == costs[name].saved_input_bytes == 0


def test_at_the_size_of_the_paper():
    setting = Setting("grouping")
    module = setting.build()
    assert setting.shapes() == [(1, 256, 120, 120)]
    assert setting.output == (1, 256, 240, 240)
    assert count_parameters(module) == (8192, 32)
    # One 1×1 convolution, C → 2·g·s², with a product and a sum for each weight.
    layers = 2 * 256 * 2 * 4 * 2**2 * 120 * 120
    assert count_flops(module, {"x": torch.zeros(1, 256, 120, 120)}).layers == layers


def test_a_formula_that_torch_contradicts_is_refused(monkeypatch):
    monkeypatch.setattr(DySample, "flops", lambda self, h, w: Flops(h * w, 0))
    message = (
        "DySample.flops(5, 7) says 35 operations in layers for one image, torch counts "
        "71,680 for 2"
    )
    with pytest.raises(RuntimeError, match=re.escape(message)):
        count_flops(DySample(C), {"x": torch.zeros(2, C, H, W)})


def test_a_layer_that_is_called_twice_counts_twice():
    # FADE's encoder slides over both maps.
    module = FADE(C)
    guide = torch.zeros(1, C, 2 * H, 2 * W)
    inputs = {"x": torch.zeros(1, C, H, W), "guide": guide}
    layers = count_flops(module, inputs).layers
    encode = 2 * module.encode.weight.numel() * H * W
    assert layers - 5 * encode == 2 * H * W * (64 * C + 4 * 64 * C + C)


def test_inputs_take_turns_and_gradients_are_of_all():
    setting = Setting("fade", C, H, W)
    maps = [
        [torch.randn(shape, requires_grad=True) for _ in range(2)]
        for shape in setting.shapes()
    ]
    module = setting.build()
    seen: list[dict[str, Tensor]] = []
    module.register_forward_pre_hook(
        lambda module, _, named: seen.append(named), with_kwargs=True
    )
    passes = Passes(module, maps, torch.randn(setting.output))
    for turn in range(4):
        y = passes.forward(turn)
        assert not y.requires_grad and y.shape == setting.output
    gradients = passes.training(4)
    shapes = [g.shape for g in gradients]
    assert shapes == [*setting.shapes(), *(p.shape for p in module.parameters())]
    assert all(g.any() for g in gradients)
    for which, name in enumerate(("x", "guide")):
        turns = [named[name] is maps[which][i % 2] for i, named in enumerate(seen)]
        assert turns == [True] * 5


def test_groups_where_there_are_groups():
    assert Setting("grouping", 16, groups=2).build().groups == 2
    assert Setting("grouping", 16).build().groups == 4
    assert Setting("carafe", 16, groups=2).build().groups == 2
    message = "groups has to be None for bilinear, which has none, got 2"
    with pytest.raises(ValueError, match=message):
        Setting("bilinear", 16, groups=2).build()


def test_the_session_is_left_as_it_was():
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    cost("grouping", 8, 3, 3, repeats=7, threads=threads + 1)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"name": "sharp"}, ValueError, "upsampler has to be one of nearest, "),
        ({"channels": 0}, ValueError, "channels has to be an integer ≥ 1, got 0"),
        ({"height": 2.5}, TypeError, "height has to be an integer ≥ 1, got 2.5"),
        ({"scale": -1}, ValueError, "scale has to be an integer ≥ 1, got -1"),
        ({"batch": 0}, ValueError, "batch has to be an integer ≥ 1, got 0"),
        ({"groups": 0}, ValueError, "groups has to be an integer ≥ 1, got 0"),
        ({"channels": 6}, ValueError, "groups has to divide in_channels, got groups=4"),
        ({"repeats": 3}, ValueError, "repeats has to be at least 7, got 3"),
        ({"threads": 0}, ValueError, "threads has to be an integer ≥ 1, got 0"),
        ({"device": "meta"}, ValueError, "device has to be cpu or cuda, got meta"),
    ],
)
def test_bad_arguments_are_refused_before_any_work(
    changed, error, message, monkeypatch
):
    monkeypatch.setattr(Passes, "weigh", lambda *_: pytest.fail("work was done"))
    with pytest.raises(error, match=re.escape(message)):
        cost(**{"name": "grouping", "channels": 8, "height": 3, "width": 3, **changed})


def test_nothing_to_compare_is_refused():
    with pytest.raises(ValueError, match="at least one upsampler to measure, got none"):
        compare([])


def test_parameters_are_counted_once_each():
    layer = torch.nn.Linear(3, 2)
    both = torch.nn.Sequential(layer, torch.nn.Sequential(layer), DySample(8))
    assert count_parameters(both) == Parameters(6 + 256, 2 + 32)
    assert count_parameters(both).total == 296
    assert count_parameters(both, of=DySample) == (256, 32)
    assert count_parameters(both, of=torch.nn.Linear) == (6, 2)
    assert count_parameters(torch.nn.ReLU()) == (0, 0)


SCRIPT = """
import sys
for name in ("pandas", "matplotlib", "numpy"):
    sys.modules[name] = None  # an import of it fails
import warnings
warnings.filterwarnings("ignore", "Failed to initialize NumPy")
import dysample_lib
assert "dysample_lib.cost" not in sys.modules
from dysample_lib.cost import compare, cost_markdown
text = cost_markdown(compare(["naive", "grouping"], 8, 3, 4, repeats=7))
assert "DySample" in text
print("done")
"""


def test_measuring_needs_torch_alone_and_writes_nothing_to_the_terminal():
    # Notebooks show what a library writes to the terminal, and nbval compares it.
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "done\n", "")
