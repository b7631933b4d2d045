"""A street scene: road, weather, the moving camera, labelled actors, and a backdrop without labels.

`streets.random_scene` makes a scene from a seed; `render` draws it.
World: x right of the road's middle, y down, z along the road, metres; the ground is the plane y = 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mp_perception.arrays import AnyFloats
from mp_perception.synthetic.shapes import Model

#: Metres above the ground.
CAMERA_HEIGHT = 1.65


@dataclass(frozen=True)
class Road:
    """The road and what borders it.

    half_width: from the middle to the kerb, metres.  footway: width of the footway on each side; beyond is grass.
    lanes: number of lanes.  parking: width of the parking strips inside the kerbs, 0 for none.  asphalt: its
    reflectance, 0..1.  seed: selects the texture.
    """

    half_width: float
    footway: float
    lanes: int
    parking: float
    asphalt: float
    seed: int

    @property
    def drivable(self) -> float:
        """From the middle to the edge of the outer lane, metres."""
        return self.half_width - self.parking

    @property
    def lane_width(self) -> float:
        """Metres."""
        return 2 * self.drivable / self.lanes


@dataclass(frozen=True)
class Light:
    """Weather and sun.

    to_sun (3,): unit vector.  sun: strength of direct light, 0 under clouds.  sky: strength of light from above.
    clouds: 0 clear to 1 closed.  visibility: distance over which a view fades to 1/e, metres.
    """

    to_sun: tuple[float, float, float]
    sun: float
    sky: float
    clouds: float
    visibility: float

    @property
    def is_sunny(self) -> bool:
        """Whether the sun dominates."""
        return self.sun > 0.6


@dataclass(frozen=True)
class Motion:
    """Uniform motion on the ground.

    x, z: position at time 0, metres.  speed_x, speed_z: m/s.  heading: from z towards x, radians.
    """

    x: float
    z: float
    speed_x: float = 0.0
    speed_z: float = 0.0
    heading: float = 0.0

    def at(self, time: float) -> AnyFloats:
        """Position (3,) at a time, seconds."""
        return np.array([self.x + self.speed_x * time, 0.0, self.z + self.speed_z * time])


@dataclass(frozen=True)
class Actor:
    """A labelled object: class name, shapes at a time (seconds), and how it moves."""

    label: str
    model: Callable[[float], Model]
    motion: Motion


@dataclass(frozen=True)
class Scene:
    """Everything that `render` needs.

    exposure: factor from light to grey levels 0..1, before gamma.  camera: motion of the car with the camera.
    backdrop: the shapes without label, in the world's frame.  seed: of the noise.
    """

    road: Road
    light: Light
    exposure: float
    camera: Motion
    actors: tuple[Actor, ...]
    backdrop: Model
    seed: int
