"""The state of the node: counts, rates and latencies, and the diagnostics message made from them.

`Statistics` is updated by the executor (images that arrive) and by the worker thread (images that leave);
`diagnostic_status` turns a snapshot of it into the status that the node publishes.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from rclpy.impl.rcutils_logger import RcutilsLogger

from mp_perception.inference.predictor import Predictor
from mp_perception.machine import spare_cores
from mp_perception.ros.parameters import NodeParameters

#: Every image that is received ends as exactly one of the other counts, or still waits.
#: received: arrived while the node was active.  processed: its outputs were published.  overwritten: replaced by a
#: newer image.  stale: too old when its turn came, or from before a jump of the clock.  malformed: refused.  errors:
#: the runtime failed.  overflowed: the queue of process_every_frame was full.
FRAME_COUNTS = ("received", "processed", "overwritten", "stale", "malformed", "errors", "overflowed")
#: The stages of an image; total is their sum.
STAGES = ("wait", "convert", "preprocess", "inference", "postprocess", "track", "publish", "total")

_WINDOW = 100
#: Fraction of dropped images above which the node warns.
_MAX_DROPPED_FRACTION = 0.2
#: Seconds without an image after which the node warns.
MAX_SILENCE = 5.0
#: Images that are too old in a row, after which the node warns that none is processed.
_MAX_STALE_IN_A_ROW = 5


@dataclass(frozen=True)
class Snapshot:
    """Statistics at one moment.

    counts: since the start, by name.  recent: since the previous snapshot, `seconds` ago.
    stages: stage -> (median, 99th percentile) in milliseconds over the last 100 images.
    age: median age of their outputs at publishing, seconds; None if unknown.
    silence: seconds since the last image, or since the node became active.
    stale_in_a_row: images dropped as too old since the last image that was not.
    camera_problem: why the last images had no camera info that is usable and fits the weights, or "".
    last_problem: the last problem, or "" after a period with images and without a problem.
    """

    counts: Mapping[str, int]
    recent: Mapping[str, int]
    seconds: float
    stages: Mapping[str, tuple[float, float]]
    age: float | None
    silence: float
    stale_in_a_row: int
    camera_problem: str
    last_problem: str


class Statistics:
    """Counts and stage times; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._counts_before: Counter[str] = Counter()
        self._snapshot_time = self._last_received = time.monotonic()
        self._stages: deque[Mapping[str, float]] = deque(maxlen=_WINDOW)
        self._ages: deque[float | None] = deque(maxlen=_WINDOW)
        self._stale_in_a_row = 0
        self._camera_problem = self._last_problem = ""
        self._old_camera_problem = self._old_problem = ""

    def count(self, name: str, number: int = 1) -> None:
        """Add to a count."""
        with self._lock:
            self._counts[name] += number

    def total(self, name: str) -> int:
        """A count since the start."""
        with self._lock:
            return self._counts[name]

    def frame_received(self) -> None:
        """Count an image that has arrived."""
        with self._lock:
            self._counts["received"] += 1
            self._last_received = time.monotonic()

    def frame_stale(self) -> None:
        """Count an image that was too old when its turn came."""
        with self._lock:
            self._counts["stale"] += 1
            self._stale_in_a_row += 1

    def frame_processed(self, stages: Mapping[str, float], age: float | None, camera_problem: str) -> None:
        """Count an image whose outputs are published.

        stages: milliseconds by name.  age: seconds; None if unknown.  camera_problem: as in Snapshot.
        """
        with self._lock:
            self._counts["processed"] += 1
            self._stale_in_a_row = 0
            self._stages.append(stages)
            self._ages.append(age)
            if camera_problem:
                self._counts["bad_camera_info"] += 1
                self._camera_problem = self._last_problem = camera_problem

    def problem(self, name: str, text: str) -> None:
        """Count a problem, and keep its description for the diagnostics."""
        with self._lock:
            self._counts[name] += 1
            self._last_problem = text

    def restart(self) -> None:
        """Discard stage times, ages and present problems, for example after a jump of the clock; the counts remain."""
        with self._lock:
            self._stages.clear()
            self._ages.clear()
            self._last_received = time.monotonic()
            self._stale_in_a_row = 0
            self._camera_problem = self._old_camera_problem = ""

    def snapshot(self) -> Snapshot:
        """The statistics now; `recent` of the next snapshot starts here."""
        with self._lock:
            now = time.monotonic()
            ages = [age for age in self._ages if age is not None]
            counts = {name: self._counts[name] for name in (*FRAME_COUNTS, *sorted(self._counts))}
            recent = {name: counts[name] - self._counts_before[name] for name in counts}
            if not recent["processed"]:  # nothing shows that the old problems are over
                self._camera_problem = self._camera_problem or self._old_camera_problem
                self._last_problem = self._last_problem or self._old_problem
            snapshot = Snapshot(
                counts=counts,
                recent=recent,
                seconds=now - self._snapshot_time,
                stages=_percentiles(self._stages),
                age=float(np.median(ages)) if ages else None,
                silence=now - self._last_received,
                stale_in_a_row=self._stale_in_a_row,
                camera_problem=self._camera_problem,
                last_problem=self._last_problem,
            )
            self._counts_before, self._snapshot_time = Counter(counts), now
            self._old_camera_problem, self._camera_problem = self._camera_problem, ""
            self._old_problem, self._last_problem = self._last_problem, ""
        return snapshot


