"""Pedestrians and cyclists: an articulated body of ellipsoids and cones, clothes, a bicycle.

Lengths are in body heights: a model is built for a height of 1 and scaled.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mp_perception.arrays import AnyFloats
from mp_perception.synthetic.shapes import Color, Material, Model, ModelBuilder, Surface, join, random_color

_SKINS: tuple[Color, ...] = ((0.93, 0.76, 0.65), (0.87, 0.66, 0.54), (0.76, 0.55, 0.42), (0.45, 0.30, 0.21))
_HAIRS: tuple[Color, ...] = ((0.10, 0.08, 0.07), (0.25, 0.16, 0.10), (0.45, 0.30, 0.16), (0.70, 0.62, 0.48))
_SHOES: tuple[Color, ...] = ((0.1, 0.1, 0.1), (0.85, 0.85, 0.85), (0.35, 0.22, 0.14))

#: Height of the rider for whom the measures of the bicycle are given, metres.
_RIDER_HEIGHT = 1.75

_LEFT_AND_RIGHT = np.array([[0.0, 1.0, 0.0], [0.0, -1.0, 0.0]])


@dataclass(frozen=True)
class Person:
    """How a person looks and moves.

    height: metres.  girth: breadth of body and limbs relative to the mean.  pace: steps per second, two of which make a
    cycle; 0 stands still.  phase: position in the cycle at time 0, radians.
    """

    height: float
    girth: float
    pace: float
    phase: float
    top: Surface
    trousers: Surface
    forearms: Surface
    shins: Surface
    skin: Surface
    hair: Surface
    shoes: Surface


def random_person(generator: np.random.Generator, walking: bool = True) -> Person:
    """An adult or, less often, a child (KITTI's mean height is 1.76 m)."""
    is_child = generator.random() < 0.1
    top, trousers = _random_cloth(generator), _random_cloth(generator)
    skin = Surface(random_color(generator, _SKINS))
    return Person(
        height=generator.uniform(1.1, 1.5) if is_child else float(np.clip(generator.normal(1.73, 0.08), 1.52, 1.95)),
        girth=float(np.clip(generator.normal(1.0, 0.1), 0.82, 1.3)),
        pace=generator.uniform(1.6, 2.2) if walking else 0.0,
        phase=generator.uniform(0, 2 * np.pi),
        top=top,
        trousers=trousers,
        forearms=top if generator.random() < 0.65 else skin,
        shins=skin if generator.random() < 0.2 else trousers,
        skin=skin,
        hair=Surface(random_color(generator, _HAIRS)),
        shoes=Surface(random_color(generator, _SHOES)),
    )


def _random_cloth(generator: np.random.Generator) -> Surface:
    red, green, blue = (generator.uniform(0.08, 0.9) * generator.uniform(0.6, 1.1, 3)).tolist()
    return Surface((red, green, blue), Material.CLOTH, (generator.uniform(0, 120), 0.0, 0.0))


@dataclass(frozen=True)
class _Posture:
    """Positions of the joints, (forward, left, up); index 0 of a pair is the left one."""

    hips: AnyFloats
    chest: AnyFloats
    head: AnyFloats
    elbows: AnyFloats
    hands: AnyFloats
    knees: AnyFloats
    ankles: AnyFloats


def pedestrian(person: Person, time: float) -> Model:
    """The person on foot at a time, seconds."""
    builder = ModelBuilder()
    _add_person(builder, person, _walking_posture(person, time))
    return builder.build().scaled(person.height)


def cyclist(person: Person, time: float) -> Model:
    """The person on a bicycle of their size at a time, seconds; the pace gives the half turns of the pedals."""
    builder = ModelBuilder()
    _add_person(builder, person, _riding_posture(-(person.phase + np.pi * person.pace * time)))
    return join([builder.build(), _bicycle().scaled(1 / _RIDER_HEIGHT)]).scaled(person.height)


def _walking_posture(person: Person, time: float) -> _Posture:
    """Legs and arms swing in opposite phases; the lower foot is on the ground."""
    walking = person.pace > 0
    stride = 0.42 if walking else 0.04
    phases = person.phase + np.pi * person.pace * time + np.array([0.0, np.pi])
    thigh = stride * np.sin(phases)
    # The leg that swings forward is bent; the other one is straight.
    shin = thigh - (0.15 + 0.75 * np.maximum(0.0, np.cos(phases)) if walking else 0.03)
    thighs, shins = 0.245 * _downwards(thigh), 0.245 * _downwards(shin)
    hips = np.array([0.0, 0.0, 0.04 - (thighs + shins)[:, 2].min()])
    chest = hips + (0.02 if walking else 0.0, 0.0, 0.26)
    shoulders, sockets = _shoulders_and_hip_joints(hips, chest, person.girth)
    upper_arm = 0.02 - 0.9 * stride * np.sin(phases)
    elbows = shoulders + 0.18 * _downwards(upper_arm) + 0.011 * _LEFT_AND_RIGHT
    hands = elbows + 0.16 * _downwards(upper_arm + 0.35) + 0.006 * _LEFT_AND_RIGHT
    knees = sockets + thighs
    return _Posture(hips, chest, chest + (0.012, 0.0, 0.172), elbows, hands, knees, knees + shins)


def _downwards(angles: AnyFloats) -> AnyFloats:
    """Directions (N, 3) at angles (N,) forward from straight down, radians."""
    return np.stack([np.sin(angles), np.zeros(len(angles)), -np.cos(angles)], axis=1)


def _shoulders_and_hip_joints(hips: AnyFloats, chest: AnyFloats, girth: float) -> tuple[AnyFloats, AnyFloats]:
    """Where arms and legs begin, (2, 3) each."""
    shoulders = chest + (0.0, 0.0, 0.030) + 0.100 * girth * _LEFT_AND_RIGHT
    return shoulders, hips + 0.050 * girth * _LEFT_AND_RIGHT


def _riding_posture(crank: float) -> _Posture:
    """Hands on the handlebar, feet on the pedals; crank: angle of the left pedal, radians."""
    angles = crank + np.array([0.0, np.pi])
    circle, none = np.stack([np.cos(angles), np.sin(angles)], axis=1), np.zeros(2)
    # The ankles move on circles, the knees approximately on ellipses.
    knees, ankles = circle @ [[0.034, 0.030], [0.080, 0.066]], circle * 0.097
    return _Posture(
        hips=np.array([-0.137, 0.0, 0.606]),
        chest=np.array([-0.010, 0.0, 0.843]),
        head=np.array([0.035, 0.0, 1.003]),
        elbows=np.array([0.052, 0.0, 0.731]) + 0.150 * _LEFT_AND_RIGHT,
        hands=np.array([0.131, 0.0, 0.583]) + 0.154 * _LEFT_AND_RIGHT,
        knees=np.stack([knees[:, 0] + 0.012, none, knees[:, 1] + 0.425], axis=1) + 0.045 * _LEFT_AND_RIGHT,
        ankles=np.stack([ankles[:, 0] - 0.074, none, ankles[:, 1] + 0.203], axis=1) + 0.055 * _LEFT_AND_RIGHT,
    )


def _add_person(builder: ModelBuilder, person: Person, posture: _Posture) -> None:
    girth, top, trousers = person.girth, person.top, person.trousers
    hips, chest, head = posture.hips, posture.chest, posture.head
    shoulders, sockets = _shoulders_and_hip_joints(hips, chest, girth)
    spine = (chest - hips) / np.sqrt((chest - hips) @ (chest - hips))
    body_axes = np.stack([np.array([spine[2], 0.0, -spine[0]]), np.array([0.0, 1.0, 0.0]), spine], axis=1)

    def oval(centre: AnyFloats, along: float, across: float, up: float, surface: Surface) -> None:
        builder.ellipsoid(centre, body_axes * (along, across, up), surface)

    oval(hips, 0.068 * girth, 0.090 * girth, 0.075, trousers)
    oval(chest - spine * 0.11, 0.066 * girth, 0.094 * girth, 0.145, top)
    oval(chest, 0.070 * girth, 0.110 * girth, 0.080, top)
    oval(chest + spine * 0.055, 0.045 * girth, 0.085 * girth, 0.055, top)
    thick = 0.6 + 0.4 * girth
    for socket, knee, ankle in zip(sockets, posture.knees, posture.ankles, strict=True):
        builder.cone(socket, knee, (0.056 * thick, 0.038 * thick), trousers)
        builder.ellipsoid(knee, np.full(3, 0.0385 * thick), trousers)
        builder.cone(knee, ankle, (0.037 * thick, 0.026 * thick), person.shins)
        builder.ellipsoid(ankle + (0.035, 0, -0.016), (0.078, 0.027, 0.024), person.shoes)
    for shoulder, elbow, hand in zip(shoulders, posture.elbows, posture.hands, strict=True):
        builder.ellipsoid(shoulder, np.full(3, 0.034 * thick), top)
        builder.cone(shoulder, elbow, (0.033 * thick, 0.026 * thick), top)
        builder.ellipsoid(elbow, np.full(3, 0.026 * thick), person.forearms)
        builder.cone(elbow, hand, (0.025 * thick, 0.018 * thick), person.forearms)
        builder.ellipsoid(hand, (0.022, 0.016, 0.03), person.skin)

    builder.cone(chest + (0, 0, 0.04), head, (0.036, 0.032), person.skin)
    builder.ellipsoid(head, (0.055, 0.044, 0.068), person.skin)
    builder.ellipsoid(head + (-0.014, 0, 0.018), (0.056, 0.049, 0.062), person.hair)


def _bicycle() -> Model:
    """A bicycle, in metres, for a rider of _RIDER_HEIGHT."""
    builder = ModelBuilder()
    black, frame = Surface((0.06, 0.06, 0.06)), Surface((0.25, 0.27, 0.33), Material.PAINT)
    rear, front, pedals = np.array([(-0.53, 0, 0.335), (0.53, 0, 0.335), (-0.08, 0, 0.285)])
    saddle, neck, bar = np.array([(-0.26, 0, 0.98), (0.36, 0, 0.88), (0.33, 0, 1.02)])
    for axle in (rear, front):
        builder.disc(axle, (0, 1, 0), 0.335, Surface(black.color, Material.SPOKES))
        builder.cone(axle - (0, 0.018, 0), axle + (0, 0.018, 0), (0.335, 0.335), black)
    tubes = ((pedals, saddle), (pedals, neck - (0, 0, 0.1)), (saddle - (-0.04, 0, 0.17), neck), (rear, pedals))
    for start, end in (*tubes, (rear, saddle - (-0.04, 0, 0.17)), (neck, front), (neck, bar)):
        builder.cone(start, end, (0.017, 0.017), frame)
    builder.ellipsoid(saddle + (0, 0, 0.02), (0.14, 0.07, 0.03), black)
    for side in (0.27, -0.27):
        builder.cone(bar, bar + (-0.10, side, 0), (0.014, 0.014), black)
        builder.ellipsoid(bar + (-0.10, side, 0), (0.05, 0.02, 0.02), black)
    return builder.build()
