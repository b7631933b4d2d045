"""Parsers of files, and of texts such as parameters, that are fuzzed.

Each is a function of bytes and a folder of its own, and returns or raises UserError (targets.py).  Imports are inside
the functions, so that a process loads only what its parser needs.
"""

from __future__ import annotations

import json
from pathlib import Path


def description(data: bytes, folder: Path) -> None:
    from mp_perception.model.checkpoint_description import CheckpointDescription

    CheckpointDescription.from_json(data.decode("utf-8", "replace"), "description")


def checkpoint(data: bytes, folder: Path) -> None:
    """The head of a safetensors file; its tensors are zeros, as many bytes as those of the seed."""
    from mp_perception.network.checkpoint import read_checkpoint
    from reliability.fuzzing.seeds import checkpoint_tensor_bytes

    path = _written(folder / "checkpoint.safetensors", data)
    with path.open("r+b") as file:
        file.truncate(len(data) + checkpoint_tensor_bytes())
    read_checkpoint(path)


def onnx_model(data: bytes, folder: Path) -> None:
    from mp_perception.inference.runtimes.base import NetworkSource
    from mp_perception.inference.runtimes.onnxruntime_runtime import OnnxRuntime

    source = NetworkSource("mobilenet_v2", _written(folder / "model.onnx", data), None)
    OnnxRuntime(source, "cpu", "auto", 1).close()


def openvino_model(data: bytes, folder: Path) -> None:
    """The .xml; its .bin is the seed's."""
    from mp_perception.inference.runtimes.base import NetworkSource
    from mp_perception.inference.runtimes.openvino_runtime import OpenVinoRuntime
    from reliability.fuzzing.seeds import openvino_weights

    if not (folder / "model.bin").exists():
        (folder / "model.bin").write_bytes(openvino_weights())
    source = NetworkSource("mobilenet_v2", _written(folder / "model.xml", data), None)
    OpenVinoRuntime(source, "cpu", "auto", 1).close()


def labels(data: bytes, folder: Path) -> None:
    from mp_perception.data.kitti.labels import read_labels

    read_labels(_written(folder / "000000.txt", data))


def tracking_labels(data: bytes, folder: Path) -> None:
    from mp_perception.data.kitti.tracking import read_tracking_labels

    read_tracking_labels.__wrapped__(_written(folder / "0000.txt", data))


def object_calibration(data: bytes, folder: Path) -> None:
    from mp_perception.data.kitti.calibration_files import read_calibration

    calibration = read_calibration(_written(folder / "calibration.txt", data))
    calibration.intrinsics(2, 1242, 375)
    calibration.velo_to_camera(2)


def raw_calibration(data: bytes, folder: Path) -> None:
    from mp_perception.data.kitti.calibration_files import read_raw_calibration

    _written(folder / "calib_cam_to_cam.txt", data)
    calibration = read_raw_calibration(folder)
    calibration.intrinsics(2, 1242, 375)
    calibration.camera_0_to_camera(2)


def scanner_calibration(data: bytes, folder: Path) -> None:
    from mp_perception.data.kitti.calibration_files import read_raw_calibration
    from reliability.fuzzing.seeds import raw_calibration

    if not (folder / "calib_cam_to_cam.txt").exists():
        (folder / "calib_cam_to_cam.txt").write_bytes(raw_calibration())
    _written(folder / "calib_velo_to_cam.txt", data)
    read_raw_calibration(folder).velo_to_camera(2)


def sequence_calibration(data: bytes, folder: Path) -> None:
    from mp_perception.data.kitti.calibration_files import read_calibration

    read_calibration(_written(folder / "calib.txt", data)).camera_0_to_camera(2)


def timestamps(data: bytes, folder: Path) -> None:
    """A whole drive of one image, because only a drive reads its stamps."""
    from mp_perception.data.kitti.raw import RawDrive
    from reliability.fuzzing.seeds import raw_calibration

    drive = folder / "2011_09_26_drive_0001_sync"
    image = drive / "image_02" / "data" / "0000000000.png"
    if not image.exists():
        image.parent.mkdir(parents=True)
        image.touch()
        (folder / "calib_cam_to_cam.txt").write_bytes(raw_calibration())
    _written(drive / "image_02" / "timestamps.txt", data)
    RawDrive(drive)


