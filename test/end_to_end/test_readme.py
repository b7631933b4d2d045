"""The commands in README.md and docs/: run, or checked where they need a ROS installation."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from mp_perception.ros.parameters import PARAMETERS

CHECKOUT = Path(__file__).resolve().parents[2]
DOCUMENTS = [*sorted(CHECKOUT.glob("*.md")), *sorted((CHECKOUT / "docs").rglob("*.md"))]


def commands(document: Path) -> list[str]:
    """The lines of indented code blocks, without comments."""
    lines = [line[4:].split("  #")[0].strip() for line in document.read_text().splitlines() if line.startswith("    ")]
    return [line for line in lines if re.match(r"(make|mp_perception|\.venv/bin/|rosdep|colcon|ros2|rviz2)\b", line)]


def test_there_are_commands_to_run():
    assert "make demo" in commands(CHECKOUT / "README.md")
    assert sum(len(commands(document)) for document in DOCUMENTS) > 8


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_make_targets_exist(document):
    targets = re.findall(r"^([a-z-]+):.*## ", (CHECKOUT / "Makefile").read_text(), re.MULTILINE)
    for command in commands(document):
        if command.startswith("make"):
            assert command.split()[1] in targets


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_ros_commands_name_existing_files_and_arguments(document):
    """Files and launch arguments in commands that need ROS."""
    for command in commands(document):
        for share in re.findall(r"share/mp_perception/(\S+)", command):
            assert (CHECKOUT / share).is_file(), command
        if launched := re.search(r"ros2 launch mp_perception (\S+)(.*)", command):
            launch_file = (CHECKOUT / "launch" / launched.group(1)).read_text()
            of_the_node = PARAMETERS if "PARAMETERS.values()" in launch_file else ()
            for argument in re.findall(r"(\w+):=", launched.group(2)):
                assert argument in of_the_node or f'"{argument}"' in launch_file, command


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_have_targets(document):
    for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
        if "://" not in target:
            assert (document.parent / target).exists(), target


def our_commands(document: Path) -> list[str]:
    return [line for line in commands(document) if line.startswith(".venv/bin/mp_perception")]


@pytest.mark.slow
@pytest.mark.parametrize("document", [d for d in DOCUMENTS if our_commands(d)], ids=lambda path: path.name)
def test_commands_run_in_order(document, tmp_path):
    environment_programs = Path(sys.executable).parent
    (tmp_path / ".venv").symlink_to(environment_programs.parent)
    image = np.random.default_rng(0).integers(0, 256, (375, 1242, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "street.jpg"), image)
    for command in our_commands(document):
        done = subprocess.run(
            shlex.split(command), cwd=tmp_path, capture_output=True, text=True, timeout=200, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    if (CHECKOUT / ".git").exists() and shutil.which("git"):
        written = [f"{path.name}/" if path.is_dir() else path.name for path in tmp_path.iterdir()]
        ignored = subprocess.run(
            ["git", "check-ignore", "--no-index", *written], cwd=CHECKOUT, capture_output=True, text=True, check=False
        )
        assert set(ignored.stdout.split()) == set(written), "files that git would show as untracked"


def test_the_python_of_the_readme_runs(tmp_path):
    code = re.search(r"```python\n(.*?)```", (CHECKOUT / "README.md").read_text(), re.DOTALL)
    assert code is not None
    program = "import numpy\nimage = numpy.zeros((375, 1242, 3), numpy.uint8)\n" + code.group(1)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "(375, 1242)" in done.stdout


@pytest.mark.slow
def test_make_help_lists_every_target():
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    environment = {name: value for name, value in os.environ.items() if name != "MAKEFLAGS"}
    done = subprocess.run(["make", "help"], cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=True)
    for target in ("environment", "demo", "test", "test-fast", "lint", "clean"):
        assert f"make {target}" in done.stdout
