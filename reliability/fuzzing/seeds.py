"""Valid examples of everything that is fuzzed, from which mutations start.

What our own code can write is written by it.  The first example of each parser is read without error.
"""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from reliability.fuzzing.message_parsers import IMAGE_HEAD

_STAMP = 1_600_000_000_000_000_000
_LABELS = (
    "Car 0.00 0 -1.57 20.00 10.00 40.00 30.00 1.50 1.60 3.90 0.50 1.60 12.00 -1.57\n"
    "Pedestrian 0.20 1 0.30 1.00 5.00 8.00 30.00 1.70 0.60 0.80 -4.00 1.70 15.00 0.10 0.91\n"
    "DontCare -1 -1 -10 50.00 10.00 60.00 20.00 -1 -1 -1 -1000 -1000 -1000 -10\n"
)
_PROJECTION = "721.5 0 609.6 44.9 0 721.5 172.9 0.2 0 0 1 0.003"
_ROTATION = "1 0 0 0 1 0 0 0 1"
_SCANNER = "0 -1 0 0 0 0 -1 -0.1 1 0 0 -0.3"
_TRACKLETS = """<?xml version="1.0" encoding="UTF-8" standalone="yes" ?>
<!DOCTYPE boost_serialization>
<boost_serialization signature="serialization::archive" version="9">
<tracklets class_id="0"><count>1</count><item_version>1</item_version>
<item><objectType>Car</objectType><h>1.5</h><w>1.6</w><l>3.9</l><first_frame>0</first_frame>
<poses><count>1</count><item><tx>12</tx><ty>1</ty><tz>-1.5</tz><rx>0</rx><ry>0</ry><rz>0.5</rz><state>2</state>
<occlusion>0</occlusion></item></poses><finished>1</finished></item>
</tracklets></boost_serialization>
"""
_COCO = {
    "categories": [{"id": 1, "name": "Car"}, {"id": 3, "name": "person"}],
    "images": [{"id": 7, "file_name": "street.jpg"}, {"id": 8, "file_name": "crossing.jpg"}],
    "annotations": [
        {"image_id": 7, "category_id": 1, "bbox": [10, 20, 30.5, 40], "iscrowd": 0},
        {"image_id": 8, "category_id": 3, "bbox": [0, 0, 5, 9], "iscrowd": 1},
    ],
}
_RECIPE = b"""network:
  backbone: mobilenet_v2
  levels:
  - {stride: 16, source: decoder, shapes: [[32, 32], [45.0, 22.0]]}
  input_size: [96, 320]
data:
  training:
  - {dataset: kitti-object, root: kitti, split: train, share: 0.5, inexact: [Car]}
  batch_size: 4
optimisation: {learning_rate: 1e-3, epochs: 2, images_per_update: {depth: 4}}
seed: 3
"""
_PARAMETERS = {
    "backbone": "resnet50",
    "weights": "net.onnx",
    "device": "cuda:1",
    "input_size": [96, 320],
    "score_threshold": 0.5,
    "classes": ["Car", "Van"],
    "max_depth": 60,
    "max_detections": 10,
    "focal_scaling": False,
    "object_depth_statistic": "median",
    "image_transport": "compressed",
    "diagnostics_period": 0.5,
}


def object_calibration() -> bytes:
    """calib/NNNNNN.txt of the object set."""
    projections = "".join(f"P{camera}: {_PROJECTION}\n" for camera in range(4))
    return f"{projections}R0_rect: {_ROTATION}\nTr_velo_to_cam: {_SCANNER}\nTr_imu_to_velo: {_SCANNER}\n".encode()


def raw_calibration() -> bytes:
    """calib_cam_to_cam.txt of raw drives."""
    cameras = "".join(f"S_rect_0{n}: 1242 375\nP_rect_0{n}: {_PROJECTION}\n" for n in (2, 3))
    return f"calib_time: 09-Jan-2012 13:57:47\nR_rect_00: {_ROTATION}\n{cameras}".encode()


def checkpoint_tensor_bytes() -> int:
    """Bytes of the tensors behind the head of the checkpoint seed."""
    return _checkpoint()[1]


def openvino_weights() -> bytes:
    """The .bin that belongs to the .xml seed."""
    return _openvino()[1]


