"""The rest of the robot around a perception node: a camera at a steady rate, and a listener to the node's outputs."""

from __future__ import annotations

import time

from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray

from mp_perception.errors import UserError
from mp_perception.messages.camera_info import camera_info_message
from mp_perception.messages.images import image_message
from mp_perception.progress import track
from mp_perception.ros import qos
from mp_perception.ros.message_class import new_message
from mp_perception.ros.node_probe import NodeProbe
from mp_perception.synthetic.render import KITTI_CAMERA, render
from mp_perception.synthetic.streets import random_scene

#: A network on a busy machine may take this long to be ready, seconds.
_START_LIMIT = 120.0
#: The last outputs arrive within this time after the last image, seconds.
_END_TIME = 0.5
# One image more than the subscriber keeps, so that a delay in this process does not lose an image.
_CAMERA_QOS = QoSProfile(depth=2, reliability=ReliabilityPolicy.BEST_EFFORT)


class Robot(NodeProbe):
    """Publishes a synthetic scene as the camera does and receives detections, depth and diagnostics of one node.

    ages_ms: time from the stamp of an image to the arrival of its detections, of the last stream.
    """

    def __init__(self, namespace: str) -> None:
        super().__init__(namespace)
        self.ages_ms: list[float] = []
        header = Header(frame_id="camera")
        self._image = image_message(new_message, render(random_scene(0), KITTI_CAMERA).image, "rgb8", header)
        self._camera_info = camera_info_message(new_message, KITTI_CAMERA, header)
        self._images = self.node.create_publisher(Image, "image", _CAMERA_QOS)
        self._camera_infos = self.node.create_publisher(CameraInfo, "camera_info", _CAMERA_QOS)
        self.node.create_subscription(Detection2DArray, "detections", self._take_detections, qos.OUTPUT)
        # Without a subscriber the node would not publish its depth.
        self.node.create_subscription(Image, "depth/image", lambda message: None, qos.LARGE_OUTPUT)

    def wait_until_active(self) -> None:
        """Wait until the node accepts images and its outputs are visible here.

        Raises:
            UserError: the node reports an error or is not active in time.
        """

        def active() -> bool:
            if self.error:
                raise UserError(f"perception_node: {self.error}")
            return self.values.get("state") == "active" and self.node.count_publishers("detections") > 0

        self.wait_until(active, "perception_node: not active", _START_LIMIT)

    def wait_until_connected(self) -> None:
        """Wait until a node without diagnostics takes images and publishes detections.

        Raises:
            UserError: it does not in time.
        """

        def connected() -> bool:
            return self.num_subscribers("image") > 0 and self.node.count_publishers("detections") > 0

        self.wait_until(connected, "bare_node: not ready", _START_LIMIT)

    def stream(self, title: str, rate: float, seconds: float) -> int:
        """Publish images at `rate`, Hz, for `seconds`; returns their number once the last outputs have arrived.

        title: shown beside the progress bar.
        """
        self.ages_ms.clear()
        start, count = time.monotonic(), round(rate * seconds)
        for number in track(range(count), title):
            self.spin(start + number / rate - time.monotonic())
            self._image.header.stamp = self._camera_info.header.stamp = self.node.get_clock().now().to_msg()
            self._camera_infos.publish(self._camera_info)
            self._images.publish(self._image)
        self.spin(_END_TIME)
        return count

    def current_values(self) -> dict[str, str]:
        """Diagnostics that the node made after this call."""
        self.diagnostics(limit=_START_LIMIT)  # may have been made before
        return self.diagnostics(limit=_START_LIMIT)

    def _take_detections(self, message: Detection2DArray) -> None:
        age = self.node.get_clock().now() - Time.from_msg(message.header.stamp)
        self.ages_ms.append(age.nanoseconds / 1e6)
