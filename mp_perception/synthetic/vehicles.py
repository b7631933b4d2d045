"""Cars, vans and trucks: random sizes, shapes and paints."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from mp_perception.synthetic.shapes import Color, Floats, Material, Model, ModelBuilder, Surface, random_color

_BLACK = Surface((0.07, 0.07, 0.08))
_DARK = Surface((0.13, 0.13, 0.14), Material.PAINT)
_GLASS = Surface((0.13, 0.15, 0.17), Material.PAINT)
_HEADLAMP = Surface((0.88, 0.90, 0.92), Material.PAINT)
_TAIL_LAMP = Surface((0.74, 0.05, 0.06), Material.PAINT)
_PLATE = Surface((0.80, 0.80, 0.78))

#: Paints of European streets, sRGB; repeated paints are frequent ones.
_PAINTS: tuple[Color, ...] = (
    *((0.06, 0.06, 0.07),) * 4,
    *((0.62, 0.64, 0.66),) * 4,
    *((0.34, 0.35, 0.37),) * 3,
    *((0.90, 0.90, 0.89),) * 3,
    *((0.10, 0.14, 0.28),) * 2,
    (0.20, 0.32, 0.55),
    (0.55, 0.07, 0.08),
    (0.12, 0.22, 0.16),
    (0.60, 0.54, 0.42),
)


class _Body(NamedTuple):
    """Side view of a car.

    Fractions of its length, from the front: bonnet (foot of the windscreen), roof_start, roof_end, tail (foot of the
    rear window).  Fractions of its height: belt (lower edge of the windows), nose (front edge of the bonnet).
    roof_width: fraction of its width.  length, height: ranges, metres.
    """

    bonnet: float
    roof_start: float
    roof_end: float
    tail: float
    belt: float
    nose: float
    roof_width: float
    length: tuple[float, float]
    height: tuple[float, float]


_HATCHBACK = _Body(0.24, 0.40, 0.86, 0.965, 0.61, 0.48, 0.76, (3.7, 4.2), (1.42, 1.56))
_SALOON = _Body(0.27, 0.42, 0.70, 0.85, 0.64, 0.49, 0.76, (4.2, 4.8), (1.38, 1.48))
_ESTATE = _Body(0.26, 0.40, 0.92, 0.975, 0.62, 0.48, 0.76, (4.2, 4.8), (1.42, 1.56))
_SMALL_CAR = _Body(0.20, 0.36, 0.88, 0.97, 0.60, 0.47, 0.76, (3.3, 3.7), (1.42, 1.60))
_OFF_ROADER = _Body(0.25, 0.36, 0.93, 0.98, 0.63, 0.54, 0.76, (4.2, 4.7), (1.62, 1.82))
_VAN = _Body(0.13, 0.27, 0.96, 0.99, 0.51, 0.42, 0.88, (4.4, 5.8), (1.9, 2.5))


def random_car(generator: np.random.Generator) -> Model:
    """A car of the sizes in KITTI's labels (mean 1.53 x 1.63 x 3.88 m)."""
    bodies = (_HATCHBACK, _SALOON, _ESTATE, _SMALL_CAR, _OFF_ROADER)
    body = bodies[generator.choice(5, p=[0.36, 0.2, 0.2, 0.14, 0.1])]
    paint = Surface(random_color(generator, _PAINTS), Material.PAINT)
    return _passenger_vehicle(body, generator.uniform(1.52, 1.70), paint, generator)


def random_van(generator: np.random.Generator) -> Model:
    """A delivery or passenger van (mean 2.21 x 1.90 x 5.08 m)."""
    color = random_color(generator, _PAINTS) if generator.random() < 0.5 else (0.9, 0.9, 0.88)
    return _passenger_vehicle(_VAN, generator.uniform(1.76, 1.94), Surface(color, Material.PAINT), generator)


