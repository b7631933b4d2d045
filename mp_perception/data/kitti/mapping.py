"""Where the frames of KITTI's object set come from, and which of them have depth: the paper's validation lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mp_perception.errors import UserError

#: Drives of the depth data's validation part -> frames in the raw recording.
VALIDATION_DRIVES = {
    "2011_09_26_drive_0002_sync": 77,
    "2011_09_26_drive_0005_sync": 154,
    "2011_09_26_drive_0013_sync": 144,
    "2011_09_26_drive_0020_sync": 86,
    "2011_09_26_drive_0023_sync": 474,
    "2011_09_26_drive_0036_sync": 803,
    "2011_09_26_drive_0079_sync": 100,
    "2011_09_26_drive_0095_sync": 268,
    "2011_09_26_drive_0113_sync": 87,
    "2011_09_28_drive_0037_sync": 89,
    "2011_09_29_drive_0026_sync": 158,
    "2011_09_30_drive_0016_sync": 279,
    "2011_10_03_drive_0047_sync": 837,
}

#: Frames at a drive's beginning and end that have no depth map, because it is made of eleven scans.
MARGIN = 5


@dataclass(frozen=True)
class RawSource:
    """Where a frame was recorded: the raw drive's name and the frame's number in it."""

    drive: str
    number: int


def validation_maps() -> list[tuple[RawSource, int]]:
    """The 6,852 maps (frame, camera) of the depth data's validation part, sorted."""
    return [
        (RawSource(drive, number), camera)
        for drive, length in VALIDATION_DRIVES.items()
        for camera in (2, 3)
        for number in range(MARGIN, length - MARGIN)
    ]


def read_mapping(mapping_file: Path, order_file: Path) -> list[RawSource]:
    """Source of every frame of the object set: entry i belongs to frame i.

    mapping_file: train_mapping.txt, one "date drive frame" per line.  order_file: train_rand.txt, the line (from 1) of
    each frame.  Raises UserError naming file and line.
    """
    sources = []
    for number, line in enumerate(_read(mapping_file).splitlines(), start=1):
        columns = line.split()
        if len(columns) != 3 or not columns[2].isdecimal():
            raise UserError(f"{mapping_file}:{number}: expected date, drive and frame, found {line[:80]!r}")
        sources.append(RawSource(columns[1], int(columns[2])))
    entries = _read(order_file).replace(",", " ").split()
    if sorted(entries) != sorted(str(line) for line in range(1, len(sources) + 1)):
        raise UserError(
            f"{order_file}:1: expected every line of {mapping_file.name} (1 to {len(sources)}) once, "
            f"found {len(entries)} entries"
        )
    return [sources[int(entry) - 1] for entry in entries]


def frames_with_depth(sources: Sequence[RawSource]) -> list[int]:
    """Numbers of the object set's frames that lie in a validation drive and have a depth map: 1,069 of 7,481."""
    return [
        number
        for number, source in enumerate(sources)
        if source.drive in VALIDATION_DRIVES and MARGIN <= source.number < VALIDATION_DRIVES[source.drive] - MARGIN
    ]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as KITTI's mapping ({error})") from None
