"""DySample against the authors' numbers, the paper's definition, and itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import reference
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from dysample_lib import DySample, point_sample

Scatter = Callable[..., DySample]


def assert_equal(actual: Tensor, expected: Tensor, atol: float = 1e-12) -> None:
    torch.testing.assert_close(actual, expected, rtol=0, atol=atol)


def relative_error(actual: Tensor, expected: Tensor) -> float:
    assert actual.shape == expected.shape
    assert actual.dtype == expected.dtype == torch.float64
    return ((actual - expected).abs().max() / expected.abs().max()).item()


def build_golden(case: dict[str, Tensor]) -> DySample:
    channels, scale, pl, groups, dynamic = case["config"].tolist()
    return DySample(
        channels,
        scale,
        groups=groups,
        style="pl" if pl else "lp",
        scope="dynamic" if dynamic else 0.25,
    ).double()


def authors_state(case: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state dict as the authors' module writes it."""
    _, scale, _, groups, _ = case["config"].tolist()
    step = [(k - (scale - 1) / 2) / scale for k in range(scale)]
    x = [step[j] for _ in range(groups * scale) for j in range(scale)]
    y = [step[i] for _ in range(groups) for i in range(scale) for _ in range(scale)]
    state = {
        name.removeprefix("param/"): value
        for name, value in case.items()
        if name.startswith("param/")
    }
    return state | {"init_pos": torch.tensor(x + y).view(1, -1, 1, 1)}


@pytest.mark.parametrize("index", range(4))
def test_golden_vectors(golden: list[dict[str, Tensor]], index: int) -> None:
    case = golden[index]
    assert len(golden) == 4
    module = build_golden(case)
    module.load_state_dict(authors_state(case), strict=True)
    x = case["x"].clone().requires_grad_()
    y = module(x)
    y.backward(case["grad_y"])
    assert relative_error(y, case["y"]) <= 1e-10
    assert x.grad is not None
    assert relative_error(x.grad, case["grad_x"]) <= 1e-10
    names = {name for name in case if name.startswith("grad/")}
    assert names == {f"grad/{name}" for name, _ in module.named_parameters()}
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None
        assert relative_error(parameter.grad, case[f"grad/{name}"]) <= 1e-10


