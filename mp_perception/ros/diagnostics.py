"""How the node is doing: counts, rates and latencies, and the diagnostics made from them.

`Statistics` is fed by the executor (images coming in) and by the worker thread (images leaving); `diagnostic_status`
turns a snapshot of it into the one status the node publishes.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from mp_perception.inference.predictor import Predictor
from mp_perception.machine import spare_cores
from mp_perception.ros.parameters import NodeParameters

#: What happens to images, every one of which ends as exactly one of the others (or still waits).
#: received: came while the node was active.  processed: its outputs were published.  overwritten: a newer one came
#: first.  stale: too old when its turn came, or from before a jump of the clock.  malformed: refused.  errors: the
#: runtime failed.  overflowed: the queue of process_every_frame was full.
FRAME_COUNTS = ("received", "processed", "overwritten", "stale", "malformed", "errors", "overflowed")
#: The way of an image, in milliseconds; total is all of them.
STAGES = ("wait", "convert", "preprocess", "inference", "postprocess", "publish", "total")

_WINDOW = 100
#: Share of dropped images above which the node warns.
_MAX_DROPPED_SHARE = 0.2
#: Seconds without an image after which the node warns.
_MAX_SILENCE = 2.0


@dataclass(frozen=True)
class Snapshot:
    """Statistics at one moment.

    counts: since the start, by name.  recent: counts since the snapshot before.  seconds: since then.
    stages: stage -> (median, 99th percentile) in milliseconds over the last 100 images.
    age: median age of the outputs when published, seconds, over the same; None if unknown.
    silence: seconds since the last image, or since the node became active.
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
        self._snapshot_time = time.monotonic()
        self._last_received = time.monotonic()
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
        """An image came in."""
        with self._lock:
            self._counts["received"] += 1
            self._last_received = time.monotonic()

    def frame_processed(self, stages: Mapping[str, float], age: float | None) -> None:
        """An image's outputs are published.  stages: milliseconds by name; age: seconds, None if clocks disagree."""
        with self._lock:
            self._counts["processed"] += 1
            self._stages.append(stages)
            self._ages.append(age)

    def problem(self, text: str) -> None:
        """Remember the last thing that went wrong, for the diagnostics."""
        with self._lock:
            self._last_problem = text

    def restart(self) -> None:
        """Forget times and ages, for example because the clock jumped; counts go on, so every image stays accounted."""
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
            recent = {name: counts[name] - self._counts_before[name] for name in counts}
            snapshot = Snapshot(
                counts=counts,
                recent=recent,
                seconds=now - self._snapshot_time,
                stages=_percentiles(self._stages),
                age=float(np.median(ages)) if ages else None,
                silence=now - self._last_received,
                last_problem=self._last_problem,
            )
            self._counts_before, self._snapshot_time = Counter(counts), now
        return snapshot


@dataclass
class Health:
    """What the diagnostics need to know beside the statistics.

    state: the lifecycle's.  active: whether images are expected.  max_age: seconds, 0 without a bound.
    failure: why the node does not work, empty if it does.
    image_topic: of the images.  publishers: topic -> number of its publishers, for every input.
    values: backbone, device and the like, by name.
    """

    state: str
    active: bool
    max_age: float
    failure: str = ""
    image_topic: str = ""
    publishers: Mapping[str, int] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)


