"""Operations counted against known numbers, and model files that give what their networks give."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torchvision
from torch import nn

from mp_perception.benchmark.engines import ENGINES, noise, run_files
from mp_perception.benchmark.networks.exporting import (
    LAYER_MAP,
    NUM_LAYERS,
    export_network,
    export_peer,
    quantise_model,
    split_model,
    write_layers,
    write_matrix_product,
)
from mp_perception.benchmark.networks.fastdepth import FastDepthLike
from mp_perception.benchmark.networks.flops import count_flops, count_gflop
from mp_perception.benchmark.networks.peers import fastdepth, noise_images, peer_detectors
from mp_perception.benchmark.sections.growth import FixedOutputs
from mp_perception.inference.predictor import Predictor
from mp_perception.inference.runtimes.base import NetworkSource
from mp_perception.inference.runtimes.registry import load_runtime
from mp_perception.network.multitask import MultiTaskNetwork, describe_network

SIZE = (64, 96)


@pytest.fixture(scope="module")
def network() -> MultiTaskNetwork:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return MultiTaskNetwork(describe_network("mobilenet_v2", input_size=SIZE)).eval()


@pytest.fixture(scope="module")
def exported(network: MultiTaskNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_network(network, tmp_path_factory.mktemp("models") / "network.onnx")


def outputs_of(path: Path, images: np.ndarray) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(str(path))
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {session.get_inputs()[0].name: images}), strict=True))


def test_operations_of_a_convolution() -> None:
    """A map of 5 x 6 from 3 to 8 channels: 30 places x 8 x 3 x 9 multiply-adds."""
    convolution = nn.Conv2d(3, 8, kernel_size=3, padding=1)
    assert count_flops(convolution, torch.zeros(1, 3, 5, 6))[""] == 2 * 30 * 8 * 3 * 9
    strided = nn.Conv2d(4, 8, kernel_size=3, padding=1, stride=2, groups=4)
    assert count_flops(strided, torch.zeros(1, 4, 10, 12))[""] == 2 * 30 * 8 * 9


def test_operations_of_a_transposed_convolution() -> None:
    """Every one of the 30 places gives to 4 x 4 others."""
    layer = nn.ConvTranspose2d(3, 8, kernel_size=4, stride=2, padding=1)
    assert count_flops(layer, torch.zeros(1, 3, 5, 6))[""] == 2 * 30 * 8 * 3 * 16


def test_mobilenet_v2_has_300_million_multiply_adds() -> None:
    """Sandler et al. 2018, table 4."""
    found = count_flops(torchvision.models.mobilenet_v2().eval(), torch.zeros(1, 3, 224, 224))[""]
    assert found / 2 == pytest.approx(300e6, rel=0.01)


def test_operations_of_the_parts_are_those_of_the_whole(network: MultiTaskNetwork) -> None:
    counts = count_gflop(network, SIZE)
    whole = counts.pop("")
    assert set(counts) == {"backbone", "decoder", "heads", "extra_maps"}
    assert sum(counts.values()) == pytest.approx(whole)


def test_fastdepth_answers_at_half_the_size_and_costs_what_its_layers_cost() -> None:
    images = torch.zeros(1, 3, 64, 96)
    with torch.no_grad():
        assert FastDepthLike().eval()(images).shape == (1, 1, 32, 48)
    cells = 32 * 48  # of stride 2
    macs = cells * 27 * 32  # stem
    inputs, places = 32, cells
    shapes = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
    for outputs, stride in shapes:
        places //= stride**2
        macs += places * inputs * (9 + outputs)
        inputs = outputs
    for outputs in (512, 256, 128, 64, 32):
        macs += places * inputs * (25 + outputs)
        places, inputs = min(cells, places * 4), outputs
    macs += cells * 32
    assert count_flops(FastDepthLike().eval(), images)[""] == 2 * macs


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ssdlite320", "faster_rcnn", "yolo11n", "fastdepth"])
def test_peers_run_in_the_engines(name: str, tmp_path: Path) -> None:
    builders = {**peer_detectors(SIZE), "fastdepth": fastdepth}
    if name not in builders:
        pytest.skip("ultralytics is not installed")
    peer = builders[name]()
    path = export_peer(peer, SIZE, tmp_path / "peer.onnx")
    with torch.inference_mode():
        found = peer(noise_images(SIZE))
    wanted = [found] if isinstance(found, torch.Tensor) else list(found)
    for output, value in zip(wanted, outputs_of(path, noise((1, *SIZE, 3))).values(), strict=True):
        np.testing.assert_allclose(value, output.numpy(), rtol=1e-2, atol=1e-3)
    for engine in ENGINES:
        run_files([path], engine, 1)()


@pytest.mark.slow
def test_branches_alone_give_what_they_give_together(exported: Path, tmp_path: Path) -> None:
    detection, depth = tmp_path / "detection.onnx", tmp_path / "depth.onnx"
    split_model(exported, detection, depth)
    images = noise((1, *SIZE, 3))
    whole, first, second = (outputs_of(path, images) for path in (exported, detection, depth))
    assert set(first) == {"class_logits", "box_offsets"}
    assert set(second) == {"depth"}
    for name, value in {**first, **second}.items():
        np.testing.assert_allclose(value, whole[name], atol=1e-4)
    for part in (detection, depth):
        assert part.stat().st_size < exported.stat().st_size
    for engine in ENGINES:
        run_files([detection, depth], engine, 1)()
        run_files([exported], engine, 1, batch=2)()


@pytest.mark.slow
def test_the_eight_bit_model_runs_in_our_runtimes(exported: Path, network: MultiTaskNetwork, tmp_path: Path) -> None:
    path = quantise_model(exported, tmp_path / "int8.onnx")
    for runtime in ENGINES:
        loaded = load_runtime(runtime, NetworkSource("mobilenet_v2", path, None), "cpu")
        assert loaded.precision == "int8"
        assert loaded.description == network.description


@pytest.mark.parametrize("depthwise", [False, True])
def test_single_layers_are_the_convolutions_they_are_said_to_be(depthwise: bool, tmp_path: Path) -> None:
    path = tmp_path / "layers.onnx"
    gflop = write_layers(path, depthwise)
    channels, height, width = LAYER_MAP
    inputs = 1 if depthwise else channels
    assert gflop * 1e9 == pytest.approx(2 * NUM_LAYERS * channels * inputs * 9 * height * width)
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    weights = torch.from_numpy(onnx.numpy_helper.to_array(model.graph.initializer[0]).copy())
    pixels = noise((1, *LAYER_MAP))
    wanted = torch.from_numpy(pixels).float()
    for _ in range(NUM_LAYERS):
        wanted = nn.functional.conv2d(wanted, weights, padding=1, groups=channels if depthwise else 1)
    (found,) = outputs_of(path, pixels).values()
    np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-2, atol=1e-2 * float(wanted.std()))


def test_matrix_product_is_one(tmp_path: Path) -> None:
    write_matrix_product(tmp_path / "product.onnx", side=32)
    weights = onnx.numpy_helper.to_array(onnx.load(tmp_path / "product.onnx").graph.initializer[0])
    pixels = noise((1, 32, 32))
    (found,) = outputs_of(tmp_path / "product.onnx", pixels).values()
    np.testing.assert_allclose(found[0], pixels[0].astype(np.float32) @ weights, rtol=1e-3, atol=1e-1)
    for engine in ENGINES:
        run_files([tmp_path / "product.onnx"], engine, 1)()


@pytest.mark.parametrize("count", [0, 1, 7])
def test_fixed_outputs_hold_so_many_objects(count: int) -> None:
    description = describe_network("mobilenet_v2", input_size=(192, 640))
    prediction = Predictor(FixedOutputs(description, count)).predict(noise((192, 640, 3)))
    assert len(prediction.detections.scores) == count
    assert (prediction.detections.scores > 0.99).all()
    np.testing.assert_allclose(prediction.detections.depth, description.depth_range[1] / 2)
