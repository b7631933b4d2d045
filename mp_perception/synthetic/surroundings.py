"""Everything in a street that has no label: houses, trees, hedges, poles, signs, the distant skyline."""

from __future__ import annotations

import numpy as np

from mp_perception.synthetic.shapes import Material, Model, ModelBuilder

Color = tuple[float, float, float]

_PLASTERS: tuple[Color, ...] = (
    (0.72, 0.70, 0.66),
    (0.66, 0.61, 0.53),
    (0.60, 0.50, 0.42),
    (0.80, 0.78, 0.75),
    (0.48, 0.47, 0.46),
    (0.50, 0.36, 0.31),
    (0.42, 0.45, 0.48),
    (0.68, 0.64, 0.50),
)
_ROOFS: tuple[Color, ...] = ((0.50, 0.24, 0.18), (0.36, 0.22, 0.20), (0.28, 0.28, 0.30), (0.42, 0.30, 0.24))
_BOARDS: tuple[Color, ...] = ((0.35, 0.25, 0.18), (0.30, 0.32, 0.33))
_LEAVES: tuple[Color, ...] = ((0.24, 0.33, 0.16), (0.31, 0.38, 0.18), (0.20, 0.27, 0.15), (0.36, 0.36, 0.18))


def _pick(generator: np.random.Generator, colors: tuple[Color, ...]) -> Color:
    base = np.array(colors[generator.integers(len(colors))])
    red, green, blue = np.clip(base * generator.uniform(0.8, 1.15) + generator.normal(0, 0.02, 3), 0.02, 0.97)
    return float(red), float(green), float(blue)


def house(generator: np.random.Generator, width: float, depth: float) -> Model:
    """A house whose front faces +left: width along the street (forward), depth away from it (towards -left)."""
    builder = ModelBuilder()
    storeys = int(generator.choice([1, 2, 3, 4, 5], p=[0.1, 0.35, 0.3, 0.15, 0.1]))
    storey = generator.uniform(2.8, 3.3)
    height = storeys * storey + 0.4
    half = width / 2
    # What the facade's shading reads: window spacing, storey height, a seed, brick (1) or plaster (0).
    pattern = (generator.uniform(1.8, 3.2), storey, float(generator.integers(0, 500)), float(generator.random() < 0.3))
    wall = _pick(generator, _PLASTERS)
    builder.box((-half, -depth, 0), (half, 0, height), wall, Material.FACADE, pattern)
    builder.box((-half - 0.02, -depth, 0), (half + 0.02, 0.03, 0.45), tuple(np.array(wall) * 0.55))
    roof = _pick(generator, _ROOFS)
    if generator.random() < 0.7:
        rise, eaves = generator.uniform(2.0, 4.0), 0.35
        drop = rise * eaves / (depth / 2)
        ridge = [(-half - 0.2, -depth / 2, height + rise), (half + 0.2, -depth / 2, height + rise)]
        for y in (eaves, -depth - eaves):
            edge = [(half + 0.2, y, height - drop), (-half - 0.2, y, height - drop)]
            builder.polygon([*ridge, *edge], roof, Material.ROOF)
        for x in (-half, half):
            builder.polygon([(x, 0, height), (x, -depth, height), (x, -depth / 2, height + rise)], wall)
        if generator.random() < 0.5:
            x = generator.uniform(-half * 0.6, half * 0.6)
            builder.box(
                (x, -depth / 2 - 0.8, height + rise * 0.4), (x + 0.5, -depth / 2 - 0.3, height + rise + 0.7), roof
            )
    else:
        builder.box((-half - 0.1, -depth, height), (half + 0.1, 0.12, height + 0.35), (0.45, 0.45, 0.45))
    if generator.random() < 0.3 and storeys > 1:
        for x in np.arange(-half + 2.0, half - 2.0, 4.5).tolist():
            base = storey + 0.4
            builder.box((x, 0, base), (x + 2.2, 0.9, base + 0.15), (0.7, 0.7, 0.7))
            builder.box((x, 0.84, base), (x + 2.2, 0.9, base + 1.0), (0.35, 0.36, 0.38))
    return builder.build()


