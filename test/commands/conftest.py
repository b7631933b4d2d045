"""The command line as a user calls it, six synthetic scenes, and a network whose heads have learned them.

That network's figures are neither perfect nor nothing.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from mp_perception.commands.main import app
from mp_perception.data.data_sets import open_data_set
from mp_perception.losses.detection import hard_negatives_loss, smooth_l1_loss
from mp_perception.model.default_boxes import generate_default_boxes
from mp_perception.network.checkpoint import write_checkpoint
from mp_perception.network.matching import match_default_boxes
from mp_perception.network.multitask import MultiTaskNetwork, describe_network
from mp_perception.synthetic.drive import write_object_set
from mp_perception.synthetic.sensors import camera_of_size

NUM_STREETS = 6
SIZE = (640, 192)
STEPS = 25


@pytest.fixture(scope="session")
def mp_perception() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `mp_perception ARGUMENTS` in the folder cwd, for `timeout` seconds at most."""

    def run(*arguments: object, cwd: Path, timeout: float = 280) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "mp_perception.commands.main", *map(str, arguments)]
        return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=timeout, check=False)

    return run


@pytest.fixture(scope="session")
def streets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root of a synthetic object set."""
    root = tmp_path_factory.mktemp("streets") / "object"
    write_object_set(root, NUM_STREETS, seed=3, camera=camera_of_size(*SIZE))
    return root


@pytest.fixture(scope="session")
def street_bag(streets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The streets as a bag."""
    path = tmp_path_factory.mktemp("bags") / "street"
    made = CliRunner().invoke(app, ["bag", "from-synthetic", str(streets), str(path)])
    assert made.exit_code == 0, made.output
    assert f"{NUM_STREETS} frames" in made.output
    return path


@pytest.fixture(scope="session")
def street_weights(streets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint: random backbone and depth branch, heads that were trained on these very streets for seconds."""
    samples = list(open_data_set("synthetic", streets))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = MultiTaskNetwork(describe_network("mobilenet_v2", input_size=(SIZE[1], SIZE[0]))).train()
    pixels = torch.from_numpy(np.stack([sample.image for sample in samples])).permute(0, 3, 1, 2).float()
    # Batch norm takes its statistics from the streets, so that random weights tell one place from another.
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        network(pixels)
        network.eval()
        maps = network.backbone((pixels - network.pixel_mean) / network.pixel_std)
        inputs = [*maps[2:], network.extra_maps[0](maps[-1])]
    default_boxes = torch.from_numpy(generate_default_boxes(network.description.levels, network.description.input_size))
    targets = match_default_boxes(
        default_boxes,
        [torch.from_numpy(sample.boxes) for sample in samples],
        [torch.from_numpy(sample.labels) for sample in samples],
        [torch.from_numpy(sample.ignored) for sample in samples],
    )
    labelled = torch.ones(len(samples), len(network.description.class_names), dtype=torch.bool)
    optimiser = torch.optim.Adam(network.heads.parameters(), lr=1e-2)
    for _ in range(STEPS):
        outputs = [head(feature_map) for head, feature_map in zip(network.heads, inputs, strict=True)]
        logits, offsets = (torch.cat(parts, dim=1) for parts in zip(*outputs, strict=True))
        loss = hard_negatives_loss(logits, targets, labelled) + smooth_l1_loss(offsets, targets)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    path = tmp_path_factory.mktemp("weights") / "streets.safetensors"
    write_checkpoint(path, network)
    return path
