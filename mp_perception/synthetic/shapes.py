"""Shapes whose intersection with a ray has a closed form, and the builder that makes models of them.

A shape is a convex planar polygon, an ellipsoid or the wall of a truncated cone.  Vehicles, people and houses are
models: arrays of shapes.

Models have a frame of their own: x forward, y down, z left, metres, the ground at y = 0; this is KITTI's object frame.
The builder takes points as (forward, left, up).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mp_perception.arrays import AnyFloats

Color = tuple[float, float, float]

#: Slots for a polygon's corners; the last corner fills the rest.
MAX_CORNERS = 10

_FORWARD_LEFT_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])


class Kind(IntEnum):
    """Geometry of a shape."""

    POLYGON = 0
    ELLIPSOID = 1
    CONE = 2


class Material(IntEnum):
    """How a surface is shaded, see `materials`; rays pass through the gaps of LEAVES and SPOKES, see `raster`."""

    MATTE = 0
    PAINT = 1
    FACADE = 2
    LEAVES = 3
    CLOTH = 4
    SPOKES = 5


@dataclass(frozen=True)
class Surface:
    """Colour (sRGB, 0..1) and material; pattern: parameters of the material's shading."""

    color: Color
    material: Material = Material.MATTE
    pattern: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Model:
    """N shapes as arrays; x forward, y down, z left (in the world: x right, y down, z forward), metres.

    kind, material: (N,).  corners (N, MAX_CORNERS, 3): of a polygon; the centre of an ellipsoid, repeated; the ends of
    a cone, the last one repeated.  centre (N, 3).
    axes (N, 3, 3): its columns span the local coordinates, a point is centre + axes @ local.  A polygon is local
    (u, v, 0) in metres, an ellipsoid |local| <= 1, a cone has its axis along local z in -1..1.
    radii (N, 2): of a cone at local z = -1 and 1, otherwise 1.  color (N, 3): linear reflectance 0..1.  pattern (N, 3).
    """

    kind: NDArray[np.int64]
    corners: AnyFloats
    centre: AnyFloats
    axes: AnyFloats
    radii: AnyFloats
    color: AnyFloats
    material: NDArray[np.int64]
    pattern: AnyFloats

    def __len__(self) -> int:
        return len(self.kind)

    def moved(self, rotation: AnyFloats, translation: AnyFloats) -> Model:
        """The same shapes with every point p at rotation @ p + translation; rotation (3, 3) may also scale."""
        return replace(
            self,
            corners=self.corners @ rotation.T + translation,
            centre=self.centre @ rotation.T + translation,
            axes=rotation @ self.axes,
        )

    def scaled(self, factor: float) -> Model:
        """The same shapes, larger by a factor about the origin."""
        return self.moved(np.eye(3) * factor, np.zeros(3))

    def hull(self) -> tuple[AnyFloats, AnyFloats]:
        """Centres (N, MAX_CORNERS, 3) and axes (N, MAX_CORNERS, 3, 3) of ellipsoids with the same convex hull.

        These are points (axes 0) at the corners of a polygon, the ellipsoid itself, or discs at the ends of a cone.
        """
        is_curved, is_cone = self.kind != Kind.POLYGON, self.kind == Kind.CONE
        radii = np.where(is_curved[:, None], self.radii, 0.0)[:, [0] + [1] * (MAX_CORNERS - 1)]
        scale = np.stack([radii, radii, np.where(is_cone[:, None], 0.0, radii)], axis=2)
        return self.corners, self.axes[:, None] * scale[:, :, None, :]

    def bounds(self) -> tuple[AnyFloats, AnyFloats]:
        """Minimum and maximum x, y, z, each (3,), over all points of all shapes."""
        centres, axes = self.hull()
        reach = np.sqrt((axes**2).sum(axis=3))
        return (centres - reach).min(axis=(0, 1)), (centres + reach).max(axis=(0, 1))


def join(models: Sequence[Model]) -> Model:
    """All shapes of all models, in order."""
    return Model(*(np.concatenate([getattr(model, field.name) for model in models]) for field in fields(Model)))


def random_color(generator: np.random.Generator, palette: Sequence[Color]) -> Color:
    """A slightly changed colour of the palette."""
    base = np.array(palette)[generator.integers(len(palette))]
    varied = base * generator.uniform(0.8, 1.15) + generator.normal(0, 0.02, 3)
    red, green, blue = np.clip(varied, 0.03, 0.97).tolist()
    return red, green, blue


def _perpendicular(direction: AnyFloats, hint: AnyFloats) -> tuple[AnyFloats, AnyFloats]:
    """Two unit vectors that complete the unit direction to a right-handed frame, the first near the hint."""
    first = hint - direction * (hint @ direction)
    if first @ first < 1e-12:
        return _perpendicular(direction, np.roll(hint, 1))
    first = first / np.sqrt(first @ first)
    # np.cross takes ten times as long for two vectors.
    (a, b, c), (d, e, f) = direction.tolist(), first.tolist()
    return first, np.array([b * f - c * e, c * d - a * f, a * e - b * d])


