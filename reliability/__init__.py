"""Programs that try to break the package: fuzzing, a soak test of the node, kills of commands.

Development only: nothing here is installed, and nothing in mp_perception imports it.
"""

from __future__ import annotations

import os


def own_domain() -> int:
    """A DDS domain (1..101) for this process and its children, whatever ROS_DOMAIN_ID is: that may be a robot's."""
    return os.getpid() % 101 + 1
