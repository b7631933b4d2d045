"""What the node published, read back from a recording and held against the bag that was played."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mp_perception.bags.reading import BagReader
from mp_perception.errors import UserError

Header = tuple[int, str]


@dataclass(frozen=True)
class PublishedFrame:
    """The pictures of one processed frame.

    stamp_ns: of the input image.  overlay, colored_depth: RGB uint8 (H, W, 3).
    depth: float32 (H, W) metres, NaN where invalid.
    """

    stamp_ns: int
    overlay: NDArray[np.uint8]
    colored_depth: NDArray[np.uint8]
    depth: NDArray[np.float32]


def read_headers(bag: Path, topic: str) -> list[Header]:
    """(stamp in nanoseconds, frame) of every message of a topic, in order."""
    with BagReader(bag) as reader:
        return [_header(reader.decode(message)) for message in reader.messages([topic])]


def read_published_frames(recording: Path) -> Iterator[PublishedFrame]:
    """The frames of a recording that have overlay, coloured depth and depth (32FC1), in order of arrival."""
    topics = {"/overlay": "overlay", "/depth/image_colored": "colored_depth", "/depth/image": "depth"}
    waiting: dict[int, dict[str, Any]] = {}
    with BagReader(recording) as reader:
        for message in reader.messages(list(topics)):
            image = reader.decode(message)
            stamp, _ = _header(image)
            parts = waiting.setdefault(stamp, {})
            parts[topics[message.topic]] = _array(image, message.topic, recording)
            if len(parts) == len(topics):
                yield PublishedFrame(stamp, **waiting.pop(stamp))


def summarise(
    sent: list[Header], published: list[Header], diagnostics: Mapping[str, str], stages: tuple[str, ...]
) -> dict[str, Any]:
    """Counts, headers and latencies of one session.

    sent: headers of the images played.  published: headers of the detections recorded.  diagnostics: the node's last
    values.  stages: names of the latencies in them (median and 99th percentile over the last 100 frames, ms).
    """
    counts = {
        name: int(diagnostics[f"images {name}"])
        for name in ("received", "processed", "overwritten", "stale", "malformed", "errors")
    }
    ended = counts["processed"] + counts["overwritten"] + counts["stale"] + counts["malformed"] + counts["errors"]
    times = [stamp for stamp, _ in published]
    seconds = (times[-1] - times[0]) / 1e9 if len(times) > 1 else 0.0
    return {
        "frames": {"sent": len(sent), **counts},
        "every_frame_accounted_for": ended == len(sent),
        "detection_messages_recorded": len(published),
        "headers_equal_the_inputs": len(published) > 0 and set(published) <= set(sent),
        "rate_hz": round((len(times) - 1) / seconds, 2) if seconds else None,
        "latency_ms": {
            stage: {name: float(diagnostics[f"{stage} {name} (ms)"]) for name in ("median", "p99")}
            for stage in stages
            if f"{stage} median (ms)" in diagnostics
        },
        "network": {
            name: diagnostics[name]
            for name in ("backbone", "weights", "weights SHA-256", "runtime", "precision", "device", "threads")
        },
        "resident_memory_mb": float(diagnostics["resident memory (MB)"]),
    }


def _header(message: Any) -> Header:
    stamp = message.header.stamp
    return stamp.sec * 1_000_000_000 + stamp.nanosec, message.header.frame_id


def _array(image: Any, topic: str, recording: Path) -> NDArray[Any]:
    """The pixels of an Image message as our node publishes it: rgb8 or 32FC1, without padding."""
    if image.encoding == "rgb8":
        return np.asarray(image.data, np.uint8).reshape(image.height, image.width, 3)
    if image.encoding == "32FC1":
        return np.asarray(image.data, np.uint8).view(np.float32).reshape(image.height, image.width)
    raise UserError(f"{recording}: {topic}: expected rgb8 or 32FC1, found {image.encoding}")
