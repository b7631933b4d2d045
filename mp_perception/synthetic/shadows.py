"""Shadows: a map of the ground that says how high above each place the ray to the sun is blocked.

Shadows change colours only, so their outlines are approximate.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mp_perception.arrays import AnyFloats
from mp_perception.geometry import CameraIntrinsics
from mp_perception.synthetic.scene import CAMERA_HEIGHT
from mp_perception.synthetic.shapes import Kind, Model

#: Metres per cell, and cells per side of a map.
_CELL = 0.06
_SIZE = 1100

#: Only what is higher than this, metres, casts shadows on other objects.
_TALL = 2.7


@dataclass(frozen=True)
class ShadowMap:
    """Shadows of a model in the camera's frame.

    heights (_SIZE, _SIZE): height at which the ray to the sun is blocked, metres, 0 where it is free; rows run forward,
    columns to the right, the camera is at the middle of the first row.  contact (_SIZE, _SIZE): fraction of the sky
    that objects hide from the ground, 0..1.  to_sun (3,): unit vector.
    """

    heights: NDArray[np.float32]
    contact: NDArray[np.float32]
    to_sun: AnyFloats

    def on_ground(self, camera: CameraIntrinsics) -> tuple[AnyFloats, AnyFloats]:
        """Fractions (H, W) of the sun and of the sky that reach the ground at each pixel below the horizon."""
        # The ground plane projects as a homography, here from pixels to cells.
        to_rays = np.linalg.inv(np.array([[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1]]))
        to_ground = np.array([[CAMERA_HEIGHT, 0, 0], [0, 0, CAMERA_HEIGHT], [0, 1, 0]])
        to_cells = np.array([[1 / _CELL, 0, _SIZE / 2 - 0.5], [0, 1 / _CELL, -0.5], [0, 0, 1]])
        matrix, size = to_cells @ to_ground @ to_rays, (camera.width, camera.height)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        blocked, hidden = (
            np.asarray(cv2.warpPerspective(values, matrix, size, flags=flags), dtype=np.float32)
            for values in ((self.heights > 0.02).astype(np.float32), self.contact)
        )
        return 1 - blocked, 1 - hidden

    def on_objects(self, points: AnyFloats) -> NDArray[np.float32]:
        """Fraction (N,) of the sun that reaches points (N, 3) above the ground, 0 or 1."""
        height = CAMERA_HEIGHT - points[:, 1]
        # Where the ray from the sun through the point reaches the ground.
        ground = points + height[:, None] * self.to_sun / self.to_sun[1]
        column, row = (ground[:, 0] / _CELL + _SIZE / 2).astype(int), (ground[:, 2] / _CELL).astype(int)
        inside = (column >= 0) & (column < _SIZE) & (row >= 0) & (row < _SIZE)
        blocked = self.heights[np.where(inside, row, 0), np.where(inside, column, 0)]
        # The map does not distinguish an object's own top from another object, unless that is much higher.
        return np.asarray(~inside | (blocked <= np.maximum(height + 0.5, _TALL)), dtype=np.float32)


def cast_shadows(model: Model, is_actor: NDArray[np.bool_], to_sun: AnyFloats) -> ShadowMap:
    """Shadows of shapes in the camera's frame; is_actor (N,): shapes that also hide the sky from the ground below."""
    outlines = _outlines(model)
    # A large face counts as high as its middle everywhere; poles and limbs do not shade other objects.
    level = CAMERA_HEIGHT - outlines[..., 1].mean(axis=1)
    level = np.where(model.kind == Kind.CONE, np.minimum(level, _TALL), level)
    heights = _project(outlines, level, to_sun)
    below = _project(outlines[is_actor], level[is_actor], np.array([0.0, -1.0, 0.0]))
    contact = np.asarray(cv2.blur((below > 0).astype(np.float32), (7, 7)), dtype=np.float32)
    return ShadowMap(heights, 0.75 * contact, to_sun)


def _project(outlines: AnyFloats, level: AnyFloats, direction: AnyFloats) -> NDArray[np.float32]:
    """Map of the hulls of outlines (N, K, 3) at levels (N,), projected to the ground against a direction."""
    heights = np.zeros((_SIZE, _SIZE), dtype=np.float32)
    up = CAMERA_HEIGHT - outlines[..., 1]
    ground = (outlines + up[..., None] * direction / direction[1])[..., [0, 2]] / _CELL + (_SIZE / 2, 0)
    near = (ground.max(axis=1) > 0).all(axis=1) & (ground.min(axis=1) < _SIZE).all(axis=1) & (up.max(axis=1) > 0.05)
    # Fractions of a cell separate legs and wheels.
    places = np.round(ground * 16).astype(np.int32)
    level = np.maximum(level, 0.06)
    for index in np.flatnonzero(near)[np.argsort(level[near], kind="stable")]:
        cv2.fillConvexPoly(heights, cv2.convexHull(places[index]), float(level[index]), lineType=cv2.LINE_8, shift=4)
    return heights


def _outlines(model: Model) -> AnyFloats:
    """Points (N, 32, 3) whose convex hull is approximately that of the shape."""
    angle = np.linspace(0, 2 * np.pi, 8, endpoint=False)
    cosine, sine, zero = np.cos(angle), np.sin(angle), np.zeros(8)
    sphere = np.stack([np.tile(cosine, 2), np.append(sine, zero), np.append(zero, sine)], axis=1)
    centres, axes = model.hull()
    points = (centres[:, :2, None] + sphere @ np.swapaxes(axes[:, :2], 2, 3)).reshape(-1, 32, 3)
    is_polygon = model.kind == Kind.POLYGON
    points[is_polygon] = centres[is_polygon][:, np.arange(32) % centres.shape[1]]
    return np.asarray(points)
