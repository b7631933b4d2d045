"""SSD heads: class logits and box offsets from one feature map, and the extra coarser maps that SSD adds."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation

from mp_perception.errors import unknown_name

#: Initial probability that a default box is an object; with a uniform start the many background boxes would dominate
#: the first steps (focal loss, Lin et al. 2017, section 4.1).
PRIOR_OBJECT_PROBABILITY = 0.01


class DetectionHead(nn.Module):
    """The predictions of one level: one branch for classes, one for box offsets.

    make_branch(inputs, outputs): layers from a map of `inputs` channels to `outputs` values per cell.
    num_logits: classes plus background (logit 0).  num_shapes: default boxes per cell.
    """

    def __init__(
        self, make_branch: Callable[[int, int], nn.Sequential], inputs: int, num_shapes: int, num_logits: int
    ) -> None:
        super().__init__()
        self.num_logits = num_logits
        self.classification = make_branch(inputs, num_shapes * num_logits)
        self.regression = make_branch(inputs, num_shapes * 4)
        last = self.classification[-1]
        assert isinstance(last, nn.Conv2d)
        assert last.bias is not None
        nn.init.normal_(last.weight, std=0.01)
        nn.init.zeros_(last.bias)
        background = math.log((1 - PRIOR_OBJECT_PROBABILITY) / PRIOR_OBJECT_PROBABILITY * (num_logits - 1))
        last.bias.data.view(num_shapes, num_logits)[:, 0] = background

    def forward(self, feature_map: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, h, w) -> logits (B, h * w * shapes, num_logits), offsets (B, h * w * shapes, 4)."""
        logits, offsets = self.classification(feature_map), self.regression(feature_map)
        return _boxes_last(logits, self.num_logits), _boxes_last(offsets, 4)


def _boxes_last(values: Tensor, per_box: int) -> Tensor:
    """(B, shapes * per_box, h, w) -> (B, h * w * shapes, per_box), in the order of `default_boxes`."""
    return values.permute(0, 2, 3, 1).reshape(values.shape[0], -1, per_box)


def _plain(inputs: int, outputs: int) -> nn.Sequential:
    """SSD's predictor: one 3x3 convolution."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel_size=3, padding=1))


def _depthwise(inputs: int, outputs: int) -> nn.Sequential:
    """SSDLite's predictor (Sandler et al. 2018): 3x3 depthwise, batch norm, ReLU6, 1x1."""
    depthwise = Conv2dNormActivation(inputs, inputs, groups=inputs, activation_layer=nn.ReLU6)
    return nn.Sequential(*depthwise, nn.Conv2d(inputs, outputs, kernel_size=1))


#: Kinds of heads by name.
DETECTION_HEADS: dict[str, Callable[[int, int], nn.Sequential]] = {"plain": _plain, "depthwise": _depthwise}


def build_detection_head(name: str, inputs: int, num_shapes: int, num_logits: int) -> DetectionHead:
    """A new head of a registered kind; raises UserError that lists the known names."""
    if name not in DETECTION_HEADS:
        raise unknown_name("head", name, sorted(DETECTION_HEADS))
    return DetectionHead(DETECTION_HEADS[name], inputs, num_shapes, num_logits)


class ExtraMap(nn.Sequential):
    """SSD's extra level: 1x1 to `outputs` / 2 channels, then 3x3 of stride 2; halves the map's size, rounding up."""

    def __init__(self, inputs: int, outputs: int) -> None:
        reduction = Conv2dNormActivation(inputs, outputs // 2, kernel_size=1)
        super().__init__(*reduction, *Conv2dNormActivation(outputs // 2, outputs, stride=2))
