"""What the paper's setting has to show, by its record: the testbed decides."""

from __future__ import annotations

import pytest

from dysample_lib.study.records import recorded_runs, select
from dysample_lib.study.run import run
from dysample_lib.study.tables import difference
from dysample_lib.study.verify import deviations

METRIC = "boundary_iou"


@pytest.mark.parametrize(("before", "least"), [("bilinear", 0.007), ("blind", 0.003)])
def test_five_seeds_of_eight_epochs_decide(before: str, least: float) -> None:
    records = select(
        recorded_runs("sensitivity"),
        encoder="efficientnet_lite0",
        decoder="segformer",
        epochs=8,
        offset_rate=1.0,
        width=32,
    )
    step = difference(records, "grouping", before, METRIC)
    assert step.n >= 5
    assert step.mean >= least
    assert step.low > 0


@pytest.mark.slow
def test_a_recorded_line_comes_out_again() -> None:
    """The quickest of the record, from its spec alone, to the stated tolerance."""
    lines = select(recorded_runs("sensitivity"), dataset="coastlines")
    record = min(lines, key=lambda line: (line.spec.epochs, line.seconds))
    again = run(record.spec).record
    assert deviations(record, again) == []
    assert again.spec == record.spec
    assert again.parameters == record.parameters
    assert again.upsampler_parameters == record.upsampler_parameters
