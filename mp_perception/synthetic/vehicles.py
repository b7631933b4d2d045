"""Cars and vans, built from their measures, shape parameters and paint."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mp_perception.synthetic.shapes import Material, Model, ModelBuilder

Color = tuple[float, float, float]
Point = tuple[float, float, float]

BLACK = (0.07, 0.07, 0.08)
DARK = (0.13, 0.13, 0.14)
GLASS = (0.16, 0.18, 0.20)

#: Paints of European streets, sRGB, with how often they are seen.
_PAINTS: tuple[tuple[Color, float], ...] = (
    ((0.06, 0.06, 0.07), 0.22),
    ((0.62, 0.64, 0.66), 0.22),
    ((0.34, 0.35, 0.37), 0.14),
    ((0.90, 0.90, 0.89), 0.14),
    ((0.10, 0.14, 0.28), 0.10),
    ((0.20, 0.32, 0.55), 0.05),
    ((0.55, 0.07, 0.08), 0.07),
    ((0.12, 0.22, 0.16), 0.03),
    ((0.60, 0.54, 0.42), 0.02),
    ((0.80, 0.62, 0.10), 0.01),
)


@dataclass(frozen=True)
class BodyShape:
    """A car's outline seen from the side, as shares of its length and height.

    bonnet: length from the front to the windscreen's foot.  roof_start, roof_end: where the roof begins and ends.
    tail: where the rear window meets the boot lid.  belt: height of the window line.  nose: height of the bonnet's
    front edge.  deck: height of the boot lid.
    """

    bonnet: float
    roof_start: float
    roof_end: float
    tail: float
    belt: float
    nose: float
    deck: float


HATCHBACK = BodyShape(bonnet=0.24, roof_start=0.40, roof_end=0.86, tail=0.965, belt=0.60, nose=0.46, deck=0.62)
SALOON = BodyShape(bonnet=0.27, roof_start=0.42, roof_end=0.70, tail=0.85, belt=0.62, nose=0.47, deck=0.66)
ESTATE = BodyShape(bonnet=0.26, roof_start=0.40, roof_end=0.92, tail=0.975, belt=0.61, nose=0.46, deck=0.63)
SMALL_CAR = BodyShape(bonnet=0.20, roof_start=0.36, roof_end=0.88, tail=0.97, belt=0.59, nose=0.45, deck=0.60)
OFF_ROADER = BodyShape(bonnet=0.25, roof_start=0.36, roof_end=0.93, tail=0.98, belt=0.62, nose=0.52, deck=0.63)
VAN_BODY = BodyShape(bonnet=0.13, roof_start=0.27, roof_end=0.96, tail=0.99, belt=0.50, nose=0.40, deck=0.51)


def random_car(generator: np.random.Generator) -> Model:
    """A car of the sizes in KITTI's labels (mean 1.53 x 1.63 x 3.88 m)."""
    shape, length, height = (
        (HATCHBACK, (3.7, 4.2), (1.42, 1.56)),
        (SALOON, (4.2, 4.8), (1.38, 1.48)),
        (ESTATE, (4.2, 4.8), (1.42, 1.56)),
        (SMALL_CAR, (3.3, 3.7), (1.42, 1.60)),
        (OFF_ROADER, (4.2, 4.7), (1.62, 1.82)),
    )[generator.choice(5, p=[0.36, 0.2, 0.2, 0.14, 0.1])]
    return _passenger_body(
        shape,
        generator.uniform(*length),
        generator.uniform(1.52, 1.70),
        generator.uniform(*height),
        random_paint(generator),
        generator,
    )


def random_van(generator: np.random.Generator) -> Model:
    """A delivery or passenger van (mean 2.21 x 1.90 x 5.08 m)."""
    paint = random_paint(generator) if generator.random() < 0.5 else (0.9, 0.9, 0.88)
    return _passenger_body(
        VAN_BODY,
        generator.uniform(4.4, 5.8),
        generator.uniform(1.76, 1.94),
        generator.uniform(1.9, 2.5),
        paint,
        generator,
    )