def random_truck(generator: np.random.Generator) -> Model:
    """A truck with a box body (mean 3.25 x 2.59 x 10.1 m)."""
    builder = ModelBuilder()
    front, half, height = generator.uniform(3.2, 5.0), 1.25, generator.uniform(3.0, 3.7)
    cab_height = min(2.7, height - 0.2)
    paint = Surface(random_color(generator, _PAINTS), Material.PAINT)
    box_color = random_color(generator, _PAINTS) if generator.random() < 0.4 else (0.85, 0.85, 0.83)
    profile = [(front, 0.5), (front, cab_height * 0.45), (front - 0.1, cab_height), (front - 1.9, cab_height)]
    faces = _bevelled_prism(builder, [*profile, (front - 1.9, 0.5)], half * 0.98, [paint] * 5)
    builder.box((-front, -half, 0.95), (front - 2.05, half, height), Surface(box_color, Material.PAINT))
    builder.box((-front + 0.1, -half * 0.8, 0.55), (front - 1.9, half * 0.8, 0.95), _BLACK)
    _panel(builder, faces[1], (0.04, 0.96), (0.25, 0.85), _GLASS)
    _panel(builder, faces[0], (0.2, 0.8), (0.5, 0.9), _BLACK)
    for side in (0.0, 0.82):
        _panel(builder, faces[0], (side, side + 0.18), (0.2, 0.4), _HEADLAMP)
    rear = np.array([(-front, half, 0.95), (-front, -half, 0.95), (-front, -half, height), (-front, half, height)])
    for side in (0.02, 0.86):
        _panel(builder, rear, (side, side + 0.12), (0.01, 0.08), _TAIL_LAMP)
    for left in (half, -half):
        x, y = front - 1.2, np.sign(left) * (half + 0.005)
        window = [(x, y, 1.6), (x + 1.0, y, 1.6), (x + 0.9, y, cab_height - 0.25), (x, y, cab_height - 0.25)]
        builder.polygon(window, _GLASS)
        for axle in (front - 1.1, -front + 1.3, -front + 2.4):
            _wheel(builder, axle, left, 0.48, Surface((0.4, 0.4, 0.42), Material.WHEEL, (6.0, 0.0, 0.0)))
    return builder.build()


def _passenger_vehicle(body: _Body, width: float, paint: Surface, generator: np.random.Generator) -> Model:
    """Lower body, cabin with windows, lamps and wheels; the front is at +length / 2."""
    builder = ModelBuilder()
    length, height = generator.uniform(*body.length), generator.uniform(*body.height)
    front, half, sill = length / 2, width / 2, 0.18
    belt, nose = body.belt * height, body.nose * height
    bonnet, roof_start, roof_end, tail = front - np.array(body[:4]) * length
    bumper = paint if generator.random() < 0.8 else _DARK
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
    surfaces = [bumper, paint, paint, paint, paint, paint, paint, bumper, _BLACK]
    faces = _bevelled_prism(builder, profile, half, surfaces)
    is_van = body is _VAN
    cargo = is_van and generator.random() < 0.5
    _cabin(
        builder, (bonnet, tail, belt, half * 0.93), (roof_start, roof_end, height, half * body.roof_width), paint, cargo
    )
    _front_and_rear(builder, faces, is_van, generator)
    radius = 0.33 if height > 1.6 else 0.30
    rim_color = (0.62, 0.63, 0.65) if generator.random() < 0.8 else (0.25, 0.25, 0.26)
    rim = Surface(rim_color, Material.WHEEL, (float(generator.integers(4, 9)), 0.0, 0.0))
    for left in (half, -half):
        builder.ellipsoid((bonnet - 0.22, left, belt + 0.05), (0.06, 0.09, 0.07), paint)
        for axle in (front - 0.195 * length, -front + 0.185 * length):
            builder.disc((axle, left + np.sign(left) * 0.003, radius + 0.06), (0, 1, 0), radius + 0.055, _BLACK)
            _wheel(builder, axle, left, radius, rim)
    return builder.build()


def _bevelled_prism(
    builder: ModelBuilder, profile: Sequence[tuple[float, float]], half: float, surfaces: Sequence[Surface]
) -> list[Floats]:
    """A convex profile (forward, up), from the front's lower corner upwards, extruded to both sides.

    The profile has its full size in the middle and shrinks a little towards the flanks at left = +-half.
    surfaces: one for each edge, beginning with the front's; the flanks have the second.
    Returns the faces of the middle (4, 3): lower left, lower right, upper right, upper left.
    """
    outline = np.array(profile)
    centre = (outline.min(axis=0) + outline.max(axis=0)) / 2
    flank = centre + (outline - centre) * (1 - 0.28 / np.ptp(outline[:, 0]), 0.97)
    inner, outer = (np.insert(points, 1, y, axis=1) for points, y in ((outline, half * 0.87), (flank, half)))
    mirror = np.array([1.0, -1.0, 1.0])
    builder.polygon(outer, surfaces[1])
    builder.polygon(outer * mirror, surfaces[1])
    faces = []
    for start, stop in pairwise([*range(len(outline)), 0]):
        face = np.array([inner[start], inner[start] * mirror, inner[stop] * mirror, inner[stop]])
        faces.append(face)
        builder.polygon(face, surfaces[start])
        for side in (np.ones(3), mirror):
            builder.polygon(np.array([inner[start], inner[stop], outer[stop]]) * side, surfaces[start])
            builder.polygon(np.array([inner[start], outer[stop], outer[start]]) * side, surfaces[start])
    return faces


