"""The node under load: rates, sizes and numbers of cameras, with what it takes of the machine before and after."""

from __future__ import annotations

import time
from dataclasses import dataclass

from reliability.day.stage import Resources, Stage, check_accounts, in_words, outputs_go_on, stop_camera
from reliability.robot import Robot

#: Growth that is no leak: buffers that reach their size, discovery of one more participant.
_MEGABYTES, _FILES, _THREADS = 60, 4, 2
#: Seconds in which buffers reach their size.
_LONGEST_WARM_UP = 60.0


@dataclass(frozen=True)
class Load:
    """cameras at a time, each with a node of its own.  rate: of each, Hz."""

    rate: int
    width: int
    height: int
    cameras: int = 1

    def __str__(self) -> str:
        many = f"{self.cameras} cameras" if self.cameras > 1 else "1 camera"
        return f"{many}, {self.width}x{self.height}, {self.rate} Hz"


#: Small images at every rate, and larger ones as far as a Python camera can send them.
LOADS = (
    *(Load(rate, 320, 240) for rate in (1, 10, 30, 60, 120)),
    Load(30, 640, 480),
    Load(30, 1280, 720),
    Load(10, 1920, 1080),
    Load(5, 3840, 2160),
    Load(10, 640, 480, cameras=2),
    Load(10, 640, 480, cameras=4),
)


def run_load(stage: Stage, load: Load, seconds: float) -> str:
    """What became of the images of so many seconds; raises AssertionError for one that is lost, and for growth."""
    namespaces = [f"/load{number}" for number in range(load.cameras)]
    pairs = [stage.active_node(namespace, longest=seconds + 600) for namespace in namespaces]
    options = ("--rate", str(load.rate), "--size", str(load.width), str(load.height))
    cameras = [stage.camera(namespace, *options) for namespace in namespaces]
    for _, robot in pairs:
        outputs_go_on(robot, limit=60)
    for _, robot in pairs:
        robot.spin(min(max(2.0, seconds / 10), _LONGEST_WARM_UP) / load.cameras)
    processes = [node.children()[0] for node, _ in pairs]
    before = [Resources.of(process) for process in processes]
    ages = _ages(pairs[0][1], seconds)
    after = [Resources.of(process) for process in processes]
    sent = [stop_camera(camera) for camera in cameras]
    words = []
    for (_, robot), earlier, later, (number, duration) in zip(pairs, before, after, sent, strict=True):
        counts = check_accounts(robot)
        assert counts["errors"] == counts["malformed"] == 0, counts
        assert later.megabytes - earlier.megabytes < _MEGABYTES, (earlier, later)
        assert later.files - earlier.files <= _FILES, (earlier, later)
        assert later.threads - earlier.threads <= _THREADS, (earlier, later)
        assert later.segments <= earlier.segments, (earlier, later)
        words.append(f"sent {number} ({number / duration:.1f} Hz): {in_words(counts)}; {earlier} -> {later}")
    return f"outputs {ages} old; " + " | ".join(words)


def _ages(robot: Robot, seconds: float) -> str:
    """Median and largest age of the outputs of so many seconds, as the node itself measured it."""
    ages = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        robot.spin(min(2.0, seconds))
        robot.received["detections"].clear()
        age = robot.diagnostics()["age at publishing (s)"]
        if age != "unknown":
            ages.append(float(age))
    ages.sort()
    return f"{ages[len(ages) // 2]:.3f} s (median; largest {ages[-1]:.3f} s)" if ages else "unknown"
