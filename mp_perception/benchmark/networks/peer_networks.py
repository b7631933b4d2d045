"""Detectors and a depth network of other authors to compare with, with random weights.

All take the same input as our network, 8-bit pixels (B, H, W, 3).  Non-maximum suppression is left out, because it is
not part of our network either; box decoding stays where it is part of a network.
"""

from __future__ import annotations

import importlib
import os
import tempfile
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import detection

from mp_perception.benchmark.networks.fastdepth import FastDepthLike

#: The depth network among the peers.
DEPTH_PEER = "FastDepth-like"
#: The number of classes of our default network.
_NUM_CLASSES = 5


class _Pixels(nn.Module):
    """A network of 0..1 floats (B, 3, H, W) that takes 8-bit pixels (B, H, W, 3)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Any:
        return self.network(images.permute(0, 3, 1, 2).float() / 255)


class _SsdLite(nn.Module):
    """torchvision's SSDLite without its resizing and suppression."""

    def __init__(self) -> None:
        super().__init__()
        built = detection.ssdlite320_mobilenet_v3_large(
            weights=None, weights_backbone=None, num_classes=1 + _NUM_CLASSES
        )
        self.backbone, self.head = built.backbone, built.head

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        outputs = self.head(list(self.backbone(images).values()))
        return outputs["bbox_regression"], outputs["cls_logits"]


class _Yolo(nn.Module):
    """yolo11n of ultralytics, built from its configuration file: decoded boxes and scores (B, 4 + classes, N)."""

    def __init__(self) -> None:
        super().__init__()
        # Its import writes a settings file, which must not go into the user's folders, and prints.
        os.environ.setdefault("YOLO_CONFIG_DIR", tempfile.gettempdir())
        os.environ.setdefault("YOLO_VERBOSE", "False")
        # AGPL-3.0: imported by name if the user has installed it, never a dependency.
        tasks = importlib.import_module("ultralytics.nn.tasks")
        self.detector = tasks.DetectionModel("yolo11n.yaml", nc=_NUM_CLASSES, verbose=False)

    def forward(self, images: Tensor) -> Tensor:
        found = self.detector(images)
        decoded: Tensor = found[0] if isinstance(found, tuple) else found
        return decoded


def has_ultralytics() -> bool:
    """Whether yolo11n is available (pip install ultralytics)."""
    return find_spec("ultralytics") is not None


def peer_networks() -> dict[str, nn.Module]:
    """DEPTH_PEER, and detectors, by name, in evaluation mode; yolo11n only if ultralytics is installed.

    The random weights are the same every time.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        networks: dict[str, nn.Module] = {DEPTH_PEER: FastDepthLike(), "ssdlite320": _SsdLite()}
        if has_ultralytics():
            networks["yolo11n"] = _Yolo()
    return {name: _Pixels(network).eval() for name, network in networks.items()}
