"""A camera as a process of its own: the same drawn street, published at a steady rate, best effort as cameras do."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection

import rclpy
from rclpy.context import Context
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from mp_perception.errors import UserError
from mp_perception.ros.conversions import array_to_image
from mp_perception.synthetic.render import KITTI_CAMERA, render
from mp_perception.synthetic.streets import random_scene

#: Seconds that the camera may take to draw its street and to end, beyond its stream.
_PATIENCE = 60.0


class Camera:
    """The other side of `_serve`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def stream(self, rate: float, seconds: float) -> None:
        """Start to publish; does not wait."""
        with suppress(OSError):  # of a process that has ended, which `published` says
            self._connection.send((rate, seconds))

    def published(self, seconds: float) -> int | None:
        """How many images a stream that has ended held; None if none ends within so many seconds."""
        try:
            return int(self._connection.recv()) if self._connection.poll(seconds) else None
        except (EOFError, OSError):
            raise UserError("benchmark: the camera's process ended") from None


@contextmanager
def camera_process(namespace: str) -> Iterator[Camera]:
    """A camera that publishes <namespace>/image and <namespace>/camera_info; gone after the block."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(namespace, theirs), daemon=True)
    process.start()
    theirs.close()
    camera = Camera(ours)
    try:
        if camera.published(_PATIENCE) is None:
            raise UserError(f"benchmark: the camera's process is not ready after {_PATIENCE:g} s")
        yield camera
    finally:
        ours.close()
        process.join(timeout=2)
        process.kill()
        process.join()


def _serve(namespace: str, connection: Connection) -> None:
    """Runs in the camera's process: an answer when ready, and one after each stream."""
    context = Context()
    rclpy.init(context=context, args=[])
    node = Node("camera", namespace=namespace, context=context)
    # Room for one image more than the subscriber's, so that a stutter here is not a loss there.
    profile = QoSProfile(depth=2, reliability=ReliabilityPolicy.BEST_EFFORT)
    images = node.create_publisher(Image, "image", profile)
    infos = node.create_publisher(CameraInfo, "camera_info", profile)
    header = Header(frame_id="camera")
    message = array_to_image(render(random_scene(0), KITTI_CAMERA).image, "rgb8", header)
    info = _camera_info(header)
    connection.send(0)
    try:
        while True:
            rate, seconds = connection.recv()
            start, count = time.monotonic(), round(rate * seconds)
            for number in range(count):
                time.sleep(max(0.0, start + number / rate - time.monotonic()))
                message.header.stamp = info.header.stamp = node.get_clock().now().to_msg()
                infos.publish(info)
                images.publish(message)
            connection.send(count)
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown(context=context)


def _camera_info(header: Header) -> CameraInfo:
    camera = KITTI_CAMERA
    projection = [camera.fx, 0.0, camera.cx, 0.0, 0.0, camera.fy, camera.cy, 0.0, 0.0, 0.0, 1.0, 0.0]
    intrinsic = [camera.fx, 0.0, camera.cx, 0.0, camera.fy, camera.cy, 0.0, 0.0, 1.0]
    return CameraInfo(header=header, width=camera.width, height=camera.height, k=intrinsic, p=projection)
