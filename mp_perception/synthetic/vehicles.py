"""Cars and vans: random sizes, shapes and paints."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from mp_perception.arrays import AnyFloats
from mp_perception.synthetic.shapes import Color, Material, Model, ModelBuilder, Surface, random_color

_BLACK = Surface((0.07, 0.07, 0.08))
_GLASS = Surface((0.13, 0.15, 0.17), Material.PAINT)
_HEADLAMP = Surface((0.88, 0.90, 0.92), Material.PAINT)
_TAIL_LAMP = Surface((0.74, 0.05, 0.06), Material.PAINT)
_RIM = Surface((0.55, 0.56, 0.58))

_PAINTS: tuple[Color, ...] = (
    (0.06, 0.06, 0.07),
    (0.62, 0.64, 0.66),
    (0.34, 0.35, 0.37),
    (0.90, 0.90, 0.89),
    (0.10, 0.14, 0.28),
    (0.55, 0.07, 0.08),
)


class _Body(NamedTuple):
    """Shape of a vehicle.

    cabin: foot of the windscreen, front and rear edge of the roof, foot of the rear window, as fractions of the length
    from the front.  belt, nose: heights of the windows' lower edge and of the bonnet's front edge, as fractions of the
    height.  roof: its width as a fraction of the width.  length, height, width: ranges, metres.
    """

    cabin: tuple[float, float, float, float]
    belt: float
    nose: float
    roof: float
    length: tuple[float, float]
    height: tuple[float, float]
    width: tuple[float, float]


_VAN = _Body((0.13, 0.27, 0.96, 0.99), 0.51, 0.42, 0.88, (4.4, 5.8), (1.9, 2.5), (1.76, 1.94))
_CARS = (
    _Body((0.27, 0.42, 0.70, 0.85), 0.64, 0.49, 0.76, (4.2, 4.8), (1.38, 1.48), (1.60, 1.70)),  # saloon
    _Body((0.26, 0.40, 0.92, 0.975), 0.62, 0.48, 0.76, (4.2, 4.8), (1.42, 1.56), (1.60, 1.70)),  # estate
    _Body((0.22, 0.38, 0.87, 0.97), 0.61, 0.48, 0.76, (3.3, 4.2), (1.42, 1.58), (1.52, 1.65)),  # hatchback
    _Body((0.25, 0.36, 0.93, 0.98), 0.63, 0.54, 0.76, (4.2, 4.7), (1.62, 1.82), (1.60, 1.70)),  # off-roader
)


def random_vehicle(generator: np.random.Generator) -> tuple[str, Model]:
    """A Car or, less often, a Van, in KITTI's sizes (means 1.53 x 1.63 x 3.88 m and 2.21 x 1.90 x 5.08 m)."""
    if generator.random() < 0.15:
        return "Van", _passenger_vehicle(generator, _VAN, has_rear_windows=bool(generator.random() < 0.5))
    body = _CARS[generator.choice(4, p=[0.2, 0.2, 0.5, 0.1])]
    return "Car", _passenger_vehicle(generator, body, has_rear_windows=True)


def _passenger_vehicle(generator: np.random.Generator, body: _Body, has_rear_windows: bool) -> Model:
    """Lower body, cabin with windows, lamps and wheels; the front is at +length / 2."""
    builder = ModelBuilder()
    paint = Surface(random_color(generator, _PAINTS), Material.PAINT)
    length, height, width = (generator.uniform(*limits) for limits in (body.length, body.height, body.width))
    front, half, sill = length / 2, width / 2, 0.18
    belt, nose = body.belt * height, body.nose * height
    bonnet, roof_start, roof_end, tail = front - np.array(body.cabin) * length
    profile = [
        (front - 0.10, sill),
        (front, 0.34),
        (front - 0.06, nose * 0.93),
        (front - 0.22, nose * 1.03),
        (bonnet, belt),
        (tail, belt),
        (-front + 0.05, belt * 0.95),
        (-front, belt * 0.58),
        (-front + 0.10, sill),
    ]
    faces = _bevelled_prism(builder, profile, half, paint)
    base = np.array([bonnet, tail, belt, half * 0.93])
    _cabin(builder, base, np.array([roof_start, roof_end, height, half * body.roof]), paint, has_rear_windows)
    grille = generator.uniform(0.17, 0.35)
    _panel(builder, faces[1], (grille, 1 - grille), (0.5, 0.9), _BLACK)
    _panel(builder, faces[0], (0.15, 0.85), (0.3, 0.8), _BLACK)
    width = generator.uniform(0.16, 0.24)
    for u in ((0.0, width), (1 - width, 1.0)):
        _panel(builder, faces[1], u, (0.5, 1.0), _HEADLAMP)
        _panel(builder, faces[6], u, (0.0, 0.55), _TAIL_LAMP)
    radius = 0.33 if height > 1.6 else 0.30
    for side in (1, -1):
        builder.ellipsoid((bonnet - 0.22, side * half, belt + 0.05), (0.06, 0.09, 0.07), paint)
        for axle in (front - 0.195 * length, -front + 0.185 * length):
            inside, outside = ((axle, side * (half + beyond), radius) for beyond in (-0.25, 0.012))
            builder.cone(inside, outside, (radius, radius), _BLACK)
            builder.disc((axle, side * (half + 0.003), radius + 0.06), (0, 1, 0), radius + 0.055, _BLACK)
            builder.disc(outside, (0, 1, 0), radius * 0.66, _RIM)
    return builder.build()


