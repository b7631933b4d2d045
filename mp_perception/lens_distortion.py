"""Lens distortion by the models of sensor_msgs/CameraInfo, which are OpenCV's: rays to image points and back.

Both are given at distance one: a ray as x / z and y / z, an image point as (u - cx) / fx and (v - cy) / fy.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np

from mp_perception.arrays import AnyFloats

#: Model -> the numbers of coefficients that it may have, in OpenCV's order (k1 k2 p1 p2 k3 ...; equidistant: k1..k4).
COEFFICIENTS: Mapping[str, tuple[int, ...]] = {
    "plumb_bob": (4, 5),
    "rational_polynomial": (8, 12, 14),
    "equidistant": (4,),
}
_MAX_COEFFICIENT = 1e4
#: A ray farther from the optical axis than this has no useful x / z.
_MAX_ANGLE = math.radians(89)
#: A ray is accepted if its image point is so near to the wanted one; a tenth of a pixel at a focal length of 1000.
_TOLERANCE = 1e-4
_CRITERIA = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 100, 1e-7)
_PINHOLE = np.eye(3)


@dataclass(frozen=True)
class LensDistortion:
    """A distortion model with its coefficients.

    Attributes:
        model: a name in COEFFICIENTS.
        coefficients: as many as the model has; further zeros are dropped.

    Raises:
        ValueError: an unknown model, another number of coefficients, or one that is not finite or above 10,000.

    Examples:
        >>> barrel = LensDistortion("plumb_bob", (-0.3, 0.1, 0.0, 0.0, 0.0))
        >>> barrel.distort(np.array([[0.5, 0.0]]))
        array([[0.465625, 0.      ]])
        >>> barrel.undistort(np.array([[0.465625, 0.0]])).round(6)
        array([[0.5, 0. ]])
    """

    model: str
    coefficients: tuple[float, ...]

    def __post_init__(self) -> None:
        if self.model not in COEFFICIENTS:
            known = ", ".join(COEFFICIENTS)
            raise ValueError(f"distortion_model: expected one of {known}, found {self.model[:40]!r}")
        lengths, given = COEFFICIENTS[self.model], self.coefficients
        if not all(abs(value) <= _MAX_COEFFICIENT for value in given):
            raise ValueError(f"D: expected finite numbers up to {_MAX_COEFFICIENT:g}, found {list(given)[:14]}")
        if len(given) > lengths[-1] and not any(given[lengths[-1] :]):
            given = given[: lengths[-1]]
            object.__setattr__(self, "coefficients", given)
        if len(given) not in lengths:
            expected = " or ".join(map(str, lengths))
            raise ValueError(f"D: expected {expected} coefficients of {self.model}, found {len(given)}")

    def distort(self, rays: AnyFloats) -> AnyFloats:
        """Image points (N, 2) of rays (N, 2).

        Far from the axis a polynomial turns back, and would show what the lens does not see inside the image; rays
        there continue outwards along a straight line.
        """
        if len(rays) == 0:
            return rays
        radius = np.maximum(np.hypot(rays[:, 0], rays[:, 1]), 1e-12)
        outside = np.maximum(radius / _field_of_view(self), 1)[:, None]
        return np.asarray(self._apply(rays / outside) * outside)

    def undistort(self, points: AnyFloats) -> AnyFloats:
        """Rays (N, 2) of image points (N, 2); NaN for a point that no ray reaches."""
        if len(points) == 0:
            return points
        source, coefficients = points.reshape(-1, 1, 2).astype(np.float64), np.array(self.coefficients)
        if self.model == "equidistant":
            rays = cv2.fisheye.undistortPoints(source, _PINHOLE, coefficients, criteria=_CRITERIA)
        else:
            rays = cv2.undistortPointsIter(source, _PINHOLE, coefficients, _PINHOLE, _PINHOLE, _CRITERIA)
        found = np.asarray(rays, dtype=np.float64).reshape(-1, 2)
        # The iteration may not converge, or may find a ray that the lens does not see.
        good = np.hypot(found[:, 0], found[:, 1]) <= _field_of_view(self)
        good[good] = np.abs(self._apply(found[good]) - points[good]).max(axis=1) < _TOLERANCE
        found[~good] = np.nan
        return found

    def _apply(self, rays: AnyFloats) -> AnyFloats:
        """The model's own formula."""
        if len(rays) == 0:
            return rays
        coefficients, zero = np.array(self.coefficients), np.zeros(3)
        if self.model == "equidistant":
            source = np.ascontiguousarray(rays, dtype=np.float64).reshape(-1, 1, 2)
            points = cv2.fisheye.distortPoints(source, _PINHOLE, coefficients)
        else:
            at_one = np.column_stack([rays, np.ones(len(rays))])
            points, _ = cv2.projectPoints(at_one, zero, zero, _PINHOLE, coefficients)
        return np.asarray(points, dtype=np.float64).reshape(-1, 2)


@lru_cache(maxsize=16)
def _field_of_view(lens: LensDistortion) -> float:
    """The radius x / z up to which image points move outwards with the rays, for the radial part of the model."""
    radial = lens
    if lens.model != "equidistant":
        k1, k2, _, _, *others = lens.coefficients
        # Numbers 9 to 14 are the thin prism and the tilt.
        others = [value if position < 4 else 0.0 for position, value in enumerate(others)]
        radial = replace(lens, coefficients=(k1, k2, 0.0, 0.0, *others))
    radii = np.tan(np.linspace(0, _MAX_ANGLE, 2000))
    image_radii = radial._apply(np.column_stack([radii, np.zeros_like(radii)]))[:, 0]
    turns = np.flatnonzero(~(np.diff(image_radii) > 0))
    return float(radii[turns[0] if len(turns) else -1])