def tree(generator: np.random.Generator) -> Model:
    """A street tree: trunk, branches, a crown of leafy ellipsoids."""
    builder = ModelBuilder()
    height = generator.uniform(5.0, 11.0)
    trunk = generator.uniform(0.10, 0.24) * (height / 8)
    bark = _pick(generator, ((0.28, 0.23, 0.18), (0.38, 0.35, 0.30), (0.22, 0.19, 0.16)))
    fork = height * generator.uniform(0.25, 0.4)
    builder.cone((0, 0, -0.1), (0, 0, fork), (trunk * 1.25, trunk * 0.85), bark, pattern=(1.0,))
    leaves = _pick(generator, _LEAVES)
    spread = height * generator.uniform(0.18, 0.30)
    for _ in range(int(generator.integers(16, 26))):
        direction = generator.uniform(0, 2 * np.pi)
        out = spread * np.sqrt(generator.random())
        up = generator.uniform(fork + 0.6, height - 0.8)
        out *= 1.15 - abs(2 * (up - fork) / (height - fork) - 0.9) * 0.6
        centre = np.array([out * np.cos(direction), out * np.sin(direction), up])
        size = spread * generator.uniform(0.22, 0.50)
        half_axes = size * np.array([1.0, 1.0, generator.uniform(0.65, 0.9)])
        shade = tuple(np.array(leaves) * generator.uniform(0.75, 1.2))
        builder.ellipsoid(centre, half_axes, shade, Material.LEAVES, (generator.uniform(0, 500), max(size, 0.8)))
        if generator.random() < 0.3:
            builder.cone((0, 0, fork * 0.95), centre, (trunk * 0.6, trunk * 0.2), bark, pattern=(1.0,))
    return builder.build()


def bush(generator: np.random.Generator) -> Model:
    """A few round clumps of leaves on the ground, about its origin."""
    builder = ModelBuilder()
    leaves = _pick(generator, _LEAVES)
    for _ in range(int(generator.integers(3, 6))):
        size = generator.uniform(0.4, 0.9)
        centre = (generator.uniform(-1.2, 1.2), generator.uniform(-0.4, 0.4), size * 0.7)
        builder.ellipsoid(
            centre, np.array([size, size, size * 0.85]), leaves, Material.LEAVES, (generator.uniform(0, 500), 0.8)
        )
    return builder.build()


def hedge(generator: np.random.Generator, width: float) -> Model:
    """A cut hedge, a garden wall or a board fence, `width` along the street, its front facing +left."""
    builder = ModelBuilder()
    height = generator.uniform(0.8, 2.0)
    kind = generator.choice(3)
    corners = ((-width / 2, -0.5, 0), (width / 2, 0, height))
    if kind == 0:
        builder.box(*corners, _pick(generator, _LEAVES), Material.LEAVES, (generator.uniform(0, 500), 1.0))
    elif kind == 1:
        builder.box(*corners, _pick(generator, _PLASTERS), Material.MATTE, (1.0,))
    else:
        builder.box(*corners, _pick(generator, _BOARDS), Material.GRILLE, (0.12, 1.0))
    return builder.build()


def lamp_post(generator: np.random.Generator) -> Model:
    """A street lamp, 5 to 9 m high, foot at the origin."""
    builder = ModelBuilder()
    height, steel = generator.uniform(5.0, 9.0), _pick(generator, ((0.45, 0.47, 0.48), (0.25, 0.30, 0.28)))
    builder.cone((0, 0, 0), (0, 0, height), (0.10, 0.06), steel)
    builder.cone((0, 0, height), (0, 1.6, height + 0.25), (0.05, 0.04), steel)
    builder.ellipsoid((0, 1.6, height + 0.22), (0.16, 0.4, 0.08), (0.6, 0.6, 0.58))
    return builder.build()


