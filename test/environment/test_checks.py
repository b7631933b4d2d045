"""What has to pass before a change is merged: make lint, make test and make test-all, and who calls them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture
def pytest_runs(tmp_path: Path):
    """Function that runs a make target with a Python that only notes its arguments: exit status, arguments by run."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    shutil.copy(CHECKOUT / "Makefile", tmp_path)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)

    def run(target: str, failing: str) -> tuple[int, list[str]]:
        python.write_text(f'#!/bin/sh\necho "$*" >> runs.log\ncase "$*" in *"{failing}"*) exit 1;; esac\n')
        python.chmod(0o755)
        command = ["make", target, "PYTHON=true", "MAKEFLAGS="]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, (tmp_path / "runs.log").read_text().splitlines()

    return run


def marks(run: str) -> str:
    """The mark expression of one pytest run."""
    found = re.search(r"-m pytest .* -m (.+)$", run)
    assert found is not None, run
    return found[1]


def test_make_test_leaves_out_the_extended_tests(pytest_runs) -> None:
    status, runs = pytest_runs("test", "nothing fails")
    assert status == 0
    assert [marks(run) for run in runs] == ["not extended"]


@pytest.mark.parametrize(
    ("failing", "fails"), [("nothing fails", False), ("-m not extended", True), ("-m extended", True)]
)
def test_both_groups_run_and_either_failure_counts(pytest_runs, failing: str, fails: bool) -> None:
    status, runs = pytest_runs("test-all", failing)
    assert (status != 0) == fails
    assert [marks(run) for run in runs] == ["not extended", "extended"]


def test_pre_commit_runs_what_make_lint_runs() -> None:
    recipe = re.search(r"^lint:.*\n((?:\t.*\n)+)", (CHECKOUT / "Makefile").read_text(), re.MULTILINE)
    assert recipe is not None
    (repository,) = yaml.safe_load((CHECKOUT / ".pre-commit-config.yaml").read_text())["repos"]
    commands = [line.strip() for line in recipe[1].splitlines()]
    assert [hook["entry"] for hook in repository["hooks"]] == commands


def test_the_public_workflow_runs_the_same_script_as_every_other_machine() -> None:
    workflow = yaml.safe_load((CHECKOUT / ".github" / "workflows" / "ci.yml").read_text())
    (job,) = workflow["jobs"].values()
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]
    assert re.findall(r"^make (\S+)$", (CHECKOUT / ".ci" / "run").read_text(), re.MULTILINE) == ["lint", "test-all"]