@dataclass(frozen=True)
class NodeState:
    """What the diagnostics contain beside the statistics.

    state: of the lifecycle; images are expected while it is "active".  failure: why the node does not work, or "".
    max_age: seconds, 0 without a limit.  publishers: number of publishers by input topic.
    image_source, camera_info_source: why images or camera info may be missing; "" if they are not.
    values: backbone, device and others by name.
    """

    state: str
    max_age: float
    failure: str
    publishers: Mapping[str, int]
    image_source: str
    camera_info_source: str
    values: Mapping[str, str]


def missing_inputs(snapshot: Snapshot, node: NodeState) -> dict[str, str]:
    """What an active node does not get, one text by kind: these are also logged, see `InputWarnings`."""
    found: dict[str, str] = {}
    if snapshot.silence > MAX_SILENCE:
        found["no image"] = f"no image for {snapshot.silence:.0f} s: {node.image_source}"
    if snapshot.stale_in_a_row >= _MAX_STALE_IN_A_ROW:
        found["old images"] = (
            f"all images are dropped, the last {snapshot.stale_in_a_row}: by their stamps they are older than max_age"
            f" ({node.max_age:g} s); synchronise the clocks, or set max_age to 0"
        )
    if problem := snapshot.camera_problem:
        found[problem] = "; ".join(filter(None, (problem, node.camera_info_source)))
    return found


class InputWarnings:
    """Logs each missing input once: when it begins, and when it is over."""

    def __init__(self, logger: RcutilsLogger) -> None:
        self._logger = logger
        self._ongoing: Mapping[str, str] = {}

    def update(self, found: Mapping[str, str]) -> None:
        """found: what `missing_inputs` returns now."""
        for kind in self._ongoing.keys() - found.keys():
            self._logger.info(f"over: {kind}")
        for kind in found.keys() - self._ongoing.keys():
            self._logger.warning(found[kind])
        self._ongoing = found


