"""Depth branches: from the backbone's five maps back up to stride 2.  A new one is one class and its registration.

A decoder also hands out its intermediate maps (strides 16, 8, 4, 2), which detection heads may sit on: they carry
the context of the coarse maps at a fine stride.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from mp_perception.errors import UserError
from mp_perception.network.backbones import Backbone

#: Strides of the maps a decoder gives, in the order it makes them.
DECODER_STRIDES = (16, 8, 4, 2)
#: Channels of UNetDecoder's levels.
_UNET_CHANNELS = (64, 48, 32, 16)


class DepthDecoder(nn.Module, ABC):
    """What all decoders have in common.

    channels: of the maps of DECODER_STRIDES that `forward` returns beside the raw depth.
    """

    channels: tuple[int, int, int, int]

    @abstractmethod
    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Five maps, finest first -> raw depth (B, 1, H / 2, W / 2), unbounded, and the maps of DECODER_STRIDES."""


DEPTH_DECODERS: dict[str, Callable[[Backbone], DepthDecoder]] = {}


def register_depth_decoder(name: str) -> Callable[[type[DepthDecoder]], type[DepthDecoder]]:
    """Class decorator: makes a decoder, built from a Backbone's description, known by name."""

    def register(module: type[DepthDecoder]) -> type[DepthDecoder]:
        DEPTH_DECODERS[name] = module
        return module

    return register


def build_depth_decoder(name: str, backbone: Backbone) -> DepthDecoder:
    """A new decoder for a backbone; raises UserError that lists the known names."""
    if name not in DEPTH_DECODERS:
        raise UserError(f"unknown decoder '{name}': expected one of {', '.join(sorted(DEPTH_DECODERS))}")
    return DEPTH_DECODERS[name](backbone)


@register_depth_decoder("deconvolution")
class DeconvolutionDecoder(DepthDecoder):
    """The paper's decoder: per level a transposed convolution of stride 2, batch norm, ReLU, then the skip.

    With MobileNetV2 (2,439,024 parameters in all) kernels are 4 wide and convolutions have no bias.  With ResNet-50
    (75,157,313 in all) the two finest kernels are 2 wide, convolutions have biases and the stride-2 map of the
    backbone is not used.  Other backbones are treated like MobileNetV2.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        like_resnet = backbone.name == "resnet50"
        skips = list(backbone.channels[3::-1])
        outputs = [1024, 512, 256, 128] if like_resnet else skips
        kernels = [4, 4, 2, 2] if like_resnet else [4, 4, 4, 4]
        if like_resnet:
            skips[3] = 0
        inputs = backbone.channels[4]
        self.upsamplings = nn.ModuleList()
        for skip, output, kernel in zip(skips, outputs, kernels, strict=True):
            deconvolution = nn.ConvTranspose2d(
                inputs, output, kernel, stride=2, padding=(kernel - 2) // 2, bias=like_resnet
            )
            self.upsamplings.append(nn.Sequential(deconvolution, nn.BatchNorm2d(output), nn.ReLU(inplace=True)))
            inputs = output + skip
        self.last = nn.Conv2d(inputs, 1, kernel_size=3, padding=1, bias=like_resnet)
        self.uses_skip = tuple(skip > 0 for skip in skips)
        sums = [output + skip for output, skip in zip(outputs, skips, strict=True)]
        self.channels = (sums[0], sums[1], sums[2], sums[3])

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """See DepthDecoder."""
        current = maps[4]
        decoded = []
        for level, upsampling in enumerate(self.upsamplings):
            current = upsampling(current)
            if self.uses_skip[level]:
                current = torch.cat([current, maps[3 - level]], dim=1)
            decoded.append(current)
        return self.last(current), decoded


@register_depth_decoder("bilinear")
class BilinearDecoder(DepthDecoder):
    """DenseDepth's decoder (Alhashim and Wonka 2018): bilinear x2, the skip, two 3x3 convolutions each
    with leaky ReLU 0.2."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        inputs = backbone.channels[4] // 2
        self.bottleneck = nn.Conv2d(backbone.channels[4], inputs, kernel_size=1)
        self.blocks = nn.ModuleList()
        channels = []
        for skip in backbone.channels[3::-1]:
            output = inputs // 2
            self.blocks.append(
                nn.Sequential(
                    nn.Conv2d(inputs + skip, output, kernel_size=3, padding=1),
                    nn.LeakyReLU(0.2, inplace=True),
                    nn.Conv2d(output, output, kernel_size=3, padding=1),
                    nn.LeakyReLU(0.2, inplace=True),
                )
            )
            inputs = output
            channels.append(output)
        self.last = nn.Conv2d(inputs, 1, kernel_size=3, padding=1)
        self.channels = (channels[0], channels[1], channels[2], channels[3])

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """See DepthDecoder."""
        current = self.bottleneck(maps[4])
        decoded = []
        for level, block in enumerate(self.blocks):
            current = functional.interpolate(current, scale_factor=2, mode="bilinear", align_corners=False)
            current = block(torch.cat([current, maps[3 - level]], dim=1))
            decoded.append(current)
        return self.last(current), decoded


@register_depth_decoder("unet")
class UNetDecoder(DepthDecoder):
    """U-Net's expanding path (Ronneberger et al. 2015), narrow: per level a transposed convolution of stride 2, the
    skip, and one 3x3 convolution, each with batch norm and ReLU; at stride 2, where it would cost most, no convolution.

    The convolution after the skip joins coarse context with fine detail, which detection heads on these maps need too.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        inputs = backbone.channels[4]
        self.upsamplings, self.joins = nn.ModuleList(), nn.ModuleList()
        channels: list[int] = []
        for skip, output in zip(backbone.channels[3::-1], _UNET_CHANNELS, strict=True):
            self.upsamplings.append(
                nn.Sequential(
                    nn.ConvTranspose2d(inputs, output, kernel_size=4, stride=2, padding=1, bias=False),
                    nn.BatchNorm2d(output),
                    nn.ReLU(inplace=True),
                )
            )
            inputs = output + skip
            if len(channels) < 3:
                self.joins.append(
                    nn.Sequential(
                        nn.Conv2d(inputs, output, kernel_size=3, padding=1, bias=False),
                        nn.BatchNorm2d(output),
                        nn.ReLU(inplace=True),
                    )
                )
                inputs = output
            channels.append(inputs)
        self.joins.append(nn.Identity())
        self.last = nn.Conv2d(inputs, 1, kernel_size=3, padding=1)
        self.channels = (channels[0], channels[1], channels[2], channels[3])

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """See DepthDecoder."""
        current = maps[4]
        decoded = []
        for level, (upsampling, join) in enumerate(zip(self.upsamplings, self.joins, strict=True)):
            current = join(torch.cat([upsampling(current), maps[3 - level]], dim=1))
            decoded.append(current)
        return self.last(current), decoded
