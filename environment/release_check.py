"""Checks a release: builds both archives, compares their contents, and runs the demo from them alone.

`make release-check` runs it with the environment's Python.  It uses only files that git tracks, so it notices a file
that was never added.  Everything is built, installed and run below a temporary folder; archives that pass are copied
to dist/.

Exit status: 0 for a release, 1 with one line on what is wrong, 2 if the check cannot run on this machine.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from setup_environment import CHECKOUT, VENV, clean_environment

NAME = "mp_perception"
#: File -> line with the version.  The newest entry of the changelog comes first.
VERSION_LINES = {
    "package.xml": r"<version>(.+)</version>",
    "setup.py": r'version="(.+)"',
    f"{NAME}/__init__.py": r'__version__ = "(.+)"',
    "CITATION.cff": r"version: (.+)",
    "CHANGELOG.md": r"## (\S+)",
}
#: Installed from the wheel as data, below share/mp_perception.
SHARED = ("package.xml", "config", "launch", "weights")
#: Contents of the source archive; the rest of the repository is for development.
SOURCE = (
    *(NAME, *SHARED, "resource", "environment"),
    *("CHANGELOG.md", "CITATION.cff", "LICENSE", "MANIFEST.in", "Makefile", "README.md"),
    *("pyproject.toml", "setup.cfg", "setup.py"),
)
#: An environment with PyTorch's CUDA build, and pip's downloads for it.
_BYTES_NEEDED = 16_000_000_000
_NUM_FRAMES = 4


class ReleaseError(Exception):
    """What is wrong with the release, in one line."""


class MachineError(Exception):
    """What the check needs and this machine does not have, in one line."""


def main() -> int:
    """Runs the check; returns the exit status."""
    started = time.monotonic()
    try:
        check_machine()
        version = check_versions(CHECKOUT)
        with tempfile.TemporaryDirectory(prefix="release_check_") as folder:
            check_archives_and_demo(Path(folder), version)
    except ReleaseError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except MachineError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{NAME} {version} can be released: dist/ has its archives; {time.monotonic() - started:.0f} s")
    return 0


def check_archives_and_demo(workspace: Path, version: str) -> None:
    """Builds, compares, installs and runs; copies the archives to dist/ if everything succeeds."""
    archives = workspace / "archives"
    copy = workspace / "copy"
    source, wheel = archives / f"{NAME}-{version}.tar.gz", archives / f"{NAME}-{version}-py3-none-any.whl"
    tracked = copy_tracked_files(copy)

    step("source archive")
    run([sys.executable, "setup.py", "--quiet", "sdist", "--dist-dir", str(archives)], copy, VENV)
    with tarfile.open(source) as archive:
        names = [member.name for member in archive.getmembers() if member.isfile()]
        compare(source.name, names, source_contents(tracked, version))
        archive.extractall(workspace, filter="data")
    unpacked = workspace / f"{NAME}-{version}"

    step("wheel, from the source archive")
    pip = ["-m", "pip", "--disable-pip-version-check", "--no-input"]
    build_wheel = [sys.executable, *pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", str(archives), str(source)]
    run(build_wheel, workspace, VENV)
    with zipfile.ZipFile(wheel) as archive:
        compare(wheel.name, archive.namelist(), wheel_contents(tracked, version))

    step("a new environment, as on a bare machine")
    venv = unpacked / ".venv"
    run([sys.executable, str(unpacked / "environment" / "setup_environment.py")], workspace, venv)
    python, command = str(venv / "bin" / "python"), str(venv / "bin" / NAME)
    # The script has installed the unpacked sources in place; the wheel replaces them.
    run([python, *pip, "install", "--quiet", "--no-deps", "--force-reinstall", str(wheel)], workspace, venv)
    shutil.rmtree(unpacked / NAME)

    step(f"demo of {_NUM_FRAMES} frames")
    elsewhere = workspace / "elsewhere"
    elsewhere.mkdir()
    run([command, "weights", "verify"], elsewhere, venv)
    run([command, "demo", "--frames", str(_NUM_FRAMES), "--out", "demo"], elsewhere, venv)
    check_demo(json.loads((elsewhere / "demo" / "summary.json").read_text()))

    distribution = CHECKOUT / "dist"
    distribution.mkdir(exist_ok=True)
    for archive_file in (source, wheel):
        shutil.copy(archive_file, distribution)


def check_machine() -> None:
    """Raises MachineError for what would stop the check later."""
    if not (CHECKOUT / ".git").exists() or shutil.which("git") is None:
        raise MachineError(f"{CHECKOUT}: expected a checkout and git, which list the files of a release")
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if free < _BYTES_NEEDED:
        raise MachineError(
            f"{tempfile.gettempdir()}: expected {_BYTES_NEEDED / 1e9:.0f} GB free for a new environment, "
            f"found {free / 1e9:.0f} GB; TMPDIR= selects another folder"
        )


def check_versions(checkout: Path) -> str:
    """The version in all files of VERSION_LINES; raises ReleaseError if they differ."""
    found = {}
    for name, line in VERSION_LINES.items():
        file = checkout / name
        match = re.search(rf"^\s*{line}", file.read_text(), re.MULTILINE) if file.is_file() else None
        found[name] = match[1] if match else "none"
    if len(set(found.values())) != 1 or "none" in found.values():
        raise ReleaseError(f"versions: expected one, found {', '.join(f'{v} in {k}' for k, v in found.items())}")
    return found["package.xml"]


def source_contents(tracked: Iterable[str], version: str) -> set[str]:
    """Names of files that the source archive must contain, without generated ones."""
    return {f"{NAME}-{version}/{name}" for name in tracked if PurePosixPath(name).parts[0] in SOURCE}


def wheel_contents(tracked: Iterable[str], version: str) -> set[str]:
    """Names of files that the wheel must contain, without generated ones."""
    share = f"{NAME}-{version}.data/data/share"
    names = {f"{share}/ament_index/resource_index/packages/{NAME}"}
    for name in tracked:
        top = PurePosixPath(name).parts[0]
        if top == NAME:
            names.add(name)
        elif top in SHARED:
            names.add(f"{share}/{NAME}/{name}")
    return names


def compare(archive: str, found: Iterable[str], expected: set[str]) -> None:
    """Raises ReleaseError for missing or unexpected files in an archive, except generated ones."""
    generated = re.compile(rf".*{NAME}[^/]*\.(egg|dist)-info/.*|[^/]*/PKG-INFO")
    files = {name for name in found if not generated.fullmatch(name)}
    for what, names in (("missing", expected - files), ("unexpected", files - expected)):
        if names:
            others = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise ReleaseError(f"{archive}: {what} {min(names)}{others}")


def check_demo(summary: dict) -> None:
    """Raises ReleaseError unless the node processed images with the shipped weights.

    Lost images are not an error: the middleware loses some on a busy machine.
    """
    processed, network = summary["frames"]["processed"], summary["network"]
    if processed == 0 or not summary["headers_equal_the_inputs"]:
        raise ReleaseError(f"demo: expected outputs with the headers of images, found {processed} images processed")
    if network["weights"] == "untrained":
        raise ReleaseError("demo: expected the shipped weights, found an untrained network")


def copy_tracked_files(target: Path) -> list[str]:
    """Copies the files that git tracks, with their present content, to a new folder; returns their names."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    names = [name for name in listed.stdout.split("\0") if name and (CHECKOUT / name).is_file()]
    for name in names:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / name, target / name)
    return names


def run(command: list[str], folder: Path, venv: Path) -> None:
    """Runs a command in a folder, with the executables of one environment; raises ReleaseError if it fails."""
    done = subprocess.run(command, cwd=folder, env=clean_environment(venv), check=False)
    if done.returncode != 0:
        raise ReleaseError(f"{' '.join(command)}: failed with status {done.returncode}")


def step(title: str) -> None:
    """Prints which step begins, and when."""
    print(f"{time.strftime('%H:%M:%S')} {title}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
