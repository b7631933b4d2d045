"""package.xml, setup.py and how colcon sees them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import mp_perception

CHECKOUT = Path(__file__).resolve().parents[2]


def package():
    catkin_package = pytest.importorskip("catkin_pkg.package", reason="catkin_pkg is not installed")
    # Raises InvalidPackage for what colcon would silently answer with the type "python".
    return catkin_package.parse_package(str(CHECKOUT / "package.xml"), warnings=(warnings := [])), warnings


def test_package_xml_is_valid() -> None:
    description, warnings = package()
    assert description.name == "mp_perception"
    assert description.get_build_type() == "ament_python"
    assert warnings == []


def test_version_is_the_same_everywhere() -> None:
    description, _ = package()
    assert mp_perception.__version__ == description.version
    output = subprocess.check_output([sys.executable, "setup.py", "--version"], cwd=CHECKOUT, text=True)
    assert output.split()[-1] == description.version


def test_colcon_recognises_the_package_as_ament_python() -> None:
    pytest.importorskip("colcon_ros", reason="colcon is not installed in this Python")
    listed = subprocess.check_output(
        [sys.executable, "-m", "colcon", "--log-base", "/dev/null", "list"], cwd=CHECKOUT, text=True
    )
    assert [line.split("\t") for line in listed.splitlines()] == [["mp_perception", ".", "(ros.ament_python)"]]
