"""Fixtures of all tests: the folder of real frames, middleware settings that separate test runs, child processes."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import settings

# Before PyTorch is imported, also in child processes: with a thread per core in each of several processes, OpenMP's
# threads wait for each other so long that a training step takes twenty times as long.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from reliability import own_domain

CHECKOUT = Path(__file__).resolve().parent.parent

# A busy machine does not fail a test.
settings.register_profile("no_deadline", deadline=None)
settings.load_profile("no_deadline")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with real data (kitti/...): MP_PERCEPTION_SHARED_DATA, or shared/data beside the checkout."""
    named = os.environ.get("MP_PERCEPTION_SHARED_DATA")
    folder = Path(named) if named else CHECKOUT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no shared data: {folder} is not a folder (MP_PERCEPTION_SHARED_DATA names another)")
    return folder


@pytest.fixture(scope="session", autouse=True)
def ros_domain_id() -> Iterator[int]:
    """A DDS domain of this test run's own, set for it and for every process it starts."""
    domain = own_domain()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROS_DOMAIN_ID", str(domain))
        yield domain


@pytest.fixture(scope="session")
def dds_environment(ros_domain_id: int) -> dict[str, str]:
    """Variables for processes that exchange images: this run's domain, and the profile that lets images through."""
    profile = CHECKOUT / "config" / "fastdds_large_images.xml"
    return {
        **os.environ,
        "ROS_DOMAIN_ID": str(ros_domain_id),
        "FASTDDS_DEFAULT_PROFILES_FILE": str(profile),
    }


StartProcess = Callable[..., subprocess.Popen[Any]]


@pytest.fixture
def start_process() -> Iterator[StartProcess]:
    """Starts processes, like subprocess.Popen, which end with the test, as do all processes that they start.

    They get SIGTERM if the test run itself is killed.
    """
    started: list[subprocess.Popen[Any]] = []

    def start(command: Sequence[str | Path], **options: Any) -> subprocess.Popen[Any]:
        command = ["setpriv", "--pdeathsig", "TERM", *command]
        started.append(subprocess.Popen(command, start_new_session=True, **options))
        return started[-1]

    yield start
    for process in started:
        kill_with_descendants(process)


def kill_with_descendants(process: subprocess.Popen[Any]) -> None:
    """Kill a process that leads a session, and its descendants, of which some may lead sessions of their own."""
    with suppress(psutil.NoSuchProcess):
        for descendant in psutil.Process(process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                descendant.kill()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
