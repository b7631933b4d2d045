"""Backbones: image in, five feature maps out (strides 2 to 32).  A new backbone is one class and its registration."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torchvision
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck

from mp_perception.errors import UserError, unknown_name
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
    """Base class of all backbones."""

    @abstractmethod
    def stages(self) -> list[list[nn.Module]]:
        """For each of STRIDES the layers that compute its map from the map before, or the first from the image."""

    def forward(self, image: Tensor) -> list[Tensor]:
        """Normalised images (B, 3, H, W) -> five maps (B, channels[i], H / STRIDES[i], W / STRIDES[i])."""
        maps = []
        for stage in self.stages():
            for layer in stage:
                image = layer(image)
            maps.append(image)
        return maps

    def pretrained_state(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """The tensors with which to start, by our names, from those of a file of pretrained weights."""
        return state

    def layers(self, stride: int) -> list[nn.Module]:
        """All layers that the map of a stride (one of STRIDES) depends on, first to last."""
        return [layer for stage in self.stages()[: STRIDES.index(stride) + 1] for layer in stage]


@dataclass(frozen=True)
class Backbone:
    """A registered backbone.

    build: creates the module without pretrained weights.  channels: of the maps of STRIDES.
    normalisation: of the input that its pretrained weights expect.
    """

    name: str
    build: Callable[[], BackboneFeatures]
    channels: tuple[int, int, int, int, int]
    normalisation: Normalisation


BACKBONES: dict[str, Backbone] = {}


def register_backbone(
    name: str, channels: tuple[int, int, int, int, int], normalisation: Normalisation
) -> Callable[[type[BackboneFeatures]], type[BackboneFeatures]]:
    """Class decorator that registers a backbone."""

    def register(module: type[BackboneFeatures]) -> type[BackboneFeatures]:
        BACKBONES[name] = Backbone(name, module, channels, normalisation)
        return module

    return register


def find_backbone(name: str) -> Backbone:
    """A backbone of this package or of an extension; raises UserError that lists the known names."""
    if name not in BACKBONES:
        load_extension("backbones", name)
    if name not in BACKBONES:
        raise unknown_name("backbone", name, sorted({*BACKBONES, *extension_names("backbones")}))
    return BACKBONES[name]


@register_backbone("mobilenet_v2", channels=(16, 24, 32, 96, 320), normalisation=CENTRED_NORMALISATION)
class MobileNetV2Features(BackboneFeatures):
    """MobileNetV2 (Sandler et al. 2018) without its last 1x1 convolution: five feature maps, 1,811,712 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.features = torchvision.models.mobilenet_v2(weights=None).features[:18]

    def stages(self) -> list[list[nn.Module]]:
        """See BackboneFeatures."""
        blocks = list(self.features)
        return [blocks[:2], blocks[2:4], blocks[4:7], blocks[7:14], blocks[14:]]

    def pretrained_state(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """See BackboneFeatures."""
        return {key if key.startswith("features.") else f"features.{key}": value for key, value in state.items()}


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

    def stages(self) -> list[list[nn.Module]]:
        """See BackboneFeatures."""
        return [[self.stem], [self.maxpool, self.layer1], [self.layer2], [self.layer3], [self.layer4]]

    def pretrained_state(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """See BackboneFeatures."""
        return _with_stem(state)


@register_backbone("resnet50_to_layer3", channels=(64, 256, 512, 1024, 1024), normalisation=IMAGENET_NORMALISATION)
class ResNet50ToLayer3Features(BackboneFeatures):
    """ResNet-50 as its authors published it (Caffe), to layer3, and one more block at stride 32: 9,660,480 parameters.

    In Caffe the first 1x1 convolution of layer2 and layer3 has the stride of 2, in torchvision the 3x3 convolution, and
    the maximum pooling has no padding and rounds up.  The last block replaces the three blocks of layer4, which have
    two thirds of ResNet-50's parameters; it starts as a copy of layer3's last block.
    """

    def __init__(self) -> None:
        super().__init__()
        network = torchvision.models.resnet50(weights=None)
        self.stem = nn.Sequential(network.conv1, network.bn1, network.relu)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True)
        self.layer1, self.layer2, self.layer3 = network.layer1, network.layer2, network.layer3
        for layer in (self.layer2, self.layer3):
            layer[0].conv1.stride, layer[0].conv2.stride = (2, 2), (1, 1)
        self.halve = nn.MaxPool2d(kernel_size=2)
        self.last_block = Bottleneck(1024, 256)

    def stages(self) -> list[list[nn.Module]]:
        """See BackboneFeatures."""
        return [[self.stem], [self.maxpool, self.layer1], [self.layer2], [self.layer3], [self.halve, self.last_block]]

    def pretrained_state(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """See BackboneFeatures."""
        source = "layer3.5."
        copied = {f"last_block.{key.removeprefix(source)}": state[key] for key in state if key.startswith(source)}
        return _with_stem(state) | copied


def _with_stem(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """torchvision's tensors of a ResNet, with its first convolution and batch norm as parts of our stem."""
    return {re.sub(r"^conv1\.", "stem.0.", re.sub(r"^bn1\.", "stem.1.", key)): state[key] for key in state}


def load_backbone_weights(name: str, module: BackboneFeatures, source: str) -> Normalisation:
    """Load ImageNet weights into a backbone; returns the input normalisation that they expect.

    source: "torchvision" (downloads once; for training only) or a safetensors file with the tensor names of
    torchvision's `mobilenet_v2().features` or `resnet50()`; its metadata entry "input" tells whether pixels were
    scaled to -1..1.  Layers after the last feature map are ignored.
    Raises UserError if the file is missing, unreadable or of another network.
    """
    if source == "torchvision":
        try:
            weights = torchvision.models.get_model_weights(name).IMAGENET1K_V1
        except ValueError:
            raise UserError(f"torchvision has no weights of '{name}': expected a safetensors file") from None
        state = weights.get_state_dict(progress=True, check_hash=True)
        normalisation = IMAGENET_NORMALISATION
    else:
        state, normalisation = _read_weights_file(Path(source), find_backbone(name).normalisation)
    renamed = module.pretrained_state({key: value.float() for key, value in state.items()})
    wanted = module.state_dict()
    # Caffe does not count the batches of a norm, and nothing here uses the counts.
    weights = [key for key in wanted if not key.endswith(".num_batches_tracked")]
    missing = [key for key in weights if key not in renamed or renamed[key].shape != wanted[key].shape]
    if missing:
        raise UserError(f"{source}: not weights of {name}: expected a tensor '{missing[0]}' of the right shape")
    module.load_state_dict(wanted | {key: renamed[key] for key in weights})
    return normalisation


def _read_weights_file(path: Path, default: Normalisation) -> tuple[dict[str, Tensor], Normalisation]:
    try:
        with safe_open(path, framework="pt") as file:
            centred = "127.5 - 1" in (file.metadata() or {}).get("input", "")
        return load_file(path), CENTRED_NORMALISATION if centred else default
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path}: expected a safetensors file of backbone weights, found: {error}") from error