def diagnostic_status(name: str, snapshot: Snapshot, node: NodeState) -> DiagnosticStatus:
    """The status of the node: the level is that of the worst problem, the message contains all of them."""
    errors = _errors(snapshot, node)
    warnings = _warnings(snapshot, node) if node.state == "active" else []
    values = {
        "state": node.state,
        **{f"images {count}": str(number) for count, number in snapshot.counts.items()},
        "rate in (Hz)": f"{snapshot.recent['received'] / snapshot.seconds:.1f}",
        "rate out (Hz)": f"{snapshot.recent['processed'] / snapshot.seconds:.1f}",
    }
    for stage, (median, percentile) in snapshot.stages.items():
        values[f"{stage} median (ms)"] = f"{median:.2f}"
        values[f"{stage} p99 (ms)"] = f"{percentile:.2f}"
    values["age at publishing (s)"] = "unknown" if snapshot.age is None else f"{snapshot.age:.3f}"
    values |= {f"publishers of {topic}": str(number) for topic, number in node.publishers.items()}
    values |= {**node.values, "last problem": snapshot.last_problem}
    return DiagnosticStatus(
        level=DiagnosticStatus.ERROR if errors else DiagnosticStatus.WARN if warnings else DiagnosticStatus.OK,
        name=name,
        message="; ".join(errors + warnings) or node.state,
        hardware_id=node.values.get("device", ""),
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )


def network_values(predictor: Predictor, parameters: NodeParameters) -> dict[str, str]:
    """The network and its effective parameters by name, for logs and diagnostics."""
    description, runtime = predictor.description, predictor.runtime
    height, width = predictor.input_size
    low, high = parameters.depth_range(description)
    focal_length = description.training_focal_length
    return {
        "backbone": description.backbone,
        "weights": predictor.weights_path.name if predictor.weights_path else "untrained",
        "weights SHA-256": (predictor.weights_sha256 or "")[:12],
        "runtime": runtime.name,
        "reason for runtime": runtime.reason,
        "precision": runtime.precision,
        "device": runtime.device,
        "threads": str(parameters.num_threads or spare_cores()),
        "input size": f"{width}x{height}" + ("" if predictor.fixed_size else ", follows the image"),
        "training focal length (pixels)": f"{focal_length:.0f}" if focal_length else "unknown: depth is not scaled",
        "score threshold": f"{parameters.effective_score_threshold(description):g}",
        "depth range (m)": f"{low:g} to {high:g}",
    }


def _errors(snapshot: Snapshot, node: NodeState) -> list[str]:
    found = [node.failure] if node.failure else []
    if number := snapshot.recent["errors"]:
        found.append(f"the network failed on {number} images: {snapshot.last_problem}")
    if number := snapshot.recent["overflowed"]:
        found.append(f"{number} images lost: they arrive faster than they are processed")
    return found


def _warnings(snapshot: Snapshot, node: NodeState) -> list[str]:
    missing = missing_inputs(snapshot, node)
    found = list(missing.values())
    received, stale = snapshot.recent["received"], snapshot.recent["stale"]
    dropped = snapshot.recent["overwritten"] + stale
    if dropped > _MAX_DROPPED_FRACTION * max(received, 1) and "old images" not in missing:
        reason = f", {stale} of them older than max_age ({node.max_age:g} s) by their stamps" if stale else ""
        found.append(f"{dropped} of {received} images dropped{reason}")
    if node.max_age > 0 and snapshot.age is not None and snapshot.age > node.max_age / 2:
        found.append(f"outputs are {snapshot.age:.2f} s old (max_age {node.max_age:g})")
    if number := snapshot.recent["malformed"]:
        found.append(f"{number} images refused: {snapshot.last_problem}")
    if number := snapshot.recent.get("blank_images", 0):
        found.append(f"{number} images show nothing: their outputs mean nothing")
    if number := snapshot.recent.get("images_without_tracks", 0):
        found.append(f"{number} images without tracks: {snapshot.last_problem}")
    return found


def _percentiles(stages: deque[Mapping[str, float]]) -> dict[str, tuple[float, float]]:
    if not stages:
        return {}
    table = np.array([[frame[stage] for stage in STAGES] for frame in stages])
    medians, percentiles = np.percentile(table, [50, 99], axis=0)
    return {stage: (float(medians[i]), float(percentiles[i])) for i, stage in enumerate(STAGES)}
