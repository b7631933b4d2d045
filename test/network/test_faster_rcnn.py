"""The two-stage peer: the predictor must report what its detector finds, and its losses must train it."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from mp_perception.errors import UserError
from mp_perception.inference.prediction_settings import PredictionSettings
from mp_perception.inference.predictor import Predictor
from mp_perception.inference.runtimes.torch_runtime import TorchRuntime
from mp_perception.model.checkpoint_description import DetectionLevel
from mp_perception.network.checkpoint import build_network, read_checkpoint, write_checkpoint
from mp_perception.network.faster_rcnn import FasterRcnnNetwork
from mp_perception.network.multitask import describe_network

SIZE = (96, 160)
DESCRIPTION = replace(
    describe_network("mobilenet_v2", decoder="none", head="faster_rcnn", input_size=SIZE),
    levels=(DetectionLevel(32, "backbone", ((64.0, 64.0),)),),
)


@pytest.fixture
def network() -> FasterRcnnNetwork:
    torch.manual_seed(0)
    return build_network(DESCRIPTION).eval()


def test_the_predictor_reports_what_the_detector_found(network: FasterRcnnNetwork, tmp_path) -> None:
    write_checkpoint(tmp_path / "peer.safetensors", network)
    network = read_checkpoint(tmp_path / "peer.safetensors")
    image = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    with torch.inference_mode():
        [found] = network.detector([torch.from_numpy(image).permute(2, 0, 1).float()])
    assert len(found["scores"]) > 5
    settings = PredictionSettings(score_threshold=0.005, nms_iou_threshold=1.0)
    detections = Predictor(TorchRuntime.around(network)).predict(image, settings=settings).detections
    # The predictor keeps a box's best class only, and here every detection has one.
    assert len(detections) == len(found["scores"])
    np.testing.assert_allclose(detections.scores, found["scores"], rtol=1e-4)
    np.testing.assert_allclose(detections.boxes, found["boxes"], atol=0.02)
    np.testing.assert_array_equal(detections.labels, found["labels"] - 1)
    assert np.isnan(detections.depth).all()


@pytest.mark.extended
def test_its_losses_train_it(network: FasterRcnnNetwork) -> None:
    network.train()
    images = torch.randint(0, 256, (2, 3, *SIZE), dtype=torch.uint8)
    boxes, labels = [torch.tensor([[20.0, 20, 60, 70]]), torch.zeros(0, 4)], [torch.tensor([2]), torch.zeros(0)]
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    totals = []
    for _ in range(12):
        total = sum(network.losses(images, boxes, labels).values())
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        totals.append(total.item())
    assert all(math.isfinite(total) for total in totals)
    assert totals[-1] < 0.6 * totals[0]


def test_other_sizes_and_decoders_are_refused(network: FasterRcnnNetwork) -> None:
    with pytest.raises(UserError, match="expected images of 160x96, found 64x64"):
        network(torch.zeros(1, 3, 64, 64))
    with pytest.raises(UserError, match="expected decoder 'none', found 'unet'"):
        build_network(replace(DESCRIPTION, decoder="unet"))
