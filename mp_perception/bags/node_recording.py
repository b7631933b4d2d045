"""A recording of the node's outputs: its pictures, and its summary in comparison with the bag that was played."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mp_perception.bags.reading import BagReader
from mp_perception.messages.header import stamp_of
from mp_perception.messages.images import depth_to_array, image_to_array

Header = tuple[int, str]


@dataclass(frozen=True)
class PublishedFrame:
    """The images of one processed frame.

    stamp_ns: of the input image.  overlay, colored_depth: RGB uint8 (H, W, 3).
    depth: float32 (H, W) metres, as depth_to_array.
    """

    stamp_ns: int
    overlay: NDArray[np.uint8]
    colored_depth: NDArray[np.uint8]
    depth: NDArray[np.float32]


def read_headers(bag: Path, topic: str) -> list[Header]:
    """(stamp in nanoseconds, frame) of every message of a topic, in order."""
    with BagReader(bag) as reader:
        headers = [reader.decode(message).header for message in reader.messages([topic])]
    return [(stamp_of(header), header.frame_id) for header in headers]


def read_published_frames(recording: Path) -> Iterator[PublishedFrame]:
    """The frames of a recording that have overlay, coloured depth and depth, in order of arrival.

    Raises UserError for an image that cannot be read.
    """
    topics = {"/overlay": "overlay", "/depth/image_colored": "colored_depth", "/depth/image": "depth"}
    waiting: dict[int, dict[str, Any]] = {}
    with BagReader(recording) as reader:
        for message in reader.messages(list(topics)):
            image = reader.decode(message)
            stamp = stamp_of(image.header)
            parts = waiting.setdefault(stamp, {})
            read = depth_to_array if message.topic == "/depth/image" else image_to_array
            parts[topics[message.topic]] = read(image)
            if len(parts) == len(topics):
                yield PublishedFrame(stamp, **waiting.pop(stamp))


def summarise(
    sent: list[Header], published: list[Header], diagnostics: Mapping[str, str], stages: tuple[str, ...]
) -> dict[str, Any]:
    """Counts, headers and latencies of one replay, ready for JSON.

    sent: headers of the images played.  published: headers of the detections recorded.  diagnostics: the node's last
    values by name.  stages: names of the latencies in them (median and 99th percentile over the last 100 frames, ms).
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