@pytest.mark.parametrize("style", ["lp", "pl"])
@pytest.mark.parametrize("scope", [0.25, 1.0, "dynamic"])
@pytest.mark.parametrize("groups", [1, 2, 4, 8])
@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_nested_loops(
    scatter: Scatter, style: str, scope: float | str, groups: int, scale: int
) -> None:
    # The smallest width that fits, so that no group is a single channel.
    channels = math.lcm(2 * groups, scale**2 if style == "pl" else 1)
    initial = "nearest" if scope == 1.0 else "bilinear"
    options: dict[str, Any] = {"groups": groups, "style": style, "initial": initial}
    module = scatter(DySample(channels, scale, scope=scope, **options).double())
    x = torch.randn(2, channels, 2, 3, dtype=torch.float64)
    weights = {
        name: (p.flatten(1) if p.dim() > 1 else p).tolist()
        for name, p in module.named_parameters()
    }
    expected = reference.upsample(
        x.tolist(),
        weights["offset.weight"],
        weights["offset.bias"],
        weights["scope.weight"] if scope == "dynamic" else scope,
        scale=scale,
        **options,
    )
    assert_equal(module(x), torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize(
    ("channels", "scale", "groups"),
    [(16, 2, 1), (64, 2, 4), (64, 2, 8), (256, 4, 4), (72, 3, 8), (8, 1, 2)],
)
def test_parameter_counts(
    channels: int, scale: int, groups: int, dynamic: bool
) -> None:
    scope = "dynamic" if dynamic else 0.25
    for style, weights, biases in (
        ("lp", 2 * groups * scale**2 * channels, 2 * groups * scale**2),
        ("pl", 2 * groups * channels // scale**2, 2 * groups),
    ):
        module = DySample(channels, scale, groups=groups, style=style, scope=scope)
        count = sum(p.numel() for p in module.parameters())
        assert count == weights * (2 if dynamic else 1) + biases


def test_the_published_parameter_counts_leave_the_biases_out() -> None:
    def weights(scope: float | str) -> int:
        parameters = DySample(256, scope=scope).named_parameters()
        return sum(p.numel() for name, p in parameters if name.endswith("weight"))

    assert [3 * weights(0.25), 4 * weights(0.25)] == [24_576, 32_768]
    assert [3 * weights("dynamic"), 4 * weights("dynamic")] == [49_152, 65_536]


def test_initial_weights() -> None:
    static, dynamic = DySample(256), DySample(256, scope="dynamic")
    for module in (static, dynamic):
        assert abs(module.offset.weight.std().item() - 0.001) < 5e-5
        assert module.offset.bias is not None
        assert not module.offset.bias.any()
    assert not dynamic.scope.weight.any()
    # A zero scope layer is the static factor 0.25.
    dynamic.load_state_dict(static.state_dict(), strict=False)
    x = torch.randn(1, 256, 3, 4)
    assert torch.equal(dynamic(x), static(x))
    nn.init.ones_(dynamic.scope.weight)
    dynamic.reset_parameters()
    assert not dynamic.scope.weight.any()
    assert not torch.equal(dynamic.offset.weight, static.offset.weight)


@pytest.mark.parametrize("style", ["lp", "pl"])
def test_the_dynamic_range_is_pointwise_and_at_most_half_a_pixel(
    scatter: Scatter, style: str
) -> None:
    module = scatter(DySample(16, style=style, scope="dynamic"))
    reach = module.walking_range(torch.randn(2, 16, 5, 6))
    assert isinstance(reach, Tensor)
    assert reach.shape == (2, 2 * 4 * 4, 5, 6)
    assert 0 <= reach.min() < 0.1
    assert 0.4 < reach.max() <= 0.5


@given(
    st.sampled_from(("lp", "pl")),
    st.sampled_from((0.25, "dynamic")),
    st.sampled_from((2, 4, 8)),
    st.integers(1, 3),
    st.tuples(st.integers(0, 2), st.integers(1, 5), st.integers(1, 5)),
)
def test_groups_with_equal_weights_are_one_group(
    style: str,
    scope: float | str,
    groups: int,
    scale: int,
    size: tuple[int, int, int],
) -> None:
    channels = math.lcm(groups, scale**2)
    options: dict[str, Any] = {"style": style, "scope": scope}
    one = DySample(channels, scale, groups=1, **options).double()
    many = DySample(channels, scale, groups=groups, **options).double()
    state = {}
    for name, value in one.state_dict().items():
        by_axis = torch.randn_like(value).unflatten(0, (2, -1))
        one.state_dict()[name].copy_(by_axis.flatten(0, 1))
        state[name] = torch.cat([by_axis] * groups, dim=1).flatten(0, 1)
    many.load_state_dict(state)
    x = torch.randn(size[0], channels, *size[1:], dtype=torch.float64)
    assert_equal(many(x), one(x))


@pytest.mark.parametrize("index", range(4))
def test_authors_state_dicts(golden: list[dict[str, Tensor]], index: int) -> None:
    case = golden[index]
    theirs = authors_state(case)
    own = {name: value for name, value in theirs.items() if name != "init_pos"}
    for state in (theirs, own, theirs | {"init_pos": theirs["init_pos"].half()}):
        keys = set(state)
        for net, prefix in (
            (build_golden(case), ""),
            (nn.Sequential(nn.ReLU(), build_golden(case)), "1."),
        ):
            net.load_state_dict({prefix + k: v for k, v in state.items()}, strict=True)
            assert set(net.state_dict()) == {prefix + name for name in own}
            for name, value in own.items():
                assert torch.equal(net.state_dict()[prefix + name], value)
        assert set(state) == keys  # the caller's dict is as it was


def test_a_wrong_init_pos_is_refused(golden: list[dict[str, Tensor]]) -> None:
    case = golden[0]
    state = authors_state(case)
    right = state["init_pos"]
    wrong = {
        "nearest": torch.zeros_like(right),
        "x and y swapped": right.view(2, -1).flip(0).reshape(right.shape),
        "fewer groups": right[:, ::2],
        "scale": authors_state({"config": torch.tensor([16, 4, 0, 1, 0])})["init_pos"],
        "flat": right.flatten(),
    }
    for value in wrong.values():
        changed = state | {"init_pos": value}
        net = nn.Sequential(build_golden(case))
        before = {name: p.clone() for name, p in net.state_dict().items()}
        message = (
            r"^0\.init_pos of shape \([\d, ]+\) holds other initial positions than "
            r"this module \(16, scale=2, groups=4, .*\): build it with the "
            r"checkpoint's scale, groups and initial$"
        )
        with pytest.raises(ValueError, match=message):
            net.load_state_dict({f"0.{k}": v for k, v in changed.items()})
        for name, parameter in net.state_dict().items():
            assert torch.equal(parameter, before[name])


@pytest.mark.parametrize("style", ["lp", "pl"])
@pytest.mark.parametrize("scope", [0.25, "dynamic"])
def test_the_hard_limit(scatter: Scatter, style: str, scope: float | str) -> None:
    """O = range · tanh(offset(X)) + initial: the points keep to their range."""
    options: dict[str, Any] = {"style": style, "scope": scope}
    hard = scatter(DySample(16, limit="tanh", **options).double(), std=2)
    soft = DySample(16, **options).double()
    soft.load_state_dict(hard.state_dict())
    x = torch.randn(2, 16, 5, 6, dtype=torch.float64)
    start = hard.initial_offsets(torch.float64)
    reach = hard.walking_range(x)
    linear = (soft.offsets(x) - start) / reach
    assert_equal(hard.offsets(x) - start, reach * linear.tanh())
    assert ((hard.offsets(x) - start).abs() <= reach + 1e-12).all()
    assert ((soft.offsets(x) - start).abs() > reach).any()
    assert_equal(hard(x), point_sample(x, hard.offsets(x), 2, hard.groups))
    assert "limit='tanh'" in repr(hard)
    assert "limit" not in repr(soft)


def test_the_offset_layer_starts_as_wide_as_told() -> None:
    for std in (0.02, 0.0):
        module = DySample(256, init_std=std)
        assert abs(module.offset.weight.std().item() - std) <= 0.05 * std
        module.reset_parameters()
        assert abs(module.offset.weight.std().item() - std) <= 0.05 * std
        assert f"init_std={std}" in repr(module)
    assert "init_std" not in repr(DySample(16))


def test_repr_tells_the_variant() -> None:
    text = repr(DySample(16, 4, groups=2, style="pl", scope="dynamic"))
    for part in ("16", "scale=4", "groups=2", "'pl'", "'dynamic'", "'bilinear'"):
        assert part in text