def _cabin(
    builder: ModelBuilder,
    base: tuple[float, float, float, float],
    roof: tuple[float, float, float, float],
    paint: Surface,
    cargo: bool,
) -> None:
    """Walls between base and roof, each (front, rear, up, half width), and their windows; cargo: only in front."""
    (x0, x1, z, y), (roof_x0, roof_x1, roof_z, roof_y) = base, roof
    lower = np.array([(x0, -y, z), (x0, y, z), (x1, y, z), (x1, -y, z)])
    upper = np.array(
        [(roof_x0, -roof_y, roof_z), (roof_x0, roof_y, roof_z), (roof_x1, roof_y, roof_z), (roof_x1, -roof_y, roof_z)]
    )
    builder.polygon(upper, paint)
    side_windows = [(0.08, 0.28)] if cargo else [(0.08, 0.40), (0.44, 0.70), (0.74, 0.92)]
    windows = ([(0.06, 0.94)], side_windows, [] if cargo else [(0.06, 0.94)], side_windows)
    for number, panes in enumerate(windows):
        corners = [number, (number + 1) % 4]
        # The second side runs from the rear to the front.
        start, stop = corners if number < 3 else corners[::-1]
        wall = np.array([lower[start], lower[stop], upper[stop], upper[start]])
        builder.polygon(wall, paint)
        for pane in panes:
            _panel(builder, wall, pane, (0.08, 0.88), _GLASS)


def _front_and_rear(builder: ModelBuilder, faces: list[Floats], is_van: bool, generator: np.random.Generator) -> None:
    """Lamps, grille and number plates on the faces of the lower body."""
    grille = generator.uniform(0.17, 0.35)
    _panel(builder, faces[1], (grille, 1 - grille), (0.5, 0.9), _BLACK)
    _panel(builder, faces[0], (0.15, 0.85), (0.3, 0.8), _BLACK)
    _panel(builder, faces[1], (0.32, 0.68), (0.05, 0.4), _PLATE)
    _panel(builder, faces[6], (0.33, 0.67), (0.2, 0.65), _PLATE)
    lamp = generator.uniform(0.16, 0.24)
    low = 0.25 if is_van else generator.uniform(0.35, 0.55)
    for near, far in ((0.0, lamp), (1 - lamp, 1.0)):
        _panel(builder, faces[1], (near, far), (0.55, 1.0), _HEADLAMP)
        _panel(builder, faces[6], (near, far), (0.0, 1 - low), _TAIL_LAMP)


def _panel(
    builder: ModelBuilder, face: Floats, u: tuple[float, float], v: tuple[float, float], surface: Surface
) -> None:
    """A part of a planar quadrilateral, 6 mm in front of it.

    face (4, 3): lower left, lower right, upper right, upper left.  u, v: from and to, fractions of it rightwards and
    upwards.
    """
    corners = np.array([_between(face, s, t) for s, t in ((u[0], v[0]), (u[1], v[0]), (u[1], v[1]), (u[0], v[1]))])
    normal = np.cross(face[1] - face[0], face[3] - face[0])
    normal *= 0.006 / np.sqrt(normal @ normal)
    outwards = normal if normal @ (face.mean(axis=0) - (0.0, 0.0, 0.6)) > 0 else -normal
    builder.polygon(corners + outwards, surface)


def _between(face: Floats, u: float, v: float) -> Floats:
    lower, upper = face[0] + (face[1] - face[0]) * u, face[3] + (face[2] - face[3]) * u
    return lower + (upper - lower) * v


def _wheel(builder: ModelBuilder, axle: float, left: float, radius: float, rim: Surface) -> None:
    """A tyre and its rim, whose outer side is at `left`."""
    outside = left + np.sign(left) * 0.012
    builder.cone((axle, outside - np.sign(left) * 0.25, radius), (axle, outside, radius), (radius, radius), _BLACK)
    builder.disc((axle, outside, radius), (0, 1, 0), radius, rim)