def random_paint(generator: np.random.Generator) -> Color:
    """A paint, slightly different each time."""
    shares = np.array([share for _, share in _PAINTS])
    paint = np.array(_PAINTS[generator.choice(len(_PAINTS), p=shares / shares.sum())][0])
    red, green, blue = np.clip(paint * generator.uniform(0.8, 1.15) + generator.normal(0, 0.02, 3), 0.03, 0.95)
    return float(red), float(green), float(blue)


def _passenger_body(
    shape: BodyShape, length: float, width: float, height: float, paint: Color, generator: np.random.Generator
) -> Model:
    """Body, greenhouse, lamps, plates and wheels of a car or van.  The front is at +length / 2."""
    builder = ModelBuilder()
    half, front = width / 2, length / 2
    is_van = shape is VAN_BODY
    sill = 0.20 if is_van else 0.17
    belt, nose, deck = shape.belt * height, shape.nose * height, shape.deck * height
    roof_half = half * (0.88 if is_van else 0.74)
    end_half = half * 0.86

    def forward(share: float) -> float:
        return front - share * length

    # The contour from front bumper over the roof to the rear bumper: (forward, up, half width).
    lower_lip = sill + 0.08
    cowl, screen_top = forward(shape.bonnet), forward(shape.roof_start)
    rear_top, tail = forward(shape.roof_end), forward(shape.tail)
    roof_front, roof_rear = height * 0.985, height * (0.97 if not is_van else 0.985)
    middle_of_roof = (screen_top * 0.55 + rear_top * 0.45, height, roof_half)
    contour = [
        (front - 0.10, sill, end_half),
        (front, lower_lip + 0.08, end_half),
        (front - 0.02, nose * 0.72, end_half),
        (front - 0.10, nose * 0.96, end_half),
        (front - 0.24, nose * 1.05, half * 0.94),
        (cowl, belt, half * 0.95),
        (screen_top, roof_front, roof_half),
        middle_of_roof,
        (rear_top, roof_rear, roof_half),
        (tail, deck, half * 0.94),
        (-front + 0.06, deck * 0.95, end_half),
        (-front, deck * 0.62, end_half),
        (-front + 0.01, lower_lip + 0.08, end_half),
        (-front + 0.10, sill, end_half),
    ]
    bumper = paint if generator.random() < 0.8 else DARK
    colors = [bumper, bumper, paint, paint, paint, GLASS, paint, paint, GLASS, paint, paint, bumper, bumper]
    cargo = is_van and generator.random() < 0.5
    if cargo:
        colors[8] = paint
    for index, ((x0, z0, w0), (x1, z1, w1)) in enumerate(pairwise(contour)):
        points = [(x0, w0, z0), (x0, -w0, z0), (x1, -w1, z1), (x1, w1, z1)]
        # A screen is painted metal with a pane a little inside its frame.
        builder.polygon(points, paint if index in (5, 8) else colors[index], Material.PAINT)
        if colors[index] is GLASS:
            _pane(builder, points, margin=0.06)
    builder.polygon(
        [(contour[0][0], s * end_half, sill) for s in (1, -1)]
        + [(contour[-1][0], s * end_half, sill) for s in (-1, 1)],
        BLACK,
    )
    for side in (1.0, -1.0):
        _flank(builder, contour, side, half, sill, belt, paint, cargo)
    _front_and_rear(builder, length, half, end_half, nose, deck, sill, is_van, generator)
    _wheels(builder, length, half, height, is_van, generator)
    return builder.build()


def _pane(builder: ModelBuilder, corners: list[Point], margin: float) -> None:
    """A glass pane on a planar quadrilateral: its corners moved inwards by the margin (share), 4 mm outside."""
    points = np.array(corners)
    middle = points.mean(axis=0)
    normal = np.cross(points[1] - points[0], points[3] - points[0])
    normal /= np.linalg.norm(normal)
    outwards = normal if normal @ (middle - np.array([0.0, 0.0, 0.5])) > 0 else -normal
    builder.polygon(points + (middle - points) * 2 * margin + outwards * 0.004, GLASS, Material.GLASS)


