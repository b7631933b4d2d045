"""A clock that is set while a node runs: by libfaketime in the node's process; the machine's own stays as it is."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from reliability.day.stage import NotPossibleHereError, Stage, check_accounts, in_words, outputs_go_on, stop_camera
from reliability.robot import NodeProcess, Robot

#: Where distributions put libfaketime, below /usr.
_PLACES = ("lib/*", "lib*", "local/lib*")
_HOUR = 3600.0


class SettableClock:
    """The system's clock of processes that get `environment`; their steady clock is real.

    file: holds the seconds by which it is off, and is read whenever a process looks at the clock.
    Raises NotPossibleHereError where libfaketime is not installed.
    """

    def __init__(self, file: Path) -> None:
        found = [path for place in _PLACES for path in Path("/usr").glob(f"{place}/faketime/libfaketimeMT.so.1")]
        if not found:
            raise NotPossibleHereError("libfaketime is not installed")
        self.file = file
        self.environment: Mapping[str, str] = {
            "LD_PRELOAD": str(found[0]),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }
        self.set(0)

    def set(self, seconds: float) -> None:
        """So many seconds before (negative) or after the machine's clock, from now on."""
        new = self.file.with_suffix(".new")
        new.write_text(f"{seconds:+g}\n")
        new.replace(self.file)


def clock_is_set(stage: Stage) -> str:
    """The clock is set back by three hours and forward by 30 s: the node's alone, then the camera's with it."""
    clock = SettableClock(stage.folder / "clock")
    node, robot = stage.active_node("/clock", environment=clock.environment)
    size_and_rate = ("--size", "320", "240", "--rate", "30")

    camera = stage.camera("/clock", *size_and_rate)
    _refusals(node, robot, 1)
    clock.set(-3 * _HOUR)
    said = "stamps are 3 hours in the future: synchronise the clocks"
    robot.wait(lambda: said in node.text(), "line about the clock")
    robot.diagnostics(lambda values: values["age at publishing (s)"] == "unknown")
    outputs_go_on(robot)
    _refusals(node, robot, 2)
    clock.set(30)
    robot.diagnostics(lambda values: "older than max_age" in values["message"])
    clock.set(0)
    outputs_go_on(robot)
    stop_camera(camera)

    camera = stage.camera("/clock", *size_and_rate, "--clock", str(clock.file))
    waits = []
    for seconds in (-_HOUR, _HOUR, -0.5, 30, -_HOUR, 0):
        clock.set(seconds)
        waits.append(_outputs_at(robot, seconds))
        robot.diagnostics(lambda values: _is_an_age(values["age at publishing (s)"]))
    stop_camera(camera)
    counts = check_accounts(robot)
    assert counts["errors"] == 0, counts
    return (
        f'"{said}", and ages unknown; 30 s ahead of the camera: diagnostics name max_age; set for both: outputs of the'
        f" new time after {max(waits):.1f} s at most; {in_words(counts)}"
    )


def _refusals(node: NodeProcess, robot: Robot, number: int) -> None:
    """Send images with a fault until so many lines, one in five seconds at most, say so."""

    def said() -> bool:
        robot.send_image(robot.image(step=1))
        robot.spin(0.2)
        return node.text().count("image refused") >= number

    robot.wait(said, f"line {number} about a refused image")


def _outputs_at(robot: Robot, seconds: float) -> float:
    """Seconds until an output stamped by a clock that is so many seconds off."""
    return outputs_go_on(robot, lambda message: abs(message.header.stamp.sec - time.time() - seconds) < 10)


def _is_an_age(text: str) -> bool:
    """Whether outputs can be so old on a busy machine that drops what is older than half a second."""
    return text != "unknown" and 0 <= float(text) < 2
