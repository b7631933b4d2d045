"""What processes that exchange camera images need of Fast DDS (config/fastdds_large_images.xml says why) and malloc."""

from __future__ import annotations

import ctypes
import os

from mp_perception.files import share_folder

#: Variables by which a user has already said how Fast DDS is to transport messages.
FAST_DDS_VARIABLES = (
    "FASTDDS_DEFAULT_PROFILES_FILE",
    "FASTRTPS_DEFAULT_PROFILES_FILE",
    "FASTDDS_BUILTIN_TRANSPORTS",
)


def large_image_environment() -> dict[str, str]:
    """Variables by name that let images through; none where the user has settings or a middleware of their own."""
    other_middleware = "fastrtps" not in os.environ.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp")
    if other_middleware or any(os.environ.get(name) for name in FAST_DDS_VARIABLES):
        return {}
    return {FAST_DDS_VARIABLES[0]: str(share_folder() / "config" / "fastdds_large_images.xml")}


def keep_memory_of_large_messages() -> None:
    """Let glibc keep what large messages and arrays have held for the next ones; other C libraries go on as they are.

    By default it hands them back to the kernel and takes them again page by page, which for a 1242x375 camera cost
    1.2 ms of every frame.  Numbers: mallopt(3), malloc.h.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    trim_threshold, mmap_threshold = -1, -3
    mallopt(mmap_threshold, 32 * 2**20)  # the most that glibc takes
    mallopt(trim_threshold, 64 * 2**20)
