"""What all tests share: the folder of real frames, and middleware settings that keep test runs apart."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from reliability.domain import own_domain

CHECKOUT = Path(__file__).resolve().parent.parent


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
