"""Costs that nobody measured, for the tests of tables and pictures."""

from __future__ import annotations

from typing import Any

from dysample_lib.cost import Cost


def sample_cost(upsampler: str = "grouping", **changed: Any) -> Cost:
    """A cost with numbers that are easy to find again."""
    values: dict[str, Any] = {
        "weights": 8192,
        "biases": 32,
        "flops_layers": 1_500_000_000,
        "flops_reading": 500_000_000,
        "saved_bytes": 3 * 2**20,
        "saved_input_bytes": 2**20,
        "peak_inference_bytes": 5 * 2**20,
        "peak_training_bytes": 9 * 2**20,
        "forward_ms": 12.345,
        "training_ms": 67.891,
        "repeats": 9,
        "threads": 2,
        "device": "cpu",
        "device_name": "Some Processor",
        "allocator": "default",
        "torch": "2.9.0",
    }
    return Cost(upsampler, **{**values, **changed})
