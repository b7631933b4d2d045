"""Interface definitions of vision_msgs (and tf2_msgs): equal to the released ones, and built as they are written."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

DEFINITIONS = Path(__file__).resolve().parents[2] / "environment" / "vision_msgs"

#: Type hash of Detection2DArray as computed from the released package 4.1.1.
DETECTION_2D_ARRAY_HASH = "RIHS01_214274120007f4a683866481336b70310268cfa107aebe9d594a6acf75bda968"

FIELDS = {
    "Point2D": ["float64 x", "float64 y"],
    "Pose2D": ["Point2D position", "float64 theta"],
    "BoundingBox2D": ["Pose2D center", "float64 size_x", "float64 size_y"],
    "BoundingBox2DArray": ["std_msgs/Header header", "BoundingBox2D[] boxes"],
    "BoundingBox3D": ["geometry_msgs/Pose center", "geometry_msgs/Vector3 size"],
    "BoundingBox3DArray": ["std_msgs/Header header", "BoundingBox3D[] boxes"],
    "ObjectHypothesis": ["string class_id", "float64 score"],
    "ObjectHypothesisWithPose": ["ObjectHypothesis hypothesis", "geometry_msgs/PoseWithCovariance pose"],
    "Classification": ["std_msgs/Header header", "ObjectHypothesis[] results"],
    "Detection2D": [
        "std_msgs/Header header",
        "ObjectHypothesisWithPose[] results",
        "BoundingBox2D bbox",
        "string id",
    ],
    "Detection2DArray": ["std_msgs/Header header", "Detection2D[] detections"],
    "Detection3D": [
        "std_msgs/Header header",
        "ObjectHypothesisWithPose[] results",
        "BoundingBox3D bbox",
        "string id",
    ],
    "Detection3DArray": ["std_msgs/Header header", "Detection3D[] detections"],
    "VisionClass": ["uint16 class_id", "string class_name"],
    "LabelInfo": ["std_msgs/Header header", "VisionClass[] class_map", "float32 threshold"],
    "VisionInfo": [
        "std_msgs/Header header",
        "string method",
        "string database_location",
        "int32 database_version",
    ],
}


def test_definitions_are_the_released_ones() -> None:
    found = {path.stem: path.read_text().splitlines() for path in (DEFINITIONS / "msg").glob("*.msg")}
    assert found == FIELDS


def test_every_definition_is_built() -> None:
    named = re.findall(r"^\s+msg/(\w+)\.msg$", (DEFINITIONS / "CMakeLists.txt").read_text(), flags=re.MULTILINE)
    assert sorted(named) == sorted(FIELDS)


def test_definitions_have_the_type_hash_of_the_release() -> None:
    store = get_typestore(Stores.ROS2_KILTED)
    for name in FIELDS:
        text = (DEFINITIONS / "msg" / f"{name}.msg").read_text()
        store.register(get_types_from_msg(text, f"vision_msgs/msg/{name}"))
    assert store.hash_rihs01("vision_msgs/msg/Detection2DArray") == DETECTION_2D_ARRAY_HASH


def test_installed_package_has_the_type_hash_of_the_release() -> None:
    prefixes = [*os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep), sys.prefix]
    files = [Path(prefix, "share", "vision_msgs", "msg", "Detection2DArray.json") for prefix in prefixes if prefix]
    installed = next((file for file in files if file.is_file()), None)
    if installed is None:
        pytest.skip("vision_msgs is not installed here")
    hashes = {entry["type_name"]: entry["hash_string"] for entry in json.loads(installed.read_text())["type_hashes"]}
    assert hashes["vision_msgs/msg/Detection2DArray"] == DETECTION_2D_ARRAY_HASH


def test_installed_tf_message_has_the_type_hash_of_the_release() -> None:
    """Known to rosbags from the released package; ours is built from environment/tf2_msgs."""
    installed = Path(sys.prefix, "share", "tf2_msgs", "msg", "TFMessage.json")
    if not installed.is_file():
        pytest.skip("tf2_msgs is not installed here")
    hashes = {entry["type_name"]: entry["hash_string"] for entry in json.loads(installed.read_text())["type_hashes"]}
    released = get_typestore(Stores.ROS2_KILTED).hash_rihs01("tf2_msgs/msg/TFMessage")
    assert hashes["tf2_msgs/msg/TFMessage"] == released
