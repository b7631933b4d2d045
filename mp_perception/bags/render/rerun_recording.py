"""A recording for the Rerun viewer (rerun.io): image with boxes, depth that the viewer puts into space.

/camera/image, /camera/detections, /camera/ground_truth; /depth/image, in a camera of the network's resolution.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import rerun

from mp_perception.bags.render.frames import RenderedBag, RenderedFrame
from mp_perception.classes import class_color
from mp_perception.errors import UserError
from mp_perception.geometry import CameraIntrinsics
from mp_perception.visualization.overlay import label_text

_QUALITY = 90
_TIMELINE = "stamp"


def write_rerun_recording(path: Path, bag: RenderedBag, frames: Iterable[RenderedFrame]) -> None:
    """Write a .rrd file.  Raises UserError if it cannot be written."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        recording = rerun.RecordingStream(f"mp_perception {bag.name}")
        recording.save(temporary)
        try:
            for frame in frames:
                _log(recording, bag, frame)
        finally:
            recording.disconnect()
        temporary.replace(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _log(recording: rerun.RecordingStream, bag: RenderedBag, frame: RenderedFrame) -> None:
    recording.set_time(_TIMELINE, timestamp=np.datetime64(frame.stamp_ns, "ns"))
    if frame.intrinsics is not None:
        recording.log("camera", _camera(frame.intrinsics))
    good, jpeg = cv2.imencode(
        ".jpg", cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    )
    assert good
    recording.log("camera/image", rerun.EncodedImage(contents=jpeg.tobytes(), media_type="image/jpeg"))
    true_boxes = np.array(frame.true_boxes, dtype=np.float32).reshape(-1, 4)
    recording.log(
        "camera/ground_truth",
        rerun.Boxes2D(array=true_boxes, array_format=rerun.Box2DFormat.XYXY, colors=(255, 255, 255)),
    )
    if frame.prediction is None:
        # Else the viewer would go on showing what was there before.
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
    recording.log("depth/image", rerun.DepthImage(np.nan_to_num(depth), meter=1.0, depth_range=(low, high)))


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
