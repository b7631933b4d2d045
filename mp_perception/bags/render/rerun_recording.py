"""A recording for the Rerun viewer (rerun.io): image with boxes, and depth that the viewer shows as 3D points.

/camera/image, /camera/detections, /camera/ground_truth; /depth/image, in a camera of the network's resolution.
"""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import numpy as np
import rerun

from mp_perception.bags.render.annotated_bag import JPEG_QUALITY
from mp_perception.bags.render.rendering import RenderedBag, RenderedFrame
from mp_perception.classes import class_color
from mp_perception.files import complete_file
from mp_perception.geometry import CameraIntrinsics
from mp_perception.messages.images import encode_jpeg
from mp_perception.visualization.overlay import label_text

_TIMELINE = "stamp"


def write_rerun_recording(path: Path, bag: RenderedBag) -> None:
    """Write a .rrd file.  Raises UserError if it cannot be written."""
    with complete_file(path) as temporary, temporary.open("wb") as file, ThreadPoolExecutor(1) as pool:
        # Rerun only logs that the disk is full, and then never ends: it writes into a pipe, and the file is ours.
        read_end, write_end = os.pipe()
        copy = pool.submit(_copy, read_end, file)
        recording = rerun.RecordingStream("mp_perception")
        recording.save(f"/dev/fd/{write_end}")
        recording.send_recording_name(bag.contents.name)
        os.close(write_end)
        try:
            for frame in bag.frames:
                _log(recording, bag, frame)
        finally:
            recording.disconnect()
        copy.result()


def _copy(read_end: int, file: BinaryIO) -> None:
    with os.fdopen(read_end, "rb") as pipe:
        try:
            shutil.copyfileobj(pipe, file)
        finally:
            while pipe.read(1 << 20):
                pass  # Rerun waits until everything is read


def _log(recording: rerun.RecordingStream, bag: RenderedBag, frame: RenderedFrame) -> None:
    recording.set_time(_TIMELINE, timestamp=np.datetime64(frame.stamp_ns, "ns"))
    if frame.intrinsics is not None:
        recording.log("camera", _camera(frame.intrinsics))
    jpeg = encode_jpeg(frame.image, JPEG_QUALITY).tobytes()
    recording.log("camera/image", rerun.EncodedImage(contents=jpeg, media_type="image/jpeg"))
    true_boxes = np.array(frame.true_boxes, dtype=np.float32).reshape(-1, 4)
    recording.log(
        "camera/ground_truth",
        rerun.Boxes2D(array=true_boxes, array_format=rerun.Box2DFormat.XYXY, colors=(255, 255, 255)),
    )
    if frame.prediction is None:
        # Otherwise the viewer would keep showing the previous frame's.
        for entity in ("camera/detections", "depth/image"):
            recording.log(entity, rerun.Clear(recursive=False))
        return
    detections = frame.prediction.detections
    recording.log(
        "camera/detections",
        rerun.Boxes2D(
            array=detections.boxes,
            array_format=rerun.Box2DFormat.XYXY,
            labels=[label_text(detections, i) for i in range(len(detections))],
            colors=[class_color(detections.name(i)) for i in range(len(detections))],
        ),
    )
    depth = frame.prediction.network_depth
    if frame.intrinsics is not None:
        recording.log("depth", _camera(frame.intrinsics.scaled(depth.shape[1], depth.shape[0])))
    low, high = bag.depth_range
    shown = np.where(np.isfinite(depth), depth, np.float32(0))
    recording.log("depth/image", rerun.DepthImage(shown, meter=1.0, depth_range=(low, high)))


def _camera(intrinsics: CameraIntrinsics) -> rerun.Pinhole:
    # The viewer counts from the corner of the first pixel, as image points do.
    centre = intrinsics.project([[0.0, 0.0, 1.0]])[0]
    return rerun.Pinhole(
        focal_length=(intrinsics.fx, intrinsics.fy),
        principal_point=centre,
        width=intrinsics.width,
        height=intrinsics.height,
        camera_xyz=rerun.ViewCoordinates.RDF,
    )