def _flank(
    builder: ModelBuilder,
    contour: list[Point],
    side: float,
    half: float,
    sill: float,
    belt: float,
    paint: Color,
    cargo: bool,
) -> None:
    """One side: the door panel, its rounded ends, the greenhouse with side windows, mirror, handles."""
    front_end, rear_end = contour[4][0] - 0.05, contour[9][0] + 0.02
    rear_end = max(rear_end, contour[-1][0] + 0.22)
    # Upper edge of the door panel between nose and tail, at full width.
    cowl, tail = contour[5], contour[9]
    top_front, top_rear = contour[4][1] * 0.97, min(tail[1], belt) * 0.98
    shoulder = belt * 0.97
    panel = [
        (front_end, sill + 0.02),
        (front_end, top_front),
        (cowl[0], shoulder),
        (min(tail[0] + 0.25, contour[8][0]), shoulder),
        (rear_end, top_rear),
        (rear_end, sill + 0.02),
    ]
    builder.polygon([(x, side * half, z) for x, z in panel], paint, Material.PAINT, (1.0, front_end, sill, 0.0))

    def strip(points: list[Point]) -> None:
        for start in range(1, len(points) - 1):
            builder.polygon([points[0], points[start], points[start + 1]], paint, Material.PAINT)

    # Rounded ends: from the panel to the narrower bumpers.
    for edge, ends in ((panel[:2], contour[0:5]), (panel[:3:-1], contour[:8:-1])):
        low, high = ((x, side * half, z) for x, z in edge)
        rim = [(x, side * w, z) for x, z, w in ends]
        for start in range(len(rim) - 1):
            strip([low, rim[start], rim[start + 1]])
        strip([low, rim[-1], high])
    # Shoulder: from the panel up to the bonnet, the windows and the boot lid.
    upper = [contour[4], contour[5], contour[9]]
    for (x0, z0, w0), (x1, z1, w1), a, b in zip(
        upper, upper[1:], (panel[1], panel[2]), (panel[2], panel[3]), strict=False
    ):
        strip([(a[0], side * half, a[1]), (b[0], side * half, b[1]), (x1, side * w1, z1), (x0, side * w0, z0)])
    strip(
        [
            (panel[3][0], side * half, panel[3][1]),
            (panel[4][0], side * half, panel[4][1]),
            (tail[0], side * tail[2], tail[1]),
        ]
    )
    # Greenhouse: foot and roof are two straight lines, so triangles between them keep it closed.
    foot = [(contour[5][0], side * contour[5][2], contour[5][1]), (tail[0], side * tail[2], tail[1])]
    roof = [(x, side * w, z) for x, z, w in contour[6:9]]
    strip([foot[0], roof[0], roof[1], roof[2], foot[1]])
    _side_windows(builder, foot, roof, side, cargo)
    builder.ellipsoid((cowl[0] - 0.22, side * half, shoulder + 0.07), (0.06, 0.09, 0.07), paint, Material.PAINT)


def _side_windows(builder: ModelBuilder, foot: list[Point], roof: list[Point], side: float, cargo: bool) -> None:
    """Two or three panes between the foot line and the roof line, with pillars between them."""
    (fx0, fy, fz0), (fx1, _, fz1) = foot
    top_front, top_rear = np.array(roof[0]), np.array(roof[2])
    height_foot = max(fz0, fz1) + 0.03
    height_top = min(top_front[2], top_rear[2]) - 0.06

    def at(share: float, height: float) -> tuple[float, float, float]:
        # Along the slanted pillars: share 0 is the front pillar, 1 the rear one.
        rise_front = (height - fz0) / (top_front[2] - fz0)
        rise_rear = (height - fz1) / (top_rear[2] - fz1)
        front_x = fx0 + (top_front[0] - fx0) * rise_front
        rear_x = fx1 + (top_rear[0] - fx1) * rise_rear
        inset = fy + (top_front[1] - fy) * rise_front
        return front_x + (rear_x - front_x) * share, inset + side * 0.012, height

    panes = ((0.06, 0.26),) if cargo else ((0.07, 0.40), (0.435, 0.70), (0.735, 0.90))
    for start, stop in panes:
        builder.polygon(
            [at(start, height_foot), at(stop, height_foot), at(stop, height_top), at(start, height_top)],
            GLASS,
            Material.GLASS,
        )


