"""What is in a street at a time: road, light, the moving camera, labelled actors, and a backdrop without labels.

`random_scene` invents a street from a seed; `render` draws it.  Positions are in the world's frame: x right, y down,
z forward, metres, the roadway at y = 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from mp_perception.synthetic.cyclists import Bicycle, cyclist
from mp_perception.synthetic.ground import Road
from mp_perception.synthetic.people import Person, pedestrian
from mp_perception.synthetic.shapes import Floats, Model


@dataclass(frozen=True)
class Light:
    """Sun, sky and air.

    to_sun (3,): unit vector.  sun: strength of direct light, 0 under clouds.  sky: strength of light from above.
    clouds: 0 clear to 1 closed.  visibility: distance over which a view fades to 1/e, metres.  warmth: 0 white light
    to 1 evening light.  wetness: 0 dry to 1 raining.
    """

    to_sun: tuple[float, float, float]
    sun: float
    sky: float
    clouds: float
    visibility: float
    warmth: float
    wetness: float


@dataclass(frozen=True)
class CameraLook:
    """How the camera turns light into numbers: exposure factor, noise (standard deviation, grey levels of 255), blur
    (standard deviation, pixels), JPEG quality (0 none), color balance (3,) and contrast around middle grey."""

    exposure: float
    noise: float
    blur: float
    jpeg_quality: int
    balance: tuple[float, float, float]
    contrast: float


class Body(Protocol):
    """A thing of one class whose shape may change with time."""

    @property
    def label(self) -> str: ...

    def model(self, time: float) -> Model: ...


@dataclass(frozen=True)
class Vehicle:
    """A car, van or truck."""

    label: str
    shapes: Model

    def model(self, time: float) -> Model:
        return self.shapes


@dataclass(frozen=True)
class Walker:
    """Somebody on foot."""

    person: Person
    label: str = "Pedestrian"

    def model(self, time: float) -> Model:
        return pedestrian(self.person, time)


@dataclass(frozen=True)
class Rider:
    """Somebody on a bicycle; both together are one object, as in KITTI."""

    person: Person
    bicycle: Bicycle
    label: str = "Cyclist"

    def model(self, time: float) -> Model:
        return cyclist(self.person, self.bicycle, time)


@dataclass(frozen=True)
class Motion:
    """Uniform motion in road coordinates: s, t at time 0, their speeds in m/s, and the heading against the road's
    direction, radians to the right."""

    s: float
    t: float
    speed_s: float
    speed_t: float
    heading: float

    def at(self, road: Road, time: float) -> tuple[Floats, float]:
        """World position (3,) on the surface and heading (radians from z towards x) at a time."""
        s, t = self.s + self.speed_s * time, self.t + self.speed_t * time
        x, z = road.place(s, t)
        return np.array([x, -road.height(t), z]), road.heading(s) + self.heading


@dataclass(frozen=True)
class Ego:
    """The camera's car: keeps to t on the road at a speed (m/s), weaving gently by `sway` metres.

    camera_height: metres above the roadway.
    """

    t: float
    speed: float
    sway: float
    camera_height: float = 1.65

    def at(self, road: Road, time: float) -> tuple[Floats, float]:
        """World position (3,) of the camera and its heading, radians from z towards x."""
        s = self.speed * time
        wave = 2 * np.pi / 60.0
        x, z = road.place(s, self.t + self.sway * np.sin(wave * s))
        return np.array([x, -self.camera_height, z]), road.heading(s) + np.arctan(self.sway * wave * np.cos(wave * s))


@dataclass(frozen=True)
class Actor:
    """A labelled object: a body and how it moves."""

    body: Body
    motion: Motion


@dataclass(frozen=True)
class Scene:
    """Everything `render` needs; `backdrop` holds the shapes without label, in the world."""

    road: Road
    light: Light
    look: CameraLook
    ego: Ego
    actors: tuple[Actor, ...]
    backdrop: Model
    seed: int