def _bevelled_prism(
    builder: ModelBuilder, profile: Sequence[tuple[float, float]], half: float, surface: Surface
) -> list[AnyFloats]:
    """A convex profile (forward, up), from the front's lower corner upwards, extruded to left = -half..half.

    The profile shrinks a little towards the flanks.  Returns its faces (4, 3), beginning with the front's: lower left,
    lower right, upper right, upper left.
    """
    outline = np.array(profile)
    centre = (outline.min(axis=0) + outline.max(axis=0)) / 2
    flank = centre + (outline - centre) * (1 - 0.28 / np.ptp(outline[:, 0]), 0.97)
    inner, outer = (np.insert(points, 1, y, axis=1) for points, y in ((outline, half * 0.87), (flank, half)))
    mirror = np.array([1.0, -1.0, 1.0])
    builder.polygon(outer, surface)
    builder.polygon(outer * mirror, surface)
    faces = []
    for start, stop in pairwise([*range(len(outline)), 0]):
        face = np.array([inner[start], inner[start] * mirror, inner[stop] * mirror, inner[stop]])
        faces.append(face)
        builder.polygon(face, surface)
        for side in (np.ones(3), mirror):
            builder.polygon(np.array([inner[start], inner[stop], outer[stop]]) * side, surface)
            builder.polygon(np.array([inner[start], outer[stop], outer[start]]) * side, surface)
    return faces


def _cabin(builder: ModelBuilder, base: AnyFloats, roof: AnyFloats, paint: Surface, has_rear_windows: bool) -> None:
    """Walls and windows between base and roof, each (front, rear, up, half width)."""
    (x0, x1, z, y), (roof_x0, roof_x1, roof_z, roof_y) = base, roof
    screen = [(0.06, 0.94)]
    side_windows = [(0.08, 0.40), (0.44, 0.70), (0.74, 0.92)] if has_rear_windows else [(0.08, 0.28)]
    front = [(x0, -y, z), (x0, y, z), (roof_x0, roof_y, roof_z), (roof_x0, -roof_y, roof_z)]
    rear = [(x1, -y, z), (x1, y, z), (roof_x1, roof_y, roof_z), (roof_x1, -roof_y, roof_z)]
    left = [front[1], rear[1], rear[2], front[2]]
    right = [front[0], rear[0], rear[3], front[3]]
    builder.polygon([*front[2:], *rear[:1:-1]], paint)
    for wall, panes in (
        (front, screen),
        (rear, screen * has_rear_windows),
        (left, side_windows),
        (right, side_windows),
    ):
        builder.polygon(wall, paint)
        for pane in panes:
            _panel(builder, np.array(wall), pane, (0.08, 0.88), _GLASS)


def _panel(
    builder: ModelBuilder, face: AnyFloats, u: tuple[float, float], v: tuple[float, float], surface: Surface
) -> None:
    """A part of a planar quadrilateral, 6 mm in front of it.

    face (4, 3): lower left, lower right, upper right, upper left.  u, v: from and to, fractions of it rightwards and
    upwards.
    """
    s, t = np.array([(u[0], v[0]), (u[1], v[0]), (u[1], v[1]), (u[0], v[1])]).T
    corners = np.stack([(1 - s) * (1 - t), s * (1 - t), s * t, (1 - s) * t], axis=1) @ face
    normal = np.cross(face[1] - face[0], face[3] - face[0])
    normal *= 0.006 / np.sqrt(normal @ normal)
    outwards = normal if normal @ (face.mean(axis=0) - (0.0, 0.0, 0.6)) > 0 else -normal
    builder.polygon(corners + outwards, surface)
