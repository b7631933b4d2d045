"""Message types of bags, available without a ROS installation.

rosbags brings the types of ROS 2 itself; those of vision_msgs and foxglove_msgs are defined here.
environment/vision_msgs/msg holds the same 16 definitions as files, for building; a test keeps the two equal.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from rosbags.interfaces import Nodetype
from rosbags.interfaces.typing import FieldDesc
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from mp_perception.messages.header import Message, new_header

#: vision_msgs 4.1.1 (Jazzy): message -> lines of its definition, without comments.
VISION_MSGS = {
    "Point2D": "float64 x\nfloat64 y\n",
    "Pose2D": "Point2D position\nfloat64 theta\n",
    "BoundingBox2D": "Pose2D center\nfloat64 size_x\nfloat64 size_y\n",
    "BoundingBox2DArray": "std_msgs/Header header\nBoundingBox2D[] boxes\n",
    "BoundingBox3D": "geometry_msgs/Pose center\ngeometry_msgs/Vector3 size\n",
    "BoundingBox3DArray": "std_msgs/Header header\nBoundingBox3D[] boxes\n",
    "ObjectHypothesis": "string class_id\nfloat64 score\n",
    "ObjectHypothesisWithPose": "ObjectHypothesis hypothesis\ngeometry_msgs/PoseWithCovariance pose\n",
    "Classification": "std_msgs/Header header\nObjectHypothesis[] results\n",
    "Detection2D": "std_msgs/Header header\nObjectHypothesisWithPose[] results\nBoundingBox2D bbox\nstring id\n",
    "Detection2DArray": "std_msgs/Header header\nDetection2D[] detections\n",
    "Detection3D": "std_msgs/Header header\nObjectHypothesisWithPose[] results\nBoundingBox3D bbox\nstring id\n",
    "Detection3DArray": "std_msgs/Header header\nDetection3D[] detections\n",
    "VisionClass": "uint16 class_id\nstring class_name\n",
    "LabelInfo": "std_msgs/Header header\nVisionClass[] class_map\nfloat32 threshold\n",
    "VisionInfo": "std_msgs/Header header\nstring method\nstring database_location\nint32 database_version\n",
}

#: The annotations of foxglove_msgs 3 (docs.ros.org/en/api/foxglove_msgs), without comments.  Viewers recognise the
#: messages by their names; the bag holds their definitions.
FOXGLOVE_MSGS = {
    "Color": "float64 r\nfloat64 g\nfloat64 b\nfloat64 a\n",
    "Point2": "float64 x\nfloat64 y\n",
    "CircleAnnotation": (
        "builtin_interfaces/Time timestamp\nfoxglove_msgs/Point2 position\nfloat64 diameter\nfloat64 thickness\n"
        "foxglove_msgs/Color fill_color\nfoxglove_msgs/Color outline_color\n"
    ),
    "PointsAnnotation": (
        "builtin_interfaces/Time timestamp\nuint8 UNKNOWN=0\nuint8 POINTS=1\nuint8 LINE_LOOP=2\nuint8 LINE_STRIP=3\n"
        "uint8 LINE_LIST=4\nuint8 type\nfoxglove_msgs/Point2[] points\nfoxglove_msgs/Color outline_color\n"
        "foxglove_msgs/Color[] outline_colors\nfoxglove_msgs/Color fill_color\nfloat64 thickness\n"
    ),
    "TextAnnotation": (
        "builtin_interfaces/Time timestamp\nfoxglove_msgs/Point2 position\nstring text\nfloat64 font_size\n"
        "foxglove_msgs/Color text_color\nfoxglove_msgs/Color background_color\n"
    ),
    "ImageAnnotations": (
        "foxglove_msgs/CircleAnnotation[] circles\nfoxglove_msgs/PointsAnnotation[] points\n"
        "foxglove_msgs/TextAnnotation[] texts\n"
    ),
}

#: ROS 2's names of types that have another name in NumPy.
_DTYPES = {"byte": "uint8", "char": "uint8"}


@cache
def type_store() -> Typestore:
    """All message types of ROS 2 Kilted and those above: makes, serialises and reads messages.

    Message classes are `type_store().types["sensor_msgs/msg/Image"]`.
    """
    store = get_typestore(Stores.ROS2_KILTED)
    for package, messages in (("vision_msgs", VISION_MSGS), ("foxglove_msgs", FOXGLOVE_MSGS)):
        for name, definition in messages.items():
            store.register(get_types_from_msg(definition, f"{package}/msg/{name}"))
    return store


def new_message(type_name: str, **fields: Any) -> Message:
    """A message of rosbags' classes, e.g. sensor_msgs/msg/Image; fields that are not given are zero or empty."""
    missing = {name: kind for name, kind in type_store().fielddefs[type_name][1] if name not in fields}
    return type_store().types[type_name](**fields, **{name: _zero(kind) for name, kind in missing.items()})


def bag_header(frame_id: str, stamp_ns: int) -> Message:
    """std_msgs/Header.  stamp_ns: nanoseconds since 1970."""
    return new_header(new_message, frame_id, stamp_ns)


def _zero(kind: FieldDesc) -> Any:
    """The zero or empty value of a field."""
    match kind:
        case (Nodetype.NAME, str(type_name)):
            return new_message(type_name)
        case (Nodetype.BASE, (str(base), _)):
            return {"string": "", "wstring": "", "bool": False, "float32": 0.0, "float64": 0.0}.get(base, 0)
        case (Nodetype.ARRAY, ((Nodetype.BASE, (str(base), _)), int(length))) if base not in ("string", "wstring"):
            return np.zeros(length, _DTYPES.get(base, base))
        case (Nodetype.SEQUENCE, ((Nodetype.BASE, (str(base), _)), _)) if base not in ("string", "wstring"):
            return np.zeros(0, _DTYPES.get(base, base))
        case (Nodetype.ARRAY, (element, int(length))):
            return [_zero(element) for _ in range(length)]
    return []
