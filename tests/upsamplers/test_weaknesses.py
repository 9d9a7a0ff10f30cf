"""What a plain transcription of the paper's formulas gets wrong, and the library not.

Each test asserts both halves. Rounding is in ``test_precision.py``, ONNX in
``test_export.py``, devices in ``test_devices.py``, arguments in ``test_arguments.py``,
odd sizes in ``test_output_size.py``, checkpoints in ``test_state_dicts.py`` and
``test_tensor_files.py``, repeatable gradients in ``test_deterministic.py``.
"""

from __future__ import annotations

import copy
import itertools
import warnings
from collections.abc import Callable

import pytest
import torch
from torch import nn

from benchmarks.published import Published
from dysample_lib import DySample, point_sample

Scatter = Callable[..., nn.Module]


def pair(scatter: Scatter, **options: object) -> tuple[DySample, Published]:
    """Both with the same weights, all of them away from zero."""
    ours = DySample(16, **options)  # type: ignore[arg-type]
    scatter(ours, std=0.2)
    plain = Published(
        16,
        groups=ours.groups,
        style=ours.style,
        dynamic=options.get("scope") == "dynamic",
    )
    plain.load_state_dict(ours.state_dict(), strict=False)
    return ours, plain


@pytest.mark.parametrize("style", ["lp", "pl"])
@pytest.mark.parametrize("scope", [0.25, "dynamic"])
def test_the_transcription_is_the_same_operator(
    scatter: Scatter, style: str, scope: float | str
) -> None:
    ours, plain = (m.double() for m in pair(scatter, style=style, scope=scope))
    x = torch.randn(2, 16, 5, 7, dtype=torch.float64)
    torch.testing.assert_close(ours(x), plain(x), rtol=0, atol=1e-12)


def test_channels_last(scatter: Scatter) -> None:
    ours, plain = pair(scatter)
    x = torch.randn(2, 16, 5, 7)
    permuted = x.contiguous(memory_format=torch.channels_last)
    with pytest.raises(RuntimeError, match="view size is not compatible"):
        plain(permuted)
    torch.testing.assert_close(ours(permuted), ours(x))


def test_half_precision_coordinates(scatter: Scatter) -> None:
    for dtype, width in ((torch.bfloat16, 512), (torch.float16, 2048)):
        ours, plain = (m.to(dtype) for m in pair(scatter))
        x = torch.randn(1, 16, 2, width).to(dtype)
        exact = copy.deepcopy(ours).double()(x.double())
        assert (ours(x) - exact).abs().max() < 0.2
        assert (plain(x) - exact).abs().max() > 1


def test_mixed_dtypes(scatter: Scatter) -> None:
    ours, plain = pair(scatter)
    x = torch.randn(1, 16, 3, 4)
    expected = ours(x)
    offsets = ours.offsets(x)
    with pytest.raises(RuntimeError, match=r"dtype|scalar type"):
        plain.sample(x.bfloat16(), offsets)
    for kind, other in itertools.permutations((torch.bfloat16, torch.float32), 2):
        y = point_sample(x.to(kind), offsets.to(other), 2, 4)
        assert y.dtype == kind
        torch.testing.assert_close(y.float(), expected, rtol=0, atol=0.1)


def test_other_sizes_in_a_trace(scatter: Scatter) -> None:
    ours, plain = pair(scatter)
    x = torch.randn(1, 16, 12, 9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated, and the checks run only once
        mine, theirs = (
            torch.jit.trace(m, torch.randn(1, 16, 6, 6)) for m in (ours, plain)
        )
        torch.testing.assert_close(mine(x), ours(x))
        wrong = theirs(x)
    assert wrong.shape == ours(x).shape
    assert (wrong - plain(x)).abs().max() > 1


def test_no_warnings() -> None:
    before = torch.is_warn_always_enabled()
    torch.set_warn_always(True)  # else torch says each thing once per process
    try:
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            for deterministic in (False, True):
                module = DySample(16, scope="dynamic", deterministic=deterministic)
                module(torch.randn(2, 16, 3, 4)).sum().backward()
            assert not seen
            torch.meshgrid(torch.arange(3), torch.arange(4))  # as the authors call it
            assert "indexing" in str(seen[-1].message)
    finally:
        torch.set_warn_always(before)


@pytest.mark.parametrize("deterministic", [False, True])
def test_empty_batches_and_single_pixels(scatter: Scatter, deterministic: bool) -> None:
    ours, plain = pair(scatter, deterministic=deterministic)
    with pytest.raises(RuntimeError):
        plain(torch.zeros(0, 16, 3, 4))
    for size in ((0, 16, 3, 4), (1, 16, 1, 1), (0, 16, 1, 1)):
        x = torch.randn(size, requires_grad=True)
        y = ours(x)
        assert y.shape == (size[0], 16, 2 * size[2], 2 * size[3])
        y.sum().backward()
        assert x.grad is not None
        assert x.grad.shape == x.shape
    x = torch.randn(1, 16, 1, 1)
    torch.testing.assert_close(ours(x), x.expand(1, 16, 2, 2))
