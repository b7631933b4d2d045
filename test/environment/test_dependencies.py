"""Every dependency is declared, pinned and explained."""

from __future__ import annotations

import ast
import functools
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
REQUIREMENTS = sorted((CHECKOUT / "environment").glob("requirements*.txt"))


def pins(file: Path) -> dict[str, str]:
    """Name -> version of a requirements file; fails for a line that pins no exact version."""
    lines = [line.strip() for line in file.read_text().splitlines() if line.strip() and not line.startswith("#")]
    matches = [re.fullmatch(r"([A-Za-z0-9._-]+)==(\S+)", line) for line in lines]
    assert all(matches), [line for line, match in zip(lines, matches, strict=True) if not match]
    return {match[1].lower(): match[2] for match in matches if match}


def test_no_requirement_is_named_twice() -> None:
    names = [name for file in REQUIREMENTS for name in pins(file)]
    assert len(REQUIREMENTS) == 3
    assert len(names) > 100
    assert len(names) == len(set(names))


def test_documentation_names_every_requirement() -> None:
    documented = set(re.findall(r"`([A-Za-z0-9._*-]+)`", (CHECKOUT / "docs" / "dependencies.md").read_text()))
    documented = {name.lower() for name in documented}
    assert "ros-*" in documented
    names = {name for file in REQUIREMENTS for name in pins(file) if not name.startswith("ros-")}
    assert names - documented == set()


def test_documentation_names_nothing_that_is_not_required() -> None:
    table = [
        line for line in (CHECKOUT / "docs" / "dependencies.md").read_text().splitlines() if line.startswith("| `")
    ]
    rows = {name.lower() for line in table for name in re.findall(r"`([^`]+)`", line.split("|")[1])}
    required = {name for file in REQUIREMENTS for name in pins(file)}
    assert {name for name in rows if name != "ros-*" and name not in required} == set()


def imported_libraries(folder: Path) -> set[str]:
    """Top-level names of all modules that the files below a folder import, without Python's own and ours."""
    return {
        name.split(".")[0]
        for path in folder.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom) and not getattr(node, "level", 0)
        for name in ([node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
        if name
    } - {*sys.stdlib_module_names, "mp_perception", "vision_msgs", "tf2_msgs"}


#: Top-level module -> distributions; it reads every file list of the environment, which takes seconds.
distributions = functools.cache(packages_distributions)


def providers(library: str) -> set[str]:
    """Names of the distributions that a top-level module can come from."""
    return {name.lower() for name in distributions().get(library, [])} | {f"ros-{library.replace('_', '-')}"}


@pytest.fixture
def private_environment() -> None:
    """Skips where libraries may have come under other names than ours, as in a ROS installation."""
    if not (Path(sys.prefix) / "environment_state").is_dir():
        pytest.skip("this Python is not that of `make environment`")


@pytest.mark.usefixtures("private_environment")
def test_every_library_that_the_package_imports_is_required() -> None:
    required = {*pins(CHECKOUT / "environment/requirements.txt"), *pins(CHECKOUT / "environment/requirements-ros.txt")}
    imported = imported_libraries(CHECKOUT / "mp_perception")
    assert "torch" in imported
    assert {library for library in imported if not providers(library) & required} == set()


@pytest.mark.usefixtures("private_environment")
def test_every_library_that_the_package_requires_is_imported() -> None:
    provided = {name for library in imported_libraries(CHECKOUT / "mp_perception") for name in providers(library)}
    # Lightning, PyTorch and torchmetrics import these.
    provided |= {"tensorboard", "onnxscript", "pycocotools"}
    assert set(pins(CHECKOUT / "environment/requirements.txt")) - provided == set()


def test_licences_name_every_library_of_the_package() -> None:
    listed = re.findall(
        r"^\| `([^`]+)` \| (?!UNKNOWN)\S", (CHECKOUT / "docs" / "licences.md").read_text(), re.MULTILINE
    )
    assert {name.lower() for name in listed} == set(pins(CHECKOUT / "environment/requirements.txt"))
