"""Bicycles, and people who ride them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mp_perception.synthetic.people import Color, Person, Posture, dress, shoulders_and_hips
from mp_perception.synthetic.shapes import Floats, Material, Model, ModelBuilder


@dataclass(frozen=True)
class Bicycle:
    """A bicycle: wheel radius in metres, frame colour, whether it has a basket and mudguards' racks."""

    wheel_radius: float
    color: Color
    basket: bool
    rack: bool


def random_bicycle(generator: np.random.Generator) -> Bicycle:
    """A bicycle of usual measures in one of some colours."""
    color = generator.choice(np.array([(0.08, 0.08, 0.09), (0.5, 0.5, 0.52), (0.6, 0.1, 0.1), (0.12, 0.2, 0.45)]))
    return Bicycle(
        generator.uniform(0.32, 0.35),
        (float(color[0]), float(color[1]), float(color[2])),
        bool(generator.random() < 0.3),
        bool(generator.random() < 0.6),
    )


def _assemble_bicycle(builder: ModelBuilder, bicycle: Bicycle, crank: float) -> tuple[Floats, Floats, Floats]:
    """Adds the bicycle; gives saddle (3,), both grips (2, 3) and both pedals (2, 3), left first."""
    radius = bicycle.wheel_radius
    base = 0.53
    black, steel = (0.06, 0.06, 0.06), (0.55, 0.56, 0.58)
    for x in (-base, base):
        for side in (1, -1):
            builder.ring((x, side * 0.018, radius), (0, side, 0), radius, black, inner=0.90)
            builder.ring((x, side * 0.012, radius), (0, side, 0), radius * 0.90, steel, inner=0.95)
        builder.cone((x, -0.018, radius), (x, 0.018, radius), (radius, radius), black)
        for angle in np.linspace(0, np.pi, 6, endpoint=False):
            spoke = radius * 0.9 * np.array([np.cos(angle), 0, np.sin(angle)])
            builder.cone((x, 0, radius) - spoke, (x, 0, radius) + spoke, (0.0025, 0.0025), steel)
        builder.ellipsoid((x, 0, radius), (0.03, 0.05, 0.03), steel)
    bottom = np.array([-0.08, 0, radius - 0.05])
    saddle, neck = np.array([-0.26, 0, 0.98]), np.array([0.36, 0, 0.88])
    rear, front = np.array([-base, 0, radius]), np.array([base, 0, radius])
    seat_joint = bottom + (saddle - bottom) * 0.75
    for start, end, thick in (
        (bottom, saddle, 0.018),
        (bottom, neck - (0.02, 0, 0.12), 0.02),
        (seat_joint, neck, 0.018),
        (rear, bottom, 0.013),
        (rear, seat_joint, 0.012),
        (neck, front, 0.016),
        (neck, neck + np.array([-0.03, 0, 0.14]), 0.014),
    ):
        builder.cone(start, end, (thick, thick), bicycle.color, Material.PAINT)
    builder.ellipsoid(saddle + (0, 0, 0.02), (0.14, 0.07, 0.03), black)
    bar = neck + np.array([-0.03, 0, 0.14])
    grips = np.array([bar + (-0.10, 0.27, 0.0), bar + (-0.10, -0.27, 0.0)])
    for grip in grips:
        builder.cone(bar, grip, (0.013, 0.013), steel)
        builder.ellipsoid(grip, (0.05, 0.02, 0.02), black)
    turn = 0.17 * np.array([np.cos(crank), 0, np.sin(crank)])
    pedals = np.array([bottom + turn + (0, 0.10, 0), bottom - turn - (0, 0.10, 0)])
    for pedal in pedals:
        builder.cone(bottom + (0, pedal[1] * 0.6, 0), pedal, (0.012, 0.012), steel)
        builder.ellipsoid(pedal, (0.05, 0.045, 0.012), black)
    builder.ring(bottom + (0, 0.05, 0), (0, 1, 0), 0.09, steel, inner=0.6)
    builder.ellipsoid((neck[0] + 0.08, 0, neck[2] + 0.02), (0.04, 0.04, 0.04), (0.9, 0.9, 0.85), Material.LAMP)
    builder.ellipsoid((-base - 0.16, 0, 0.62), (0.02, 0.04, 0.03), (0.7, 0.05, 0.05), Material.LAMP)
    if bicycle.rack:
        builder.box((-base - 0.16, -0.06, 0.71), (-0.30, 0.06, 0.73), steel)
        builder.cone(rear + (0, 0.05, 0), (-base, 0.05, 0.72), (0.008, 0.008), steel)
    if bicycle.basket:
        builder.box((neck[0] + 0.05, -0.17, neck[2] - 0.06), (neck[0] + 0.33, 0.17, neck[2] + 0.16), (0.35, 0.27, 0.18))
    return saddle, grips, pedals


def _bend(start: Floats, end: Floats, first: float, second: float, towards: Floats) -> tuple[Floats, Floats]:
    """Middle joint and reachable end of two bones of given lengths from start towards end (two-bone kinematics)."""
    reach = end - start
    distance = np.clip(np.linalg.norm(reach), abs(first - second) + 1e-6, (first + second) * 0.999)
    direction = reach / max(float(np.linalg.norm(reach)), 1e-9)
    along = (first**2 - second**2 + distance**2) / (2 * distance)
    side = towards - direction * (towards @ direction)
    side = side / max(float(np.linalg.norm(side)), 1e-9)
    return start + direction * along + side * np.sqrt(max(first**2 - along**2, 0.0)), start + direction * distance


def cyclist(person: Person, bicycle: Bicycle, time: float) -> Model:
    """The rider on the bicycle at a time, seconds; pedals by the person's pace (turns per second are half of it)."""
    builder = ModelBuilder()
    crank = -(person.phase + np.pi * person.pace * time)
    saddle, grips, pedals = _assemble_bicycle(builder, bicycle, crank)
    unit = person.height
    hips = saddle + np.array([0.02, 0, 0.08])
    lean = 0.38
    chest = hips + 0.27 * unit * np.array([np.sin(lean), 0, np.cos(lean)])
    head = chest + np.array([0.05, 0, 0.165]) * unit
    shoulders, sockets = shoulders_and_hips(hips, chest, unit, person.girth)
    elbows, hands = zip(
        *(
            _bend(shoulder, grip, 0.18 * unit, 0.165 * unit, np.array([0.0, 0.5 * side, -1.0]))
            for shoulder, grip, side in zip(shoulders, grips, (1, -1), strict=True)
        ),
        strict=True,
    )
    knees, ankles = zip(
        *(
            _bend(socket, pedal + (-0.05, 0, 0.04 * unit), 0.25 * unit, 0.25 * unit, np.array([1.0, 0.0, 0.3]))
            for socket, pedal in zip(sockets, pedals, strict=True)
        ),
        strict=True,
    )
    posture = Posture(hips, chest, head, np.array(elbows), np.array(hands), np.array(knees), np.array(ankles))
    # What hangs from a hand or down to the knees would catch in the wheels.
    dress(builder, replace(person, bag=False, coat=False, skirt=False), posture)
    return builder.build()


def standing_bicycle(bicycle: Bicycle) -> Model:
    """A parked bicycle without rider."""
    builder = ModelBuilder()
    _assemble_bicycle(builder, bicycle, 0.6)
    return builder.build()
