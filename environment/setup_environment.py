"""Creates the private environment `.venv` of a checkout: ROS 2, requirements, missing message packages, this package.

`make environment` runs it.  Each step leaves a stamp, a hash of its inputs, so a second run repeats only the steps
whose inputs have changed, and a run after an interruption continues.  Nothing outside the checkout is written.  It
runs before anything is installed, so it uses the standard library only.
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
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
SOURCE = CHECKOUT / "environment"
VENV = CHECKOUT / ".venv"
#: Stamps and logs of this script.
STATE = VENV / "environment_state"
PYTHON = VENV / "bin" / "python"
#: The ROS wheels are available for this version only.
PYTHON_VERSION = (3, 11)
REQUIREMENTS = [SOURCE / name for name in ("requirements.txt", "requirements-ros.txt", "requirements-development.txt")]
#: Message packages that are not available as wheels; their definitions lie beside this file.
MESSAGE_PACKAGES = ("vision_msgs", "tf2_msgs")
DEFINITIONS = sorted(path for package in MESSAGE_PACKAGES for path in (SOURCE / package).rglob("*") if path.is_file())
#: The files that define an editable installation; it reads the others from the checkout.
PACKAGE_FILES = [CHECKOUT / name for name in ("setup.py", "setup.cfg", "pyproject.toml")]

#: A sourced ROS installation, or a Python with the same wheels that runs this script, would interfere through these.
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


class SetupError(Exception):
    """What the user has to correct, in one line."""


def main() -> int:
    """Brings the environment up to date; returns the exit status: 2 if the user has to correct something first."""
    steps = [
        ("virtual environment", make_virtual_environment, str(VENV)),  # it cannot be moved
        ("requirements (about 6 GB the first time)", install_requirements, digest(REQUIREMENTS)),
        ("vision_msgs and tf2_msgs", build_messages, digest([*DEFINITIONS, SOURCE / "requirements-ros.txt"])),
        ("mp_perception", install_package, digest(PACKAGE_FILES)),
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
            (STATE / f"{action.__name__}.stamp").write_text(stamp)
            print(f"[{number}/{len(steps)}] {title}: done in {time.monotonic() - started:.0f} s", flush=True)
    except SetupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the next run continues from here", file=sys.stderr)
        return 130
    return 0


def check_machine() -> None:
    """Raises SetupError for the first missing tool or library that the build needs."""
    wanted = ".".join(map(str, PYTHON_VERSION))
    if sys.version_info[:2] != PYTHON_VERSION:
        found = ".".join(map(str, sys.version_info[:2]))
        raise SetupError(f"expected Python {wanted}, found {found}; select it: make environment PYTHON=python{wanted}")
    if importlib.util.find_spec("ensurepip") is None:
        raise SetupError(f"Python's venv module is incomplete; on Debian and Ubuntu: apt install python{wanted}-venv")
    for variable, compiler in (("CC", "gcc"), ("CXX", "g++")):
        if shutil.which(os.environ.get(variable, compiler)) is None:
            raise SetupError(f"{compiler}, which builds messages, was not found; on Debian and Ubuntu: apt install g++")
    if not Path(sysconfig.get_paths()["include"], "Python.h").is_file():
        raise SetupError(f"Python's header files are missing; on Debian and Ubuntu: apt install python{wanted}-dev")
    if VENV.exists() and not STATE.is_dir():
        raise SetupError(f"{VENV} was not created by this script (it has no {STATE.name}); move it away and try again")


def make_virtual_environment() -> None:
    """Creates an empty `.venv`, in place of one that is incomplete or whose checkout was moved."""
    STATE.mkdir(parents=True, exist_ok=True)  # first, so that check_machine recognises an incomplete one
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
    """Installs all pinned requirements; torch from the index TORCH_INDEX if that is set (PyTorch's CPU wheels)."""
    pip = [str(PYTHON), "-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
    torch_index = os.environ.get("TORCH_INDEX")
    if torch_index:
        pins = re.findall(r"^torch(?:vision)?==\S+", REQUIREMENTS[0].read_text(), flags=re.MULTILINE)
        run([*pip, "--index-url", torch_index, *pins])
    run([*pip, *(argument for file in REQUIREMENTS for argument in ("-r", str(file)))])


def build_messages() -> None:
    """Builds MESSAGE_PACKAGES and installs them into the environment."""
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
    """Installs this package, editable, with its executables in .venv/bin."""
    pip = [str(PYTHON), "-m", "pip", "install", "--no-input", "--disable-pip-version-check"]
    run([*pip, "--no-deps", "--no-build-isolation", "--editable", str(CHECKOUT)])


def correct_include_folders(share: Path, python_include: str, numpy_include: str) -> None:
    """Replaces the include folders in the message wheels, which are those of the build machine, by this machine's."""
    for file in share.glob("*/cmake/*.cmake"):
        text = file.read_text()
        corrected = re.sub(r'(?<=[";])/[^";\n]*/include/python3\.\d+(?=[";])', lambda _: python_include, text)
        corrected = re.sub(r'(?<=[";])/[^";\n]*/numpy/_core/include(?=[";])', lambda _: numpy_include, corrected)
        if corrected != text:
            file.write_text(corrected)


def run(command: list[str]) -> None:
    """Runs a command and shows its progress; raises SetupError with the end of its output if it fails."""
    log = STATE / "last_command.log"
    with log.open("w") as file:
        process = subprocess.Popen(command, env=clean_environment(), stdout=file, stderr=subprocess.STDOUT)
    started = time.monotonic()
    try:
        while process.returncode is None:
            try:
                process.wait(timeout=_HEARTBEAT_SECONDS)
            except subprocess.TimeoutExpired:
                print(f"      {time.monotonic() - started:.0f} s: {progress(log)[:90]}", flush=True)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
    if process.returncode != 0:
        print(end_of(log, 20), file=sys.stderr)
        raise SetupError(f"{Path(command[0]).name} failed with status {process.returncode}; its output is in {log}")


def progress(log: Path, venv: Path = VENV) -> str:
    """What a command does now: the last line of its output.

    While pip installs, which takes minutes and which it does not report, the number of packages that are installed.
    """
    collected = re.search(r"^Installing collected packages: (.*)$", log.read_text(errors="replace"), re.MULTILINE)
    if collected is None:
        return end_of(log, 1)
    total = len(collected[1].split(","))
    installed = len(list(venv.glob("lib/python*/site-packages/*.dist-info")))
    return f"{min(installed, total)} of {total} packages installed"


def end_of(log: Path, num_lines: int) -> str:
    """The last lines of a file."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-num_lines:])


def clean_environment(venv: Path = VENV) -> dict[str, str]:
    """Variables for programs of an environment, without a sourced ROS; its own cmake and ninja come first."""
    variables = {name: value for name, value in os.environ.items() if name not in _FOREIGN_VARIABLES}
    variables["PATH"] = f"{venv / 'bin'}{os.pathsep}{variables.get('PATH', os.defpath)}"
    return variables


def digest(files: list[Path]) -> str:
    """Hash of names and contents."""
    total = hashlib.sha256()
    for file in files:
        total.update(str(file.relative_to(CHECKOUT)).encode() + b"\0" + file.read_bytes() + b"\0")
    return total.hexdigest()


def is_current(step: str, stamp: str) -> bool:
    """Whether the step was finished with the same inputs."""
    file = STATE / f"{step}.stamp"
    return PYTHON.exists() and file.is_file() and file.read_text() == stamp


if __name__ == "__main__":
    sys.exit(main())
