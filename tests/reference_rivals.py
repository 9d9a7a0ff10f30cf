"""The rivals in nested loops, written for reading and slow on purpose.

Maps are ``map[channel][row][column]``, one image at a time; weights are nested lists
by the names of the modules' state dicts. Nothing here comes from the library, so that
the two can be held against each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

Nested = Any
"""Nested lists of floats."""


def read(channel: Nested, row: int, column: int) -> float:
    """One value; outside the map are zeros."""
    if 0 <= row < len(channel) and 0 <= column < len(channel[0]):
        return channel[row][column]
    return 0.0


def make(channels: int, rows: int, columns: int, f: Callable[..., float]) -> Nested:
    """A map from a function of channel, row and column."""
    return [
        [[f(c, i, j) for j in range(columns)] for i in range(rows)]
        for c in range(channels)
    ]


def convolve(x: Nested, p: Nested, name: str, *, depthwise: bool = False) -> Nested:
    """A convolution with stride 1 that keeps the size."""
    weight = p[f"{name}.weight"]
    bias = p.get(f"{name}.bias", [0.0] * len(weight))
    size = len(weight[0][0])
    steps = range(-(size // 2), size // 2 + 1)

    def value(out: int, i: int, j: int) -> float:
        seen = [x[out]] if depthwise else x
        total = bias[out]
        for channel, kernel in zip(seen, weight[out], strict=True):
            for a in steps:
                for b in steps:
                    w = kernel[a + size // 2][b + size // 2]
                    total += w * read(channel, i + a, j + b)
        return total

    return make(len(weight), len(x[0]), len(x[0][0]), value)


def shuffle(x: Nested, s: int) -> Nested:
    """Channel c · s² + i · s + j becomes sub-pixel (i, j) of channel c."""

    def value(c: int, row: int, column: int) -> float:
        channel = c * s * s + (row % s) * s + column % s
        return x[channel][row // s][column // s]

    return make(len(x) // s**2, s * len(x[0]), s * len(x[0][0]), value)


def softmax(logits: list[float]) -> list[float]:
    powers = [math.exp(value) for value in logits]
    return [power / sum(powers) for power in powers]


def kernels_of(logits: Nested, groups: int = 1) -> Callable[[int, int, int], Nested]:
    """The normalised kernel of a group at one output pixel, row by row."""
    per_group = len(logits) // groups

    def kernel(group: int, row: int, column: int) -> list[float]:
        first = group * per_group
        return softmax(
            [logits[n][row][column] for n in range(first, first + per_group)]
        )

    return kernel


def reassemble(x: Nested, kernel: Callable[..., Nested], s: int, groups: int) -> Nested:
    """Weighted sums over the neighbourhood of the pixel that each output lies in."""

    def value(c: int, row: int, column: int) -> float:
        weights = kernel(c * groups // len(x), row, column)
        size = math.isqrt(len(weights))
        total = 0.0
        for n, w in enumerate(weights):
            i = row // s + n // size - size // 2
            j = column // s + n % size - size // 2
            total += w * read(x[c], i, j)
        return total

    return make(len(x), s * len(x[0]), s * len(x[0][0]), value)


def deconv(x: Nested, p: Nested, s: int) -> Nested:
    """Each value paints a kernel of 2s − 1 pixels around the start of its block."""
    weight, bias = p["conv.weight"], p["conv.bias"]  # [in][out][row][column]
    height, width = len(x[0]), len(x[0][0])
    out = make(len(bias), s * height, s * width, lambda c, i, j: bias[c])
    for c, channel in enumerate(x):
        for o in range(len(bias)):
            for row in range(height):
                for column in range(width):
                    for a in range(2 * s - 1):
                        for b in range(2 * s - 1):
                            i, j = s * row + a - (s - 1), s * column + b - (s - 1)
                            if i >= 0 and j >= 0:
                                w = weight[c][o][a][b]
                                out[o][i][j] += w * channel[row][column]
    return out


def pixel_shuffle(x: Nested, p: Nested, s: int) -> Nested:
    return shuffle(convolve(x, p, "conv"), s)


def carafe(x: Nested, p: Nested, s: int, groups: int = 1) -> Nested:
    logits = shuffle(convolve(convolve(x, p, "compress"), p, "encode"), s)
    return reassemble(x, kernels_of(logits, groups), s, groups)


def fade(x: Nested, guide: Nested, p: Nested, s: int, *, lite: bool = False) -> Nested:
    """One and the same convolution over the guide at each output pixel, and over x at
    the pixel that the output pixel lies in; a gate where the weights have one.
    """
    fine = convolve(guide, p, "compress_guide")
    coarse = convolve(x, p, "compress")
    fine = convolve(fine, p, "encode", depthwise=lite)
    coarse = convolve(coarse, p, "encode", depthwise=lite)
    logits = make(
        len(fine),
        len(guide[0]),
        len(guide[0][0]),
        lambda n, row, column: fine[n][row][column] + coarse[n][row // s][column // s],
    )
    y = reassemble(x, kernels_of(logits), s, 1)
    if "gate.weight" not in p:
        return y
    gate = convolve(x, p, "gate")[0]

    def value(c: int, row: int, column: int) -> float:
        g = 1 / (1 + math.exp(-gate[row // s][column // s]))
        return g * guide[c][row][column] + (1 - g) * y[c][row][column]

    return make(len(x), len(guide[0]), len(guide[0][0]), value)


def sapa(x: Nested, guide: Nested, p: Nested, s: int) -> Nested:
    def embed(image: Nested, norm: str, layer: str) -> Nested:
        """Layer norm over the channels of each pixel, then a linear layer."""

        def pixel(o: int, i: int, j: int) -> float:
            values = [channel[i][j] for channel in image]
            mean = sum(values) / len(values)
            variance = sum((v - mean) ** 2 for v in values) / len(values)
            total = p[f"{layer}.bias"][o]
            for c, v in enumerate(values):
                normed = (v - mean) / math.sqrt(variance + 1e-5)
                normed = normed * p[f"{norm}.weight"][c] + p[f"{norm}.bias"][c]
                total += p[f"{layer}.weight"][o][c] * normed
            return total

        embedding = len(p[f"{layer}.weight"])
        return make(embedding, len(image[0]), len(image[0][0]), pixel)

    query, keys = embed(guide, "norm_guide", "query"), embed(x, "norm", "key")

    def kernel(group: int, row: int, column: int) -> list[float]:
        return softmax(
            [
                sum(
                    q[row][column] * read(k, row // s + a, column // s + b)
                    for q, k in zip(query, keys, strict=True)
                )
                for a in range(-2, 3)
                for b in range(-2, 3)
            ]
        )

    return reassemble(x, kernel, s, 1)
