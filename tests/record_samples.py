"""A record to vary in tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dysample_lib.study.records import Record
from dysample_lib.study.spec import RunSpec, parse_variant

SPEC = RunSpec(
    task="segmentation",
    dataset="coastlines",
    encoder="small",
    decoder="pointwise",
    upsampler="grouping",
    seed=3,
    epochs=24,
    width=32,
    learning_rate=4e-3,
)
RECORD = Record(
    spec=SPEC,
    metrics={"boundary_iou": 0.5, "mean_iou": 0.875, "trimap_iou": 0.625},
    parameters=150_000,
    upsampler_parameters=3_168,
    seconds=61.5,
    environment={
        "version": "0.1.0",
        "commit": "unknown",
        "code": "0123456789ab",
        "torch": "2.6.0",
        "device_name": "x86_64",
        "threads": 2,
    },
)


def runs(variant: str, values: dict[int, float], **changes: Any) -> list[Record]:
    """One record a seed, with boundary IoU ``values``; ``changes`` are of the spec."""
    name, options = parse_variant(variant)
    changes |= {"upsampler": name, "upsampler_options": options}
    return [
        replace(
            RECORD,
            spec=replace(SPEC, seed=seed, **changes),
            metrics=RECORD.metrics | {"boundary_iou": value},
        )
        for seed, value in values.items()
    ]
