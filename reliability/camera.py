"""A camera as a process of its own: `python -m reliability.camera --topic /front/image --rate 30 --size 640 480`.

Publishes images and camera info until a signal ends it, then prints how many images it sent in how many seconds.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import rclpy
import typer
from rclpy.duration import Duration
from rclpy.qos import QoSProfile
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CameraInfo, Image

from mp_perception.ros.node_main import StopSignals

_BYTES_PER_PIXEL = {"rgb8": 3, "bgra8": 4, "mono8": 1}


def main(
    topic: Annotated[str, typer.Option()],
    rate: Annotated[float, typer.Option(help="Images a second.")] = 30,
    size: Annotated[tuple[int, int], typer.Option(help="WIDTH HEIGHT")] = (640, 480),
    encoding: Annotated[str, typer.Option(help=", ".join(_BYTES_PER_PIXEL))] = "rgb8",
    frame: Annotated[str, typer.Option()] = "camera",
    clock: Annotated[
        Path | None, typer.Option(help="File with the seconds by which the camera's clock is off, read for each image.")
    ] = None,
) -> None:
    """Publish grey images of one size."""
    signals = StopSignals()
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node("camera")
    width, height = size
    step = width * _BYTES_PER_PIXEL[encoding]
    image = Image(width=width, height=height, encoding=encoding, step=step)
    image.data.frombytes(bytes([90]) * (step * height))
    focal = 10.0 * width  # what the small network sees, as large as the image, is then of the size of a car
    k = [focal, 0.0, width / 2, 0.0, focal, height / 2, 0.0, 0.0, 1.0]
    info = CameraInfo(width=width, height=height, k=k)
    qos = QoSProfile(depth=1)
    images = node.create_publisher(Image, topic, qos)
    infos = node.create_publisher(CameraInfo, f"{topic.rpartition('/')[0]}/camera_info", qos)
    start = next_time = time.monotonic()
    sent = 0
    while signals.sleep_until(next_time):
        off = Duration(seconds=float(clock.read_text())) if clock else Duration()
        image.header.stamp = info.header.stamp = (node.get_clock().now() + off).to_msg()
        image.header.frame_id = info.header.frame_id = frame
        infos.publish(info)
        images.publish(image)
        sent += 1
        next_time = max(next_time + 1 / rate, time.monotonic() - 1)  # a machine that stalled need not catch up
    print(f"{sent} images in {time.monotonic() - start:.3f} s", flush=True)
    node.destroy_node()
    rclpy.shutdown()


if __name__ == "__main__":
    typer.run(main)
