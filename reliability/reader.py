"""A process that subscribes to a node's detections and depth images: `python -m reliability.reader /front`."""

from __future__ import annotations

import sys

import rclpy
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray


def main() -> None:
    """Read until a signal ends it."""
    rclpy.init()
    node = rclpy.create_node("reader", namespace=sys.argv[1])
    node.create_subscription(Detection2DArray, "detections", lambda message: None, 10)
    node.create_subscription(Image, "depth/image", lambda message: None, 1)
    rclpy.spin(node)


if __name__ == "__main__":
    main()
