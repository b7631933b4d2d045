"""Default boxes of the detection heads (SSD, Liu et al. 2016), and the decoding of offsets into boxes.

NumPy only, because exported models run without torch.  Boxes are x1 y1 x2 y2 in pixels of the network's input, edges
continuous.  They are ordered like the network's outputs: by level, row, column and shape.  Shapes are in pixels, so a
square default box is square at any input size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mp_perception.model.checkpoint_description import DetectionLevel

#: SSD's variances, by which the offsets of the centre and the logarithms of the size are divided.
CENTRE_VARIANCE = 0.1
SIZE_VARIANCE = 0.2
#: Maximum of the logarithm of a side's change, so that an untrained network does not overflow.
MAX_SIZE_CHANGE = math.log(1000.0 / 16)


def ssd_shapes(size: float, next_size: float) -> tuple[tuple[float, float], ...]:
    """SSD's shapes (width, height) for a level of `size` pixels whose next coarser level has `next_size`.

    A square of `size`, a square of the geometric mean of both, and one box of area size^2 per ratio width / height.

    Examples:
        >>> [f"{width:.1f} x {height:.1f}" for width, height in ssd_shapes(20, 45)]
        ['20.0 x 20.0', '30.0 x 30.0', '28.3 x 14.1', '14.1 x 28.3']
    """
    between = math.sqrt(size * next_size)
    others = ((size * math.sqrt(ratio), size / math.sqrt(ratio)) for ratio in (2.0, 0.5))
    return (size, size), (between, between), *others


def generate_default_boxes(levels: Sequence[DetectionLevel], input_size: tuple[int, int]) -> NDArray[np.float32]:
    """All default boxes (N, 4) of a network with these levels for input_size (height, width).

    Boxes that extend beyond the image are not clipped, because a clipped box would not have its level's shape.
    """
    boxes = []
    for level in levels:
        rows, columns = (-(-side // level.stride) for side in input_size)  # rounded up, as convolutions do
        centre_y, centre_x = np.meshgrid(
            (np.arange(rows) + 0.5) * level.stride, (np.arange(columns) + 0.5) * level.stride, indexing="ij"
        )
        centres = np.stack([centre_x, centre_y], axis=-1).reshape(-1, 1, 2)
        half_sizes = np.array(level.shapes).reshape(1, -1, 2) / 2
        boxes.append(np.concatenate([centres - half_sizes, centres + half_sizes], axis=-1).reshape(-1, 4))
    return np.asarray(np.concatenate(boxes), dtype=np.float32)


def decode_offsets(offsets: NDArray[np.float32], default_boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Boxes (N, 4) from offsets (N, 4) = dx, dy, dw, dh relative to default boxes (N, 4) (SSD, equation 2)."""
    default_sizes = default_boxes[:, 2:] - default_boxes[:, :2]
    default_centres = (default_boxes[:, :2] + default_boxes[:, 2:]) / 2
    centres = default_centres + offsets[:, :2] * CENTRE_VARIANCE * default_sizes
    half_sizes = np.exp(np.minimum(offsets[:, 2:] * SIZE_VARIANCE, MAX_SIZE_CHANGE)) * default_sizes / 2
    return np.asarray(np.concatenate([centres - half_sizes, centres + half_sizes], axis=1), dtype=np.float32)
