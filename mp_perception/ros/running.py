"""Running a node whose callbacks may take seconds: it still ends in time when a signal asks for it."""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, TypeVar

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.logging import get_logging_directory
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from mp_perception.ros.large_images import keep_memory_of_large_messages
from mp_perception.ros.shared_memory import ports_of_the_dead_avoided, remove_segments_of_the_dead
from mp_perception.ros.stop_signals import LONGEST_SLEEP, StopSignals

#: From the signal to the end, seconds, whatever is in work.
_SHUTDOWN_LIMIT = 1.5
#: The same where the middleware does not come back, as it may not from a lock whose owner was killed.
_STUCK_LIMIT = 5.0

AnyNode = TypeVar("AnyNode", bound=Node)


def run_node(create: Callable[[], AnyNode], close: Callable[[AnyNode, float], bool]) -> NoReturn:
    """Spin a node until SIGINT or SIGTERM, then end the process.

    create: makes the node.  close: releases what the node holds, within so many seconds; False if that did not work.
    Exit codes: 0 after a signal, 1 after an exception in a callback and where the middleware had to be left, with a
    traceback, 2 for arguments or files that ROS cannot read.
    """
    signals = StopSignals()
    keep_memory_of_large_messages()
    remove_segments_of_the_dead()
    try:
        with ports_of_the_dead_avoided():
            _initialise()
            node = create()
    except RuntimeError as error:  # rcl's own kinds of it
        print(f"cannot start: {' '.join(str(error).split())}", file=sys.stderr)
        _end(2)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    crashed = threading.Event()

    def spin() -> None:
        try:
            executor.spin()
        except ExternalShutdownException:
            pass
        except Exception:
            if signals.received:
                return  # the executor was shut down under a callback, and rclpy stumbles over what it took away
            traceback.print_exc()
            crashed.set()

    # Signals arrive in the main thread; so it only waits, and a callback that loads a network cannot delay them.
    thread = threading.Thread(target=spin, name="executor", daemon=True)
    thread.start()
    while thread.is_alive() and not signals.received:
        thread.join(LONGEST_SLEEP)
    # Needs no lock of Python's, which may be held where it is stuck.
    faulthandler.dump_traceback_later(_STUCK_LIMIT, exit=True)
    deadline = time.monotonic() + _SHUTDOWN_LIMIT
    executor.shutdown(timeout_sec=0)
    thread.join(max(0.0, deadline - time.monotonic()))
    if not thread.is_alive() and close(node, max(0.0, deadline - time.monotonic())):
        node.destroy_node()
        rclpy.shutdown()
    _end(1 if crashed.is_set() else 0)


def _initialise() -> None:
    """rclpy without its signal handlers; without log files where none can be written: the robot is to move on."""
    arguments = sys.argv
    folder = Path(get_logging_directory())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        print(f"{folder}: cannot be written: no log files are kept", file=sys.stderr)
        arguments = [*arguments, "--ros-args", "--disable-external-lib-logs"]
    rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)


def _end(exit_code: int) -> NoReturn:
    """End at once: a network in work cannot be interrupted, and unloading PyTorch alone takes a second."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)
