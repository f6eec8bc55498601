"""What runs the tests for everybody agrees with what the metadata says."""

import os
import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PYTHONS = [line.rsplit(" ", 1)[1] for line in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", line)]
WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
STEPS = [step for job in WORKFLOW["jobs"].values() for step in job["steps"]]


def test_the_pythons_that_are_promised_are_those_that_are_tested():
    oldest, newest = PYTHONS[0], PYTHONS[-1]
    assert PROJECT["requires-python"] == f">={oldest},<3.{int(newest.split('.')[1]) + 1}"
    assert re.search(r"^supported=\((.*)\)$", (ROOT / ".ci/pythons").read_text(), re.M)[1].split() == PYTHONS
    jobs = WORKFLOW["jobs"]
    (first,) = (
        step["with"]["python-version"] for step in jobs["run"]["steps"] if "python-version" in step.get("with", {})
    )
    assert [first, *jobs["pythons"]["strategy"]["matrix"]["python"]] == PYTHONS


def test_the_workflow_runs_what_the_repository_has():
    commands = [step["run"].split()[0] for step in STEPS if "run" in step]
    assert commands == [".ci/run", ".ci/pythons"]
    assert all(os.access(ROOT / command, os.X_OK) for command in commands)


def test_the_workflow_may_only_read_and_uses_actions_of_a_major_version():
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert not any("permissions" in job for job in WORKFLOW["jobs"].values())
    assert all(re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"]) for step in STEPS if "uses" in step)


def test_hooks_before_a_commit_are_what_ci_checks():
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repository["repo"] == "local" and all(hook["language"] == "system" for hook in repository["hooks"])
    entries = {" ".join(hook["entry"].split()[:2]) for hook in repository["hooks"]}
    checked = re.findall(r"^ruff \w+|^\.ci/types$", (ROOT / ".ci/run").read_text(), re.M)
    assert entries == set(checked)


def test_what_is_installed_to_work_on_the_code_builds_the_site_too():
    assert "convlens[docs]" in PROJECT["optional-dependencies"]["dev"]
