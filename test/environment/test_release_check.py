"""environment/release_check.py: its checks of versions, archives and a demo; `make release-check` runs all of it."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml

import mp_perception

CHECKOUT = Path(__file__).resolve().parents[2]
TRACKED = (
    *("mp_perception/__init__.py", "mp_perception/evaluation/report/templates/report.html"),
    *("package.xml", "config/perception.yaml", "launch/perception.launch.py", "weights/mobilenet_v2.onnx"),
    *("resource/mp_perception", "environment/requirements.txt", "setup.py", "LICENSE"),
    *("test/conftest.py", "docs/images/demo.webp", "reliability/camera.py", ".gitignore"),
)


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """The script as a module; it imports its neighbour setup_environment, as it does when it runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(CHECKOUT / "environment")
        specification = importlib.util.spec_from_file_location(
            "release_check", CHECKOUT / "environment" / "release_check.py"
        )
        assert specification is not None
        assert specification.loader is not None
        module = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(module)
        return module


@pytest.fixture
def versions(script: ModuleType, tmp_path: Path) -> Path:
    """A folder with the files that give a version."""
    for name in script.VERSION_LINES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(CHECKOUT / name, tmp_path / name)
    return tmp_path


def test_this_checkout_has_one_version(script: ModuleType) -> None:
    assert script.check_versions(CHECKOUT) == mp_perception.__version__


@pytest.mark.parametrize(
    "name", ["package.xml", "setup.py", "mp_perception/__init__.py", "CITATION.cff", "CHANGELOG.md"]
)
def test_another_version_anywhere_is_named(script: ModuleType, versions: Path, name: str) -> None:
    (versions / name).write_text((versions / name).read_text().replace(mp_perception.__version__, "9.8.7", 1))
    with pytest.raises(script.ReleaseError, match=rf"expected one, found .*9\.8\.7 in {name}"):
        script.check_versions(versions)


def test_a_missing_version_is_named(script: ModuleType, versions: Path) -> None:
    (versions / "CITATION.cff").unlink()
    with pytest.raises(script.ReleaseError, match=r"none in CITATION.cff"):
        script.check_versions(versions)


def test_the_source_archive_holds_what_builds_and_runs_the_package(script: ModuleType) -> None:
    top = "mp_perception-1.0/"
    assert script.source_contents(TRACKED, "1.0") == {top + name for name in TRACKED[:10]}


def test_the_wheel_holds_code_and_shared_files(script: ModuleType) -> None:
    share = "mp_perception-1.0.data/data/share/"
    assert script.wheel_contents(TRACKED, "1.0") == {
        *TRACKED[:2],
        share + "mp_perception/package.xml",
        share + "mp_perception/config/perception.yaml",
        share + "mp_perception/launch/perception.launch.py",
        share + "mp_perception/weights/mobilenet_v2.onnx",
        share + "ament_index/resource_index/packages/mp_perception",
    }


def test_missing_and_unexpected_files_of_an_archive_are_named(script: ModuleType) -> None:
    expected = {"mp-1/a", "mp-1/b", "mp-1/c"}
    generated = ["mp-1/PKG-INFO", "mp-1/mp_perception.egg-info/SOURCES.txt", "mp_perception-1.dist-info/RECORD"]
    script.compare("mp.tar.gz", [*expected, *generated], expected)
    with pytest.raises(script.ReleaseError, match="^mp.tar.gz: missing mp-1/a and 1 more$"):
        script.compare("mp.tar.gz", ["mp-1/c"], expected)
    with pytest.raises(script.ReleaseError, match="^mp.tar.gz: unexpected mp-1/test/test_a.py$"):
        script.compare("mp.tar.gz", [*expected, "mp-1/test/test_a.py"], expected)


def test_a_demo_without_images_or_weights_is_an_error(script: ModuleType) -> None:
    good = {
        "frames": {"sent": 4, "processed": 3},
        "headers_equal_the_inputs": True,
        "network": {"weights": "mobilenet_v2.onnx"},
    }
    script.check_demo(good)
    for wrong in (
        {"frames": {"sent": 4, "processed": 0}},
        {"headers_equal_the_inputs": False},
        {"network": {"weights": "untrained"}},
    ):
        with pytest.raises(script.ReleaseError, match="^demo: expected"):
            script.check_demo(good | wrong)


def test_outside_a_checkout_the_error_names_what_is_needed(tmp_path: Path) -> None:
    shutil.copytree(CHECKOUT / "environment", tmp_path / "environment")
    done = subprocess.run(
        [sys.executable, tmp_path / "environment" / "release_check.py"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == f"error: {tmp_path}: expected a checkout and git, which list the files of a release\n"


def test_the_citation_file_has_what_its_format_requires() -> None:
    """Citation File Format 1.2.0; cffconvert --validate looks at the rest."""
    citation = yaml.safe_load((CHECKOUT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0"
    assert citation["type"] == "software"
    assert {"message", "title", "abstract", "authors"} <= set(citation)
    assert citation["license"] == "Apache-2.0"
    assert (CHECKOUT / "LICENSE").read_text().split()[:4] == ["Apache", "License", "Version", "2.0,"]
    (paper,) = citation["references"]
    assert {"type", "title", "authors"} <= set(paper)
    assert paper["title"] == "Multi-Purpose Convolutional Neural Networks and Efficient Depth Estimation"
    for author in (*citation["authors"], *paper["authors"]):
        assert author["name"]
