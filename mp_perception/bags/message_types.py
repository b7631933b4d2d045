"""The message types that bags are written and read with, known without a ROS installation.

rosbags brings the types of ROS 2 itself; vision_msgs is not among them and stands here.  environment/vision_msgs/msg
holds the same 16 definitions as files, for building; a test keeps the two equal.
"""

from __future__ import annotations

from functools import cache

from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

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


@cache
def type_store() -> Typestore:
    """All message types of ROS 2 Kilted and vision_msgs: makes, serialises and reads messages.

    Message classes are `type_store().types["sensor_msgs/msg/Image"]`.
    """
    store = get_typestore(Stores.ROS2_KILTED)
    for name, definition in VISION_MSGS.items():
        store.register(get_types_from_msg(definition, f"vision_msgs/msg/{name}"))
    return store