class ModelBuilder:
    """Collects shapes given as (forward, left, up), metres."""

    def __init__(self) -> None:
        self._rows: list[tuple[Any, ...]] = []

    def polygon(self, points: ArrayLike, surface: Surface) -> None:
        """A convex planar polygon of 3 to MAX_CORNERS points (K, 3); local u runs from the first to the second.

        Raises:
            ValueError: the points do not lie in one plane within 1 mm.
        """
        corners = np.asarray(points, dtype=np.float64)
        # Newell's method: the normal depends on all corners.
        turned = corners[[*range(1, len(corners)), 0]]
        normal = (corners[:, [1, 2, 0]] * turned[:, [2, 0, 1]] - corners[:, [2, 0, 1]] * turned[:, [1, 2, 0]]).sum(0)
        normal /= np.sqrt(normal @ normal)
        if np.abs((corners - corners[0]) @ normal).max() > 1e-3:
            raise ValueError(f"polygon is not planar: {corners.tolist()}")
        axes = np.stack([*_perpendicular(normal, corners[1] - corners[0]), normal], axis=1)
        self._add(Kind.POLYGON, corners, corners[0], axes, surface)

    def ellipsoid(self, centre: ArrayLike, half_axes: ArrayLike, surface: Surface) -> None:
        """An ellipsoid; half_axes (3,) along forward, left, up, or (3, 3) with the half axes as columns."""
        middle, axes = np.asarray(centre, dtype=np.float64), np.asarray(half_axes, dtype=np.float64)
        self._add(Kind.ELLIPSOID, middle[None], middle, np.diag(axes) if axes.ndim == 1 else axes, surface)

    def disc(self, centre: ArrayLike, normal: ArrayLike, radius: float, surface: Surface) -> None:
        """An ellipsoid of 2 mm thickness."""
        direction = np.asarray(normal, dtype=np.float64)
        along, side = _perpendicular(direction, np.array([1.0, 0.0, 0.0]))
        self.ellipsoid(centre, np.stack([along * radius, side * radius, direction * 0.001], axis=1), surface)

    def cone(self, start: ArrayLike, end: ArrayLike, radii: tuple[float, float], surface: Surface) -> None:
        """The wall of a truncated cone, open at both ends; radii: at start and end."""
        ends = np.array([start, end], dtype=np.float64)
        half = (ends[1] - ends[0]) / 2
        left, third = _perpendicular(half / np.sqrt(half @ half), np.array([0.0, 1.0, 0.0]))
        self._add(Kind.CONE, ends, ends.mean(axis=0), np.stack([left, third, half], axis=1), surface, radii)

    def box(self, lowest: ArrayLike, highest: ArrayLike, surface: Surface) -> None:
        """The six faces of a box between two corners; u of the side faces runs horizontally from 0."""
        (x0, y0, z0), (x1, y1, z1) = np.asarray(lowest, float), np.asarray(highest, float)
        for a, b in (((x0, y0), (x1, y0)), ((x1, y0), (x1, y1)), ((x1, y1), (x0, y1)), ((x0, y1), (x0, y0))):
            self.polygon([(*a, z0), (*b, z0), (*b, z1), (*a, z1)], surface)
        for z in (z0, z1):
            self.polygon([(x0, y0, z), (x1, y0, z), (x1, y1, z), (x0, y1, z)], Surface(surface.color))

    def _add(
        self,
        kind: Kind,
        corners: AnyFloats,
        centre: AnyFloats,
        axes: AnyFloats,
        surface: Surface,
        radii: tuple[float, float] = (1.0, 1.0),
    ) -> None:
        slots = np.minimum(np.arange(MAX_CORNERS), len(corners) - 1)
        self._rows.append((kind, corners[slots], centre, axes, radii, surface))

    def build(self) -> Model:
        """The collected shapes in the object frame (x forward, y down, z left)."""
        kind, corners, centre, axes, radii, surfaces = zip(*self._rows, strict=True)
        return Model(
            np.array(kind, dtype=np.int64),
            np.array(corners) @ _FORWARD_LEFT_UP.T,
            np.array(centre) @ _FORWARD_LEFT_UP.T,
            _FORWARD_LEFT_UP @ np.array(axes),
            np.array(radii),
            # Light adds up in linear values; an exponent of 2.2 approximates sRGB's curve.
            np.clip(np.array([surface.color for surface in surfaces]), 0, 1) ** 2.2,
            np.array([surface.material for surface in surfaces], dtype=np.int64),
            np.array([surface.pattern for surface in surfaces]),
        )
