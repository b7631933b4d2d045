"""torchvision's Faster R-CNN on one of our backbones: the two-stage detector with which the SSD branch is compared.

It returns what a MultiTaskNetwork returns, so that the same code runs, trains and scores it: detection k is written as
the offsets of default box k.  It does not estimate depth.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from mp_perception.errors import UserError
from mp_perception.model.checkpoint_description import CheckpointDescription
from mp_perception.model.default_boxes import generate_default_boxes
from mp_perception.network.backbones import BackboneFeatures, find_backbone
from mp_perception.network.matching import encode_offsets
from mp_perception.network.multitask import NetworkOutputs

#: The value of `head` in the description of such a network.
FASTER_RCNN = "faster_rcnn"
#: Channels of the feature pyramid; torchvision's 256 would cost four times as much.
_PYRAMID_CHANNELS = 128
#: Anchor heights and widths per pyramid level, pixels: strides 4 to 64, a quarter of torchvision's for 640x192.
_ANCHOR_SIZES = ((8,), (16,), (32,), (64,), (128,))
#: The logarithm of a negligible probability.
_NEVER = -30.0


class FasterRcnnNetwork(nn.Module):
    """Faster R-CNN (Ren et al. 2015) with a feature pyramid (Lin et al. 2017) over strides 4 to 64.

    The description's levels give the default boxes and so the maximum number of detections: one level of stride 32
    with one shape gives 120 at 640x192.  Raises UserError if the decoder is not "none".
    """

    default_boxes: Tensor

    def __init__(self, description: CheckpointDescription) -> None:
        super().__init__()
        if description.decoder != "none":
            raise UserError(f"head '{FASTER_RCNN}': expected decoder 'none', found '{description.decoder}'")
        self.description = description
        boxes = torch.from_numpy(generate_default_boxes(description.levels, description.input_size))
        self.register_buffer("default_boxes", boxes, persistent=False)
        height, width = description.input_size
        self.detector = FasterRCNN(
            _Pyramid(description.backbone),
            num_classes=1 + len(description.class_names),
            # Images already have the network's input size.
            min_size=height,
            max_size=width,
            image_mean=list(description.pixel_mean),
            image_std=list(description.pixel_std),
            rpn_anchor_generator=AnchorGenerator(_ANCHOR_SIZES, ((0.5, 1.0, 2.0),) * len(_ANCHOR_SIZES)),
            box_score_thresh=0.005,
            box_detections_per_img=len(boxes),
        )

    @property
    def backbone(self) -> BackboneFeatures:
        """The backbone, for its pretrained weights."""
        pyramid: _Pyramid = self.detector.backbone
        return pyramid.features

    def forward(self, images: Tensor) -> NetworkOutputs:
        """Pixels (B, 3, H, W), RGB, 0..255 -> NetworkOutputs; depth is NaN.  In evaluation mode only.

        Raises UserError if the images do not have the description's size.
        """
        if tuple(images.shape[2:]) != tuple(self.description.input_size):
            (height, width), found = self.description.input_size, images.shape
            raise UserError(f"head '{FASTER_RCNN}': expected images of {width}x{height}, found {found[3]}x{found[2]}")
        found = self.detector(list(images.float()))
        logits, offsets = zip(*(self._as_outputs(one) for one in found), strict=True)
        height, width = images.shape[2] // 2, images.shape[3] // 2
        depth = torch.full((len(images), 1, height, width), math.nan, device=images.device)
        return NetworkOutputs(torch.stack(logits), torch.stack(offsets), depth)

    def losses(self, images: Tensor, boxes: Sequence[Tensor], labels: Sequence[Tensor]) -> dict[str, Tensor]:
        """torchvision's four losses for pixels (B, 3, H, W) and, per image, boxes (M, 4) and labels (M,) 0..C-1."""
        targets = [{"boxes": b.float(), "labels": n.long() + 1} for b, n in zip(boxes, labels, strict=True)]
        losses: dict[str, Tensor] = self.detector(list(images.float()), targets)
        return losses

    def _as_outputs(self, found: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The detections of one image as logits (N, 1 + C), whose softmax gives the scores, and offsets (N, 4)."""
        count, num_logits = len(found["scores"]), 1 + len(self.description.class_names)
        logits = self.default_boxes.new_full((len(self.default_boxes), num_logits), _NEVER)
        logits[:, 0] = 0.0
        scores = found["scores"].clamp(1e-6, 1 - 1e-6)
        logits[:count, 0] = torch.log1p(-scores)
        logits[torch.arange(count), found["labels"]] = scores.log()
        offsets = torch.zeros_like(self.default_boxes)
        offsets[:count] = encode_offsets(found["boxes"], self.default_boxes[:count])
        return logits, offsets


class _Pyramid(nn.Module):
    """A backbone, the feature pyramid over its maps of strides 4 to 32, and a pooled map of stride 64."""

    def __init__(self, backbone: str) -> None:
        super().__init__()
        known = find_backbone(backbone)
        self.features = known.build()
        self.pyramid = FeaturePyramidNetwork(list(known.channels[1:]), _PYRAMID_CHANNELS, LastLevelMaxPool())
        self.out_channels = _PYRAMID_CHANNELS

    def forward(self, images: Tensor) -> OrderedDict[str, Tensor]:
        """(B, 3, H, W) -> maps of strides 4 to 64 by the names that torchvision's region pooling expects."""
        maps = OrderedDict((str(i), feature_map) for i, feature_map in enumerate(self.features(images)[1:]))
        pyramid: OrderedDict[str, Tensor] = self.pyramid(maps)
        return pyramid