def bag_folder(path: Path, storage: str) -> None:
    """A new bag of two frames, with every kind of truth."""
    from mp_perception.bags.messages import (
        camera_info_message,
        image_message,
        point_cloud_message,
        transforms_message,
    )
    from mp_perception.bags.truth_messages import label_info_message
    from mp_perception.bags.writing import BagWriter
    from mp_perception.geometry import CameraIntrinsics

    camera = CameraIntrinsics(50.0, 50.0, 31.2, 15.2, 64, 32)
    with BagWriter(path, storage) as bag:  # type: ignore[arg-type]
        types = {
            "/camera/image_raw": "sensor_msgs/msg/Image",
            "/camera/camera_info": "sensor_msgs/msg/CameraInfo",
            "/scan": "sensor_msgs/msg/PointCloud2",
            "/tf_static": "tf2_msgs/msg/TFMessage",
            "/ground_truth/labels": "diagnostic_msgs/msg/DiagnosticArray",
            "/ground_truth/detections": "vision_msgs/msg/Detection2DArray",
            "/ground_truth/detections_3d": "vision_msgs/msg/Detection3DArray",
            "/ground_truth/label_info": "vision_msgs/msg/LabelInfo",
        }
        for topic, type_name in types.items():
            bag.add_topic(topic, type_name)
        bag.write("/tf_static", _STAMP, transforms_message([("camera", "scanner", np.eye(4))], _STAMP))
        bag.write("/ground_truth/label_info", _STAMP, label_info_message(["Car", "Pedestrian"], _STAMP))
        for stamp in (_STAMP, _STAMP + 100_000_000):
            pixels = np.full((32, 64, 3), 90, dtype=np.uint8)
            points = np.array([[0.0, 0.0, 9.0, 0.5], [1.0, 0.2, 7.0, 0.1]], dtype=np.float32)
            bag.write("/camera/image_raw", stamp, image_message(pixels, "rgb8", "camera", stamp))
            bag.write("/camera/camera_info", stamp, camera_info_message(camera, "camera", stamp))
            bag.write("/scan", stamp, point_cloud_message(points, "scanner", stamp))
            for kind, message in _truth_messages().items():
                bag.write(f"/ground_truth/{kind}", stamp, message)


def _truth_messages(num_labels: int = 3) -> dict[str, object]:
    from mp_perception.bags.truth_messages import detections_3d_message, detections_message, labels_message
    from mp_perception.data.kitti.labels import parse_label_line

    labels = [parse_label_line(line, "seed") for line in _LABELS.splitlines()[:num_labels]]
    return {
        "labels": labels_message(labels, "camera", _STAMP),
        "detections": detections_message(labels, "camera", _STAMP),
        "detections_3d": detections_3d_message(labels, "camera", _STAMP),
    }


def _serialised(message: object) -> bytes:
    from mp_perception.bags.message_types import type_store

    return bytes(type_store().serialize_cdr(message, message.__msgtype__))  # type: ignore[attr-defined]


def _images() -> list[bytes]:
    """Every encoding that cameras use, 4x4 pixels."""
    from mp_perception.image_messages import CAMERA_ENCODINGS

    return [_image_bytes(encoding, 4, 4, 4 * 8, bytes(range(192)) + b"\0" * 64) for encoding in CAMERA_ENCODINGS]


def _image_bytes(encoding: str, width: int, height: int, step: int, data: bytes, is_bigendian: int = 0) -> bytes:
    name = encoding.encode()
    return IMAGE_HEAD.pack(width, height, step, is_bigendian, len(name)) + name + data


def _depth_images() -> list[bytes]:
    metres = np.linspace(1, 9, 12, dtype=np.float32).tobytes()
    return [_image_bytes("32FC1", 4, 3, 16, metres), _image_bytes("16UC1", 4, 3, 8, bytes(range(24)), 1)]


def _other_images() -> list[bytes]:
    """One of our encodings, and some that only cv_bridge knows."""
    return [_image_bytes(encoding, 4, 4, 4 * 8, bytes(range(192))) for encoding in ("rgb8", "8UC4", "32FC3", "64FC1")]


def _encoded(suffix: str, pixels: NDArray[np.generic]) -> bytes:
    good, data = cv2.imencode(suffix, pixels)
    assert good
    return data.tobytes()


def _picture() -> NDArray[np.uint8]:
    return np.arange(24 * 32 * 3, dtype=np.uint8).reshape(24, 32, 3)


