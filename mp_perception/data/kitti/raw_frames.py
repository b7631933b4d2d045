"""Raw drives as samples: images of the left colour camera, labels from tracklets, depth maps if available."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from mp_perception.arrays import Matrix
from mp_perception.classes import DEFAULT_CLASSES
from mp_perception.data.frame_sets import Frame, FrameCamera, FrameSet, select_frames
from mp_perception.data.ground_truth import EXACT_DEPTH
from mp_perception.data.kitti.depth_layout import depth_maps, find_depth_root, find_raw_root
from mp_perception.data.kitti.labels import KITTI_CLASSES, read_labels
from mp_perception.data.kitti.raw import SYNTHETIC_DATE, RawDrive, RawFrame
from mp_perception.data.kitti.tracklets import read_tracklets, tracked_labels
from mp_perception.data.object_label import ObjectLabel
from mp_perception.errors import UserError

_CAMERA = 2

_read_tracklets = cache(read_tracklets)


class KittiRaw(FrameSet):
    """All frames of one drive, or of all drives below a folder.

    root: a drive's folder (..._sync), a date's, or one with dates (see find_raw_root).
    Labels come from the drive's tracklet_labels.xml, or from label_02/ (synthetic drives); a drive without either is
    not labelled.  Depth maps: see find_depth_root and depth_maps.
    A frame is named <drive>/<10 digits>.
    """

    def __init__(self, root: Path, split: str | None = None, class_names: Sequence[str] = DEFAULT_CLASSES) -> None:
        self.drives = {drive.name: drive for drive in map(RawDrive, _find_drives(root))}
        frames = [frame for drive in self.drives.values() for frame in _frames(drive)]
        super().__init__("kitti-raw", select_frames(frames, root, split), class_names, KITTI_CLASSES)
        if all(frame.name.startswith(SYNTHETIC_DATE) for frame in self.frames):
            self.ground_truth = EXACT_DEPTH

    def labels(self, index: int) -> list[ObjectLabel] | None:
        drive, frame = self._moment(index)
        tracklets = drive.folder / "tracklet_labels.xml"
        if tracklets.exists():
            return tracked_labels(
                _read_tracklets(tracklets).get(frame.number, []),
                drive.calibration.velo_to_camera(_CAMERA),
                drive.calibration.camera_0_to_camera(_CAMERA),
                drive.intrinsics(_CAMERA),
            )
        if (drive.folder / "label_02").is_dir():
            return read_labels(drive.folder / "label_02" / f"{frame.number:010d}.txt")
        return None

    def stamp(self, index: int) -> float:
        return self._moment(index)[1].stamp_ns / 1e9

    def pose(self, index: int) -> Matrix | None:
        drive, frame = self._moment(index)
        return drive.camera_pose(frame.number, _CAMERA)

    def _moment(self, index: int) -> tuple[RawDrive, RawFrame]:
        name, number = self.frames[index].name.split("/")
        drive = self.drives[name]
        return drive, drive.frames[int(number) - drive.frames[0].number]

    def camera(self, index: int, width: int, height: int) -> FrameCamera:
        return self._moment(index)[0].calibration.camera(_CAMERA, width, height)


def _find_drives(root: Path) -> list[Path]:
    if root.resolve().name.endswith("_sync"):
        return [root]
    drives = sorted(path for path in root.glob("*_drive_*_sync") if path.is_dir())
    if drives:
        return drives
    raw_root = find_raw_root(root)
    if raw_root is None:
        raise UserError(f"{root}: expected raw drives (<date>/<date>_drive_<number>_sync), found none")
    return sorted(path for path in raw_root.glob("*_*_*/*_drive_*_sync") if path.is_dir())


def _frames(drive: RawDrive) -> list[Frame]:
    depth_root = find_depth_root(drive.folder.resolve().parent.parent)
    maps = depth_maps(depth_root, drive.name, _CAMERA) if depth_root else {}
    return [
        Frame(f"{drive.name}/{frame.number:010d}", frame.images[_CAMERA], maps.get(frame.number))
        for frame in drive.frames
    ]
