"""Networks of well-kept libraries to measure ours against: the detectors that people take, with random weights.

Post-processing (suppression, drawing) is left out, as it is with ours; what decodes boxes inside the network stays.
All get the input that ours gets, 8-bit pixels (B, H, W, 3), and all look at the same number of pixels.
"""

from __future__ import annotations

import importlib
import os
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import detection

from mp_perception.benchmark.engines import noise
from mp_perception.benchmark.networks.fastdepth import FastDepthLike

#: As many as our default network knows.
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


class _FasterRcnn(nn.Module):
    """torchvision's Faster R-CNN: its second stage takes the first one's boxes, so suppression is part of it."""

    def __init__(self, input_size: tuple[int, int]) -> None:
        super().__init__()
        self.detector = detection.fasterrcnn_mobilenet_v3_large_320_fpn(
            weights=None,
            weights_backbone=None,
            num_classes=1 + _NUM_CLASSES,
            min_size=input_size[0],
            max_size=input_size[1],
        )

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        found = self.detector([images[0]])[0]
        return found["boxes"], found["scores"], found["labels"]


class _Yolo(nn.Module):
    """ultralytics' yolo11n, built from its configuration file: decoded boxes and scores (B, 4 + classes, N)."""

    def __init__(self) -> None:
        super().__init__()
        # It writes its settings at import, not into the user's folders; and it would print among our tables.
        os.environ.setdefault("YOLO_CONFIG_DIR", tempfile.gettempdir())
        os.environ.setdefault("YOLO_VERBOSE", "False")
        # AGPL: by name only, never a dependency.
        tasks = importlib.import_module("ultralytics.nn.tasks")
        self.detector = tasks.DetectionModel("yolo11n.yaml", nc=_NUM_CLASSES, verbose=False)

    def forward(self, images: Tensor) -> Tensor:
        found = self.detector(images)
        decoded: Tensor = found[0] if isinstance(found, tuple) else found
        return decoded


def has_ultralytics() -> bool:
    """Whether the optional yolo11n can be built (pip install ultralytics)."""
    return find_spec("ultralytics") is not None


def peer_detectors(input_size: tuple[int, int]) -> dict[str, Callable[[], nn.Module]]:
    """Builders of the detectors by name, for an input of (height, width)."""
    builders: dict[str, Callable[[], nn.Module]] = {
        "ssdlite320": lambda: _build(_SsdLite),
        "faster_rcnn": lambda: _build(lambda: _FasterRcnn(input_size)),
    }
    if has_ultralytics():
        builders["yolo11n"] = lambda: _build(_Yolo)
    return builders


def fastdepth() -> nn.Module:
    """The light depth network that a detector needs beside it to answer what ours answers."""
    return _build(FastDepthLike)


def _build(make: Callable[[], nn.Module]) -> nn.Module:
    """The same random weights every time, in evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return _Pixels(make()).eval()


def noise_images(input_size: tuple[int, int]) -> Tensor:
    """What the peers take: one image (1, H, W, 3) of noise, uint8."""
    return torch.from_numpy(noise((1, *input_size, 3)))
