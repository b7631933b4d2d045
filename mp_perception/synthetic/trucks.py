"""Lorries: a cab, a box and three axles."""

from __future__ import annotations

import numpy as np

from mp_perception.synthetic.shapes import Material, Model, ModelBuilder
from mp_perception.synthetic.vehicles import BLACK, DARK, GLASS, random_paint


def random_truck(generator: np.random.Generator) -> Model:
    """A lorry with a box body (mean 3.25 x 2.59 x 10.1 m)."""
    builder = ModelBuilder()
    length, half, height = generator.uniform(6.5, 10.0), 1.25, generator.uniform(3.0, 3.7)
    front = length / 2
    cab_color = random_paint(generator)
    box_color = (0.85, 0.85, 0.83) if generator.random() < 0.6 else random_paint(generator)
    cab_height = min(2.7, height - 0.2)
    builder.box((front - 1.9, -half * 0.96, 0.55), (front, half * 0.96, cab_height), cab_color, Material.PAINT)
    builder.box((-front, -half, 0.95), (front - 2.05, half, height), box_color, Material.PAINT)
    builder.box((-front + 0.1, -half * 0.8, 0.55), (front - 1.9, half * 0.8, 0.95), DARK)
    x = front + 0.004
    for y0, y1, z0, z1, color, material in (
        (-1.05, 1.05, 1.55, cab_height - 0.25, GLASS, Material.GLASS),
        (-0.7, 0.7, 1.0, 1.4, BLACK, Material.GRILLE),
        (-0.26, 0.26, 0.62, 0.73, (0.9, 0.9, 0.88), Material.PLATE),
        (0.78, 1.12, 0.75, 0.95, (0.88, 0.9, 0.92), Material.LAMP),
        (-1.12, -0.78, 0.75, 0.95, (0.88, 0.9, 0.92), Material.LAMP),
    ):
        builder.polygon([(x, y0, z0), (x, y1, z0), (x, y1, z1), (x, y0, z1)], color, material)
    x = -front - 0.004
    for y0, y1, z0, z1, color, material in (
        (-0.01, 0.01, 1.0, height - 0.05, DARK, Material.MATTE),
        (0.85, 1.15, 0.98, 1.14, (0.7, 0.04, 0.05), Material.LAMP),
        (-1.15, -0.85, 0.98, 1.14, (0.7, 0.04, 0.05), Material.LAMP),
    ):
        builder.polygon([(x, y0, z0), (x, y1, z0), (x, y1, z1), (x, y0, z1)], color, material)
    for side in (1.0, -1.0):
        y = side * (half * 0.96 + 0.004)
        builder.polygon(
            [
                (front - 1.2, y, 1.6),
                (front - 0.15, y, 1.6),
                (front - 0.3, y, cab_height - 0.3),
                (front - 1.2, y, cab_height - 0.3),
            ],
            GLASS,
            Material.GLASS,
        )
        for wheel in (front - 1.1, -front + 1.3, -front + 2.4):
            builder.cone((wheel, side * 0.85, 0.48), (wheel, side * 1.255, 0.48), (0.48, 0.48), BLACK)
            builder.ring((wheel, side * 1.255, 0.48), (0, side, 0), 0.48, (0.4, 0.4, 0.42), Material.WHEEL, (6,))
    return builder.build()
