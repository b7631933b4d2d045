"""The network: one backbone pass shared by the detection branch and the depth branch."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mp_perception.classes import DEFAULT_CLASSES
from mp_perception.errors import UserError
from mp_perception.model.checkpoint_description import INPUT_SIZE_MULTIPLE, CheckpointDescription, DetectionLevel
from mp_perception.model.default_boxes import ssd_shapes
from mp_perception.network.backbones import STRIDES, find_backbone
from mp_perception.network.depth_decoders import DECODER_STRIDES, build_depth_decoder
from mp_perception.network.detection_heads import ExtraMap, build_detection_head

#: Channels of SSD's extra maps.
EXTRA_CHANNELS = 256
#: Side of the square default boxes per stride, in multiples of the stride: objects of 16 pixels upwards.
_SIZE_IN_STRIDES = 2.5


class NetworkOutputs(NamedTuple):
    """Raw outputs for B images.

    class_logits: (B, N, 1 + classes), logit 0 is the background; N default boxes in the order of `default_boxes`.
    box_offsets: (B, N, 4), relative to the default boxes.
    depth: (B, 1, H / 2, W / 2) metres.
    """

    class_logits: Tensor
    box_offsets: Tensor
    depth: Tensor


class MultiTaskNetwork(nn.Module):
    """Backbone, depth decoder and SSD heads as a description says.

    `forward` holds no data-dependent Python, so it can be traced and exported.
    Raises UserError for names that no registry knows or levels that the network does not have.
    """

    pixel_mean: Tensor
    pixel_std: Tensor

    def __init__(self, description: CheckpointDescription) -> None:
        super().__init__()
        self.description = description
        backbone = find_backbone(description.backbone)
        self.backbone = backbone.build()
        self.decoder = build_depth_decoder(description.decoder, backbone)
        self.register_buffer("pixel_mean", torch.tensor(description.pixel_mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("pixel_std", torch.tensor(description.pixel_std).view(1, 3, 1, 1), persistent=False)

        channels = {("backbone", stride): count for stride, count in zip(STRIDES, backbone.channels, strict=True)}
        channels |= {("decoder", s): count for s, count in zip(DECODER_STRIDES, self.decoder.channels, strict=True)}
        coarsest = description.levels[-1].stride
        extra_strides = [2**i for i in range(6, int(math.log2(coarsest)) + 1)]
        self.extra_maps = nn.ModuleList()
        inputs = backbone.channels[-1]
        for stride in extra_strides:
            self.extra_maps.append(ExtraMap(inputs, EXTRA_CHANNELS))
            channels["extra", stride] = inputs = EXTRA_CHANNELS
        for level in description.levels:
            if (level.source, level.stride) not in channels:
                raise UserError(f"no {level.source} feature map of stride {level.stride} in {description.backbone}")
        self.heads = nn.ModuleList(
            build_detection_head(
                description.head,
                channels[level.source, level.stride],
                len(level.shapes),
                1 + len(description.class_names),
            )
            for level in description.levels
        )

    def forward(self, images: Tensor) -> NetworkOutputs:
        """Pixels (B, 3, H, W), RGB, 0..255 (uint8 or float), H and W multiples of 32 -> NetworkOutputs."""
        maps = self.backbone((images.to(self.pixel_mean.dtype) - self.pixel_mean) / self.pixel_std)
        raw_depth, decoded = self.decoder(maps)
        by_level = {("backbone", stride): feature_map for stride, feature_map in zip(STRIDES, maps, strict=True)}
        by_level |= {("decoder", stride): decoded[i] for i, stride in enumerate(DECODER_STRIDES)}
        current = maps[-1]
        for i, extra in enumerate(self.extra_maps):
            current = extra(current)
            by_level["extra", 2 * INPUT_SIZE_MULTIPLE * 2**i] = current
        predictions = [
            head(by_level[level.source, level.stride])
            for head, level in zip(self.heads, self.description.levels, strict=True)
        ]
        return NetworkOutputs(
            class_logits=torch.cat([logits for logits, _ in predictions], dim=1),
            box_offsets=torch.cat([offsets for _, offsets in predictions], dim=1),
            depth=self.bound_depth(raw_depth),
        )

    def bound_depth(self, raw: Tensor) -> Tensor:
        """The last layer's output as metres.

        "logarithmic": a sigmoid between the logarithms of the depth range, so that equal steps are equal ratios;
        without parameters, so that the paper's counts stay.  "none": unchanged, as the paper has it.
        """
        if self.description.depth_bound == "none":
            return raw
        low, high = self.description.depth_range
        return torch.exp(math.log(low) + math.log(high / low) * torch.sigmoid(raw))


def describe_network(
    backbone: str,
    decoder: str = "deconvolution",
    head: str = "depthwise",
    sources: tuple[str, ...] = ("backbone", "backbone", "backbone", "extra"),
    class_names: tuple[str, ...] = DEFAULT_CLASSES,
    input_size: tuple[int, int] = (192, 640),
) -> CheckpointDescription:
    """A network by its usual choices: levels at strides 8, 16, 32, ... whose maps come from `sources`.

    Default boxes are squares of 2.5 strides and SSD's shapes around them.
    Raises UserError for an unknown backbone, ValueError for anything else out of bounds.
    """
    normalisation = find_backbone(backbone).normalisation
    levels = tuple(
        DetectionLevel(
            stride=8 * 2**i,
            source=source,
            shapes=tuple(ssd_shapes(_SIZE_IN_STRIDES * 8 * 2**i, _SIZE_IN_STRIDES * 16 * 2**i)),
        )
        for i, source in enumerate(sources)
    )
    return CheckpointDescription(
        backbone=backbone,
        decoder=decoder,
        head=head,
        levels=levels,
        class_names=class_names,
        input_size=input_size,
        pixel_mean=normalisation.mean,
        pixel_std=normalisation.std,
    )
