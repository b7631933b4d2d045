"""What processes that exchange camera images need of Fast DDS; config/fastdds_large_images.xml says why."""

from __future__ import annotations

import os

from mp_perception.share import share_folder

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
