"""Makes the private environment `.venv` of a checkout: ROS 2, requirements, missing message packages, this package.

`make environment` runs it.  Each step leaves a stamp made of what it was built from, so a second run does only what
has changed, and a run that was interrupted goes on where it stopped.  Nothing outside the checkout is written.  It
runs before anything is installed, hence the standard library only.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import threading
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
SOURCE = CHECKOUT / "environment"
VENV = CHECKOUT / ".venv"
#: Notes of this script: stamps, logs and the location of the environment, which cannot be moved.
STATE = VENV / "environment_state"
PYTHON = VENV / "bin" / "python"
#: The ROS wheels exist for this version only.
PYTHON_VERSION = (3, 11)
REQUIREMENTS = [SOURCE / name for name in ("requirements.txt", "requirements-ros.txt", "requirements-development.txt")]

#: A sourced ROS installation, or a Python with the same wheels that started us, would leak in through these.
_FOREIGN_VARIABLES = (
    "_ROS_WHEELS_BOOTSTRAP_COMPLETE",
    "AMENT_PREFIX_PATH",
    "CMAKE_PREFIX_PATH",
    "LD_LIBRARY_PATH",
    "PYTHONHOME",
    "PYTHONPATH",
    "VIRTUAL_ENV",
)
_HEARTBEAT_SECONDS = 15
#: Packages of messages that no wheel brings; their definitions lie beside this file.
MESSAGE_PACKAGES = ("vision_msgs", "tf2_msgs")


class SetupError(Exception):
    """What the user has to put right, in one line."""


def main() -> int:
    """Brings the environment up to date; returns the exit status: 2 where the user has to do something first."""
    steps = [
        ("virtual environment", make_virtual_environment, location()),
        ("requirements (some 6 GB the first time)", install_requirements, digest(REQUIREMENTS)),
        ("vision_msgs and tf2_msgs", build_messages, digest([*definition_files(), SOURCE / "requirements-ros.txt"])),
        ("mp_perception", install_package, digest(package_files())),
    ]
    try:
        outdated = [step for step in steps if not is_current(step[1].__name__, step[2])]
        if outdated:
            check_machine()
        for number, (title, action, stamp) in enumerate(steps, start=1):
            if is_current(action.__name__, stamp):
                continue
            print(f"[{number}/{len(steps)}] {title}", flush=True)
            started = time.monotonic()
            action()
            stamp_file(action.__name__).write_text(stamp)
            print(f"[{number}/{len(steps)}] {title}: done in {time.monotonic() - started:.0f} s", flush=True)
    except SetupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the next run goes on from here", file=sys.stderr)
        return 130
    return 0


def check_machine() -> None:
    """Raises SetupError for the first thing that building needs and this machine lacks."""
    wanted = ".".join(map(str, PYTHON_VERSION))
    if sys.version_info[:2] != PYTHON_VERSION:
        found = ".".join(map(str, sys.version_info[:2]))
        raise SetupError(f"expected Python {wanted}, found {found}; name one: make environment PYTHON=python{wanted}")
    if importlib.util.find_spec("ensurepip") is None:
        raise SetupError(f"Python's venv module is incomplete; on Debian and Ubuntu: apt install python{wanted}-venv")
    for variable, compiler in (("CC", "gcc"), ("CXX", "g++")):
        if shutil.which(os.environ.get(variable, compiler)) is None:
            raise SetupError(f"no {compiler} found, which builds messages; on Debian and Ubuntu: apt install g++")
    if not Path(sysconfig.get_paths()["include"], "Python.h").is_file():
        raise SetupError(f"Python's header files are missing; on Debian and Ubuntu: apt install python{wanted}-dev")
    if VENV.exists() and not STATE.is_dir():
        raise SetupError(f"{VENV} exists and is not ours (no {STATE.name} in it); move it away and try again")


def make_virtual_environment() -> None:
    """An empty `.venv`; one that was interrupted, or whose checkout was moved, is made anew."""
    STATE.mkdir(parents=True, exist_ok=True)  # before anything else, so that an interrupted one is known as ours
    for stamp in STATE.glob("*.stamp"):
        stamp.unlink()
    for entry in VENV.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            if entry != STATE:
                shutil.rmtree(entry)
        else:
            entry.unlink()
    run([sys.executable, "-m", "venv", str(VENV)])


def install_requirements() -> None:
    """All pinned requirements; torch from the index TORCH_INDEX first, if that is set (PyTorch's CPU wheels)."""
    pip = [str(PYTHON), "-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
    torch_index = os.environ.get("TORCH_INDEX")
    if torch_index:
        pins = re.findall(r"^torch(?:vision)?==\S+", REQUIREMENTS[0].read_text(), flags=re.MULTILINE)
        run([*pip, "--index-url", torch_index, *pins])
    run([*pip, *(argument for file in REQUIREMENTS for argument in ("-r", str(file)))])


def build_messages() -> None:
    """The messages of MESSAGE_PACKAGES, built and installed into the environment."""
    report = "import numpy, sysconfig; print(sysconfig.get_paths()['include']); print(numpy.get_include())"
    output = subprocess.run(
        [str(PYTHON), "-c", report], env=clean_environment(), capture_output=True, text=True, check=True
    )
    python_include, numpy_include = output.stdout.splitlines()
    correct_include_folders(VENV / "share", python_include, numpy_include)

    build = STATE / "messages_build"
    cmake = str(VENV / "bin" / "cmake")
    options = [
        f"-DCMAKE_PREFIX_PATH={VENV}",
        f"-DCMAKE_INSTALL_PREFIX={VENV}",
        f"-DPython3_EXECUTABLE={PYTHON}",
        "-DCMAKE_BUILD_TYPE=Release",
        "-DBUILD_TESTING=OFF",
    ]
    for package in MESSAGE_PACKAGES:
        shutil.rmtree(build, ignore_errors=True)
        run([cmake, "-S", str(SOURCE / package), "-B", str(build), "-G", "Ninja", *options])
        run([cmake, "--build", str(build)])
        run([cmake, "--install", str(build)])
    shutil.rmtree(build)


def install_package() -> None:
    """This package, editable, with its executables in .venv/bin."""
    pip = [str(PYTHON), "-m", "pip", "install", "--no-input", "--disable-pip-version-check"]
    run([*pip, "--no-deps", "--no-build-isolation", "--editable", str(CHECKOUT)])


def correct_include_folders(share: Path, python_include: str, numpy_include: str) -> None:
    """The message wheels name the include folders of the machine that built them; puts this machine's there."""
    for file in share.glob("*/cmake/*.cmake"):
        text = file.read_text()
        corrected = re.sub(r'(?<=[";])/[^";\n]*/include/python3\.\d+(?=[";])', lambda _: python_include, text)
        corrected = re.sub(r'(?<=[";])/[^";\n]*/numpy/_core/include(?=[";])', lambda _: numpy_include, corrected)
        if corrected != text:
            file.write_text(corrected)


def run(command: list[str]) -> None:
    """Runs a command with signs of life; raises SetupError with the end of its output if it fails."""
    log = STATE / "last_command.log"
    process = subprocess.Popen(
        command, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    lines: list[str] = []

    def collect() -> None:
        assert process.stdout is not None
        with log.open("w") as file:
            file.write(f"{command}\n")
            for line in process.stdout:
                lines.append(line.strip())
                file.write(line)

    reader = threading.Thread(target=collect)
    reader.start()
    started = time.monotonic()
    try:
        while True:
            try:
                process.wait(timeout=_HEARTBEAT_SECONDS)
                break
            except subprocess.TimeoutExpired:
                now = lines[-1][:90] if lines else ""
                print(f"      {time.monotonic() - started:.0f} s: {now}", flush=True)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
        reader.join()
    if process.returncode != 0:
        print("\n".join(lines[-20:]), file=sys.stderr)
        raise SetupError(f"{Path(command[0]).name} failed with status {process.returncode}; its output is in {log}")


def clean_environment(venv: Path = VENV) -> dict[str, str]:
    """Variables for programs of an environment: it stands alone, and its own cmake and ninja come first."""
    variables = {name: value for name, value in os.environ.items() if name not in _FOREIGN_VARIABLES}
    variables["PATH"] = f"{venv / 'bin'}{os.pathsep}{variables.get('PATH', os.defpath)}"
    return variables


def location() -> str:
    """What makes the environment unusable when it changes: where it lies."""
    return str(VENV)


def definition_files() -> list[Path]:
    """The files that the message packages are made of."""
    return sorted(path for package in MESSAGE_PACKAGES for path in (SOURCE / package).rglob("*") if path.is_file())


def package_files() -> list[Path]:
    """The files that say what an editable installation consists of; the rest it reads from the checkout."""
    return [CHECKOUT / name for name in ("setup.py", "setup.cfg", "pyproject.toml")]


def digest(files: list[Path]) -> str:
    """A hash of names and contents."""
    total = hashlib.sha256()
    for file in files:
        total.update(str(file.relative_to(CHECKOUT)).encode() + b"\0" + file.read_bytes() + b"\0")
    return total.hexdigest()


def stamp_file(step: str) -> Path:
    """Where a finished step notes what it was made from."""
    return STATE / f"{step}.stamp"


def is_current(step: str, stamp: str) -> bool:
    """Whether the step was finished with the same input."""
    return PYTHON.exists() and stamp_file(step).is_file() and stamp_file(step).read_text() == stamp


if __name__ == "__main__":
    sys.exit(main())
