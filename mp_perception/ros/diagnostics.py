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

from mp_perception.inference.predictor import Predictor
from mp_perception.machine import spare_cores
from mp_perception.ros.parameters import NodeParameters

#: Every image that is received ends as exactly one of the other counts, or still waits.
#: received: arrived while the node was active.  processed: its outputs were published.  overwritten: replaced by a
#: newer image.  stale: too old when its turn came, or from before a jump of the clock.  malformed: refused.  errors:
#: the runtime failed.  overflowed: the queue of process_every_frame was full.
FRAME_COUNTS = ("received", "processed", "overwritten", "stale", "malformed", "errors", "overflowed")
#: The stages of an image; total is their sum.
STAGES = ("wait", "convert", "preprocess", "inference", "postprocess", "publish", "total")

_WINDOW = 100
#: Fraction of dropped images above which the node warns.
_MAX_DROPPED_FRACTION = 0.2
#: Seconds without an image after which the node warns.
_MAX_SILENCE = 2.0


@dataclass(frozen=True)
class Snapshot:
    """Statistics at one moment.

    counts: since the start, by name.  recent: since the previous snapshot, `seconds` ago.
    stages: stage -> (median, 99th percentile) in milliseconds over the last 100 images.
    age: median age of their outputs at publishing, seconds; None if unknown.
    silence: seconds since the last image, or since the node became active.
    last_problem: description of the last problem, or "".
    """

    counts: Mapping[str, int]
    recent: Mapping[str, int]
    seconds: float
    stages: Mapping[str, tuple[float, float]]
    age: float | None
    silence: float
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
        self._last_problem = ""

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

    def frame_processed(self, stages: Mapping[str, float], age: float | None) -> None:
        """Count an image whose outputs are published.  stages: milliseconds by name.  age: seconds; None if unknown."""
        with self._lock:
            self._counts["processed"] += 1
            self._stages.append(stages)
            self._ages.append(age)

    def problem(self, name: str, text: str) -> None:
        """Count a problem, and keep its description for the diagnostics."""
        with self._lock:
            self._counts[name] += 1
            self._last_problem = text

    def restart(self) -> None:
        """Discard stage times and ages, for example after a jump of the clock; the counts remain."""
        with self._lock:
            self._stages.clear()
            self._ages.clear()
            self._last_received = time.monotonic()

    def snapshot(self) -> Snapshot:
        """The statistics now; `recent` of the next snapshot starts here."""
        with self._lock:
            now = time.monotonic()
            ages = [age for age in self._ages if age is not None]
            counts = {name: self._counts[name] for name in (*FRAME_COUNTS, *sorted(self._counts))}
            snapshot = Snapshot(
                counts=counts,
                recent={name: counts[name] - self._counts_before[name] for name in counts},
                seconds=now - self._snapshot_time,
                stages=_percentiles(self._stages),
                age=float(np.median(ages)) if ages else None,
                silence=now - self._last_received,
                last_problem=self._last_problem,
            )
            self._counts_before, self._snapshot_time = Counter(counts), now
        return snapshot


@dataclass(frozen=True)
class NodeState:
    """What the diagnostics contain beside the statistics.

    state: of the lifecycle; images are expected while it is "active".  failure: why the node does not work, or "".
    max_age: seconds, 0 without a limit.  image_topic: of the images.  publishers: number of publishers by input topic.
    values: backbone, device and others by name.
    """

    state: str
    max_age: float
    failure: str
    image_topic: str
    publishers: Mapping[str, int]
    values: Mapping[str, str]


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
    found = []
    received, stale = snapshot.recent["received"], snapshot.recent["stale"]
    dropped = snapshot.recent["overwritten"] + stale
    if dropped > _MAX_DROPPED_FRACTION * max(received, 1):
        # If all images are too old, the clocks of two computers may differ by seconds.
        reason = f", {stale} of them older than max_age ({node.max_age:g} s) by their stamps" if stale else ""
        found.append(f"{dropped} of {received} images dropped{reason}")
    if snapshot.silence > _MAX_SILENCE:
        reason = f"{node.image_topic} has no publisher"
        if node.publishers.get(node.image_topic, 0):
            reason = f"{node.image_topic} has a publisher (docs/troubleshooting.md: quality of service, large images)"
        found.append(f"no image for {snapshot.silence:.0f} s: {reason}")
    if node.max_age > 0 and snapshot.age is not None and snapshot.age > node.max_age / 2:
        found.append(f"outputs are {snapshot.age:.2f} s old (max_age {node.max_age:g})")
    if number := snapshot.recent["malformed"]:
        found.append(f"{number} images refused: {snapshot.last_problem}")
    return found


def _percentiles(stages: deque[Mapping[str, float]]) -> dict[str, tuple[float, float]]:
    if not stages:
        return {}
    table = np.array([[frame[stage] for stage in STAGES] for frame in stages])
    medians, percentiles = np.percentile(table, [50, 99], axis=0)
    return {stage: (float(medians[i]), float(percentiles[i])) for i, stage in enumerate(STAGES)}
