"""All runtimes give the same results on real frames with the weights that ship."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from mp_perception.geometry import CameraIntrinsics
from mp_perception.inference.predictor import Predictor
from mp_perception.prediction import Prediction

pytestmark = pytest.mark.shared_data

NUM_FRAMES = 10


@pytest.fixture(scope="module")
def frames(shared_data: Path) -> list[np.ndarray]:
    files = sorted((shared_data / "kitti" / "object").rglob("image_2/*"))[:NUM_FRAMES]
    if len(files) < NUM_FRAMES:
        pytest.skip(f"expected {NUM_FRAMES} frames in kitti/object, found {len(files)}")
    return [cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB) for file in files]


def predictions(frames: list[np.ndarray], runtime: str) -> list[Prediction]:
    predictor = Predictor.load("mobilenet_v2", runtime=runtime, device="cpu", precision="fp32")
    assert predictor.runtime.name == runtime
    found = []
    for frame in frames:
        height, width = frame.shape[:2]
        camera = CameraIntrinsics(721.5, 721.5, (width - 1) / 2, (height - 1) / 2, width, height)
        found.append(predictor.predict(frame, camera))
    predictor.close()
    return found


@pytest.fixture(scope="module")
def reference(frames: list[np.ndarray]) -> list[Prediction]:
    return predictions(frames, "torch")


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_detections_and_depth_are_those_of_pytorch(frames, reference, runtime) -> None:
    """Bounds of docs/export.md: a score by 0.00125, depth by 0.1 %; a box, an average of several, by 0.1 %."""
    num_objects = 0
    for wanted, found in zip(reference, predictions(frames, runtime), strict=True):
        before, after = wanted.detections, found.detections
        num_objects += len(before)
        np.testing.assert_array_equal(after.labels, before.labels)
        np.testing.assert_allclose(after.scores, before.scores, atol=0.00125)
        sizes = np.tile(before.boxes[:, 2:] - before.boxes[:, :2], 2)
        assert (np.abs(after.boxes - before.boxes) <= 1e-3 * sizes + 1e-3).all()
        np.testing.assert_allclose(after.depth, before.depth, rtol=1e-3)
        np.testing.assert_allclose(after.position, before.position, rtol=1e-3, atol=1e-2)
        np.testing.assert_allclose(found.network_depth, wanted.network_depth, rtol=1e-3)
    assert num_objects >= NUM_FRAMES
