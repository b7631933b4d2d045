"""The main function of our nodes: how they start, and how SIGINT and SIGTERM end them."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import rclpy
from rclpy.clock import Clock, ClockType  # type: ignore[attr-defined]
from rclpy.executors import Executor, ExternalShutdownException, SingleThreadedExecutor
from rclpy.logging import get_logging_directory
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args

from mp_perception.errors import UserError, one_line

#: Unlike rclpy's default for throttling, it is not affected when the system's clock is set.
STEADY_CLOCK = Clock(clock_type=ClockType.STEADY_TIME)
#: For log lines that could come with every message.
THROTTLED: dict[str, Any] = {"throttle_duration_sec": 5.0, "throttle_time_source_type": STEADY_CLOCK}
#: The longest time that a loop sleeps before it checks for a signal again, seconds.
LONGEST_SLEEP = 0.1
#: Time from the signal to the end of the process, seconds, whatever is in work.
_SHUTDOWN_LIMIT = 1.5
#: The same limit where the middleware does not return, for example from a lock whose owner was killed.
_STUCK_LIMIT = 5.0
#: Threads of a node before it loads a network: of Fast DDS, of rclpy's logging, and its own.
_NUM_THREADS = 16


class StopSignals:
    """Handles SIGINT and SIGTERM of this process.

    The handler only sets a flag: it interrupts no call and takes no lock, so nothing is left half done.  rclpy's own
    handlers must be off (SignalHandlerOptions.NO).
    """

    def __init__(self) -> None:
        self.received = False
        signal.signal(signal.SIGINT, self._receive)
        signal.signal(signal.SIGTERM, self._receive)

    def sleep_until(self, deadline: float) -> bool:
        """Sleep until time.monotonic() reaches `deadline`; False if a signal came first."""
        while not self.received:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return True
            time.sleep(min(remaining, LONGEST_SLEEP))
        return False

    def _receive(self, signal_number: int, frame: FrameType | None) -> None:
        self.received = True


def run_main(body: Callable[[list[str], StopSignals], object]) -> int:
    """Run the program of a node; returns its exit code.

    Args:
        body: receives the arguments that are not for ROS, and the signals; rclpy is initialised while it runs.

    Returns:
        0, or 2 after a UserError, which is printed as one line.
    """
    stop = StopSignals()
    try:
        with start_errors():
            _check_threads()
            _initialise(sys.argv)
            own_arguments = remove_ros_args(sys.argv)[1:]
        body(own_arguments, stop)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    finally:
        rclpy.try_shutdown()
    return 0


@contextmanager
def start_errors() -> Iterator[None]:
    """Turns errors of rcl (an argument that it cannot parse) and of the system (files, threads) into one line."""
    try:
        yield
    except (ImportError, OSError, RuntimeError, UnicodeError) as error:
        raise UserError(f"cannot start: {one_line(error)}") from error


def spin_once(executor: Executor, node: Node, timeout_sec: float | None = None) -> None:
    """As executor.spin_once; a message on which rclpy itself fails is logged and lost, and costs nothing else.

    rclpy 9 raises ValueError in the executor for a parameter of an unknown type and for a negative time on /clock.
    """
    try:
        executor.spin_once(timeout_sec)
    except (ArithmeticError, TypeError, ValueError) as error:
        modules = [frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__)]
        if any(module.startswith("mp_perception.") for module in modules[1:]):
            raise  # our own callback failed
        node.get_logger().error(f"message or service call ignored: {one_line(error)}", **THROTTLED)
        node.get_logger().debug(traceback.format_exc())


def spin_until_signal(node: Node, stop: StopSignals, close: Callable[[float], bool]) -> NoReturn:
    """Spin a node whose callbacks may take seconds, and end the process soon after a signal.

    Exit codes: 0 after a signal; 1 with a traceback after an exception that `spin_once` does not log, or if the
    middleware is stuck.

    Args:
        node: the node.
        stop: the signals.
        close: releases what the node holds within so many seconds; returns False if that failed.
    """
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    crashed = threading.Event()

    def spin() -> None:
        try:
            while not stop.received:
                spin_once(executor, node)
        except ExternalShutdownException:
            pass
        except Exception:
            if stop.received:
                return  # rclpy may raise when the executor is shut down while a callback runs
            traceback.print_exc()
            crashed.set()

    # Python delivers signals to the main thread, so it only waits: a callback that loads a network cannot delay them.
    thread = threading.Thread(target=spin, name="executor", daemon=True)
    thread.start()
    while thread.is_alive() and not stop.received:
        thread.join(LONGEST_SLEEP)
    # This works even if the thread that is stuck holds Python's global lock.
    faulthandler.dump_traceback_later(_STUCK_LIMIT, exit=True)
    deadline = time.monotonic() + _SHUTDOWN_LIMIT
    executor.shutdown(timeout_sec=0)
    thread.join(max(0.0, deadline - time.monotonic()))
    if not thread.is_alive() and close(max(0.0, deadline - time.monotonic())):
        node.destroy_node()
        rclpy.shutdown()
    # A running inference cannot be interrupted, and unloading PyTorch takes a second: end at once.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1 if crashed.is_set() else 0)


def _check_threads() -> None:
    """Raises UserError if the system does not permit the threads of a node: the middleware would abort or hang."""
    end = threading.Event()
    threads = [threading.Thread(target=end.wait, daemon=True) for _ in range(_NUM_THREADS)]
    try:
        for thread in threads:
            thread.start()
    except RuntimeError as error:
        raise UserError(
            f"{error}: expected room for {_NUM_THREADS} threads (ulimit -u, pids.max of the cgroup)"
        ) from error
    finally:
        end.set()


def _initialise(arguments: list[str]) -> None:
    """rclpy.init without signal handlers, and without log files if they cannot be written: the robot must still run."""
    folder: str | Path = "the folder of log files (ROS_LOG_DIR, HOME)"
    writable = False
    with suppress(RuntimeError, OSError):  # rcl has no folder where HOME is not set
        folder = get_logging_directory()
        Path(folder).mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    if not writable:
        print(f"{folder}: cannot be written: log files are off", file=sys.stderr)
        arguments = [*arguments, "--ros-args", "--disable-external-lib-logs"]
    rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
