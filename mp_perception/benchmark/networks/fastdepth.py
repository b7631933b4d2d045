"""A depth network like FastDepth (Wofk et al. 2019, not pruned), which a robot may run beside a detector.

The encoder is MobileNet; the decoder consists of nearest-neighbour upsampling and depthwise convolutions with added
skip connections.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

#: (channels, stride) of MobileNet's separable convolutions (Howard et al. 2017, table 1).
_ENCODER = (
    *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)),
    *((512, 1), (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1)),
)
#: Separable convolutions whose outputs, of strides 2, 4 and 8, are added in the decoder.
_SKIPS = (0, 2, 4)
_DECODER = (512, 256, 128, 64, 32)


class FastDepthLike(nn.Module):
    """An image (B, 3, H, W), H and W multiples of 32 -> depth (B, 1, H / 2, W / 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 32, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU6(inplace=True)
        )
        self.encoder, self.decoder = nn.ModuleList(), nn.ModuleList()
        inputs = 32
        for outputs, stride in _ENCODER:
            self.encoder.append(_separable(inputs, outputs, 3, stride))
            inputs = outputs
        for outputs in _DECODER:
            self.decoder.append(_separable(inputs, outputs, 5, 1))
            inputs = outputs
        self.last = nn.Conv2d(inputs, 1, kernel_size=1)

    def forward(self, images: Tensor) -> Tensor:
        """See the class."""
        current = self.stem(images)
        skips = []
        for number, block in enumerate(self.encoder):
            current = block(current)
            if number in _SKIPS:
                skips.append(current)
        for number, block in enumerate(self.decoder):
            current = block(current)
            if number < len(_DECODER) - 1:
                current = functional.interpolate(current, scale_factor=2, mode="nearest")
            # The strides are 16, 8, 4, 2, 2.
            if 1 <= number <= len(_SKIPS):
                current = current + skips[-number]
        depth: Tensor = self.last(current)
        return depth


def _separable(inputs: int, outputs: int, kernel: int, stride: int) -> nn.Sequential:
    """A depthwise and a 1x1 convolution, each with batch normalisation and ReLU6."""
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, kernel, stride, padding=kernel // 2, groups=inputs, bias=False),
        nn.BatchNorm2d(inputs),
        nn.ReLU6(inplace=True),
        nn.Conv2d(inputs, outputs, kernel_size=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(inplace=True),
    )