def diagnostic_status(name: str, snapshot: Snapshot, health: Health) -> DiagnosticStatus:
    """The node's status; its level is the worst of what is wrong and its message says all of it."""
    errors, warnings = _errors(snapshot, health), _warnings(snapshot, health)
    level = DiagnosticStatus.ERROR if errors else DiagnosticStatus.WARN if warnings else DiagnosticStatus.OK
    values = {
        "state": health.state,
        **{f"images {count}": str(number) for count, number in snapshot.counts.items()},
        "rate in (Hz)": f"{snapshot.recent['received'] / snapshot.seconds:.1f}",
        "rate out (Hz)": f"{snapshot.recent['processed'] / snapshot.seconds:.1f}",
    }
    for stage, (median, percentile) in snapshot.stages.items():
        values[f"{stage} median (ms)"] = f"{median:.2f}"
        values[f"{stage} p99 (ms)"] = f"{percentile:.2f}"
    values["age at publishing (s)"] = "unknown" if snapshot.age is None else f"{snapshot.age:.3f}"
    values |= {f"publishers of {topic}": str(number) for topic, number in health.publishers.items()}
    values |= dict(health.values)
    values["last problem"] = snapshot.last_problem
    return DiagnosticStatus(
        level=level,
        name=name,
        message="; ".join(errors + warnings) or health.state,
        hardware_id=health.values.get("device", ""),
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )


def describe_network(predictor: Predictor, parameters: NodeParameters) -> dict[str, str]:
    """What runs and with which values, by name, for logs and diagnostics."""
    description = predictor.description
    height, width = description.input_size
    low, high = parameters.depth_range(description)
    return {
        "backbone": description.backbone,
        "weights": predictor.weights_path.name if predictor.weights_path else "untrained",
        "weights SHA-256": (predictor.weights_sha256 or "")[:12],
        "runtime": predictor.runtime.name,
        "reason for runtime": predictor.runtime.reason,
        "precision": predictor.runtime.precision,
        "device": predictor.runtime.device,
        "threads": str(parameters.num_threads or spare_cores()),
        "input size": f"{width}x{height}",
        "score threshold": f"{parameters.effective_score_threshold(description):g}",
        "depth range (m)": f"{low:g} to {high:g}",
    }


def _errors(snapshot: Snapshot, health: Health) -> list[str]:
    found = [health.failure] if health.failure else []
    if snapshot.recent["errors"]:
        found.append(f"the network failed (times: {snapshot.recent['errors']}): {snapshot.last_problem}")
    if snapshot.recent["overflowed"]:
        found.append(f"{snapshot.recent['overflowed']} images lost: they come faster than they are processed")
    return found


def _warnings(snapshot: Snapshot, health: Health) -> list[str]:
    if not health.active:
        return []
    found = []
    received, dropped = snapshot.recent["received"], snapshot.recent["overwritten"] + snapshot.recent["stale"]
    if dropped > _MAX_DROPPED_SHARE * max(received, 1):
        found.append(f"{dropped} of {received} images dropped{_why_dropped(snapshot, health)}")
    if snapshot.silence > _MAX_SILENCE:
        found.append(f"no image for {snapshot.silence:.0f} s{_why_silent(health)}")
    if health.max_age > 0 and snapshot.age is not None and snapshot.age > health.max_age / 2:
        found.append(f"outputs are {snapshot.age:.2f} s old (max_age {health.max_age:g})")
    if snapshot.recent["malformed"]:
        found.append(f"{snapshot.recent['malformed']} images refused: {snapshot.last_problem}")
    return found


def _why_dropped(snapshot: Snapshot, health: Health) -> str:
    """Too old is more than slow: where no output comes at all, the clocks of two computers disagree by seconds."""
    stale = snapshot.recent["stale"]
    return f", {stale} of them older than max_age ({health.max_age:g} s) by their stamps" if stale else ""


def _why_silent(health: Health) -> str:
    if health.publishers.get(health.image_topic, 0) == 0:
        return f": nobody publishes {health.image_topic}"
    return f", although {health.image_topic} is published (docs/troubleshooting.md: quality of service, large images)"


def _percentiles(stages: deque[Mapping[str, float]]) -> dict[str, tuple[float, float]]:
    if not stages:
        return {}
    table = np.array([[frame[stage] for stage in STAGES] for frame in stages])
    medians, percentiles = np.percentile(table, [50, 99], axis=0)
    return {stage: (float(medians[i]), float(percentiles[i])) for i, stage in enumerate(STAGES)}
