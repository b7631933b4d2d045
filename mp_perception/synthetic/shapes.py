"""Solid shapes that the renderer can intersect exactly, and the builder that makes models of them.

Every shape is a convex planar polygon, a quadric (ellipsoid or truncated cone) or a flat ring, so that a ray meets it
at a closed-form depth.  What the shapes form (cars, people, houses) is in `vehicles`, `people` and `surroundings`.

Models live in their own frame: x forward, y down, z left, metres, the ground at y = 0; this is KITTI's object frame.
The builder takes points as (forward, left, up), which is how one thinks of an object.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.floating]

#: Slots for a polygon's corners (the last one is repeated); one stays free for the cut at the camera.
MAX_CORNERS = 12

_FORWARD_LEFT_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])


class Kind(IntEnum):
    """How a ray meets the shape."""

    POLYGON = 0
    QUADRIC = 1
    RING = 2


class Material(IntEnum):
    """How the surface is shaded; see `shading`."""

    MATTE = 0
    PAINT = 1
    GLASS = 2
    FACADE = 3
    ROOF = 4
    LEAVES = 5
    LAMP = 6
    WHEEL = 7
    SIGN = 8
    PLATE = 9
    CLOTH = 10
    GRILLE = 11
    SKIN = 12


@dataclass(frozen=True)
class Model:
    """N shapes as arrays; x forward, y down, z left (in the world: x right, y down, z forward), metres.

    kind (N,); corners (N, MAX_CORNERS, 3) of polygons, else the centre repeated; centre (N, 3); axes (N, 3, 3), whose
    columns span the shape's local coordinates: a point is centre + axes @ local.  For a polygon local is (u, v, 0) in
    metres and the third axis the normal; a ring is 1 wide in local x, y; a quadric is the set where
    x^2 + y^2 + q0 z^2 + q1 z + q2 = 0 and |z| <= 1.
    parameters (N, 3): q0, q1, q2 of a quadric; inner radius (0..1) of a ring first.
    color (N, 3): linear reflectance 0..1.  material (N,).  pattern (N, 4): what the material's shading reads.
    """

    kind: NDArray[np.int64]
    corners: Floats
    centre: Floats
    axes: Floats
    parameters: Floats
    color: Floats
    material: NDArray[np.int64]
    pattern: Floats

    def __len__(self) -> int:
        return len(self.kind)

    def moved(self, rotation: Floats, translation: Floats) -> Model:
        """The same shapes, every point p at rotation @ p + translation; rotation (3, 3), translation (3,)."""
        return Model(
            self.kind,
            self.corners @ rotation.T + translation,
            self.centre @ rotation.T + translation,
            rotation @ self.axes,
            self.parameters,
            self.color,
            self.material,
            self.pattern,
        )

    def take(self, index: NDArray[Any]) -> Model:
        """The shapes chosen by an index or mask array."""
        return Model(*(getattr(self, field.name)[index] for field in fields(self)))

    def discs(self) -> tuple[Floats, Floats]:
        """Centres (N, 2, 3) and axes (N, 2, 3, 3) of two ellipsoids or flat discs whose hull is the shape's hull.

        For an ellipsoid both are the shape itself, for a cone its two ends (third axis 0), for a ring the disc;
        meaningless for polygons.
        """
        q0, q1, q2 = self.parameters.T
        middle_radius = np.sqrt(np.maximum(-q2, 0.0))
        slope = np.where(middle_radius > 0, -q1 / (2 * np.maximum(middle_radius, 1e-12)), np.sqrt(np.maximum(-q0, 0)))
        is_cone = (self.kind == Kind.QUADRIC) & (q0 <= 0)
        flat = is_cone | (self.kind == Kind.RING)
        centres = np.repeat(self.centre[:, None], 2, axis=1)
        axes = np.repeat(self.axes[:, None], 2, axis=1).copy()
        axes[flat, :, :, 2] = 0.0
        for end, sign in enumerate((-1.0, 1.0)):
            radius = np.where(is_cone, middle_radius + sign * slope, 1.0)
            axes[:, end, :, :2] *= radius[:, None, None]
            centres[:, end] += np.where(is_cone, sign, 0.0)[:, None] * self.axes[:, :, 2]
        return centres, axes

    def bounds(self) -> tuple[Floats, Floats]:
        """Lowest and highest x, y, z (3,), (3,) of all points of all shapes, exactly."""
        polygons = self.corners[self.kind == Kind.POLYGON].reshape(-1, 3)
        curved = self.take(self.kind != Kind.POLYGON)
        centres, axes = curved.discs()
        reach = np.sqrt((axes**2).sum(axis=3))
        points = np.concatenate([polygons, (centres - reach).reshape(-1, 3), (centres + reach).reshape(-1, 3)])
        return points.min(axis=0), points.max(axis=0)


def join(models: Sequence[Model]) -> Model:
    """All shapes of all models, in order."""
    return Model(*(np.concatenate([getattr(model, field.name) for model in models]) for field in fields(Model)))


def rotation_about_vertical(angle: float) -> Floats:
    """KITTI's rotation_y: (3, 3), turns x (forward) towards -z by the angle, radians."""
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[cosine, 0.0, sine], [0.0, 1.0, 0.0], [-sine, 0.0, cosine]])


