"""People on foot: an articulated body of ellipsoids and cones, clothes, bags."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mp_perception.synthetic.shapes import Floats, Material, Model, ModelBuilder

Color = tuple[float, float, float]

_SKINS: tuple[Color, ...] = (
    (0.93, 0.76, 0.65),
    (0.87, 0.66, 0.54),
    (0.76, 0.55, 0.42),
    (0.55, 0.36, 0.25),
    (0.36, 0.24, 0.17),
)
_HAIRS: tuple[Color, ...] = (
    (0.10, 0.08, 0.07),
    (0.25, 0.16, 0.10),
    (0.45, 0.30, 0.16),
    (0.75, 0.62, 0.38),
    (0.62, 0.61, 0.60),
)
_TROUSERS: tuple[Color, ...] = (
    (0.14, 0.18, 0.30),
    (0.25, 0.33, 0.48),
    (0.10, 0.10, 0.11),
    (0.30, 0.29, 0.28),
    (0.58, 0.52, 0.42),
    (0.80, 0.78, 0.72),
)
_TOPS: tuple[Color, ...] = (
    (0.10, 0.10, 0.12),
    (0.90, 0.90, 0.88),
    (0.20, 0.25, 0.40),
    (0.68, 0.12, 0.12),
    (0.40, 0.42, 0.44),
    (0.25, 0.40, 0.28),
    (0.75, 0.55, 0.20),
    (0.55, 0.35, 0.50),
    (0.35, 0.55, 0.72),
    (0.42, 0.30, 0.22),
    (0.85, 0.45, 0.50),
)


@dataclass(frozen=True)
class Person:
    """How a person looks and moves.

    height: metres.  girth: breadth of body and limbs against the average.  pace: steps per second (two make a full
    cycle), 0 stands still.  phase: place in the cycle at time 0, radians.  top, trousers, hair, skin, shoes, bag_color:
    sRGB 0..1.  pattern: of the top, 1 striped, 2 checked, else plain.  sleeves, short_trousers, skirt, coat, backpack,
    bag, hat: what is worn.  long_hair: to the shoulders.
    """

    height: float
    girth: float
    pace: float
    phase: float
    top: Color
    trousers: Color
    hair: Color
    skin: Color
    shoes: Color
    bag_color: Color
    pattern: float
    sleeves: bool = True
    short_trousers: bool = False
    skirt: bool = False
    coat: bool = False
    backpack: bool = False
    bag: bool = False
    hat: bool = False
    long_hair: bool = False


def random_person(generator: np.random.Generator, walking: bool = True) -> Person:
    """A grown-up or, rarely, a child (KITTI's mean height is 1.76 m)."""
    child = generator.random() < 0.1
    height = generator.uniform(1.1, 1.5) if child else float(np.clip(generator.normal(1.73, 0.08), 1.52, 1.95))

    def tinted(colors: tuple[Color, ...]) -> Color:
        base = np.array(colors[generator.integers(len(colors))])
        red, green, blue = np.clip(base * generator.uniform(0.75, 1.2) + generator.normal(0, 0.03, 3), 0.03, 0.97)
        return float(red), float(green), float(blue)

    skirt = generator.random() < 0.12
    return Person(
        height=height,
        girth=float(np.clip(generator.normal(1.0, 0.1), 0.82, 1.3)),
        pace=generator.uniform(1.6, 2.2) if walking else 0.0,
        phase=generator.uniform(0, 2 * np.pi),
        top=tinted(_TOPS),
        trousers=tinted(_TOPS if skirt else _TROUSERS),
        hair=tinted(_HAIRS),
        skin=tinted(_SKINS),
        shoes=tinted(((0.1, 0.1, 0.1), (0.85, 0.85, 0.85), (0.35, 0.22, 0.14))),
        bag_color=tinted(_TOPS),
        pattern=float(generator.integers(0, 6)),
        sleeves=bool(generator.random() < 0.65),
        short_trousers=bool(generator.random() < 0.15),
        skirt=bool(skirt),
        coat=bool(generator.random() < 0.18),
        backpack=bool(generator.random() < 0.2),
        bag=bool(generator.random() < 0.25),
        hat=bool(generator.random() < 0.1),
        long_hair=bool(generator.random() < 0.4),
    )


@dataclass(frozen=True)
class Posture:
    """Where the joints are, (forward, left, up) in metres; index 0 of a pair is the left one."""

    hips: Floats
    chest: Floats
    head: Floats
    elbows: Floats
    hands: Floats
    knees: Floats
    ankles: Floats


def shoulders_and_hips(hips: Floats, chest: Floats, unit: float, girth: float) -> tuple[Floats, Floats]:
    """Joints of arms and legs at the trunk, (2, 3) each, left first; unit is the person's height in metres."""
    shoulder = np.array([chest + (0, side * 0.100 * unit * girth, 0.030 * unit) for side in (1, -1)])
    socket = np.array([hips + (0, side * 0.05 * unit * girth, 0) for side in (1, -1)])
    return shoulder, socket


def _walking_posture(person: Person, time: float) -> Posture:
    """The gait at a time: legs and arms swing against each other; the lower foot stands on the ground."""
    unit = person.height
    swing = person.phase + np.pi * person.pace * time
    stride = 0.42 if person.pace > 0 else 0.04
    thigh, shin, foot = 0.245 * unit, 0.245 * unit, 0.04 * unit
    knees, ankles = [], []
    hips = np.array([0.0, 0.0, 0.0])
    lean = 0.02 if person.pace > 0 else 0.0
    chest = np.array([lean * unit, 0.0, 0.26 * unit])
    shoulders, sockets = shoulders_and_hips(hips, chest, unit, person.girth)
    for socket, shift in zip(sockets, (0.0, np.pi), strict=True):
        angle = stride * np.sin(swing + shift)
        # The leg that swings forward is bent, the standing one straight.
        bend = (0.15 + 0.75 * max(0.0, np.cos(swing + shift))) * (stride / 0.42) if person.pace > 0 else 0.03
        knee = socket + thigh * np.array([np.sin(angle), 0, -np.cos(angle)])
        lower = angle - bend
        knees.append(knee)
        ankles.append(knee + shin * np.array([np.sin(lower), 0, -np.cos(lower)]))
    elbows, hands = [], []
    for side, (shoulder, shift) in enumerate(zip(shoulders, (np.pi, 0.0), strict=True)):
        angle = 0.9 * stride * np.sin(swing + shift) + 0.02
        out = 0.06 * (1 if side == 0 else -1)
        upper = np.array([np.sin(angle), out, -np.cos(angle)])
        fore = np.array([np.sin(angle + 0.35), out * 0.6, -np.cos(angle + 0.35)])
        elbows.append(shoulder + 0.18 * unit * upper)
        hands.append(elbows[-1] + 0.16 * unit * fore)
    lift = foot - min(ankle[2] for ankle in ankles)
    rise = np.array([0, 0, lift])
    head = chest + np.array([0.012 * unit, 0, 0.172 * unit])
    return Posture(
        hips + rise,
        chest + rise,
        head + rise,
        np.array(elbows) + rise,
        np.array(hands) + rise,
        np.array(knees) + rise,
        np.array(ankles) + rise,
    )


def dress(builder: ModelBuilder, person: Person, posture: Posture) -> None:
    """Adds the body in its clothes to the builder."""
    unit, girth = person.height, person.girth
    wear = Material.CLOTH
    look, plain = (person.pattern, person.phase * 20), (0.0, person.phase * 20)
    hips, chest = posture.hips, posture.chest
    shoulders, sockets = shoulders_and_hips(hips, chest, unit, girth)
    spine = (chest - hips) / np.linalg.norm(chest - hips)
    front = np.cross(np.array([0.0, 1.0, 0.0]), spine)
    left = np.array([0.0, 1.0, 0.0])

    def oval(centre: Floats, along: float, across: float, up: float, color: Color, worn: tuple[float, float]) -> None:
        builder.ellipsoid(
            centre, np.stack([front * along, left * across, spine * up], axis=1) * unit, color, wear, worn
        )

    # Trunk: waist, chest, shoulders.
    oval(hips, 0.068 * girth, 0.090 * girth, 0.075, person.trousers, plain)
    waist = hips + spine * 0.05 * unit
    builder.cone(
        waist, chest, (0.085 * unit * girth, 0.108 * unit * girth), person.top, wear, look, left, flatness=0.66
    )
    oval(chest, 0.070 * girth, 0.110 * girth, 0.070, person.top, look)
    oval(chest + spine * 0.05 * unit, 0.045 * girth, 0.095 * girth, 0.042, person.top, look)
    oval(chest + spine * 0.075 * unit, 0.036, 0.050, 0.042, person.top, look)
    oval(waist, 0.060 * girth, 0.088 * girth, 0.05, person.top, look)
    if person.coat:
        hem = hips - np.array([0, 0, 0.16 * unit])
        builder.cone(
            hem, waist, (0.120 * unit * girth, 0.09 * unit * girth), person.top, wear, look, left, flatness=0.8
        )
    if person.skirt:
        hem = hips - np.array([0, 0, 0.21 * unit])
        builder.cone(
            hem, waist, (0.135 * unit * girth, 0.085 * unit * girth), person.trousers, wear, plain, left, flatness=0.85
        )
    # Legs and feet.
    bare = person.skirt or person.short_trousers
    shin_color, shin_material = (person.skin, Material.SKIN) if bare else (person.trousers, wear)
    for socket, knee, ankle in zip(sockets, posture.knees, posture.ankles, strict=True):
        thick = unit * (0.6 + 0.4 * girth)
        builder.cone(socket, knee, (0.056 * thick, 0.038 * thick), person.trousers, wear, plain)
        builder.ellipsoid(knee, np.full(3, 0.0385 * thick), person.trousers, wear, plain)
        builder.cone(knee, ankle, (0.037 * thick, 0.026 * thick), shin_color, shin_material, plain)
        sole = ankle[2] - 0.04 * unit
        builder.ellipsoid(
            (ankle[0] + 0.035 * unit, ankle[1], sole + 0.024 * unit),
            np.array([0.078, 0.027, 0.024]) * unit,
            person.shoes,
        )
    # Arms and hands.
    fore_color, fore_material = (person.top, wear) if person.sleeves or person.coat else (person.skin, Material.SKIN)
    for shoulder, elbow, hand in zip(shoulders, posture.elbows, posture.hands, strict=True):
        thick = unit * (0.7 + 0.3 * girth)
        builder.ellipsoid(shoulder, np.full(3, 0.034 * thick), person.top, wear, look)
        builder.cone(shoulder, elbow, (0.033 * thick, 0.026 * thick), person.top, wear, look)
        builder.ellipsoid(elbow, np.full(3, 0.026 * thick), fore_color, fore_material, look)
        builder.cone(elbow, hand, (0.025 * thick, 0.018 * thick), fore_color, fore_material, look)
        builder.ellipsoid(hand, np.array([0.022, 0.016, 0.03]) * unit, person.skin, Material.SKIN)
    _head(builder, person, posture)
    if person.backpack:
        oval(chest - front * 0.10 * unit - spine * 0.03 * unit, 0.06, 0.08, 0.115, person.bag_color, plain)
    if person.bag:
        hand = posture.hands[0]
        low = hand - np.array([0.10, 0.035, 0.20]) * unit
        builder.box(low, hand + np.array([0.10, 0.035, -0.03]) * unit, person.bag_color, wear, plain)


def _head(builder: ModelBuilder, person: Person, posture: Posture) -> None:
    unit, head = person.height, posture.head
    builder.cone(posture.chest + (0, 0, 0.04 * unit), head, (0.036 * unit, 0.032 * unit), person.skin, Material.SKIN)
    builder.ellipsoid(head, np.array([0.055, 0.044, 0.068]) * unit, person.skin, Material.SKIN)
    builder.ellipsoid(head + np.array([0.052, 0, -0.008]) * unit, np.array([0.014, 0.010, 0.014]) * unit, person.skin)
    builder.ellipsoid(head + np.array([-0.014, 0, 0.018]) * unit, np.array([0.056, 0.049, 0.062]) * unit, person.hair)
    if person.long_hair:
        builder.ellipsoid(
            head + np.array([-0.034, 0, -0.04]) * unit, np.array([0.036, 0.050, 0.085]) * unit, person.hair
        )
    if person.hat:
        builder.ellipsoid(
            head + np.array([-0.002, 0, 0.035]) * unit, np.array([0.062, 0.054, 0.046]) * unit, person.bag_color
        )


def pedestrian(person: Person, time: float) -> Model:
    """The person on foot at a time, seconds."""
    builder = ModelBuilder()
    dress(builder, person, _walking_posture(person, time))
    return builder.build()
