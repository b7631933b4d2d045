"""Which shape each pixel shows, and at which depth: a z-buffer over exact intersections with the pixels' rays.

The ray of a pixel goes through the pixel's centre.  All results are in double precision.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mp_perception.arrays import AnyFloats
from mp_perception.geometry import CameraIntrinsics
from mp_perception.synthetic.noise import noise
from mp_perception.synthetic.shapes import Kind, Material, Model

#: A curved shape that reaches nearer than this, metres, is not drawn.
NEAR = 0.4


@dataclass(frozen=True)
class Surfaces:
    """What the pixels show.

    shape (H, W): index of the shape, -1 where there is none.  depth (H, W): metres along the optical axis, inf where
    there is no shape.  alone (G, H, W): the pixels that each group of shapes covers without the other groups.
    """

    shape: NDArray[np.integer]
    depth: AnyFloats
    alone: NDArray[np.bool_]


def silhouettes(model: Model, camera: CameraIntrinsics) -> tuple[AnyFloats, NDArray[np.bool_]]:
    """Exact boxes (N, 4) around the shapes' projections, as image points, and which shapes can be drawn (N,).

    model: in the camera's frame.  Corners of a polygon that are nearer than NEAR, or behind the camera, count as if
    they were at depth NEAR, which puts them outside the image.
    """
    is_polygon = model.kind == Kind.POLYGON
    centres, axes = model.hull()
    nearest = centres[..., 2] - np.sqrt((axes[..., 2, :] ** 2).sum(axis=-1))
    drawn = np.where(is_polygon, (nearest > NEAR).any(axis=1), (nearest > NEAR).all(axis=1))
    centres = np.where(is_polygon[:, None, None], np.maximum(centres, (-np.inf, -np.inf, NEAR)), centres)
    # Dual conic of the projected outline: the extreme image coordinates are the roots of a quadratic equation.
    dual = axes @ np.swapaxes(axes, -1, -2) - centres[..., :, None] * centres[..., None, :]
    c33, c13, c11 = dual[..., 2, 2, None], dual[..., :2, 2], np.diagonal(dual, axis1=-2, axis2=-1)[..., :2]
    reach = np.sqrt(np.maximum(c13**2 - c11 * c33, 0.0)) / c33
    ends = np.stack([c13 / c33 - reach, c13 / c33 + reach]) * (camera.fx, camera.fy)
    ends += (camera.cx + 0.5, camera.cy + 0.5)
    return np.concatenate([ends.min(axis=(0, 2)), ends.max(axis=(0, 2))], axis=1), drawn


def trace(model: Model, camera: CameraIntrinsics, group: NDArray[np.integer]) -> Surfaces:
    """Nearest surface at every pixel centre.

    model: shapes in the camera's frame.  group (N,): number of the group of each shape, from 0; -1: not in a group.
    """
    size = (camera.height, camera.width)
    boxes, drawn = silhouettes(model, camera)
    limits = (camera.width, camera.height, camera.width, camera.height)
    left, top = np.clip(np.floor(boxes), 0, limits).astype(int).T[:2]
    right, bottom = np.clip(np.ceil(boxes), 0, limits).astype(int).T[2:]
    x, y = (np.arange(camera.width) - camera.cx) / camera.fx, (np.arange(camera.height) - camera.cy) / camera.fy
    rays = _RayCaster(model)
    inverse_depth = np.zeros(size)
    shape = np.full(size, -1, dtype=np.int32)
    alone = np.zeros((int(group.max()) + 1, *size), dtype=bool)
    with np.errstate(divide="ignore", invalid="ignore"):
        for index in np.flatnonzero(drawn & (left < right) & (top < bottom)):
            window = slice(top[index], bottom[index]), slice(left[index], right[index])
            found = rays.inverse_depth(index, x[window[1]], y[window[0]])
            if group[index] >= 0:
                alone[group[index]][window] |= found > 0
            np.copyto(shape[window], index, where=found > inverse_depth[window])
            np.maximum(inverse_depth[window], found, out=inverse_depth[window])
        return Surfaces(shape, 1 / inverse_depth, alone)


class _RayCaster:
    """Intersections of the rays (x, y, 1) with the shapes of a model."""

    def __init__(self, model: Model) -> None:
        self.model = model
        # A ray meets a polygon if it lies within the pyramid of the eye and the polygon, on one side of all its faces.
        normal = model.axes[:, :, 2]
        distance = (normal * model.centre).sum(axis=1)
        faces = np.cross(model.corners, np.roll(model.corners, -1, axis=1)) * np.sign(distance)[:, None, None]
        self.faces = faces + 0.0  # -0.0 becomes 0.0, whose quotients have the sign that `_polygon` expects
        self.planes = normal / np.where(np.abs(distance) > 1e-6, distance, np.inf)[:, None]
        # A curved shape is x² + y² + q0 z² + q1 z + q2 = 0 in local coordinates; along the ray, with the inverse depth
        # s: ray·quadratic·ray + 2 s linear·ray + s² constant = 0.
        self.inverse = np.linalg.inv(model.axes)
        self.origin = -(self.inverse @ model.centre[:, :, None])[..., 0]
        is_cone = model.kind == Kind.CONE
        middle, slope = model.radii.sum(axis=1) / 2, (model.radii[:, 1] - model.radii[:, 0]) / 2
        q0, q1, q2 = np.where(is_cone, (-(slope**2), -2 * middle * slope, -(middle**2)), [[1.0], [0.0], [-1.0]])
        weighted = np.stack([self.inverse[:, 0], self.inverse[:, 1], self.inverse[:, 2] * q0[:, None]], axis=1)
        self.quadratic = np.swapaxes(self.inverse, 1, 2) @ weighted
        self.linear = (weighted * self.origin[:, :, None]).sum(axis=1) + self.inverse[:, 2] * q1[:, None] / 2
        o = self.origin
        self.constant = o[:, 0] ** 2 + o[:, 1] ** 2 + q0 * o[:, 2] ** 2 + q1 * o[:, 2] + q2

    def inverse_depth(self, index: int, x: AnyFloats, y: AnyFloats) -> AnyFloats:
        """Inverse depth (H, W) at which the rays through columns x (W,) and rows y (H,) meet a shape; 0: not at all."""
        return (self._polygon if self.model.kind[index] == Kind.POLYGON else self._curved)(index, x, y)

    def _polygon(self, index: int, x: AnyFloats, y: AnyFloats) -> AnyFloats:
        # Each face limits the row, from the left or from the right, where a x + b y + c changes its sign.
        a, b, c = self.faces[index].T
        border = -(b * y[:, None] + c) / a
        left = np.fmax.reduce(np.where(a >= 0, border, -np.inf), axis=1)[:, None]
        right = np.fmin.reduce(np.where(a < 0, border, np.inf), axis=1)[:, None]
        inside = (x >= left) & (x <= right)
        return np.where(inside, _linear(self.planes[index], x, y), 0.0)

    def _curved(self, index: int, x: AnyFloats, y: AnyFloats) -> AnyFloats:
        q = self.quadratic[index]
        squared = (q[0, 0] * x + 2 * q[0, 2]) * x + ((q[1, 1] * y + 2 * q[1, 2]) * y + q[2, 2])[:, None]
        squared += np.multiply.outer(2 * q[0, 1] * y, x)
        half_b = _linear(self.linear[index], x, y)
        root = np.sqrt(half_b**2 - squared * self.constant[index])
        roots = (-half_b - root) / self.constant[index], (-half_b + root) / self.constant[index]
        farther, nearer = roots if self.constant[index] > 0 else roots[::-1]
        height, offset = _linear(self.inverse[index, 2], x, y), self.origin[index, 2]
        result: AnyFloats = np.zeros(half_b.shape)
        for side in (farther, nearer):
            met = np.abs(height + offset * side) <= side * (1 + 1e-9)
            if self.model.material[index] in (Material.LEAVES, Material.SPOKES):
                met &= self._solid(index, x, y, side)
            result = np.where(met, side, result)
        return result

    def _solid(self, index: int, x: AnyFloats, y: AnyFloats, inverse_depth: AnyFloats) -> NDArray[np.bool_]:
        """Where a ray that meets the shape at an inverse depth (H, W) does not pass through a gap."""
        row, column = np.nonzero(inverse_depth > 0)
        direction = np.stack([x[column], y[row], np.ones(len(row))], axis=1) @ self.inverse[index].T
        local = direction / inverse_depth[row, column, None] + self.origin[index]
        if self.model.material[index] == Material.SPOKES:
            radius, angle = np.hypot(local[:, 0], local[:, 1]), np.arctan2(local[:, 1], local[:, 0])
            gap = (radius < 0.92) & (np.abs(np.sin(6 * angle)) * radius > 0.06)
        else:
            # More gaps towards the outline of the crown.
            facing = np.abs((local * direction).sum(axis=1)) / np.sqrt((direction**2).sum(axis=1))
            seed, scale, _ = self.model.pattern[index]
            u = (local[:, 0] * 45 + local[:, 2] * 23) * scale + seed
            v = (local[:, 1] * 45 - local[:, 2] * 29) * scale + seed
            gap = noise(1, u, v) > 0.25 + 0.75 * facing
        solid = np.zeros(inverse_depth.shape, dtype=bool)
        solid[row, column] = ~gap
        return solid


def _linear(coefficients: AnyFloats, x: AnyFloats, y: AnyFloats) -> AnyFloats:
    """a x + b y + c (H, W) for columns x (W,) and rows y (H,)."""
    a, b, c = coefficients
    result: AnyFloats = a * x + (b * y + c)[:, None]
    return result
