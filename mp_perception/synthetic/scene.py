"""A street scene: road, light, the moving camera, labelled actors, and a backdrop without labels.

`streets.random_scene` makes a scene from a seed; `render` draws it.  Positions are in the world's frame: x right,
y down, z forward, metres, the ground at y = 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mp_perception.synthetic.light import Light
from mp_perception.synthetic.road import Road
from mp_perception.synthetic.shapes import Floats, Model


@dataclass(frozen=True)
class CameraLook:
    """How the camera turns light into numbers.

    exposure: factor.  contrast: factor around middle grey.  blur: standard deviation, pixels.  noise: standard
    deviation, grey levels of 255.
    """

    exposure: float
    contrast: float
    blur: float
    noise: float


@dataclass(frozen=True)
class Motion:
    """Uniform motion in road coordinates.

    s, t: position at time 0, metres.  speed_s, speed_t: m/s.  heading: relative to the road's direction, radians to the
    right.
    """

    s: float
    t: float
    speed_s: float = 0.0
    speed_t: float = 0.0
    heading: float = 0.0

    def at(self, road: Road, time: float) -> tuple[Floats, float]:
        """World position (3,) and heading (radians from z towards x) at a time, seconds."""
        s = self.s + self.speed_s * time
        return road.place(s, self.t + self.speed_t * time), road.heading(s) + self.heading


@dataclass(frozen=True)
class Ego:
    """The car with the camera: it keeps to t on the road at a speed, m/s, and weaves by `sway` metres.

    camera_height: metres above the ground.
    """

    t: float
    speed: float
    sway: float
    camera_height: float = 1.65

    def at(self, road: Road, time: float) -> tuple[Floats, float]:
        """World position (3,) of the camera and its heading (radians from z towards x) at a time, seconds."""
        s, wave = self.speed * time, 2 * np.pi / 60.0
        position = road.place(s, self.t + self.sway * np.sin(wave * s)) - (0.0, self.camera_height, 0.0)
        return position, road.heading(s) + np.arctan(self.sway * wave * np.cos(wave * s))


@dataclass(frozen=True)
class Actor:
    """A labelled object: class name, shapes at a time (seconds), and how it moves."""

    label: str
    model: Callable[[float], Model]
    motion: Motion


@dataclass(frozen=True)
class Scene:
    """Everything that `render` needs; backdrop: the shapes without label, in the world's frame."""

    road: Road
    light: Light
    look: CameraLook
    ego: Ego
    actors: tuple[Actor, ...]
    backdrop: Model
    seed: int
