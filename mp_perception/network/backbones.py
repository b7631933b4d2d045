"""Backbones: image in, five feature maps out (strides 2 to 32).  A new one is one class and its registration."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torchvision
from safetensors.torch import load_file
from torch import Tensor, nn

from mp_perception.errors import UserError
from mp_perception.extensions import extension_names, load_extension

STRIDES = (2, 4, 8, 16, 32)


@dataclass(frozen=True)
class Normalisation:
    """RGB mean and standard deviation in units of 8-bit pixels (0..255): the network sees (pixel - mean) / std."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


#: torchvision's ImageNet weights.
IMAGENET_NORMALISATION = Normalisation((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
#: Keras's MobileNetV2 weights: pixels to -1..1.
CENTRED_NORMALISATION = Normalisation((127.5, 127.5, 127.5), (127.5, 127.5, 127.5))


class BackboneFeatures(nn.Module, ABC):
    """What all backbones have in common."""

    @abstractmethod
    def forward(self, image: Tensor) -> list[Tensor]:
        """A normalised image (B, 3, H, W) -> five maps, finest first; map i is (B, channels[i], H / s, W / s), s of
        STRIDES."""

    @abstractmethod
    def layers(self, stride: int) -> list[nn.Module]:
        """The layers that the map of a stride (one of STRIDES) needs, first to last."""


@dataclass(frozen=True)
class Backbone:
    """A registered backbone: how to build it, and what its maps are.

    build: makes the module without pretrained weights.  channels: of the maps of STRIDES.
    normalisation: of the input its usual weights were trained with.
    """

    name: str
    build: Callable[[], BackboneFeatures]
    channels: tuple[int, int, int, int, int]
    normalisation: Normalisation


BACKBONES: dict[str, Backbone] = {}


def register_backbone(
    name: str, channels: tuple[int, int, int, int, int], normalisation: Normalisation
) -> Callable[[type[BackboneFeatures]], type[BackboneFeatures]]:
    """Class decorator: makes a backbone known by name."""

    def register(module: type[BackboneFeatures]) -> type[BackboneFeatures]:
        BACKBONES[name] = Backbone(name, module, channels, normalisation)
        return module

    return register


def find_backbone(name: str) -> Backbone:
    """The registered backbone, ours or an extension's; raises UserError that lists the known names."""
    if name not in BACKBONES:
        load_extension("backbones", name)
    if name not in BACKBONES:
        known = sorted({*BACKBONES, *extension_names("backbones")})
        raise UserError(f"unknown backbone '{name}': expected one of {', '.join(known)}")
    return BACKBONES[name]


#: MobileNetV2's last block of each of STRIDES.
_LAST_BLOCKS = (1, 3, 6, 13, 17)


@register_backbone("mobilenet_v2", channels=(16, 24, 32, 96, 320), normalisation=CENTRED_NORMALISATION)
class MobileNetV2Features(BackboneFeatures):
    """MobileNetV2 (Sandler et al. 2018) without its last 1x1 convolution: five feature maps, 1,811,712 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.features = torchvision.models.mobilenet_v2(weights=None).features[:18]

    def forward(self, image: Tensor) -> list[Tensor]:
        """(B, 3, H, W) -> maps after the last block of each stride."""
        maps = []
        for number, block in enumerate(self.features):
            image = block(image)
            if number in _LAST_BLOCKS:
                maps.append(image)
        return maps

    def layers(self, stride: int) -> list[nn.Module]:
        """See BackboneFeatures."""
        return list(self.features[: _LAST_BLOCKS[STRIDES.index(stride)] + 1])


@register_backbone("resnet50", channels=(64, 256, 512, 1024, 2048), normalisation=IMAGENET_NORMALISATION)
class ResNet50Features(BackboneFeatures):
    """ResNet-50 (He et al. 2016) without its classifier: five feature maps, 23,508,032 parameters."""

    def __init__(self) -> None:
        super().__init__()
        network = torchvision.models.resnet50(weights=None)
        self.stem = nn.Sequential(network.conv1, network.bn1, network.relu)
        self.maxpool = network.maxpool
        self.layer1, self.layer2 = network.layer1, network.layer2
        self.layer3, self.layer4 = network.layer3, network.layer4

    def forward(self, image: Tensor) -> list[Tensor]:
        """(B, 3, H, W) -> maps after the stem and the four residual stages."""
        stride2 = self.stem(image)
        stride4 = self.layer1(self.maxpool(stride2))
        stride8 = self.layer2(stride4)
        stride16 = self.layer3(stride8)
        return [stride2, stride4, stride8, stride16, self.layer4(stride16)]

    def layers(self, stride: int) -> list[nn.Module]:
        """See BackboneFeatures."""
        return [self.stem, self.layer1, self.layer2, self.layer3, self.layer4][: STRIDES.index(stride) + 1]


def load_backbone_weights(name: str, module: nn.Module, source: str) -> Normalisation:
    """Load ImageNet weights into a backbone and return the input normalisation that belongs to them.

    source: "torchvision" (downloads once; for training, never at run time) or a safetensors file whose names are
    those of torchvision's `mobilenet_v2().features` or `resnet50()`; its metadata entry "input" tells whether pixels
    went in as -1..1.  Layers after the last feature map are left out.
    Raises UserError if the file is missing, unreadable or of another network.
    """
    if source == "torchvision":
        weights = torchvision.models.get_model_weights(name).IMAGENET1K_V1
        state = weights.get_state_dict(progress=True, check_hash=True)
        normalisation = IMAGENET_NORMALISATION
    else:
        state, normalisation = _read_weights_file(Path(source), find_backbone(name).normalisation)
    renamed = {_our_name(name, key): value.float() for key, value in state.items()}
    wanted = module.state_dict()
    missing = [key for key in wanted if key not in renamed or renamed[key].shape != wanted[key].shape]
    if missing:
        raise UserError(f"{source}: not weights of {name}: expected a tensor '{missing[0]}' of the right shape")
    module.load_state_dict({key: renamed[key] for key in wanted})
    return normalisation


def _read_weights_file(path: Path, default: Normalisation) -> tuple[dict[str, Tensor], Normalisation]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            centred = "127.5 - 1" in (file.metadata() or {}).get("input", "")
        return load_file(path), CENTRED_NORMALISATION if centred else default
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path}: expected a safetensors file of backbone weights, found: {error}") from error


def _our_name(backbone: str, key: str) -> str:
    """Name of a torchvision tensor in our module."""
    if backbone == "mobilenet_v2":
        return key if key.startswith("features.") else f"features.{key}"
    for old, new in (("conv1.", "stem.0."), ("bn1.", "stem.1.")):
        if backbone == "resnet50" and key.startswith(old):
            return new + key.removeprefix(old)
    return key