def scan(data: bytes, folder: Path) -> None:
    from mp_perception.data.kitti.calibration_files import read_calibration
    from mp_perception.data.kitti.raw import read_scan
    from mp_perception.data.lidar_projection import project_to_depth_map
    from reliability.fuzzing.seeds import object_calibration

    if not (folder / "calibration.txt").exists():
        (folder / "calibration.txt").write_bytes(object_calibration())
    calibration = read_calibration(folder / "calibration.txt")
    points = read_scan(_written(folder / "scan.bin", data))
    project_to_depth_map(points, calibration.velo_to_camera(2), calibration.intrinsics(2, 124, 37))


def depth_png(data: bytes, folder: Path) -> None:
    from mp_perception.data.depth_png import read_depth_png

    read_depth_png(_written(folder / "depth.png", data))


def image_file(data: bytes, folder: Path) -> None:
    from mp_perception.data.image_files import read_image

    read_image(_written(folder / "image.png", data))


def tracklets(data: bytes, folder: Path) -> None:
    from mp_perception.data.kitti.calibration_files import read_calibration
    from mp_perception.data.kitti.tracklets import read_tracklets, tracked_labels
    from reliability.fuzzing.seeds import object_calibration

    if not (folder / "calibration.txt").exists():
        (folder / "calibration.txt").write_bytes(object_calibration())
    calibration = read_calibration(folder / "calibration.txt")
    for boxes in read_tracklets(_written(folder / "tracklet_labels.xml", data)).values():
        camera = calibration.camera(2, 1242, 375)
        tracked_labels(boxes, calibration.velo_to_camera(2), camera.label_to_camera, camera.intrinsics)


def configuration(data: bytes, folder: Path) -> None:
    from mp_perception.training.configuration import read_configuration

    read_configuration(_written(folder / "recipe.yaml", data))


def parameters(data: bytes, folder: Path) -> None:
    """Values by name, as ROS gives them: JSON here, with numbers, texts, truths and lists of one of them."""
    from mp_perception.ros.parameters import PARAMETER_NAMES, NodeParameters

    try:
        values = json.loads(data)
    except (ValueError, RecursionError):
        return
    if not isinstance(values, dict):
        return
    for name, value in values.items():
        if name in PARAMETER_NAMES and _is_ros_value(value):
            NodeParameters.checked({name: value}).prediction_settings()


def _is_ros_value(value: object) -> bool:
    items = value if isinstance(value, list) else [value]
    kinds = {type(item) for item in items}
    numbers_fit = all(abs(item) < 2**63 for item in items if type(item) is int)
    return len(kinds) <= 1 and kinds <= {bool, int, float, str} and numbers_fit


def split(data: bytes, folder: Path) -> None:
    from mp_perception.data.frame_sets import Frame, select_frames

    frames = [Frame(f"{number:06d}", Path("image.png")) for number in range(10)]
    select_frames(frames, folder, str(_written(folder / "train.txt", data)))


def coco(data: bytes, folder: Path) -> None:
    from mp_perception.data.coco import CocoFolder

    for name in ("street.jpg", "crossing.jpg"):
        (folder / name).touch()
    _written(folder / "instances.json", data)
    frames = CocoFolder(folder)
    for index in range(len(frames)):
        frames.labels(index)


def mcap_bag(data: bytes, folder: Path) -> None:
    _use_bag(_written(folder / "bag.mcap", data))


def sqlite_bag(data: bytes, folder: Path) -> None:
    _use_bag(_written(folder / "bag.db3", data))


def bag_metadata(data: bytes, folder: Path) -> None:
    """metadata.yaml of a bag folder, beside the seed's file of messages."""
    from reliability.fuzzing.seeds import bag_folder

    bag = folder / "bag"
    if not bag.exists():
        bag_folder(bag, "mcap")
    _written(bag / "metadata.yaml", data)
    _use_bag(bag)


def _use_bag(path: Path) -> None:
    """Everything that an evaluation does with a bag, the network and what is left of damaged bags included."""
    import tempfile

    from mp_perception.bags.frames import BagFrames
    from mp_perception.bags.opening import open_contents
    from mp_perception.bags.topic_choice import ChosenTopics

    with tempfile.TemporaryDirectory(dir=path.parent) as workspace:
        contents = open_contents(path, ChosenTopics(), "bag", Path(workspace))
        frames = BagFrames([contents])
        try:
            for index in range(min(len(frames), 5)):
                _ = frames[index]
        finally:
            frames.close()


def _written(path: Path, data: bytes) -> Path:
    """The file with new content, and never one that somebody still maps into memory."""
    path.unlink(missing_ok=True)
    path.write_bytes(data)
    return path
