"""The authors' checkpoints: every spelling loads or is refused, and nothing is lost."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dysample_lib import DySample
from dysample_lib.adapt.state_dicts import load_dysample_state_dict

State = dict[str, Tensor]


def authors_state(module: DySample, bias: Tensor | None = None) -> State:
    """The module's weights in the authors' spelling; with ``bias`` the segmentation's.

    Their ``init_pos`` counts x for every group and point, then y.
    """
    s, groups = module.scale, module.groups
    step = [(k - (s - 1) / 2) / s for k in range(s)]
    x = [step[j] for _ in range(groups * s) for j in range(s)]
    y = [step[i] for _ in range(groups) for i in range(s) for _ in range(s)]
    state = {name: p.detach().clone() for name, p in module.named_parameters()}
    state["init_pos"] = torch.tensor(x + y).view(1, -1, 1, 1)
    if bias is not None:
        state["scope.bias"] = bias
    return state


def prefixed(prefix: str, state: State) -> State:
    return {prefix + name: value for name, value in state.items()}


@pytest.fixture
def build(scatter: Callable[..., DySample]) -> Callable[..., DySample]:
    return lambda **options: scatter(DySample(16, **options))


VARIANTS: list[dict[str, Any]] = [
    {},
    {"scope": "dynamic"},
    {"style": "pl", "groups": 8},
    {"style": "pl", "groups": 8, "scope": "dynamic"},
]


@pytest.mark.parametrize("options", VARIANTS)
@pytest.mark.parametrize("prefix", ["", "module.neck.up."])
def test_the_standalone_spelling(
    build: Callable[..., DySample], options: dict[str, Any], prefix: str
) -> None:
    source, target = build(**options), build(**options)
    state = prefixed(prefix, authors_state(source))
    report = load_dysample_state_dict(target, state)
    x = torch.randn(2, 16, 3, 5)
    assert torch.equal(target(x), source(x))
    names = [name for name, _ in source.named_parameters()]
    assert report.used == {prefix + name: name for name in names}
    assert report.dropped == {prefix + "init_pos": "computed, and the same"}
    assert (report.added, report.ignored) == ({}, 0)


@pytest.mark.parametrize("style", ["lp", "pl"])
def test_a_scope_bias_is_kept_exactly(
    build: Callable[..., DySample], style: str
) -> None:
    source = build(scope="dynamic", style=style).double()
    bias = torch.randn(32 if style == "lp" else 8, dtype=torch.float64)
    state = authors_state(source, bias)
    x = torch.randn(2, 16, 3, 5, dtype=torch.float64)
    # Their range, 0.5 · sigmoid(W x + b), written out beside the module.
    shuffled = x if style == "lp" else F.pixel_shuffle(x, 2)
    logits = F.conv2d(shuffled, state["scope.weight"], bias)
    if style == "pl":
        logits = F.pixel_unshuffle(logits, 2)
    for options in ({}, {"scope_bias": True}):
        target = build(scope="dynamic", style=style, **options).double()
        report = load_dysample_state_dict(target, state)
        assert report.used["scope.bias"] == "scope.bias"
        assert set(report.added) == (set() if options else {"scope.bias"})
        reach = target.walking_range(x)
        torch.testing.assert_close(reach, 0.5 * logits.sigmoid(), rtol=0, atol=1e-14)
        assert dict(target.named_parameters())["scope.bias"].requires_grad
        assert target.scope.bias.data_ptr() != bias.data_ptr()
        # What was loaded goes on as an ordinary state dict.
        again = DySample(16, style=style, scope="dynamic", scope_bias=True).double()
        again.load_state_dict(target.state_dict())
        assert torch.equal(again(x), target(x))
        assert "scope_bias=True" in repr(again)
        again.reset_parameters()
        assert not again.scope.bias.any()


def test_a_scope_bias_of_zeros_is_dropped_and_one_that_lacks_is_zero(
    build: Callable[..., DySample],
) -> None:
    source = build(scope="dynamic")
    x = torch.randn(1, 16, 3, 5)
    target = build(scope="dynamic")
    report = load_dysample_state_dict(target, authors_state(source, torch.zeros(32)))
    assert target.scope.bias is None
    assert report.dropped["scope.bias"] == "all zeros, as without a bias"
    assert torch.equal(target(x), source(x))
    target = build(scope="dynamic", scope_bias=True)
    report = load_dysample_state_dict(target, authors_state(source))
    assert list(report.added) == ["scope.bias"]
    assert torch.equal(target(x), source(x))


def detection_checkpoint(sources: list[DySample]) -> dict[str, Any]:
    state: State = {"backbone.conv1.weight": torch.zeros(4, 3, 7, 7)}
    for i, source in enumerate(sources):
        state |= prefixed(f"neck.upsample_modules.{i}.", authors_state(source))
    state["bbox_head.offset_map.weight"] = torch.zeros(1)
    return {"meta": {"epoch": 12}, "state_dict": state}


class Net(nn.Module):
    def __init__(self, *upsamplers: DySample) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 1)
        self.decoder = nn.ModuleDict({"up": nn.ModuleList(upsamplers)})


def test_a_detection_checkpoint(build: Callable[..., DySample], tmp_path: Path) -> None:
    sources = [build() for _ in range(11)]  # "10" sorts before "2"
    checkpoint = detection_checkpoint(sources)
    path = tmp_path / "checkpoint.pth"
    torch.save(checkpoint, path)
    for wanted, state in ((11, checkpoint), (3, path), (2, str(path))):
        ups = [build() for _ in range(wanted)]
        net = Net(*ups)
        report = load_dysample_state_dict(net, state)
        for mine, theirs in zip(ups, sources, strict=False):
            assert torch.equal(mine.offset.weight, theirs.offset.weight)
        assert len(report.used) == 2 * wanted
        assert report.used["neck.upsample_modules.1.offset.bias"] == (
            "decoder.up.1.offset.bias"
        )
        assert len(report.dropped) == wanted + 3 * (11 - wanted)
        assert report.ignored == 2
        text = str(report)
        assert text.count("no upsampler of this name") == 3 * (11 - wanted)
        assert text.endswith("ignored 2 entries of other modules")
    plain = nn.ModuleList(build() for _ in range(11))
    load_dysample_state_dict(plain, checkpoint["state_dict"], "neck.upsample_modules")
    assert torch.equal(plain[10].offset.bias, sources[10].offset.bias)
    for prefix in ("neck.upsample_modules.1", "neck.upsample_modules.1."):
        one = build()
        load_dysample_state_dict(one, checkpoint, prefix)
        assert torch.equal(one.offset.bias, sources[1].offset.bias)


@pytest.mark.parametrize(
    ("keys", "opened"),
    [
        (["params_ema", "params"], ("params_ema",)),
        (["params", "params_ema"], ("params_ema",)),
        (["params"], ("params",)),
        (["model"], ("model",)),
        (["model", "ema"], ("ema",)),
        (["model_state_dict", "optimizer_state_dict"], ("model_state_dict",)),
    ],
)
def test_wrappers_are_opened(
    build: Callable[..., DySample], keys: list[str], opened: tuple[str, ...]
) -> None:
    sources = {key: build() for key in keys}
    checkpoint: dict[str, Any] = {"iter": 5, "args": [1]}
    checkpoint |= {key: authors_state(source) for key, source in sources.items()}
    target = build()
    report = load_dysample_state_dict(target, checkpoint)
    assert report.opened == opened
    assert str(report).startswith(f"opened {opened[0]}\nused offset.weight as")
    assert torch.equal(target.offset.weight, sources[opened[0]].offset.weight)
    nested = {"state_dict": {"model": checkpoint[keys[0]]}}
    report = load_dysample_state_dict(target, nested)
    assert report.opened == ("state_dict", "model")


def test_what_is_in_no_known_wrapper_is_named(build: Callable[..., DySample]) -> None:
    checkpoint = {1: 2, "generator": authors_state(build()), "epoch": 3}
    with pytest.raises(ValueError, match=r"generator, epoch; dicts in it: generator$"):
        load_dysample_state_dict(build(), checkpoint)
    with pytest.raises(TypeError, match=r"got list$"):
        load_dysample_state_dict(build(), [1])  # type: ignore[arg-type]


def super_resolution(upsample: DySample, end_conv: nn.Conv2d) -> nn.Sequential:
    return nn.Sequential(OrderedDict(upsample=upsample, end_conv=end_conv))


@pytest.mark.parametrize("prefix", ["", "upsampler.", "module.to_img."])
@pytest.mark.parametrize("size", [1, 3])
def test_the_convolution_of_super_resolution(
    build: Callable[..., DySample], prefix: str, size: int
) -> None:
    conv = nn.Conv2d(16, 3, size, padding=size // 2)
    source = super_resolution(build(scope="dynamic"), conv)
    theirs = authors_state(source.upsample) | {
        f"end_conv.{key}": value for key, value in conv.state_dict().items()
    }
    checkpoint = {"params_ema": prefixed(prefix, theirs)}
    x = torch.randn(1, 16, 5, 6)

    alone = build(scope="dynamic")
    before = alone.offset.weight.clone()
    with pytest.raises(ValueError, match="has no place: it is of the conv") as error:
        load_dysample_state_dict(alone, checkpoint)
    assert torch.equal(alone.offset.weight, before)
    # The message says what to write; so write it.
    written = re.search(r"load into (nn\.Sequential\(.*?\)\)\))", str(error.value))
    assert written
    names = {"nn": nn, "OrderedDict": OrderedDict, "DySample": DySample}
    target = eval(written[1], names)
    report = load_dysample_state_dict(target, checkpoint)
    assert torch.equal(target(x), source(x))
    assert report.used[f"{prefix}end_conv.bias"] == "end_conv.bias"

    net = nn.ModuleDict({"head": super_resolution(build(scope="dynamic"), conv)})
    report = load_dysample_state_dict(net, checkpoint)
    assert report.used[f"{prefix}end_conv.weight"] == "head.end_conv.weight"
    # One without it leaves ours alone.
    report = load_dysample_state_dict(source, authors_state(target.upsample))
    assert not any("end_conv" in name for name in report.used)
    wrong = super_resolution(build(scope="dynamic"), nn.Conv2d(16, 4, size))
    with pytest.raises(ValueError, match=r"end_conv\.bias is \(3,\), \(4,\) is needed"):
        load_dysample_state_dict(wrong, checkpoint)


def test_the_meta_device_holds_nothing(build: Callable[..., DySample]) -> None:
    state = authors_state(build())
    with torch.device("meta"):
        empty = DySample(16)
    with pytest.raises(ValueError, match=r"offset\.weight is on the meta device.*to_"):
        load_dysample_state_dict(empty, state)
    module = empty.to_empty(device="cpu")
    load_dysample_state_dict(module, state)
    assert torch.equal(module.offset.weight, state["offset.weight"])
    net = nn.ModuleList([build(), build()])
    before = net[0].offset.weight.clone()
    both = prefixed("0.", authors_state(build())) | prefixed("1.", state)
    both["1.offset.bias"] = both["1.offset.bias"].to("meta")
    with pytest.raises(ValueError, match=r"1\.offset\.bias \(32,\) is on the meta dev"):
        load_dysample_state_dict(net, both)
    assert torch.equal(net[0].offset.weight, before)


def test_a_model_s_own_names_come_first(build: Callable[..., DySample]) -> None:
    source, target = Net(build(), build()), Net(build(), build())
    report = load_dysample_state_dict(target, source.state_dict())
    assert all(theirs == ours for theirs, ours in report.used.items())
    assert len(report.used) == 4
    assert report.ignored == 2  # the convolution's
    assert not torch.equal(target.conv.weight, source.conv.weight)


def test_what_does_not_fit_is_refused_whole(build: Callable[..., DySample]) -> None:
    state = authors_state(build())
    wrong: list[tuple[dict[str, Any], State, str]] = [
        ({"scope": "dynamic"}, state, "scope.weight (32, 16, 1, 1) is missing"),
        (
            {},
            authors_state(build(scope="dynamic")),
            "scope.weight (32, 16, 1, 1) has no place in DySample(16, scale=2, gr",
        ),
        ({}, state | {"end.weight": state["offset.weight"]}, "end.weight (32, 16, 1"),
        (
            {"style": "pl"},
            state,
            "offset.weight is (32, 16, 1, 1), (8, 4, 1, 1) is needed by DySample(16",
        ),
        ({"style": "pl"}, state, "offset.bias is (32,), (8,) is needed"),
        ({"initial": "nearest"}, state, "init_pos of shape (1, 32, 1, 1) holds other"),
        ({}, {"offset.weight": state["offset.weight"]}, "offset.bias (32,) is missing"),
        (
            {},
            state | {"offset.bias": torch.zeros(32, dtype=torch.int8)},
            "offset.bias has to be a floating-point tensor, is torch.int8",
        ),
    ]
    for options, theirs, message in wrong:
        net = Net(build(**options), build(**options))
        before = {name: p.clone() for name, p in net.state_dict().items()}
        fine = authors_state(build(**options))
        both = prefixed("up.0.", fine) | prefixed("up.1.", theirs)
        start = "the checkpoint does not fit: "
        with pytest.raises(ValueError, match=f"^{start}.*up.1.{re.escape(message)}"):
            load_dysample_state_dict(net, both)
        for name, value in net.state_dict().items():
            assert torch.equal(value, before[name])


def test_what_cannot_be_matched_is_refused(build: Callable[..., DySample]) -> None:
    checkpoint = detection_checkpoint([build(), build()])
    match = "got prefix='': .*neck.upsample_modules.1.; the module has "
    with pytest.raises(ValueError, match=match + r"\(itself\)$"):
        load_dysample_state_dict(build(), checkpoint)
    three = nn.ModuleList(build() for _ in range(3))
    with pytest.raises(ValueError, match=match + "0, 1, 2$"):
        load_dysample_state_dict(three, checkpoint)
    with pytest.raises(ValueError, match=r"no entry is named head\.…offset\.weight"):
        load_dysample_state_dict(build(), checkpoint, "head")
    with pytest.raises(ValueError, match="hold a DySample, got Conv2d"):
        load_dysample_state_dict(nn.Conv2d(1, 1, 1), checkpoint)
    for arguments in ((build(), [1]), (build(), {}, 1), ({}, {})):
        with pytest.raises(TypeError, match="has to be a"):
            load_dysample_state_dict(*arguments)  # type: ignore[arg-type]
