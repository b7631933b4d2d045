"""Objects without labels: houses, trees, street furniture, the skyline."""

from __future__ import annotations

import numpy as np

from mp_perception.arrays import AnyFloats
from mp_perception.synthetic.shapes import Color, Material, Model, ModelBuilder, Surface, random_color

_PLASTERS: tuple[Color, ...] = ((0.75, 0.73, 0.70), (0.63, 0.56, 0.48), (0.50, 0.36, 0.31), (0.44, 0.45, 0.47))
_ROOFS: tuple[Color, ...] = ((0.50, 0.24, 0.18), (0.36, 0.22, 0.20), (0.28, 0.28, 0.30))
_LEAVES: tuple[Color, ...] = ((0.24, 0.33, 0.16), (0.31, 0.38, 0.18), (0.20, 0.27, 0.15), (0.36, 0.36, 0.18))
_BARKS: tuple[Color, ...] = ((0.28, 0.23, 0.18), (0.38, 0.35, 0.30), (0.22, 0.19, 0.16))
_METALS: tuple[Color, ...] = ((0.50, 0.52, 0.53), (0.25, 0.30, 0.28), (0.14, 0.14, 0.15))
_SIGNS: tuple[Color, ...] = ((0.75, 0.06, 0.08), (0.10, 0.28, 0.62), (0.92, 0.72, 0.05))


def house(generator: np.random.Generator, width: float) -> Model:
    """A house whose front faces left, `width` along the street."""
    builder = ModelBuilder()
    depth = generator.uniform(8, 12)
    storeys = int(generator.choice([1, 2, 3, 4, 5], p=[0.1, 0.35, 0.3, 0.15, 0.1]))
    storey, half = generator.uniform(2.8, 3.3), width / 2
    height = storeys * storey + 0.4
    wall = random_color(generator, _PLASTERS)
    windows = (generator.uniform(1.8, 3.2), storey, float(generator.integers(0, 500)))
    builder.box((-half, -depth, 0), (half, 0, height), Surface(wall, Material.FACADE, windows))
    roof = Surface(random_color(generator, _ROOFS), pattern=(0.5, 0.0, 0.0))
    if generator.random() < 0.7:
        rise, eaves = generator.uniform(2.0, 4.0), 0.35
        drop = rise * eaves / (depth / 2)
        ridge = [(-half - 0.2, -depth / 2, height + rise), (half + 0.2, -depth / 2, height + rise)]
        for y in (eaves, -depth - eaves):
            builder.polygon([*ridge, (half + 0.2, y, height - drop), (-half - 0.2, y, height - drop)], roof)
        for x in (-half, half):
            gable = [(x, 0, height), (x, -depth, height), (x, -depth / 2, height + rise)]
            builder.polygon(gable, Surface(wall))
    else:
        builder.box((-half - 0.1, -depth, height), (half + 0.1, 0.12, height + 0.35), Surface((0.45, 0.45, 0.45)))
    return builder.build()


def tree(generator: np.random.Generator) -> Model:
    """A street tree: trunk, branches and a crown of leafy ellipsoids."""
    builder = ModelBuilder()
    height = generator.uniform(5.0, 11.0)
    trunk = generator.uniform(0.10, 0.24) * (height / 8)
    bark = Surface(random_color(generator, _BARKS), pattern=(1.0, 0.0, 0.0))
    fork = height * generator.uniform(0.25, 0.4)
    builder.cone((0, 0, -0.1), (0, 0, fork), (trunk * 1.25, trunk * 0.85), bark)
    leaves = random_color(generator, _LEAVES)
    reach = height * generator.uniform(0.18, 0.30)
    for _ in range(int(generator.integers(14, 22))):
        direction, up = generator.uniform(0, 2 * np.pi), generator.uniform(fork + 0.6, height - 0.8)
        out = reach * np.sqrt(generator.random()) * (1.15 - abs(2 * (up - fork) / (height - fork) - 0.9) * 0.6)
        centre = np.array([out * np.cos(direction), out * np.sin(direction), up])
        _add_leaves(builder, generator, centre, reach * generator.uniform(0.22, 0.50), leaves)
        if generator.random() < 0.3:
            builder.cone((0, 0, fork * 0.95), centre, (trunk * 0.6, trunk * 0.2), bark)
    return builder.build()


def street_furniture(generator: np.random.Generator) -> Model:
    """A street lamp, a traffic sign or an advertising column."""
    builder = ModelBuilder()
    metal, kind = Surface(random_color(generator, _METALS)), generator.choice(3, p=[0.45, 0.35, 0.2])
    if kind == 0:
        height = generator.uniform(5.0, 9.0)
        builder.cone((0, 0, 0), (0, 0, height), (0.10, 0.06), metal)
        builder.cone((0, 0, height), (0, 1.6, height + 0.25), (0.05, 0.04), metal)
        builder.ellipsoid((0, 1.6, height + 0.22), (0.16, 0.4, 0.08), metal)
    elif kind == 1:
        height, sign = generator.uniform(2.1, 2.6), Surface(random_color(generator, _SIGNS))
        builder.cone((0, 0, 0), (0, 0, height + 0.3), (0.035, 0.035), metal)
        builder.disc((-0.05, 0, height), (1, 0, 0), 0.31, sign)
        builder.disc((-0.06, 0, height), (1, 0, 0), 0.20, Surface((0.85, 0.85, 0.85)))
    else:
        radius, height = generator.uniform(0.25, 0.6), generator.uniform(1.0, 2.6)
        builder.cone((0, 0, 0), (0, 0, height), (radius, radius), Surface(random_color(generator, _PLASTERS)))
        builder.ellipsoid((0, 0, height), (radius, radius, 0.15), metal)
    return builder.build()


def skyline(generator: np.random.Generator) -> Model:
    """Woods that close the view, 150 to 220 m from the origin."""
    builder = ModelBuilder()
    leaves = random_color(generator, _LEAVES)
    for angle in np.arange(-0.95, 0.95, 0.045):
        distance, size = generator.uniform(150, 220), generator.uniform(5, 11)
        direction = angle + generator.normal(0, 0.02)
        centre = np.array([distance * np.cos(direction), distance * np.sin(direction), size * 0.3])
        _add_leaves(builder, generator, centre, size, leaves)
    return builder.build()


def _add_leaves(
    builder: ModelBuilder, generator: np.random.Generator, centre: AnyFloats, size: float, color: Color
) -> None:
    """A leafy ellipsoid, its colour a shade of `color`."""
    red, green, blue = np.array(color) * generator.uniform(0.75, 1.2)
    pattern = (generator.uniform(0, 500), min(max(size, 0.8), 5.0), 0.0)
    surface = Surface((float(red), float(green), float(blue)), Material.LEAVES, pattern)
    builder.ellipsoid(centre, (size, size, size * generator.uniform(0.65, 0.95)), surface)
