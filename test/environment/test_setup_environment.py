"""environment/setup_environment.py: its errors, its stamps and a second run."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(
    sys.version_info[:2] != (3, 11), reason="the private environment is for Python 3.11; elsewhere ROS is installed"
)


def load_script(checkout: Path):
    """The script of a checkout, as a module."""
    specification = importlib.util.spec_from_file_location(
        "setup_environment", checkout / "environment" / "setup_environment.py"
    )
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The files of a checkout that the script reads, in a folder with a space in its name, without .venv."""
    checkout = tmp_path / "a checkout"
    shutil.copytree(CHECKOUT / "environment", checkout / "environment")
    for name in ("setup.py", "setup.cfg", "pyproject.toml"):
        shutil.copy(CHECKOUT / name, checkout)
    return checkout


def run_script(checkout: Path, path: str = os.defpath) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(checkout / "environment" / "setup_environment.py")]
    environment = {**os.environ, "PATH": path}
    environment.pop("CC", None)
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def assert_refused(checkout: Path, result: subprocess.CompletedProcess[str], expected: str) -> None:
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("error: ")
    assert expected in result.stderr


def test_missing_compiler_is_named(copy: Path, tmp_path: Path) -> None:
    assert_refused(copy, run_script(copy, path=str(tmp_path)), "gcc, which builds messages, was not found")
    assert not (copy / ".venv").exists()


def test_foreign_virtual_environment_is_left_alone(copy: Path) -> None:
    (copy / ".venv").mkdir()
    (copy / ".venv" / "precious").touch()
    assert_refused(copy, run_script(copy), "was not created by this script")
    assert [path.name for path in (copy / ".venv").iterdir()] == ["precious"]


def test_other_python_is_named(copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    script = load_script(copy)
    monkeypatch.setattr(sys, "version_info", (3, 12, 4, "final", 0))
    assert script.main() == 2
    assert (
        capsys.readouterr().err
        == "error: expected Python 3.11, found 3.12; select it: make environment PYTHON=python3.11\n"
    )


def test_failing_step_shows_its_output_and_leaves_no_stamp(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = load_script(copy)
    script.STATE.mkdir(parents=True)

    def make_virtual_environment() -> None:
        script.run([sys.executable, "-c", "print('disk is full'); raise SystemExit(7)"])

    monkeypatch.setattr(script, "make_virtual_environment", make_virtual_environment)
    assert script.main() == 2
    errors = capsys.readouterr().err
    assert "disk is full" in errors
    assert "failed with status 7" in errors
    assert list(script.STATE.glob("*.stamp")) == []


@pytest.mark.parametrize("name", ["requirements.txt", "vision_msgs/msg/Point2D.msg", "../setup.py"])
def test_changed_file_changes_one_stamp(copy: Path, name: str) -> None:
    script = load_script(copy)
    inputs = (script.REQUIREMENTS, script.DEFINITIONS, script.PACKAGE_FILES)
    stamps = [script.digest(files) for files in inputs]
    with (copy / "environment" / name).open("a") as file:
        file.write("# changed\n")
    after = [script.digest(files) for files in inputs]
    assert sum(old != new for old, new in zip(stamps, after, strict=True)) == 1


def test_include_folders_of_the_wheels_are_corrected_once(copy: Path, tmp_path: Path) -> None:
    script = load_script(copy)
    file = tmp_path / "share" / "std_msgs" / "cmake" / "export.cmake"
    file.parent.mkdir(parents=True)
    builder = "/opt/python/cp311-cp311"
    file.write_text(
        f'  DIRECTORIES "{builder}/include/python3.11;{builder}/lib/python3.11/site-packages/numpy/_core/include"\n'
        '  OTHER "${_IMPORT_PREFIX}/include/std_msgs"\n'
    )
    for _ in range(2):
        script.correct_include_folders(tmp_path / "share", "/usr/include/python3.11", "/a venv/numpy/_core/include")
        assert file.read_text() == (
            '  DIRECTORIES "/usr/include/python3.11;/a venv/numpy/_core/include"\n'
            '  OTHER "${_IMPORT_PREFIX}/include/std_msgs"\n'
        )


def test_second_run_has_nothing_to_do() -> None:
    if not (CHECKOUT / ".venv" / "environment_state").is_dir():
        pytest.skip("no private environment in this checkout")
    result = run_script(CHECKOUT)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_torch_comes_from_the_index_that_is_named(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = load_script(copy)
    commands: list[list[str]] = []
    monkeypatch.setattr(script, "run", commands.append)
    monkeypatch.setenv("TORCH_INDEX", "https://wheels.example.org/cpu")
    script.install_requirements()
    assert len(commands) == 2
    assert commands[0][-4:-2] == ["--index-url", "https://wheels.example.org/cpu"]
    assert [pin.split("==")[0] for pin in commands[0][-2:]] == ["torch", "torchvision"]
    assert "--index-url" not in commands[1]


def test_progress_is_the_last_line_or_the_number_of_installed_packages(tmp_path: Path) -> None:
    script = load_script(CHECKOUT)
    log = tmp_path / "log"
    log.write_text("Collecting numpy\n  Downloading numpy.whl\n")
    assert script.progress(log, tmp_path) == "  Downloading numpy.whl"
    site = tmp_path / "lib" / "python3.11" / "site-packages"
    for name in ("numpy-2.0", "torch-2.1"):
        (site / f"{name}.dist-info").mkdir(parents=True)
    log.write_text("Installing collected packages: numpy, torch, scipy\n  Attempting uninstall: numpy\n")
    assert script.progress(log, tmp_path) == "2 of 3 packages installed"
