"""Costs as text, table, Markdown and JSON, and the command that prints them."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd
import pytest
from cost_samples import sample_cost

from dysample_lib.__main__ import main
from dysample_lib.cost import (
    bills,
    by_machine,
    compare,
    conditions,
    cost_json,
    cost_markdown,
    cost_table,
    cost_text,
    read_costs,
    recorded_costs,
    recorded_gpu_costs,
)
from dysample_lib.upsamplers import LADDER, RIVALS, UPSAMPLERS

ROW = ["8,192", "32", "2.000", "3.0", "5.0", "9.0", "12.35", "67.89"]
"""How the sample cost stands in every table."""


def test_conditions_name_what_was_measured_and_on_what():
    assert conditions([sample_cost()]) == (
        "256 × 120 × 120 → 256 × 240 × 240, Some Processor, 2 threads, "
        "allocator: default, torch 2.9.0, medians of 9"
    )
    assert conditions([sample_cost(batch=3)]).startswith(
        "256 × 120 × 120 → 256 × 240 × 240, batch 3, Some Processor, "
    )
    # Where sizes differ the rows say them; a GPU's time does not depend on threads.
    several = [sample_cost(height=height, device="cuda") for height in (60, 120)]
    assert conditions(several) == "Some Processor, torch 2.9.0, medians of 9"
    assert ", 1 thread, " in conditions([sample_cost(threads=1)])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"threads": 1}, "costs have to agree in threads, got [1, 2]"),
        ({"device": "cuda"}, "costs have to agree in device, got ['cpu', 'cuda']"),
        ({"torch": "2.8.0"}, "costs have to agree in torch, got ['2.8.0', '2.9.0']"),
    ],
)
def test_costs_of_different_machines_are_not_put_side_by_side(changed, message):
    costs = [sample_cost(), sample_cost("bilinear", **changed)]
    for write in (cost_table, cost_markdown, cost_text):
        with pytest.raises(ValueError, match=re.escape(message)):
            write(costs)
    with pytest.raises(ValueError, match="at least one, got none"):
        cost_table([])


def test_another_machine_s_numbers_stand_beside_in_columns_of_its_name():
    names = ("grouping", "bilinear")
    here = [sample_cost(name) for name in names]
    there = {"device": "cuda", "device_name": "Some GPU"}
    gpu = [
        sample_cost(name, **there, forward_ms=ms, batch=batch)
        for batch in (1, 8)
        for name, ms in (("bilinear", 0.25), ("carafe", 4), ("grouping", 0.5))
    ]
    one, eight = by_machine(gpu)
    assert by_machine([*here, *gpu]) == [here, one, eight]
    alone, table = cost_table(here), cost_table(here, one, eight)
    assert table[list(alone.columns)].equals(alone)
    assert list(table.columns[len(alone.columns) :]) == [
        f"{title}, Some GPU{batch}"
        for batch in ("", ", batch 8")
        for title in (
            "peak, inference [MiB]",
            "peak, training [MiB]",
            "forward [ms]",
            "forward + backward [ms]",
        )
    ]
    assert table["forward [ms], Some GPU"].to_list() == ["0.50", "0.25"]
    with pytest.raises(ValueError, match=r"others have to have grouping, got bilinear"):
        cost_table(here, one[:1])
    with pytest.raises(ValueError, match="costs have to agree in device"):
        cost_table([*here, *one])


def test_a_gpu_is_shown_where_one_was_measured(monkeypatch, tmp_path):
    gpu = [sample_cost(device="cuda", batch=batch) for batch in (1, 8)]
    file = tmp_path / "cost_cuda.json"
    file.write_text(cost_json(gpu), encoding="utf-8")

    def there(name):
        if not file.exists():
            raise FileNotFoundError(name)
        return tmp_path / name

    monkeypatch.setattr("dysample_lib.cost.report.recorded_file", there)
    assert recorded_gpu_costs() == [gpu[:1], gpu[1:]]
    file.unlink()
    assert recorded_gpu_costs() == []


def test_each_machine_has_a_bill(monkeypatch):
    (alone,) = bills()
    assert "AMD EPYC" in alone.family.title and not alone.missing
    assert "--output results/cost.json" in alone.family.command
    gpu = [
        replace(cost, device="cuda", device_name="Some GPU", forward_ms=1.0, batch=8)
        for cost in recorded_costs()
    ]
    monkeypatch.setattr("dysample_lib.cost.report.recorded_gpu_costs", lambda: [gpu])
    one, other = bills()
    assert one == alone
    assert "batch 8, Some GPU" in other.family.title
    assert other.family.command == "make gpu"
    marks = {f.claim.evidence.of: f.mark for f in other.findings}
    assert marks["forward_ms"] == "✗" and marks["training_ms"] == "✓"


def test_the_table_is_in_the_units_of_its_titles():
    table = cost_table([sample_cost(), sample_cost("bilinear", weights=0)])
    assert isinstance(table, pd.DataFrame)
    assert list(table.index) == ["+ grouping (DySample)", "bilinear"]
    assert table.iloc[0].to_list() == ROW
    assert list(table.columns[2:5]) == [
        "GFLOPs",
        "saved [MiB]",
        "peak, inference [MiB]",
    ]
    assert table.loc["bilinear", "weights"] == "0"


def test_sizes_that_differ_have_columns():
    table = cost_table([sample_cost(groups=g, width=w) for g, w in ((2, 8), (4, 9))])
    assert list(table.columns[:3]) == ["width", "groups", "weights"]
    assert table["groups"].to_list() == ["2", "4"]


def test_markdown_and_text_say_the_same():
    costs = [sample_cost(), sample_cost("carafe")]
    markdown, text = cost_markdown(costs).splitlines(), cost_text(costs).splitlines()
    assert markdown[0] == text[0] == conditions(costs)
    assert markdown[1] == text[1] == ""
    assert markdown[3] == "|---|" + 8 * "---:|"
    assert markdown[5] == "| CARAFE | " + " | ".join(ROW) + " |"
    assert text[4].split() == ["CARAFE", *ROW]
    assert len({len(line) for line in text[2:]}) == 1


def test_json_keeps_every_number(tmp_path):
    costs = [sample_cost(), sample_cost("sapa", groups=None, forward_ms=1 / 3)]
    file = tmp_path / "costs.json"
    file.write_text(cost_json(costs), encoding="utf-8")
    assert read_costs(file) == costs
    assert json.loads(cost_json(costs))[0] == asdict(costs[0])


@pytest.fixture
def seen(monkeypatch):
    """What was measured; the measurement itself is left out."""
    seen = {}

    def instead(settings, **options):
        seen.update(options, settings=settings)
        return [sample_cost(**asdict(setting)) for setting in settings]

    monkeypatch.setattr("dysample_lib.cost.measuring.measure", instead)
    return seen


def test_the_command_measures_what_it_is_asked_to(seen, capsys):
    arguments = "--channels 8 --size 4 6 --scale 3 --batch 5 --repeats 11 --threads 2"
    names = ["bilinear", "fade_lite"]
    assert main(["cost", "--upsamplers", *names, *arguments.split()]) == 0
    assert [s.upsampler for s in seen["settings"]] == names
    for s in seen["settings"]:
        assert (s.channels, s.height, s.width, s.scale, s.batch) == (8, 4, 6, 3, 5)
    assert (seen["repeats"], seen["threads"], seen["device"]) == (11, 2, None)
    printed = capsys.readouterr().out
    assert printed.startswith("8 × 4 × 6 → 8 × 12 × 18, batch 5, ")
    assert len(printed.splitlines()) == 5


def test_the_command_takes_several_batches(seen, capsys):
    assert main(["cost", "--upsamplers", "bilinear", "--batch", "1", "8"]) == 0
    head, *_, one, eight = capsys.readouterr().out.splitlines()
    assert "batch" not in head
    assert [row.split()[:2] for row in (one, eight)] == [
        ["bilinear", "1"],
        ["bilinear", "8"],
    ]


def test_by_default_the_command_measures_all_at_the_size_of_the_paper(seen, capsys):
    assert main(["cost", "--format", "markdown"]) == 0
    shapes = {s.shapes()[0] for s in seen["settings"]}
    assert shapes == {(1, 256, 120, 120)} and len(seen["settings"]) == 16
    assert capsys.readouterr().out.count("\n|") == 18


def test_the_command_writes_a_file_that_can_be_read_again(tmp_path, capsys):
    file = tmp_path / "new" / "costs.json"
    options = (
        "--upsamplers grouping sapa --channels 8 --size 3 4 --repeats 7 --threads 1"
    )
    written = ["--format", "json", "--device", "cpu", "--output", str(file)]
    assert main(["cost", *options.split(), *written]) == 0
    assert capsys.readouterr() == ("", "")
    grouping, sapa = read_costs(file)
    assert (grouping.weights, grouping.biases, grouping.width) == (8 * 32, 32, 4)
    assert sapa.upsampler == "sapa" and sapa.forward_ms > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--repeats 3", "cost: repeats has to be at least 7, got 3"),
        ("--channels 0", "cost: channels has to be an integer ≥ 1, got 0"),
        ("--threads -1", "cost: threads has to be an integer ≥ 1, got -1"),
        ("--channels 6", "cost: groups has to divide in_channels, got groups=4"),
    ],
)
def test_the_command_says_what_is_wrong(options, message, capsys):
    assert main(["cost", *options.split()]) == 1
    assert capsys.readouterr().err.startswith(message)


@pytest.mark.slow
def test_the_recorded_bill_is_that_of_this_code(monkeypatch):
    """What does not depend on the machine is counted again, memory as well."""
    monkeypatch.setattr(
        "dysample_lib.cost.measuring.in_turns",
        lambda calls, *_: dict.fromkeys(calls, 1),
    )
    recorded = recorded_costs()
    names = [cost.upsampler for cost in recorded]
    assert {*LADDER, *RIVALS} <= set(names) <= set(UPSAMPLERS)
    conditions(recorded)  # of one machine
    for cost, again in zip(recorded, compare(names), strict=True):
        for of in ("saved_bytes", "peak_inference_bytes", "peak_training_bytes"):
            assert getattr(again, of) == pytest.approx(getattr(cost, of), rel=0.05), of
    for cost in recorded:
        assert (cost.channels, cost.height, cost.width) == (256, 120, 120)
        module = cost.build()
        assert cost.parameters == sum(p.numel() for p in module.parameters())
        assert (cost.flops_layers, cost.flops_reading) == module.flops(120, 120)


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_nothing_measured_is_lost_to_an_encoding(encoding: str) -> None:
    """As on Windows, or with the output redirected in a plain locale."""
    command = [sys.executable, "-m", "dysample_lib", "cost", "--upsamplers", "nearest"]
    command += ["--channels", "4", "--size", "4", "5", "--repeats", "7"]
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONIOENCODING": encoding},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        check=True,
    )
    shown = done.stdout.decode(encoding)
    assert r" \u2192 " in shown and "nearest" in shown.splitlines()[-1]


def test_json_stays_json_in_any_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    costs = [sample_cost(device_name="a GPU® × 2 😀")]
    monkeypatch.setattr("dysample_lib.cost.compare", lambda *_, **__: costs)
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    assert main(["cost", "--allocator", "default", "--format", "json"]) == 0
    stream.flush()
    written = stream.buffer.getvalue().decode("ascii")  # type: ignore[attr-defined]
    assert json.loads(written) == [asdict(cost) for cost in costs]
