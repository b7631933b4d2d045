"""From a camera image to the network's input: its size, and one resize into a reused buffer.

The image keeps its aspect ratio and is placed in the top-left corner; the rest stays black (the paper pads on the right
and at the bottom, too).  Pixels stay 8-bit: the network normalises them itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from mp_perception.geometry import clip_boxes, letterbox_size
from mp_perception.model.checkpoint_description import INPUT_SIZE_MULTIPLE, MAX_INPUT_SIDE

#: An input may have this many times the wanted number of pixels: multiples of 32 that fit a camera are not dense.
PIXEL_TOLERANCE = 1.1


@lru_cache(maxsize=256)
def fit_input_size(image_size: tuple[int, int], num_pixels: int) -> tuple[int, int]:
    """The network input (height, width) of about `num_pixels` pixels that fits an image best.

    Of all multiples of 32 up to PIXEL_TOLERANCE times `num_pixels` it has the largest product of the pixels that the
    image fills and the fraction of the input that they are: the image is large, and little of the input stays black.

    Examples:
        >>> fit_input_size((375, 1242), 640 * 192), fit_input_size((480, 640), 640 * 192)
        ((192, 640), (320, 416))
    """
    step = INPUT_SIZE_MULTIPLE
    limit = max(int(num_pixels * PIXEL_TOLERANCE), step * step)
    candidates = [
        (height, width)
        for height in range(step, min(limit // step, MAX_INPUT_SIDE) + 1, step)
        for width in range(step, min(limit // height, MAX_INPUT_SIDE) + 1, step)
    ]

    def fit(input_size: tuple[int, int]) -> float:
        height, width = letterbox_size(image_size, input_size)
        return (height * width) ** 2 / (input_size[0] * input_size[1])

    return max(candidates, key=fit)


@dataclass(frozen=True)
class Placement:
    """Where an image is placed in the network's input.

    image_size, content_size: (height, width) of the image, in its own pixels and in pixels of the network's input.
    """

    image_size: tuple[int, int]
    content_size: tuple[int, int]

    @property
    def scale_x(self) -> float:
        """Network pixels per image pixel, along x."""
        return self.content_size[1] / self.image_size[1]

    @property
    def scale_y(self) -> float:
        """Network pixels per image pixel, along y."""
        return self.content_size[0] / self.image_size[0]

    def to_image(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Boxes (N, 4) in network pixels -> image pixels, clipped to the image."""
        height, width = self.image_size
        scale = np.array([self.scale_x, self.scale_y, self.scale_x, self.scale_y], dtype=np.float32)
        return np.asarray(clip_boxes(boxes / scale, width, height), dtype=np.float32)


class Preprocessor:
    """Fits images of any size into one buffer of the network's input size.

    input_size: (height, width).
    """

    def __init__(self, input_size: tuple[int, int]) -> None:
        self.input_size = input_size
        self._buffer = np.zeros((1, *input_size, 3), dtype=np.uint8)
        self._placement: Placement | None = None

    def __call__(self, image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], Placement]:
        """RGB uint8 (H, W, 3) -> the buffer (1, h, w, 3), valid until the next call, and the placement in it."""
        size = (image.shape[0], image.shape[1])
        if self._placement is None or self._placement.image_size != size:
            self._placement = Placement(size, letterbox_size(size, self.input_size))
            self._buffer[:] = 0
        height, width = self._placement.content_size
        # Bilinear interpolation reads 2x2 pixels: below half the size it would skip some; area averaging uses all.
        shrinks_much = self._placement.scale_y < 0.5
        cv2.resize(
            image,
            (width, height),
            dst=self._buffer[0, :height, :width],
            interpolation=cv2.INTER_AREA if shrinks_much else cv2.INTER_LINEAR,
        )
        return self._buffer, self._placement
