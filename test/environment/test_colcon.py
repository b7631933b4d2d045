"""The package in a colcon workspace: built, installed, run and tested from there."""

from __future__ import annotations

import filecmp
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
PARTS = ("mp_perception", "config", "launch", "weights", "resource", "test", "reliability")
FILES = ("package.xml", "setup.py", "setup.cfg", "pyproject.toml", "colcon.pkg")

pytestmark = pytest.mark.slow


def colcon(workspace: Path, *arguments: str) -> None:
    """Runs colcon in a workspace; fails with its output."""
    pytest.importorskip("colcon_ros", reason="colcon is not installed in this Python")
    command = [sys.executable, "-m", "colcon", *arguments]
    result = subprocess.run(command, cwd=workspace, capture_output=True, text=True, timeout=250, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def in_workspace(workspace: Path, command: str) -> str:
    """Output of a shell command after `source install/local_setup.bash`, far from the source."""
    script = f"source {workspace}/install/local_setup.bash && cd / && {command}"
    result = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a copy of the package, built."""
    folder = tmp_path_factory.mktemp("workspace")
    source = folder / "src" / "mp_perception"
    for name in PARTS:
        shutil.copytree(CHECKOUT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(CHECKOUT / name, source)
    colcon(folder, "build")
    return folder


def test_executables_lie_where_ros2_run_looks(workspace: Path) -> None:
    executables = {path.name for path in (workspace / "install/mp_perception/lib/mp_perception").iterdir()}
    assert executables == {"mp_perception", "perception_node", "replay_node", "record_node"}


def test_command_line_runs(workspace: Path) -> None:
    help_text = in_workspace(workspace, f"{workspace}/install/mp_perception/lib/mp_perception/mp_perception --help")
    assert "predict" in help_text
    assert "bag" in help_text


def test_share_folder_is_the_installed_one_and_complete(workspace: Path) -> None:
    code = "from mp_perception.files import share_folder; print(share_folder())"
    share = Path(in_workspace(workspace, f"{sys.executable} -c '{code}'").strip())
    assert share == workspace / "install/mp_perception/share/mp_perception"
    files = [
        path.relative_to(CHECKOUT)
        for folder in ("config", "launch", "weights")
        for path in (CHECKOUT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    assert Path("config/fastdds_large_images.xml") in files
    assert [str(file) for file in files if not filecmp.cmp(CHECKOUT / file, share / file, shallow=False)] == []


def test_package_is_in_the_ament_index(workspace: Path) -> None:
    index = workspace / "install/mp_perception/share/ament_index/resource_index/packages/mp_perception"
    assert index.is_file()


def test_symlink_install_reads_the_source(workspace: Path, tmp_path: Path) -> None:
    bases = ["--build-base", str(tmp_path / "build"), "--install-base", str(tmp_path / "install")]
    colcon(workspace, "build", "--symlink-install", *bases)
    code = "from mp_perception.files import share_folder; print(share_folder())"
    share = in_workspace(tmp_path, f"{sys.executable} -c '{code}'").strip()
    assert Path(share).resolve() == workspace / "src/mp_perception"


def test_colcon_test_leaves_slow_and_dds_tests_out(workspace: Path) -> None:
    test_folder = workspace / "src/mp_perception/test"
    shutil.rmtree(test_folder)
    test_folder.mkdir()
    (test_folder / "test_marks.py").write_text(
        "import pytest\n"
        "def test_fast(): assert True\n"
        "@pytest.mark.slow\ndef test_slow(): assert False\n"
        "@pytest.mark.dds\ndef test_dds(): assert False\n"
    )
    colcon(workspace, "test", "--return-code-on-test-failure")
    report = ElementTree.parse(workspace / "build/mp_perception/pytest.xml")
    assert [case.get("name") for case in report.iter("testcase")] == ["test_fast"]
