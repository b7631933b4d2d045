"""Shadows: how high above each place of the ground the sun's ray is stopped.

A map of the ground seen along the sun's direction.  It only darkens colours, so outlines may be approximate.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mp_perception.synthetic.shapes import Floats, Kind, Material, Model

#: Metres per cell near the camera.
_CELL = 0.06
_SIZE = 1100

#: What reaches higher than this can shade cars and people, metres.
_TALL = 2.7


@dataclass(frozen=True)
class ShadowMap:
    """heights (_SIZE, _SIZE): height in metres at which the ray to the sun is stopped, 0 where it is free.

    Rows go forward, columns to the right, in the camera's frame; the camera stands in the middle of the first row.
    """

    heights: NDArray[np.float32]
    to_sun: Floats
    camera_height: float

    def lit(self, points: Floats, on_ground: bool) -> NDArray[np.float32]:
        """How much sun reaches points (N, 3) of the camera's frame: 0..1.

        on_ground: anything shades the ground; above it only what is tall does, since the map cannot tell a thing's own
        upper side from another thing.
        """
        height = self.camera_height - points[:, 1]
        shift = height / -self.to_sun[1]
        column = (points[:, 0] - shift * self.to_sun[0]) / _CELL + (_SIZE / 2 - 0.5)
        row = (points[:, 2] - shift * self.to_sun[2]) / _CELL - 0.5
        free_below = np.full_like(height, 0.02) if on_ground else np.maximum(height + 0.5, _TALL)
        light = np.ones(len(points), dtype=np.float32)
        inside = np.flatnonzero((column >= 0) & (column < _SIZE - 1) & (row >= 0) & (row < _SIZE - 1))
        column, row, free_below = column[inside], row[inside], free_below[inside]
        first, above = column.astype(np.int32), row.astype(np.int32)
        right, down = column - first, row - above
        cell = above * _SIZE + first
        heights = self.heights.ravel()
        # The four cells around vote by their nearness, so that outlines are not stairs.
        upper = (heights[cell] <= free_below) * (1 - right) + (heights[cell + 1] <= free_below) * right
        lower = (heights[cell + _SIZE] <= free_below) * (1 - right) + (heights[cell + _SIZE + 1] <= free_below) * right
        light[inside] = upper * (1 - down) + lower * down
        return light


def cast_shadows(model: Model, to_sun: Floats, camera_height: float) -> ShadowMap:
    """Shadows of shapes in the camera's frame on the roadway's plane; to_sun (3,): unit vector, upwards (y < 0)."""
    heights = np.zeros((_SIZE, _SIZE), dtype=np.float32)
    outlines = _outlines(model)
    up = camera_height - outlines[..., 1]
    shift = up / -to_sun[1]
    column = (outlines[..., 0] - shift * to_sun[0]) / _CELL + _SIZE / 2
    row = (outlines[..., 2] - shift * to_sun[2]) / _CELL
    near = (column.max(1) > 0) & (column.min(1) < _SIZE) & (row.max(1) > 0) & (row.min(1) < _SIZE)
    near &= up.max(axis=1) > 0.05
    # Sub-cell precision keeps legs and wheels apart.
    places = np.round(np.stack([column, row], axis=-1) * 16).astype(np.int32)
    level = np.maximum(up.mean(axis=1), 0.06)
    # A large face is as high as its middle everywhere: good enough to tell houses from bonnets.
    for shape in np.flatnonzero(near)[np.argsort(level[near], kind="stable")]:
        cv2.fillConvexPoly(heights, cv2.convexHull(places[shape]), float(level[shape]), lineType=cv2.LINE_8, shift=4)
    return ShadowMap(heights, to_sun, camera_height)


@dataclass(frozen=True)
class ContactShade:
    """How much of the sky's light things take from the ground below and beside them.

    darkness (_SIZE, _SIZE): 0 open sky to 1; rows and columns as in `ShadowMap`.
    """

    darkness: NDArray[np.float32]

    def at(self, points: Floats) -> NDArray[np.float32]:
        """Darkness (N,) at ground points (N, 3) of the camera's frame."""
        column = (points[:, 0] / _CELL + _SIZE / 2).astype(np.int32)
        row = (points[:, 2] / _CELL).astype(np.int32)
        inside = (column >= 0) & (column < _SIZE) & (row >= 0) & (row < _SIZE)
        return np.where(inside, self.darkness[np.where(inside, row, 0), np.where(inside, column, 0)], 0)


def shade_ground(model: Model, camera_height: float) -> ContactShade:
    """The shade right under shapes in the camera's frame, soft over some 40 cm: it ties them to the ground."""
    below = cast_shadows(model, np.array([0.0, -1.0, 0.0]), camera_height).heights
    return ContactShade(np.asarray(cv2.blur((below > 0).astype(np.float32), (7, 7)), dtype=np.float32))


def _outlines(model: Model) -> Floats:
    """Points (N, 24, 3) whose hull is about the shape's."""
    points = np.repeat(model.centre[:, None], 24, axis=1)
    flat = model.kind == Kind.POLYGON
    corners = model.corners[flat]
    points[flat, : corners.shape[1]] = corners
    points[flat, corners.shape[1] :] = corners[:, -1:]
    centres, axes = model.take(~flat).discs()
    # A leafy crown lets light through at its rim.
    scale = np.where(model.material[~flat] == Material.LEAVES, 0.85, 1.0)[:, None, None]
    circle = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    rings = np.stack([np.cos(circle), np.sin(circle), np.zeros(12)], axis=1)
    solid = (np.abs(axes[:, 0, :, 2]).sum(axis=1) > 0)[:, None, None]
    flat_ring = np.einsum("nij,kj->nki", axes[:, 0], rings)
    upright_ring = np.einsum("nij,kj->nki", axes[:, 0], rings[:, [0, 2, 1]])
    other_ring = np.einsum("nij,kj->nki", axes[:, 1], rings)
    first = centres[:, 0, None] + scale * flat_ring
    second = centres[:, 1, None] + scale * np.where(solid, upright_ring, other_ring)
    points[~flat] = np.concatenate([first, second], axis=1)
    return points