def road_sign(generator: np.random.Generator) -> Model:
    """A traffic sign on a pole, facing the traffic that comes from -forward."""
    builder = ModelBuilder()
    height = generator.uniform(2.1, 2.6)
    builder.cone((0, 0, 0), (0, 0, height + 0.35), (0.035, 0.035), (0.55, 0.56, 0.57))
    kind = generator.choice(4)
    if kind < 2:
        # Pattern: width of the rim as share of the radius; the rim's colour is the shape's, the inside white or blue.
        color, inside = ((0.75, 0.06, 0.08), 0.72) if kind == 0 else ((0.10, 0.28, 0.62), 0.0)
        builder.ring((-0.04, 0, height), (-1, 0, 0), 0.31, color, Material.SIGN, (inside,))
    elif kind == 2:
        builder.polygon(
            [(-0.04, 0, height - 0.38), (-0.04, 0.38, height), (-0.04, 0, height + 0.38), (-0.04, -0.38, height)],
            (0.92, 0.72, 0.05),
        )
    else:
        builder.box((-0.05, -0.35, height - 0.3), (-0.03, 0.35, height + 0.3), (0.10, 0.28, 0.60))
    builder.ring((-0.03, 0, height), (1, 0, 0), 0.30, (0.5, 0.5, 0.5))
    return builder.build()


def traffic_light(generator: np.random.Generator) -> Model:
    """A traffic light on its pole, 3.4 m high, foot at the origin."""
    builder = ModelBuilder()
    builder.cone((0, 0, 0), (0, 0, 3.4), (0.07, 0.06), (0.4, 0.42, 0.42))
    builder.box((-0.18, -0.16, 2.4), (0.05, 0.16, 3.35), (0.08, 0.09, 0.08))
    lit = generator.integers(3)
    for place, color in enumerate(((0.95, 0.12, 0.08), (0.95, 0.65, 0.05), (0.15, 0.85, 0.45))):
        shade = color if place == lit else tuple(np.array(color) * 0.25)
        material = Material.LAMP if place == lit else Material.MATTE
        builder.ring((-0.185, 0, 3.18 - 0.3 * place), (-1, 0, 0), 0.11, shade, material)
    return builder.build()


def street_furniture(generator: np.random.Generator) -> Model:
    """A bollard, bin, hydrant or advertising column: upright things that are no people."""
    builder = ModelBuilder()
    kind = generator.choice(4)
    if kind == 0:
        builder.cone((0, 0, 0), (0, 0, 0.95), (0.06, 0.06), (0.75, 0.75, 0.75))
        builder.cone((0, 0, 0.7), (0, 0, 0.82), (0.063, 0.063), (0.7, 0.08, 0.08))
        builder.ellipsoid((0, 0, 0.95), (0.06, 0.06, 0.03), (0.7, 0.7, 0.7))
    elif kind == 1:
        color = _pick(generator, ((0.15, 0.15, 0.16), (0.15, 0.3, 0.18), (0.55, 0.45, 0.10)))
        builder.box((-0.28, -0.32, 0.05), (0.28, 0.32, 1.05), color)
    elif kind == 2:
        builder.cone((0, 0, 0), (0, 0, 2.6), (0.55, 0.55), _pick(generator, _PLASTERS), Material.CLOTH, (5.0, 3.0))
        builder.ellipsoid((0, 0, 2.6), (0.62, 0.62, 0.25), (0.25, 0.3, 0.28))
    else:
        builder.box((-0.35, -0.2, 0.0), (0.35, 0.2, 1.25), (0.55, 0.56, 0.55))
    return builder.build()


def skyline(generator: np.random.Generator) -> Model:
    """Woods and roofs that close the view, on a ring about 150 to 220 m away around the origin."""
    builder = ModelBuilder()
    base = _pick(generator, _LEAVES)
    for angle in np.arange(-0.95, 0.95, 0.045):
        angle += generator.normal(0, 0.02)
        distance = generator.uniform(150, 220)
        place = np.array([distance * np.cos(angle), distance * np.sin(angle), 0.0])
        size = generator.uniform(5, 11)
        color = tuple(np.array(base) * generator.uniform(0.7, 1.1))
        builder.ellipsoid(
            place + (0, 0, size * 0.3),
            (size, size * 1.2, size),
            color,
            Material.LEAVES,
            (generator.uniform(0, 500), 5.0),
        )
    return builder.build()
