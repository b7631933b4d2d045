"""The network: one backbone whose maps the detection branch and the depth branch share."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mp_perception.classes import DEFAULT_CLASSES
from mp_perception.errors import UserError
from mp_perception.model.checkpoint_description import CheckpointDescription, DetectionLevel
from mp_perception.model.default_boxes import ssd_shapes
from mp_perception.network.backbones import STRIDES, find_backbone
from mp_perception.network.depth_decoders import DECODER_STRIDES, SeparateDecoders, build_depth_decoder
from mp_perception.network.detection_heads import ExtraMap, build_detection_head

#: SSD's extra maps: strides and channels.
EXTRA_STRIDES = (64, 128, 256, 512, 1024)
EXTRA_CHANNELS = 256
#: Side of a level's square default boxes, in multiples of its stride.
_SIZE_IN_STRIDES = 2.5


class NetworkOutputs(NamedTuple):
    """Raw outputs for B images.

    class_logits: (B, N, 1 + C) for N default boxes in the order of `default_boxes`; logit 0 is the background.
    box_offsets: (B, N, 4) relative to the default boxes.
    depth: (B, 1, H / 2, W / 2) metres.
    """

    class_logits: Tensor
    box_offsets: Tensor
    depth: Tensor


class MultiTaskNetwork(nn.Module):
    """Backbone, depth decoder and SSD heads of a description.

    `forward` has no data-dependent control flow, so it can be traced and exported.
    Raises UserError for names that are not registered or levels that the network does not have.
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

        extra_strides = [stride for stride in EXTRA_STRIDES if stride <= description.levels[-1].stride]
        extra_channels = [EXTRA_CHANNELS] * len(extra_strides)
        extra_inputs = [backbone.channels[-1], *extra_channels][: len(extra_strides)]
        self.extra_maps = nn.ModuleList(ExtraMap(inputs, EXTRA_CHANNELS) for inputs in extra_inputs)
        # Source and stride of every map, in the order in which `forward` computes them.
        decoder_strides = DECODER_STRIDES[: len(self.decoder.channels)]
        strides_of = {"backbone": STRIDES, "decoder": decoder_strides, "extra": extra_strides}
        self._maps = [(source, stride) for source, strides in strides_of.items() for stride in strides]
        channels = dict(zip(self._maps, [*backbone.channels, *self.decoder.channels, *extra_channels], strict=True))
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
        extra = [maps[-1]]
        for layer in self.extra_maps:
            extra.append(layer(extra[-1]))
        by_source = dict(zip(self._maps, [*maps, *decoded, *extra[1:]], strict=True))
        levels = self.description.levels
        predictions = [
            head(by_source[level.source, level.stride]) for head, level in zip(self.heads, levels, strict=True)
        ]
        return NetworkOutputs(
            class_logits=torch.cat([logits for logits, _ in predictions], dim=1),
            box_offsets=torch.cat([offsets for _, offsets in predictions], dim=1),
            depth=self.bound_depth(raw_depth),
        )

    @property
    def depth_only_layers(self) -> nn.Module | None:
        """The layers of depth, none of which detection reads; None if detection heads read the depth decoder."""
        if isinstance(self.decoder, SeparateDecoders):
            return self.decoder.depth
        read = any(level.source == "decoder" for level in self.description.levels)
        return None if read else self.decoder

    def bound_depth(self, raw: Tensor) -> Tensor:
        """The last layer's output in metres.

        "logarithmic": a sigmoid between the logarithms of the depth range, so that equal steps are equal ratios.
        "none": unchanged, as in the paper.
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
    """The description of a network with detection levels at strides 8, 16, 32, ...

    sources: of the levels' maps.  Default boxes are squares of 2.5 strides and the other shapes of SSD.
    Raises UserError for an unknown backbone, ValueError for other invalid values.
    """
    normalisation = find_backbone(backbone).normalisation
    levels = tuple(
        DetectionLevel(
            stride=8 * 2**i,
            source=source,
            shapes=ssd_shapes(_SIZE_IN_STRIDES * 8 * 2**i, _SIZE_IN_STRIDES * 16 * 2**i),
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