def _front_and_rear(
    builder: ModelBuilder,
    length: float,
    half: float,
    end_half: float,
    nose: float,
    deck: float,
    sill: float,
    is_van: bool,
    generator: np.random.Generator,
) -> None:
    """Lamps, grille and plates, a few millimetres outside the body."""
    front = length / 2 + 0.012
    rear = -length / 2 - 0.012

    def patch(x: float, y0: float, y1: float, z0: float, z1: float, color: Color, material: Material) -> None:
        builder.polygon([(x, y0, z0), (x, y1, z0), (x, y1, z1), (x, y0, z1)], color, material)

    grille_half = end_half * generator.uniform(0.3, 0.55)
    patch(front, -grille_half, grille_half, nose * 0.70, nose * 0.90, BLACK, Material.GRILLE)
    patch(front, -end_half * 0.7, end_half * 0.7, sill + 0.07, sill + 0.17, BLACK, Material.GRILLE)
    patch(front + 0.004, -0.26, 0.26, sill + 0.20, sill + 0.31, (0.9, 0.9, 0.88), Material.PLATE)
    plate = deck * generator.choice([0.42, 0.72])
    patch(rear - 0.004, -0.26, 0.26, plate, plate + 0.11, (0.9, 0.9, 0.88), Material.PLATE)
    patch(rear + 0.004, -end_half * 0.85, end_half * 0.85, sill + 0.02, sill + 0.12, DARK, Material.MATTE)
    lamp_width = generator.uniform(0.24, 0.36)
    for side in (1.0, -1.0):
        outer, inner = side * end_half, side * (end_half - lamp_width)
        patch(front, outer, inner, nose * 0.76, nose * 0.97, (0.88, 0.90, 0.92), Material.LAMP)
        top = deck * 0.95 if not is_van else deck * 1.15
        bottom = top - generator.uniform(0.14, 0.2) - (0.25 if is_van else 0.0)
        patch(rear, outer, side * (end_half - lamp_width * 0.7), bottom, top, (0.70, 0.04, 0.05), Material.LAMP)
        builder.ellipsoid(
            (length / 2 - 0.16, side * end_half * 0.93, nose * 0.88),
            (0.17, 0.09, 0.07),
            (0.85, 0.88, 0.9),
            Material.LAMP,
        )
        builder.ellipsoid(
            (-length / 2 + 0.10, side * end_half * 0.97, (bottom + top) / 2),
            (0.13, 0.08, (top - bottom) * 0.5),
            (0.66, 0.04, 0.05),
            Material.LAMP,
        )


def _wheels(
    builder: ModelBuilder, length: float, half: float, height: float, is_van: bool, generator: np.random.Generator
) -> None:
    """Four wheels in dark arches; hub style by the pattern."""
    radius = 0.33 if is_van or height > 1.6 else 0.30
    style = generator.integers(4, 9)
    rim = (0.62, 0.63, 0.65) if generator.random() < 0.8 else (0.25, 0.25, 0.26)
    for x in (length * 0.5 - 0.82 * min(1.0, length / 4.2), -length * 0.5 + 0.78 * min(1.0, length / 4.2)):
        for side in (1.0, -1.0):
            builder.ring((x, side * (half + 0.003), radius + 0.06), (0, side, 0), radius + 0.055, BLACK)
            builder.cone((x, side * (half - 0.2), radius), (x, side * (half + 0.012), radius), (radius, radius), BLACK)
            builder.ring((x, side * (half + 0.012), radius), (0, side, 0), radius, rim, Material.WHEEL, (float(style),))
