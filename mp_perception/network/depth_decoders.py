"""Depth decoders: from the backbone's five maps up to stride 2.  A new decoder is one class and its registration.

A decoder also returns its intermediate maps (strides 16, 8, 4 and, in some decoders, 2).  Detection heads may use them:
they combine the context of the coarse maps with a fine stride.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import Conv2dNormActivation

from mp_perception.errors import unknown_name
from mp_perception.network.backbones import Backbone

#: Strides of a decoder's maps, in the order in which it computes them; a decoder may end before the last.
DECODER_STRIDES = (16, 8, 4, 2)
#: Prefix of a decoder's name for SeparateDecoders.
SEPARATE = "separate_"
#: Channels of UNetDecoder's levels.
_UNET_CHANNELS = (64, 48, 32, 16)
#: Channels of PyramidDecoder's levels.
_PYRAMID_CHANNELS = (96, 64, 40)


class DepthDecoder(nn.Module, ABC):
    """Base class of all decoders.

    channels: of the maps of the first of DECODER_STRIDES.  last: the layer from the finest map to raw depth.
    """

    channels: list[int]
    last: nn.Module

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Five maps, finest first -> raw depth (B, 1, H / 2, W / 2), unbounded, and the decoder's maps."""
        decoded = self.decode(maps)
        return self.last(decoded[-1]), decoded

    def decode(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """The decoder's maps."""
        current = self.start(maps[4])
        decoded = []
        for level, skip in enumerate(maps[3::-1][: len(self.channels)]):
            current = self.ascend(level, current, skip)
            decoded.append(current)
        return decoded

    def start(self, coarsest: Tensor) -> Tensor:
        """The backbone's map of stride 32 as the decoder begins with it."""
        return coarsest

    @abstractmethod
    def ascend(self, level: int, current: Tensor, skip: Tensor) -> Tensor:
        """The map of DECODER_STRIDES[level] from the next coarser map and the backbone's map of the same stride."""


DEPTH_DECODERS: dict[str, Callable[[Backbone], DepthDecoder]] = {}


def register_depth_decoder(name: str) -> Callable[[type[DepthDecoder]], type[DepthDecoder]]:
    """Class decorator that registers a decoder; its constructor takes a Backbone."""

    def register(module: type[DepthDecoder]) -> type[DepthDecoder]:
        DEPTH_DECODERS[name] = module
        return module

    return register


def build_depth_decoder(name: str, backbone: Backbone) -> DepthDecoder | SeparateDecoders:
    """A new decoder for a backbone, or with the prefix SEPARATE two of them; raises UserError that lists the names."""
    kind = name.removeprefix(SEPARATE)
    if kind not in DEPTH_DECODERS:
        raise unknown_name("decoder", name, sorted(DEPTH_DECODERS))
    return DEPTH_DECODERS[kind](backbone) if name == kind else SeparateDecoders(kind, backbone)


class SeparateDecoders(nn.Module):
    """Two decoders of one kind: detection heads read the maps of the one, depth comes from the other.

    So depth can be trained alone while every detection stays as it was, at the price of the second decoder's time.
    """

    def __init__(self, name: str, backbone: Backbone) -> None:
        super().__init__()
        self.detection, self.depth = (DEPTH_DECODERS[name](backbone) for _ in range(2))
        self.detection.last = nn.Identity()
        self.channels = self.detection.channels

    @property
    def last(self) -> nn.Module:
        """The layer that computes raw depth."""
        return self.depth.last

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """See DepthDecoder."""
        raw_depth, _ = self.depth(maps)
        return raw_depth, self.detection.decode(maps)


def _double(inputs: int, outputs: int, kernel: int = 4, bias: bool = False) -> nn.Sequential:
    """Transposed convolution of stride 2, which doubles the map's size, batch norm and ReLU."""
    convolution = nn.ConvTranspose2d(inputs, outputs, kernel, stride=2, padding=(kernel - 2) // 2, bias=bias)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


@register_depth_decoder("deconvolution")
class DeconvolutionDecoder(DepthDecoder):
    """The paper's decoder: per level a transposed convolution of stride 2, batch norm, ReLU, then the skip connection.

    With MobileNetV2 (2,439,024 parameters in total) kernels are 4 wide and convolutions have no bias.  With ResNet-50
    (75,157,313 in total) the two finest kernels are 2 wide, convolutions have biases and the backbone's map of stride
    2 is not used.  Other backbones are treated like MobileNetV2.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        like_resnet = backbone.name == "resnet50"
        skips = list(backbone.channels[3::-1])
        outputs = [1024, 512, 256, 128] if like_resnet else skips
        kernels = [4, 4, 2, 2] if like_resnet else [4, 4, 4, 4]
        if like_resnet:
            skips[3] = 0
        self.uses_skip = [skip > 0 for skip in skips]
        self.channels = [output + skip for output, skip in zip(outputs, skips, strict=True)]
        self.upsamplings = nn.ModuleList()
        for inputs, output, kernel in zip([backbone.channels[4], *self.channels[:3]], outputs, kernels, strict=True):
            self.upsamplings.append(_double(inputs, output, kernel, bias=like_resnet))
        self.last = nn.Conv2d(self.channels[3], 1, kernel_size=3, padding=1, bias=like_resnet)

    def ascend(self, level: int, current: Tensor, skip: Tensor) -> Tensor:
        """See DepthDecoder."""
        upsampled: Tensor = self.upsamplings[level](current)
        return torch.cat([upsampled, skip], dim=1) if self.uses_skip[level] else upsampled


@register_depth_decoder("bilinear")
class BilinearDecoder(DepthDecoder):
    """DenseDepth's decoder (Alhashim and Wonka 2018): bilinear x2, the skip connection, two 3x3 convolutions, each
    with leaky ReLU 0.2."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        inputs = backbone.channels[4] // 2
        self.bottleneck = nn.Conv2d(backbone.channels[4], inputs, kernel_size=1)
        self.blocks = nn.ModuleList()
        self.channels = [inputs // 2 ** (level + 1) for level in range(4)]
        for skip, output in zip(backbone.channels[3::-1], self.channels, strict=True):
            self.blocks.append(
                nn.Sequential(
                    nn.Conv2d(inputs + skip, output, kernel_size=3, padding=1),
                    nn.LeakyReLU(0.2, inplace=True),
                    nn.Conv2d(output, output, kernel_size=3, padding=1),
                    nn.LeakyReLU(0.2, inplace=True),
                )
            )
            inputs = output
        self.last = nn.Conv2d(inputs, 1, kernel_size=3, padding=1)

    def start(self, coarsest: Tensor) -> Tensor:
        """See DepthDecoder."""
        halved: Tensor = self.bottleneck(coarsest)
        return halved

    def ascend(self, level: int, current: Tensor, skip: Tensor) -> Tensor:
        """See DepthDecoder."""
        upsampled = functional.interpolate(current, scale_factor=2, mode="bilinear", align_corners=False)
        joined: Tensor = self.blocks[level](torch.cat([upsampled, skip], dim=1))
        return joined


@register_depth_decoder("unet")
class UNetDecoder(DepthDecoder):
    """U-Net's expanding path (Ronneberger et al. 2015) with few channels: per level a transposed convolution of stride
    2, the skip connection, and one 3x3 convolution, each with batch norm and ReLU; no 3x3 convolution at stride 2,
    where it would cost most.

    The convolution after the skip connection joins coarse context with fine detail; detection heads on these maps
    need both.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        inputs = backbone.channels[4]
        self.upsamplings, self.joins = nn.ModuleList(), nn.ModuleList()
        for skip, output in zip(backbone.channels[3::-1], _UNET_CHANNELS, strict=True):
            self.upsamplings.append(_double(inputs, output))
            is_finest = len(self.upsamplings) == len(DECODER_STRIDES)
            self.joins.append(nn.Identity() if is_finest else Conv2dNormActivation(output + skip, output))
            inputs = output
        self.channels = [*_UNET_CHANNELS[:3], _UNET_CHANNELS[3] + backbone.channels[0]]
        self.last = nn.Conv2d(self.channels[3], 1, kernel_size=3, padding=1)

    def ascend(self, level: int, current: Tensor, skip: Tensor) -> Tensor:
        """See DepthDecoder."""
        joined: Tensor = self.joins[level](torch.cat([self.upsamplings[level](current), skip], dim=1))
        return joined


@register_depth_decoder("pyramid")
class PyramidDecoder(DepthDecoder):
    """A feature pyramid (Lin et al. 2017) with few channels, which ends at stride 4.

    Per level: a 1x1 convolution, nearest upsampling, the backbone's map through a 1x1 convolution added, and a 3x3
    convolution.  Four outputs per cell of stride 4 become the depth at stride 2 (pixel shuffle, Shi et al. 2016): a
    level at stride 2 would take a third of the decoder's time for hardly any detail.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.channels = list(_PYRAMID_CHANNELS)
        self.reductions, self.laterals, self.joins = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        inputs = backbone.channels[4]
        for skip, output in zip(backbone.channels[3:0:-1], self.channels, strict=True):
            self.reductions.append(nn.Conv2d(inputs, output, kernel_size=1, bias=False))
            self.laterals.append(Conv2dNormActivation(skip, output, kernel_size=1, activation_layer=None))
            self.joins.append(Conv2dNormActivation(output, output))
            inputs = output
        self.last = nn.Sequential(nn.Conv2d(inputs, 4, kernel_size=3, padding=1), nn.PixelShuffle(2))

    def ascend(self, level: int, current: Tensor, skip: Tensor) -> Tensor:
        """See DepthDecoder."""
        upsampled = functional.interpolate(self.reductions[level](current), scale_factor=2, mode="nearest")
        joined: Tensor = self.joins[level](functional.relu(upsampled + self.laterals[level](skip)))
        return joined
