"""KITTI's data sets with depth maps and without labelled objects: depth data, its selection, stereo 2015, odometry."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from mp_perception.classes import DEFAULT_CLASSES
from mp_perception.data.frame_sets import Frame, FrameCamera, FrameSet, find_frames, select_frames
from mp_perception.data.image_files import FRAME_SUFFIXES
from mp_perception.data.kitti.calibration_files import read_calibration, read_raw_calibration
from mp_perception.data.kitti.depth_layout import PARTS, depth_maps, find_depth_root, find_raw_root
from mp_perception.data.kitti.raw import numbered_files
from mp_perception.data.text_files import parse_numbers, read_lines
from mp_perception.errors import UserError
from mp_perception.geometry import CameraIntrinsics

#: KITTI was recorded on five days, each with its own calibration and image size: (width, height) -> f, cx, cy of the
#: rectified cameras, pixels (P_rect_02 in the raw data's calib_cam_to_cam.txt).
_CAMERAS = {
    (1242, 375): (721.5377, 609.5593, 172.8540),  # 2011_09_26
    (1224, 370): (707.0493, 604.0814, 180.5066),  # 2011_09_28
    (1238, 374): (718.3351, 600.3891, 181.5122),  # 2011_09_29
    (1226, 370): (707.0912, 601.8873, 183.1104),  # 2011_09_30
    (1241, 376): (718.8560, 607.1928, 185.2157),  # 2011_10_03
}


class KittiDepth(FrameSet):
    """Every map of the depth data with the image of its raw drive, both colour cameras.

    root: see find_depth_root and find_raw_root.  split: "train", "val", or see select_frames.
    A frame is named <drive>/image_0C/<10 digits>.
    """

    def __init__(self, root: Path, split: str | None = None, class_names: Sequence[str] = DEFAULT_CLASSES) -> None:
        depth_root, raw_root = find_depth_root(root), find_raw_root(root)
        if depth_root is None:
            raise UserError(f"{root}: expected train|val/<drive>/proj_depth in it or in depth/, found none")
        if raw_root is None:
            raise UserError(f"{root}: expected raw drives <date>/<drive>_sync in it, in raw/ or in ../raw, found none")
        parts = (split,) if split in PARTS else PARTS
        frames = list(_mapped_frames(depth_root, raw_root, parts))
        if not frames:
            raise UserError(f"{depth_root}: expected depth maps of {' or '.join(parts)}, found none")
        frames = select_frames(frames, root, None if split in PARTS else split)
        super().__init__("kitti-depth", frames, class_names)
        dates = {frame.name[:10] for frame in self.frames}
        self._calibrations = {date: read_raw_calibration(raw_root / date) for date in dates}

    def camera(self, index: int, width: int, height: int) -> FrameCamera:
        drive, camera, _ = self.frames[index].name.split("/")
        return self._calibrations[drive[:10]].camera(int(camera[-1]), width, height)


def _mapped_frames(depth_root: Path, raw_root: Path, parts: Sequence[str]) -> Iterator[Frame]:
    drives = {path.parent.name for part in parts for path in (depth_root / part).glob("*/proj_depth")}
    for drive in sorted(drives):
        for camera in (2, 3):
            folder = raw_root / drive[:10] / drive / f"image_0{camera}" / "data"
            images = numbered_files(folder, FRAME_SUFFIXES)
            for number, depth in depth_maps(depth_root, drive, camera, parts).items():
                if number not in images:
                    raise UserError(f"{folder / depth.name}: missing (nor .jpg), expected for {depth}")
                yield Frame(f"{drive}/image_0{camera}/{depth.stem}", images[number], depth)


class KittiDepthSelection(FrameSet):
    """KITTI's 1,000 selected validation images (1216x352) of <root> or <root>/depth_selection/val_selection_cropped.

    Folders image, groundtruth_depth and intrinsics.  An image is named <drive>_image_<10 digits>_image_0C; the name of
    its map has groundtruth_depth in place of the first image.
    """

    def __init__(self, root: Path, split: str | None = None, class_names: Sequence[str] = DEFAULT_CLASSES) -> None:
        selection = root / "depth_selection" / "val_selection_cropped"
        self.folder = selection if selection.is_dir() else root
        frames = []
        for frame in find_frames(self.folder / "image"):
            depth_name = frame.name.replace("_image_", "_groundtruth_depth_", 1)
            depth = self.folder / "groundtruth_depth" / f"{depth_name}.png"
            for path in (depth, self._intrinsics_file(frame.name)):
                if not path.is_file():
                    raise UserError(f"{path}: missing, expected beside {frame.image}")
            frames.append(Frame(frame.name, frame.image, depth))
        super().__init__("kitti-depth-selection", select_frames(frames, root, split), class_names)

    def camera(self, index: int, width: int, height: int) -> FrameCamera:
        path = self._intrinsics_file(self.frames[index].name)
        text = " ".join(read_lines(path, "a camera matrix"))
        fx, _, cx, _, fy, cy, *_ = parse_numbers(text, 9, f"{path}:1: camera matrix")
        if min(fx, fy) <= 0:
            raise UserError(f"{path}:1: expected focal lengths above 0, found {fx:g} and {fy:g}")
        return FrameCamera(CameraIntrinsics(fx, fy, cx, cy, width, height))

    def _intrinsics_file(self, name: str) -> Path:
        return self.folder / "intrinsics" / f"{name}.txt"


class KittiStereo(FrameSet):
    """Frames of KITTI's stereo 2015 data in <root>/training: image_2/NNNNNN_10 with a map in depth_2 (16-bit PNG).

    The size of an image tells its camera.
    """

    def __init__(self, root: Path, split: str | None = None, class_names: Sequence[str] = DEFAULT_CLASSES) -> None:
        folder = root / "training"
        frames = _with_depth(find_frames(folder / "image_2", folder / "depth_2"), folder / "depth_2")
        super().__init__("kitti-stereo", select_frames(frames, root, split), class_names)

    def camera(self, index: int, width: int, height: int) -> FrameCamera:
        if (width, height) not in _CAMERAS:
            sizes = ", ".join(f"{known[0]}x{known[1]}" for known in _CAMERAS)
            image = self.frames[index].image
            raise UserError(f"{image}: expected an image of KITTI's sizes ({sizes}), found {width}x{height}")
        focal, cx, cy = _CAMERAS[width, height]
        return FrameCamera(CameraIntrinsics(focal, focal, cx, cy, width, height))


class KittiOdometry(FrameSet):
    """Frames of <root>/sequences/SS: image_2 with a map in depth_2 (16-bit PNG), and calib.txt, named SS/FFFFFF."""

    def __init__(self, root: Path, split: str | None = None, class_names: Sequence[str] = DEFAULT_CLASSES) -> None:
        folder = root / "sequences"
        if not folder.is_dir():
            raise UserError(f"{folder}: no such folder, expected KITTI odometry sequences")
        sequences = sorted(path for path in folder.iterdir() if (path / "image_2").is_dir())
        frames = [
            frame
            for sequence in sequences
            for frame in find_frames(sequence / "image_2", sequence / "depth_2", f"{sequence.name}/")
        ]
        frames = _with_depth(frames, folder / "SS" / "depth_2")
        super().__init__("kitti-odometry", select_frames(frames, root, split), class_names)
        names = {frame.name.split("/")[0] for frame in self.frames}
        self._calibrations = {name: read_calibration(folder / name / "calib.txt") for name in names}

    def camera(self, index: int, width: int, height: int) -> FrameCamera:
        return self._calibrations[self.frames[index].name.split("/")[0]].camera(2, width, height)


def _with_depth(frames: Sequence[Frame], folder: Path) -> list[Frame]:
    mapped = [frame for frame in frames if frame.depth is not None]
    if not mapped:
        raise UserError(f"{folder}: expected depth maps with the names of the images in image_2, found none")
    return mapped
