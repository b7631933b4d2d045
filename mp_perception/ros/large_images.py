"""Settings of Fast DDS and malloc for processes that exchange camera images (see config/fastdds_large_images.xml)."""

from __future__ import annotations

import ctypes
import os

from mp_perception.files import share_folder

#: Variables with which users configure the transports of Fast DDS.
FAST_DDS_VARIABLES = (
    "FASTDDS_DEFAULT_PROFILES_FILE",
    "FASTRTPS_DEFAULT_PROFILES_FILE",
    "FASTDDS_BUILTIN_TRANSPORTS",
)


def large_image_environment() -> dict[str, str]:
    """Variables for the Fast DDS profile; none if the user has set one of FAST_DDS_VARIABLES or another middleware."""
    other_middleware = "fastrtps" not in os.environ.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp")
    if other_middleware or any(os.environ.get(name) for name in FAST_DDS_VARIABLES):
        return {}
    return {FAST_DDS_VARIABLES[0]: str(share_folder() / "config" / "fastdds_large_images.xml")}


def keep_memory_of_large_messages() -> None:
    """Let glibc keep the memory of large messages and arrays for the next ones; no effect with other C libraries.

    By default it returns such memory to the kernel and requests it again page by page, which took 1.2 ms of every frame
    of a 1242x375 camera.  Constants: mallopt(3), malloc.h.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    trim_threshold, mmap_threshold = -1, -3
    mallopt(mmap_threshold, 32 * 2**20)  # the maximum that glibc accepts
    mallopt(trim_threshold, 64 * 2**20)
