"""Raw drives as samples: images of the left colour camera, boxes from tracklets, depth maps where they are at hand."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from mp_perception.classes import DEFAULT_CLASSES
from mp_perception.data.frame_sets import (
    KITTI_CLASSES,
    Frame,
    FrameCamera,
    FrameSet,
    kitti_camera,
    select_frames,
    split_file,
)
from mp_perception.data.image_files import read_image
from mp_perception.data.kitti.depth_files import depth_kind, find_depth_map, find_depth_root, find_raw_root
from mp_perception.data.kitti.labels import read_labels
from mp_perception.data.kitti.raw import SYNTHETIC_DATE, RawDrive
from mp_perception.data.kitti.tracklets import read_tracklets, tracked_labels
from mp_perception.data.object_label import ObjectLabel
from mp_perception.errors import UserError

_CAMERA = 2
#: What the depth maps of drawn scenes are, in words.
EXACT_DEPTH = "exact depth of the drawn scene"

_read_tracklets = cache(read_tracklets)


class KittiRaw(FrameSet):
    """All frames of one drive, or of all drives below a folder.

    root: a drive's folder (..._sync), a date's, or one that holds dates (or raw/ with them).
    Labels come from the drive's tracklet_labels.xml, or from label_02/ (synthetic drives); a drive without either has
    no boxes.  Depth maps come from depth/ in the folder of the dates or beside it, the ground truth before the scans.
    split: a file of names <drive>/<10 digits>, or the name of one in <root>/ImageSets.
    Raises UserError naming the file that is missing or wrong.
    """

    def __init__(self, root: Path, split: str | None = None, class_names: Sequence[str] = DEFAULT_CLASSES) -> None:
        self.drives = {drive.name: drive for drive in map(RawDrive, _find_drives(root))}
        frames = [frame for drive in self.drives.values() for frame in _frames(drive)]
        super().__init__("kitti-raw", select_frames(frames, split_file(root, split)), class_names, KITTI_CLASSES)
        if all(frame.name.startswith(SYNTHETIC_DATE) for frame in self.frames):
            self.ground_truth = EXACT_DEPTH

    def labels(self, index: int) -> list[ObjectLabel] | None:
        drive, number = self._place(index)
        tracklets = drive.folder / "tracklet_labels.xml"
        if tracklets.exists():
            boxes = _read_tracklets(tracklets).get(number, [])
            height, width = self._image_size(index)
            camera = self.camera(index, width, height)
            lidar_to_camera = drive.calibration.velo_to_camera(_CAMERA)
            return tracked_labels(boxes, lidar_to_camera, camera.label_to_camera, camera.intrinsics)
        if (drive.folder / "label_02").is_dir():
            return read_labels(drive.folder / "label_02" / f"{number:010d}.txt")
        return None

    def camera(self, index: int, width: int, height: int) -> FrameCamera:
        return kitti_camera(self._place(index)[0].calibration, _CAMERA, width, height)

    def _place(self, index: int) -> tuple[RawDrive, int]:
        name, number = self.frames[index].name.split("/")
        return self.drives[name], int(number)

    def _image_size(self, index: int) -> tuple[int, int]:
        """Height and width: from the calibration, which nearly always says them, else from the image."""
        known = self._place(index)[0].calibration.image_sizes.get(_CAMERA)
        if known is not None:
            return known[1], known[0]
        image = read_image(self.frames[index].image)
        return image.shape[0], image.shape[1]


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
    kind = depth_kind(depth_root, drive.name, _CAMERA) if depth_root else None
    return [
        Frame(
            f"{drive.name}/{frame.number:010d}",
            frame.images[_CAMERA],
            find_depth_map(depth_root, drive.name, _CAMERA, frame.number, kind) if depth_root and kind else None,
        )
        for frame in drive.frames
    ]
