"""A record to vary in tests."""

from __future__ import annotations

from dataclasses import replace

from dysample_lib.study.records import Record

RECORD = Record(
    dataset="coastlines",
    decoder="pointwise",
    upsampler="grouping",
    seed=3,
    epochs=24,
    mean_iou=0.875,
    boundary_iou=0.5,
    trimap_iou=0.625,
    parameters=150_000,
    upsampler_parameters=3_168,
    seconds=61.5,
    torch="2.6.0",
    device="cpu",
    device_name="x86_64",
    threads=2,
    budget="record",
    version="0.1.0",
    commit="unknown",
)
KEY = {
    name: getattr(RECORD, name)
    for name in ("dataset", "decoder", "upsampler", "seed", "epochs", "budget")
}


def runs(upsampler: str, values: dict[int, float], **changes: object) -> list[Record]:
    """One record a seed, with boundary IoU ``values``."""
    return [
        replace(RECORD, upsampler=upsampler, seed=seed, boundary_iou=value, **changes)
        for seed, value in values.items()
    ]
