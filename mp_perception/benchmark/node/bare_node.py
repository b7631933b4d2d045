"""The minimum that a Python node does with an image: it takes it and publishes messages of our outputs' sizes.

The difference between the perception node and this one is what the package itself adds.
"""

from __future__ import annotations

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

from mp_perception.ros import qos

#: Objects in each array, as in a typical street.
_NUM_OBJECTS = 8
_BYTES_PER_DEPTH = 4


class BareNode(Node):
    """Publishes `detections` and `depth/image` for each `image`; only the headers change."""

    def __init__(self) -> None:
        super().__init__("bare")
        result = ObjectHypothesisWithPose()
        result.hypothesis.class_id = "Pedestrian"
        self._array = Detection2DArray(detections=[Detection2D(results=[result]) for _ in range(_NUM_OBJECTS)])
        self._depth = Image(encoding="32FC1")
        self._detections = self.create_publisher(Detection2DArray, "detections", qos.OUTPUT)
        self._depths = self.create_publisher(Image, "depth/image", qos.LARGE_OUTPUT)
        newest = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        self.create_subscription(Image, "image", self._take, newest)

    def _take(self, image: Image) -> None:
        if (self._depth.height, self._depth.width) != (image.height, image.width):
            self._depth.height, self._depth.width = image.height, image.width
            self._depth.step = image.width * _BYTES_PER_DEPTH
            self._depth.data = bytes(image.height * self._depth.step)
        self._array.header = self._depth.header = image.header
        for detection in self._array.detections:
            detection.header = image.header
        self._detections.publish(self._array)
        self._depths.publish(self._depth)


def main() -> None:
    """Run until a signal."""
    rclpy.init()
    try:
        rclpy.spin(BareNode())
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
