"""True motion of labelled objects, from their boxes in successive frames."""

from __future__ import annotations

import numpy as np
import pytest

from mp_perception.data.frame_sets import FrameCamera
from mp_perception.data.object_label import Box3D, ObjectLabel
from mp_perception.evaluation.tracking_truth import LabelledImage, true_motions
from mp_perception.geometry import CameraIntrinsics

CAMERA = FrameCamera(CameraIntrinsics(700, 700, 599.5, 179.5, 1200, 360))


def car(x: float, z: float, identity: int | None) -> ObjectLabel:
    return ObjectLabel("Car", (0, 0, 10, 10), 0, 0, Box3D((x, 1.6, z), (1.5, 1.7, 4.0), 0.3), identity)


def drive(pose_speed: float) -> list[LabelledImage]:
    """A car crosses at 3 m/s and nears at 5 m/s; the camera moves along z at pose_speed."""
    images = []
    for number in range(10):
        stamp, pose = number / 10, np.eye(4)
        pose[2, 3] = pose_speed * stamp
        labels = [car(3 * stamp, 30 - 5 * stamp, 4), ObjectLabel("DontCare", (0, 0, 1, 1)), car(5, 20, None)]
        images.append(LabelledImage(stamp, labels, CAMERA, pose))
    return images


@pytest.mark.parametrize("pose_speed", [0.0, 7.0])
def test_velocity_and_closing_speed(pose_speed: float) -> None:
    motions = true_motions(drive(pose_speed))
    middle = motions[5]
    assert middle.positions[0] == pytest.approx([1.5, 1.6 - 0.75, 27.5])
    assert middle.velocities[0] == pytest.approx([3, 0, pose_speed - 5])
    # The distance is that to the camera, whatever the frame of the velocities.
    nearing = -(middle.positions[0] @ [3, 0, -5]) / np.linalg.norm(middle.positions[0])
    assert middle.closing_speeds[0] == pytest.approx(nearing, abs=0.05)


def test_unknown_motion() -> None:
    motions = true_motions(drive(0.0))
    assert np.isnan(motions[0].velocities[0]).all()  # an extrapolation
    assert np.isnan(motions[5].velocities[1:]).all()  # no box, no identity
    assert np.isfinite(motions[5].positions[2]).all()
    alone = true_motions(drive(0.0)[:3])
    assert np.isnan(alone[1].closing_speeds).all()
