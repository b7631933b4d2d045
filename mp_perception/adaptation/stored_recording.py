"""A recording as the training reads it: its frames with depth in one folder, a part of them held out.

The parts are apart in time, never drawn by chance: neighbouring frames of a video are nearly equal, and a network that
has seen the one knows the depth of the other.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mp_perception.adaptation.recording_checks import Finding
from mp_perception.data.frame_sets import DroppedFrameError, FrameSet
from mp_perception.data.image_files import read_image
from mp_perception.data.recording_writing import RecordingWriter
from mp_perception.errors import UserError
from mp_perception.evaluation.report.example_frames import encode_jpeg
from mp_perception.files import write_atomically
from mp_perception.progress import track, warn

TRAINING, HELD_OUT = "training", "held_out"
#: Fraction of the frames that are held out, the last ones, and of those between the parts, which are in neither.
HELD_OUT_FRACTION, GAP_FRACTION = 0.2, 0.04
#: Of the frames for the training, so many are held out at most.
_HELD_OUT_PER_TRAINING = 0.25


def split_frames(bag_of: Sequence[str]) -> tuple[list[int], list[int]]:
    """Frames for the training and held-out ones.

    bag_of: the bag of each frame, in order of time.  Of several bags the last ones are held out as a whole.
    Raises UserError if a part would be empty.
    """
    count = len(bag_of)
    bags = list(dict.fromkeys(bag_of))
    if len(bags) > 1:
        for number in range(len(bags) - 1, 0, -1):
            held = [i for i, bag in enumerate(bag_of) if bag in bags[number:]]
            if len(held) >= HELD_OUT_FRACTION * count:
                break
        return [i for i, bag in enumerate(bag_of) if bag in bags[:number]], held
    num_held, gap = round(HELD_OUT_FRACTION * count), max(1, round(GAP_FRACTION * count))
    training, held = list(range(count - num_held - gap)), list(range(count - num_held, count))
    if not training or not held:
        raise UserError(f"expected enough frames with depth for two parts, found {count}")
    return training, held


def store_recording(frames: FrameSet, folder: Path, max_frames: int) -> None:
    """Write frames with depth into an empty folder in the layout of data.recording, and the lists of the two parts.

    max_frames: for the training, evenly distributed over its part.
    Frames that cannot be used are left out with a warning.  Raises UserError if the camera is not known or changes, or
    too few frames can be used.
    """
    with_depth = [index for index, frame in enumerate(frames.frames) if frame.depth is not None]
    bags = [frames.frames[i].name.rpartition("/")[0] for i in with_depth]
    training, held_out = split_frames(bags)
    chosen = {
        TRAINING: [with_depth[i] for i in _evenly(training, max_frames)],
        HELD_OUT: [with_depth[i] for i in _evenly(held_out, round(max_frames * _HELD_OUT_PER_TRAINING))],
    }
    seconds = frames.seconds()
    stored: dict[str, list[str]] = {part: [] for part in chosen}
    problems = Counter[str]()
    writer = RecordingWriter(folder, frames.labelled_names)
    for part, index in track([(part, i) for part, indices in chosen.items() for i in indices], "reading"):
        try:
            sample = frames[index]
        except DroppedFrameError as error:
            problems[error.reason] += 1
            continue
        if sample.depth is None or not np.isfinite(sample.depth).any() or sample.intrinsics is None:
            problems["no depth" if sample.intrinsics is not None else "no camera info"] += 1
            continue
        name = f"{index:06}"
        stored[part].append(name)
        stamp_ns = None if seconds is None else round(seconds[index] * 1e9)
        writer.write(name, sample.image, sample.depth, sample.intrinsics, stamp_ns, frames.labels(index))
    for reason, count in problems.items():
        warn(f"{count} of {sum(map(len, chosen.values()))} frames are left out: {reason}")
    if not all(stored.values()):
        raise UserError(f"{frames.title}: expected frames with depth and camera info, found too few of them")
    writer.finish()
    for part, names in stored.items():
        write_atomically(folder / "ImageSets" / f"{part}.txt", "".join(f"{name}\n" for name in names).encode())


def store_findings(findings: Sequence[Finding], folder: Path) -> None:
    """Write the findings of the checks, for a run that continues."""
    rows = [{"severity": f.severity, "name": f.name, "text": f.text} for f in findings]
    write_atomically(folder / "findings.json", json.dumps(rows, indent=1).encode())
    for number, finding in enumerate(findings):
        if finding.picture is not None:
            write_atomically(folder / f"{number}.jpg", encode_jpeg(finding.picture, quality=90))


def read_findings(folder: Path) -> list[Finding]:
    """What store_findings wrote."""
    return [
        Finding(**row, picture=read_image(picture) if (picture := folder / f"{number}.jpg").is_file() else None)
        for number, row in enumerate(json.loads((folder / "findings.json").read_text()))
    ]


def _evenly(indices: Sequence[int], limit: int) -> list[int]:
    """At most `limit` of the indices, evenly distributed."""
    if len(indices) <= limit:
        return list(indices)
    return [indices[i] for i in np.linspace(0, len(indices) - 1, limit).round().astype(int)]
