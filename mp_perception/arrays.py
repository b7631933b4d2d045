"""Names for the array types that most modules compute with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]
#: Of a transform or a projection.
Matrix = NDArray[np.float64]
#: Single or double precision.
AnyFloats = NDArray[np.floating]
#: RGB (H, W, 3).
RgbImage = NDArray[np.uint8]
#: (H, W) metres along the optical axis; NaN where unknown.
DepthMap = NDArray[np.float32]