def _camera_info() -> list[bytes]:
    from rclpy.serialization import serialize_message
    from sensor_msgs.msg import CameraInfo

    p = [180.0, 0.0, 152.0, 0.0, 0.0, 180.0, 43.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    info = CameraInfo(width=320, height=96, distortion_model="plumb_bob", d=[0.0] * 5, p=p)
    binned = CameraInfo(
        width=640, height=192, binning_x=2, binning_y=2, k=[360.0, 0.0, 320.0, 0.0, 360.0, 96.0, 0, 0, 1]
    )
    return [bytes(serialize_message(message)) for message in (info, binned)]


@cache
def _checkpoint() -> tuple[bytes, int]:
    """Head of the checkpoint of an untrained network, and how many bytes of tensors follow it."""
    from mp_perception.network.checkpoint import write_checkpoint
    from mp_perception.network.multitask import MultiTaskNetwork, describe_network

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.safetensors"
        write_checkpoint(path, MultiTaskNetwork(describe_network("mobilenet_v2", input_size=(64, 96))))
        content = path.read_bytes()
    size = 8 + int.from_bytes(content[:8], "little")
    return content[:size], len(content) - size


def _description() -> bytes:
    head = _checkpoint()[0]
    text: str = json.loads(head[8:])["__metadata__"]["mp_perception"]
    return text.encode()


@cache
def _onnx() -> bytes:
    """A model of three multiplications that has all inputs, outputs and metadata of an exported network."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    from mp_perception.inference.runtimes.exported_model import ExportedModel
    from mp_perception.model.checkpoint_description import CheckpointDescription, DetectionLevel

    description = CheckpointDescription(
        backbone="mobilenet_v2",
        decoder="bilinear",
        head="plain",
        levels=(DetectionLevel(32, "backbone", ((16.0, 16.0),)),),
        class_names=("Car",),
        input_size=(32, 32),
        pixel_mean=(0.0, 0.0, 0.0),
        pixel_std=(1.0, 1.0, 1.0),
    )
    shapes = {"class_logits": (1, 1, 2), "box_offsets": (1, 1, 4), "depth": (1, 16, 16)}
    nodes = [
        helper.make_node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels", "axes"], ["mean"], keepdims=0),
    ]
    constants = [
        numpy_helper.from_array(np.array([1, 2, 3]), "axes"),
        numpy_helper.from_array(np.array([-1, 1, 1]), "shape"),
    ]
    nodes.append(helper.make_node("Reshape", ["mean", "shape"], ["cell"]))
    for name, shape in shapes.items():
        constants.append(numpy_helper.from_array(np.ones(shape, dtype=np.float32), f"{name}_weight"))
        nodes.append(helper.make_node("Mul", ["cell", f"{name}_weight"], [name]))
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", 32, 32, 3])],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", *s[1:]]) for n, s in shapes.items()],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, ExportedModel(description, "fp32").metadata())
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


@cache
def _openvino() -> tuple[bytes, bytes]:
    """The same model as .xml and .bin."""
    import openvino

    with tempfile.TemporaryDirectory() as folder:
        onnx_path, path = Path(folder) / "model.onnx", Path(folder) / "model.xml"
        onnx_path.write_bytes(_onnx())
        openvino.save_model(openvino.convert_model(onnx_path), path, compress_to_fp16=False)
        return path.read_bytes(), path.with_suffix(".bin").read_bytes()


def _point_cloud() -> bytes:
    from mp_perception.bags.messages import point_cloud_message

    points = np.array([[0.0, 0.0, 9.0, 0.5], [1.0, 0.2, 7.0, 0.1]], dtype=np.float32)
    return _serialised(point_cloud_message(points, "scanner", _STAMP))


def _bag_file(storage: str, suffix: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bag"
        bag_folder(path, storage)
        return next(path.glob(f"*{suffix}")).read_bytes()


def _compressed() -> list[bytes]:
    grey = io.BytesIO(_encoded(".png", _picture()[..., 0])).getvalue()
    return [_encoded(".png", _picture()), _encoded(".jpg", _picture()), grey]


#: Name of a target -> its valid examples.
SEEDS: dict[str, Callable[[], list[bytes]]] = {
    "image": _images,
    "depth_image": _depth_images,
    "other_image": _other_images,
    "compressed_image": _compressed,
    "camera_info": _camera_info,
    "parameters": lambda: [json.dumps(_PARAMETERS).encode()],
    "description": lambda: [_description()],
    "checkpoint": lambda: [_checkpoint()[0]],
    "onnx_model": lambda: [_onnx()],
    "openvino_model": lambda: [_openvino()[0]],
    "labels": lambda: [_LABELS.encode()],
    "tracking_labels": lambda: ["".join(f"{n} {n} {x}\n" for n, x in enumerate(_LABELS.splitlines())).encode()],
    "object_calibration": lambda: [object_calibration()],
    "raw_calibration": lambda: [raw_calibration()],
    "scanner_calibration": lambda: [b"calib_time: x\nR: 0 -1 0 0 0 -1 1 0 0\nT: 0 -0.1 -0.3\n"],
    "sequence_calibration": lambda: [f"P2: {_PROJECTION}\nR_rect {_ROTATION}\nTr_velo_cam {_SCANNER}\n".encode()],
    "timestamps": lambda: [b"2011-09-26 13:04:32.345808896\n2011-09-26 13:04:32.449188864\n"],
    "scan": lambda: [np.array([[9, 0, 0, 0.5], [7, 1, -1, 0.1]], dtype="<f4").tobytes()],
    "depth_png": lambda: [_encoded(".png", np.arange(96, dtype=np.uint16).reshape(8, 12) * 256)],
    "image_file": lambda: [
        _encoded(suffix, _picture()) for suffix in (".png", ".jpg", ".bmp", ".webp", ".tiff", ".ppm")
    ],
    "tracklets": lambda: [_TRACKLETS.encode()],
    "configuration": lambda: [_RECIPE],
    "split": lambda: [b"000001\n000002\n\n000009\n"],
    "coco": lambda: [json.dumps(_COCO).encode()],
    "mcap_bag": lambda: [_bag_file("mcap", ".mcap")],
    "sqlite_bag": lambda: [_bag_file("sqlite3", ".db3")],
    "bag_metadata": lambda: [_bag_file("mcap", "metadata.yaml")],
    "truth_labels": lambda: [_serialised(_truth_messages()["labels"])],
    "truth_detections": lambda: [_serialised(_truth_messages()["detections"])],
    "recorded_detections": lambda: [_serialised(_truth_messages(2)["detections"])],
    "truth_detections_3d": lambda: [_serialised(_truth_messages()["detections_3d"])],
    "point_cloud": lambda: [_point_cloud()],
}
