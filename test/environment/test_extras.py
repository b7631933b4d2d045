"""The extras of setup.py: what `pip install mp_perception[...]` installs, held against the pinned requirements."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest
import setuptools
from packaging.requirements import Requirement

CHECKOUT = Path(__file__).resolve().parents[2]
#: Pinned, but in no extra: cv-bridge is used by the node only, which has it from ROS.
ONLY_WITH_ROS = {"cv-bridge"}


@pytest.fixture(scope="module")
def extras() -> dict[str, list[Requirement]]:
    """Extra -> its requirements, as setup.py gives them to setuptools."""
    given: dict[str, dict[str, list[str]]] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(setuptools, "setup", lambda **arguments: given.update(arguments))
        patch.chdir(CHECKOUT)
        runpy.run_path("setup.py")
    return {extra: [Requirement(text) for text in texts] for extra, texts in given["extras_require"].items()}


def pinned(name: str) -> dict[str, str]:
    """Library -> version of a requirements file."""
    text = (CHECKOUT / "environment" / name).read_text()
    return {library.lower(): version for library, version in re.findall(r"^([\w.-]+)==(\S+)$", text, re.MULTILINE)}


def test_every_range_admits_the_tested_version(extras: dict[str, list[Requirement]]) -> None:
    pins = pinned("requirements.txt") | pinned("requirements-development.txt")
    ranges = {requirement.name: requirement for requirements in extras.values() for requirement in requirements}
    del ranges["ultralytics"]  # AGPL-3.0: measured by `benchmark peers` where a user has it, never installed by us
    refused = [str(found) for name, found in ranges.items() if not found.specifier.contains(pins[name.lower()])]
    assert refused == []
    assert [name for name, found in ranges.items() if not found.specifier] == []


def test_the_extras_together_name_every_library_of_the_package(extras: dict[str, list[Requirement]]) -> None:
    named = {
        requirement.name.lower()
        for extra, requirements in extras.items()
        if extra not in ("test", "peers")
        for requirement in requirements
    }
    assert named == set(pinned("requirements.txt")) - ONLY_WITH_ROS


def test_each_extra_contains_the_smaller_ones(extras: dict[str, list[Requirement]]) -> None:
    runtime = {requirement.name for requirement in extras["runtime"]}
    assert runtime.isdisjoint({"torch", "torchvision", "lightning", "matplotlib", "Jinja2"})
    reports = {requirement.name for requirement in extras["reports"]}
    assert runtime < reports < {requirement.name for requirement in extras["training"]}