def _perpendicular(direction: Floats, hint: Floats) -> tuple[Floats, Floats]:
    """Two unit vectors that complete the unit direction to a right-handed frame, the first near the hint."""
    first = hint - direction * (hint @ direction)
    if first @ first < 1e-12:
        hint = np.array([0.0, 1.0, 0.0]) if abs(direction[1]) < 0.9 else np.array([1.0, 0.0, 0.0])
        first = hint - direction * (hint @ direction)
    first = first / np.sqrt(first @ first)
    return first, _cross(direction, first)


def _cross(first: Floats, second: Floats) -> Floats:
    """Cross product of two vectors (3,); NumPy's own takes ten times as long for so little."""
    (a, b, c), (d, e, f) = first.tolist(), second.tolist()
    return np.array([b * f - c * e, c * d - a * f, a * e - b * d])


class ModelBuilder:
    """Collects shapes given as (forward, left, up) in metres and colours as sRGB 0..1."""

    def __init__(self) -> None:
        self._rows: list[tuple[Any, ...]] = []

    def _add(
        self,
        kind: Kind,
        corners: Floats,
        centre: Floats,
        axes: Floats,
        parameters: Sequence[float],
        color: ArrayLike,
        material: Material,
        pattern: Sequence[float],
    ) -> None:
        padded_pattern = (*pattern, *(0.0,) * (4 - len(pattern)))
        self._rows.append((kind, corners, centre, axes, parameters, color, material, padded_pattern))

    def polygon(
        self,
        points: ArrayLike,
        color: ArrayLike,
        material: Material = Material.MATTE,
        pattern: Sequence[float] = (),
    ) -> None:
        """A convex planar polygon of 3 to MAX_CORNERS - 1 points (K, 3); local u runs from the first to the second.

        Raises ValueError if there are more points or they do not lie in one plane within 1 mm.
        """
        corners = np.asarray(points, dtype=np.float64)
        if len(corners) >= MAX_CORNERS:
            raise ValueError(f"a polygon has at most {MAX_CORNERS - 1} corners, found {len(corners)}")
        # Newell's method: a normal that does not depend on any three of the corners.
        turned = corners[[*range(1, len(corners)), 0]]
        x, y, z = (corners[:, [1, 2, 0]] * turned[:, [2, 0, 1]] - corners[:, [2, 0, 1]] * turned[:, [1, 2, 0]]).sum(0)
        normal = np.array([x, y, z]) / np.sqrt(x * x + y * y + z * z)
        if np.abs((corners - corners[0]) @ normal).max() > 1e-3:
            raise ValueError(f"polygon is not planar: {corners.tolist()}")
        along, across = _perpendicular(normal, corners[1] - corners[0])
        padding = np.repeat(corners[-1:], MAX_CORNERS - len(corners), axis=0)
        axes = np.stack([along, across, normal], axis=1)
        self._add(
            Kind.POLYGON, np.concatenate([corners, padding]), corners[0], axes, (0, 0, 0), color, material, pattern
        )

    def ellipsoid(
        self,
        centre: ArrayLike,
        half_axes: ArrayLike,
        color: ArrayLike,
        material: Material = Material.MATTE,
        pattern: Sequence[float] = (),
    ) -> None:
        """An ellipsoid; half_axes (3,) along forward, left, up, or (3, 3) with the half axes as columns."""
        axes = np.asarray(half_axes, dtype=np.float64)
        axes = np.diag(axes) if axes.ndim == 1 else axes
        self._curved(Kind.QUADRIC, centre, axes, (1.0, 0.0, -1.0), color, material, pattern)

    def cone(
        self,
        start: ArrayLike,
        end: ArrayLike,
        radii: tuple[float, float],
        color: ArrayLike,
        material: Material = Material.MATTE,
        pattern: Sequence[float] = (),
        across: ArrayLike = (0.0, 1.0, 0.0),
        flatness: float = 1.0,
    ) -> None:
        """The wall of a truncated cone, open at both ends.

        radii: at start and end, along the direction across; perpendicular to it they are multiplied by flatness.
        """
        first, last = np.asarray(start, dtype=np.float64), np.asarray(end, dtype=np.float64)
        half = (last - first) / 2
        along, side = _perpendicular(half / np.linalg.norm(half), np.asarray(across, dtype=np.float64))
        axes = np.stack([along, side * flatness, half], axis=1)
        middle, slope = (radii[0] + radii[1]) / 2, (radii[1] - radii[0]) / 2
        parameters = (-(slope**2), -2 * middle * slope, -(middle**2))
        self._curved(Kind.QUADRIC, (first + last) / 2, axes, parameters, color, material, pattern)

    def ring(
        self,
        centre: ArrayLike,
        normal: ArrayLike,
        radius: float,
        color: ArrayLike,
        material: Material = Material.MATTE,
        pattern: Sequence[float] = (),
        inner: float = 0.0,
    ) -> None:
        """A flat ring; inner: the hole's share of the radius, 0 makes a disc."""
        direction = np.asarray(normal, dtype=np.float64)
        direction = direction / np.linalg.norm(direction)
        along, side = _perpendicular(direction, np.array([1.0, 0.0, 0.0]))
        axes = np.stack([along * radius, side * radius, direction], axis=1)
        self._curved(Kind.RING, centre, axes, (inner, 0.0, 0.0), color, material, pattern)

    def box(
        self,
        lowest: ArrayLike,
        highest: ArrayLike,
        color: ArrayLike,
        material: Material = Material.MATTE,
        pattern: Sequence[float] = (),
    ) -> None:
        """The six faces of a box between two corners; u of the side faces runs horizontally from 0."""
        (x0, y0, z0), (x1, y1, z1) = np.asarray(lowest, float), np.asarray(highest, float)
        for a, b in (((x0, y0), (x1, y0)), ((x1, y0), (x1, y1)), ((x1, y1), (x0, y1)), ((x0, y1), (x0, y0))):
            self.polygon([(*a, z0), (*b, z0), (*b, z1), (*a, z1)], color, material, pattern)
        for z in (z0, z1):
            self.polygon([(x0, y0, z), (x1, y0, z), (x1, y1, z), (x0, y1, z)], color, Material.MATTE)

    def _curved(
        self,
        kind: Kind,
        centre: ArrayLike,
        axes: Floats,
        parameters: Sequence[float],
        color: ArrayLike,
        material: Material,
        pattern: Sequence[float],
    ) -> None:
        middle = np.asarray(centre, dtype=np.float64)
        self._add(kind, np.tile(middle, (MAX_CORNERS, 1)), middle, axes, parameters, color, material, pattern)

    def build(self) -> Model:
        """The collected shapes in the object frame (x forward, y down, z left)."""
        kind, corners, centre, axes, parameters, color, material, pattern = zip(*self._rows, strict=True)
        return Model(
            np.array(kind, dtype=np.int64),
            np.array(corners) @ _FORWARD_LEFT_UP.T,
            np.array(centre) @ _FORWARD_LEFT_UP.T,
            _FORWARD_LEFT_UP @ np.array(axes),
            np.array(parameters, dtype=np.float64),
            # Light adds up in linear values; 2.2 is close enough to sRGB's curve.
            np.clip(np.array(color, dtype=np.float64), 0, 1) ** 2.2,
            np.array(material, dtype=np.int64),
            np.array(pattern, dtype=np.float64),
        )
