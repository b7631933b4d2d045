"""Model files: operations and parameters against known numbers, and outputs equal to those of the networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torchvision
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mp_perception.benchmark.networks.fastdepth import FastDepthLike
from mp_perception.benchmark.networks.model_files import ModelFiles, export_peer
from mp_perception.benchmark.networks.peer_networks import has_ultralytics, peer_networks
from mp_perception.benchmark.operations import model_size
from mp_perception.benchmark.workloads import FILE_RUNTIMES, noise, run_files
from mp_perception.inference.runtimes.base import NetworkSource
from mp_perception.inference.runtimes.registry import load_runtime
from mp_perception.network.checkpoint import write_checkpoint
from mp_perception.network.multitask import MultiTaskNetwork, describe_network

SIZE = (64, 96)


def outputs_of(path: Path, images: np.ndarray) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(str(path))
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {session.get_inputs()[0].name: images}), strict=True))


def torch_operations(network: nn.Module, *inputs: torch.Tensor) -> int:
    """PyTorch's own count."""
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        network.eval()(*inputs)
    return int(counter.get_total_flops())


class Pixels(nn.Module):
    """A network that takes 8-bit pixels (B, H, W, 3)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.network(images.permute(0, 3, 1, 2).float())


@pytest.mark.parametrize(
    ("layer", "operations", "parameters"),
    [
        # A map of 5 x 6 from 3 to 8 channels: 30 places x 8 x 3 x 9 multiply-adds.
        (nn.Conv2d(3, 8, kernel_size=3, padding=1), 2 * 30 * 8 * 3 * 9, 8 * 3 * 9 + 8),
        (nn.Conv2d(3, 6, kernel_size=3, padding=1, stride=2, groups=3), 2 * 9 * 6 * 9, 6 * 9 + 6),
        # Each of the 30 places contributes to 4 x 4 others.
        (nn.ConvTranspose2d(3, 8, kernel_size=4, stride=2, padding=1), 2 * 30 * 8 * 3 * 16, 3 * 8 * 16 + 8),
        (nn.Linear(6, 4, bias=False), 2 * 3 * 5 * 6 * 4, 6 * 4),
    ],
    ids=["convolution", "depthwise", "transposed", "matrix product"],
)
def test_size_of_single_layers(layer: nn.Module, operations: int, parameters: int, tmp_path: Path) -> None:
    path = export_peer(Pixels(layer).eval(), (5, 6), tmp_path / "layer.onnx")
    assert model_size(path, (5, 6)) == (operations, parameters)


def test_mobilenet_v2_has_its_published_size(tmp_path: Path) -> None:
    """300 million multiply-adds (Sandler et al. 2018, table 4); 3.5 million parameters."""
    path = export_peer(Pixels(torchvision.models.mobilenet_v2()).eval(), (224, 224), tmp_path / "net.onnx")
    size = model_size(path, (224, 224))
    # Operations of the classifier (Gemm), 0.4 %, are not counted.
    assert size.operations / 2 == pytest.approx(300e6, rel=0.01)
    assert size.parameters == pytest.approx(3.5e6, rel=0.01)


def test_fastdepth_has_half_the_input_size_and_the_operations_of_its_layers(tmp_path: Path) -> None:
    images = torch.zeros(1, 3, *SIZE)
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
    path = export_peer(Pixels(FastDepthLike()).eval(), SIZE, tmp_path / "depth.onnx")
    assert model_size(path, SIZE).operations == 2 * macs


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ssdlite320", "yolo11n", "FastDepth-like"])
def test_peers_run_in_both_runtimes(name: str, tmp_path: Path) -> None:
    if name == "yolo11n" and not has_ultralytics():
        pytest.skip("ultralytics is not installed")
    peer = peer_networks()[name]
    path = export_peer(peer, SIZE, tmp_path / "peer.onnx")
    images = torch.from_numpy(noise((1, *SIZE, 3)))
    with torch.inference_mode():
        found = peer(images)
    wanted = [found] if isinstance(found, torch.Tensor) else list(found)
    for output, value in zip(wanted, outputs_of(path, images.numpy()).values(), strict=True):
        np.testing.assert_allclose(value, output.numpy(), rtol=1e-2, atol=1e-3)
    assert model_size(path, SIZE).operations == torch_operations(peer, images)
    run_files([(path, runtime) for runtime in FILE_RUNTIMES], SIZE, 1)()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> ModelFiles:
    folder = tmp_path_factory.mktemp("models")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        write_checkpoint(
            folder / "net.safetensors", MultiTaskNetwork(describe_network("mobilenet_v2", input_size=SIZE))
        )
    return ModelFiles(folder / "net.safetensors", folder)


@pytest.mark.extended
def test_separate_branches_give_the_same_outputs(models: ModelFiles) -> None:
    images = noise((1, *SIZE, 3))
    whole, detection, depth = (outputs_of(path, images) for path in (models.fp32, models.detection, models.depth))
    assert set(detection) == {"class_logits", "box_offsets"}
    assert set(depth) == {"depth"}
    for name, value in {**detection, **depth}.items():
        np.testing.assert_allclose(value, whole[name], atol=1e-4)
    sizes = [model_size(path, SIZE) for path in (models.fp32, models.detection, models.depth)]
    network = MultiTaskNetwork(models.description)
    assert sizes[0].operations == torch_operations(network, torch.zeros(1, 3, *SIZE))
    backbone = torch_operations(network.backbone, torch.zeros(1, 3, *SIZE))
    # Each branch is smaller than the whole, and both together contain the backbone twice.
    assert max(sizes[1:]) < sizes[0]
    assert sizes[1].operations + sizes[2].operations >= sizes[0].operations + backbone
    files = [(path, runtime) for path in (models.fp32, models.detection, models.depth) for runtime in FILE_RUNTIMES]
    run_files(files, SIZE, 1)()


@pytest.mark.extended
def test_the_int8_model_runs_in_both_runtimes(models: ModelFiles) -> None:
    assert models.int8.stat().st_size < 0.5 * models.fp32.stat().st_size
    for runtime in ("openvino", "onnxruntime"):
        loaded = load_runtime(runtime, NetworkSource("mobilenet_v2", models.int8), "cpu")
        assert loaded.precision == "int8"
        assert loaded.description == models.description
    assert "QuantizeLinear" in {node.op_type for node in onnx.load(models.int8).graph.node}
