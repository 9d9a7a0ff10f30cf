"""The workflows and the commit hooks: valid, and nothing but calls of make."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from _repository import ROOT, SCRIPTS, read_yaml

WORKFLOWS = sorted((ROOT / ".github" / "workflows").iterdir())
MAKE = re.compile(r"make ([a-z]+)(?: [A-Z]+=\S+)*")

every_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)


def validate(path: Path) -> subprocess.CompletedProcess[str]:
    """Check ``path`` against the schema that comes with check-jsonschema."""
    command = [sys.executable, "-m", "check_jsonschema"]
    command += ["--builtin-schema", "vendor.github-workflows", str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def jobs(path: Path) -> list[dict[str, Any]]:
    return list(read_yaml(str(path.relative_to(ROOT)))["jobs"].values())


def commands(path: Path) -> list[str]:
    return [step["run"] for job in jobs(path) for step in job["steps"] if "run" in step]


def make_targets() -> set[str]:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.M)
    assert phony
    return set(phony.group(1).split())


def test_the_workflows_follow_the_schema():
    assert len(WORKFLOWS) >= 2
    for path in WORKFLOWS:
        done = validate(path)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_schema_finds_a_mistake(tmp_path):
    text = WORKFLOWS[0].read_text(encoding="utf-8")
    assert "runs-on" in text
    broken = tmp_path / "broken.yml"
    broken.write_text(text.replace("runs-on", "run-on"), encoding="utf-8")
    done = validate(broken)
    assert done.returncode == 1
    assert "runs-on" in done.stdout


@every_workflow
def test_no_job_does_what_make_does_not(path):
    assert commands(path), "a workflow without a command proves nothing"
    for command in commands(path):
        target = MAKE.fullmatch(command)
        assert command == ".ci/run" or target, command
        assert not target or target.group(1) in make_targets(), command


@every_workflow
def test_jobs_end_and_may_only_read(path):
    workflow = read_yaml(str(path.relative_to(ROOT)))
    assert workflow["permissions"] == {"contents": "read"}
    for job in jobs(path):
        assert job["timeout-minutes"] <= 180
        # What is more than reading is for the one job that runs none of our code.
        assert "permissions" not in job or not any("run" in s for s in job["steps"])


@every_workflow
def test_only_the_hosts_own_actions_are_used(path):
    used = [s["uses"] for job in jobs(path) for s in job["steps"] if "uses" in s]
    assert any(name.startswith("actions/checkout@") for name in used)
    for name in used:
        assert re.fullmatch(r"actions/[a-z-]+@v\d+", name), name


def test_each_interpreter_of_ci_is_one_that_the_project_promises():
    (check,) = jobs(ROOT / ".github" / "workflows" / "ci.yml")
    versions = check["strategy"]["matrix"]["python"]
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'requires-python = ">={versions[0]}"' in project
    assert len(versions) > 1
    assert check["env"]["DYSAMPLE_NEEDS_BROWSER"], "no page may go unseen here"


def test_what_make_test_leaves_out_of_the_matrix_is_run_beside_it():
    workflow = ROOT / ".github" / "workflows" / "support.yml"
    assert commands(workflow) == ["make support"]
    triggers = workflow.read_text(encoding="utf-8").partition("jobs:")[0]
    assert "  push:\n" in triggers and "  pull_request:\n" in triggers
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^support: .*\n\t.*test_support\.py --all-cells$", makefile, re.M)


def test_the_site_that_is_built_is_the_one_that_is_published():
    build, publish = jobs(ROOT / ".github" / "workflows" / "pages.yml")
    ran, uploaded = build["steps"][-2:]
    assert ran["run"] == "make html"
    script = (SCRIPTS / "build.py").read_text(encoding="utf-8")
    assert uploaded["with"]["path"] == "_build/html"
    assert 'ROOT / "_build"' in script and '"html"' in script
    assert publish["needs"] == "build"


def test_the_commit_hooks_run_what_ci_runs():
    (repository,) = read_yaml(".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local", "a hook from elsewhere needs the network"
    hooks = repository["hooks"]
    for hook in hooks:
        assert hook["language"] == "system"
        assert hook["always_run"] and not hook["pass_filenames"]
    commit = [hook["entry"] for hook in hooks if "stages" not in hook]
    push = [hook["entry"] for hook in hooks if hook.get("stages") == ["pre-push"]]
    assert push == commands(ROOT / ".github" / "workflows" / "ci.yml")
    assert len(commit) + len(push) == len(hooks)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    steps = re.search(r"^test: (.*?) ##", makefile, re.M)
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert steps and re.search(r"^make test\b", script, re.M)
    assert commit
    for entry in commit:
        assert MAKE.fullmatch(entry).group(1) in steps.group(1).split()
