"""Nodes that have a loop of their own: how they begin, and how SIGINT and SIGTERM end them (by a flag)."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from types import FrameType

import rclpy
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args

from mp_perception.errors import UserError

#: The longest a loop sleeps before it looks at the flag again, seconds.
LONGEST_SLEEP = 0.1


class StopSignals:
    """Takes SIGINT and SIGTERM over for this process.

    Initialise rclpy with SignalHandlerOptions.NO beside it.  The handler only sets a flag: it interrupts no call and
    takes no lock, so nothing can be left half done.
    """

    def __init__(self) -> None:
        self.received = False
        signal.signal(signal.SIGINT, self._receive)
        signal.signal(signal.SIGTERM, self._receive)

    def sleep_until(self, deadline: float) -> bool:
        """Sleep until time.monotonic() reaches deadline; False if a signal came before."""
        while not self.received:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return True
            time.sleep(min(remaining, LONGEST_SLEEP))
        return False

    def _receive(self, signal_number: int, frame: FrameType | None) -> None:
        self.received = True


def initialise_ros(arguments: Sequence[str]) -> list[str]:
    """rclpy.init without signal handlers of its own; returns the arguments that are not ROS's.

    arguments: as in sys.argv, the program first.  Raises UserError if ROS refuses what follows --ros-args.
    """
    try:
        others = remove_ros_args(list(arguments))[1:]
        rclpy.init(args=list(arguments), signal_handler_options=SignalHandlerOptions.NO)
    except RuntimeError as error:  # rcl's own kinds of it
        raise UserError(f"cannot start: {' '.join(str(error).split())}") from error
    return others
