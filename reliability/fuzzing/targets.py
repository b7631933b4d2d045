"""The parsers that are fuzzed, by name: each is a function of bytes, beside a folder for those that read files.

A function returns, or raises UserError; all else is a finding (judging.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from reliability.fuzzing import file_parsers, message_parsers


@dataclass(frozen=True)
class Target:
    """parse: reads bytes; its folder is empty at first and its own.  max_megabytes: what it may take beyond them."""

    parse: Callable[[bytes, Path], object]
    max_megabytes: int = 128


TARGETS: dict[str, Target] = {
    "image": Target(message_parsers.image),
    "depth_image": Target(message_parsers.depth_image),
    "other_image": Target(message_parsers.other_image),
    "compressed_image": Target(message_parsers.compressed_image),
    "camera_info": Target(message_parsers.camera_info),
    "parameters": Target(file_parsers.parameters),
    "description": Target(file_parsers.description),
    "checkpoint": Target(file_parsers.checkpoint, max_megabytes=1024),
    "onnx_model": Target(file_parsers.onnx_model, max_megabytes=512),
    "openvino_model": Target(file_parsers.openvino_model, max_megabytes=512),
    "labels": Target(file_parsers.labels),
    "tracking_labels": Target(file_parsers.tracking_labels),
    "object_calibration": Target(file_parsers.object_calibration),
    "raw_calibration": Target(file_parsers.raw_calibration),
    "scanner_calibration": Target(file_parsers.scanner_calibration),
    "sequence_calibration": Target(file_parsers.sequence_calibration),
    "timestamps": Target(file_parsers.timestamps),
    "scan": Target(file_parsers.scan),
    "depth_png": Target(file_parsers.depth_png, max_megabytes=512),
    "image_file": Target(file_parsers.image_file, max_megabytes=512),
    "tracklets": Target(file_parsers.tracklets),
    "configuration": Target(file_parsers.configuration),
    "split": Target(file_parsers.split),
    "coco": Target(file_parsers.coco),
    "mcap_bag": Target(file_parsers.mcap_bag),
    "sqlite_bag": Target(file_parsers.sqlite_bag),
    "bag_metadata": Target(file_parsers.bag_metadata),
    "truth_labels": Target(
        message_parsers.bag_message("diagnostic_msgs/msg/DiagnosticArray", message_parsers.read_truth_labels)
    ),
    "truth_detections": Target(
        message_parsers.bag_message("vision_msgs/msg/Detection2DArray", message_parsers.read_truth_detections)
    ),
    "recorded_detections": Target(
        message_parsers.bag_message("vision_msgs/msg/Detection2DArray", message_parsers.read_recorded_detections)
    ),
    "truth_detections_3d": Target(
        message_parsers.bag_message("vision_msgs/msg/Detection3DArray", message_parsers.read_truth_detections_3d)
    ),
    "point_cloud": Target(message_parsers.bag_message("sensor_msgs/msg/PointCloud2", message_parsers.read_point_cloud)),
}
