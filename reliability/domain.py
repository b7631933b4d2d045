"""A DDS domain apart from everybody else's."""

from __future__ import annotations

import os


def own_domain() -> int:
    """A domain (1..101) for this process and those it starts, whatever ROS_DOMAIN_ID says: that may be a robot's."""
    return os.getpid() % 101 + 1
