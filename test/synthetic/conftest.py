"""Hand-made scenes: boxes on a road in plain light, so that everything in them can be computed by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mp_perception.geometry import CameraIntrinsics
from mp_perception.synthetic.scene import Actor, Light, Motion, Road, Scene
from mp_perception.synthetic.shapes import Model, ModelBuilder, Surface


@pytest.fixture
def small_camera() -> CameraIntrinsics:
    """A camera with another size, other focal lengths and another principal point than KITTI's."""
    return CameraIntrinsics(fx=310.0, fy=290.0, cx=161.25, cy=88.5, width=320, height=180)


@pytest.fixture
def road() -> Road:
    return Road(half_width=4.0, footway=3.0, lanes=2, parking=0.0, asphalt=0.2, seed=3)


def _box(length: float, width: float, height: float) -> Model:
    builder = ModelBuilder()
    builder.box((-length / 2, -width / 2, 0.0), (length / 2, width / 2, height), Surface((0.5, 0.2, 0.2)))
    return builder.build()


@pytest.fixture
def box_actor() -> Callable[..., Actor]:
    """Makes a box of (length, width, height) whose middle is at x, z; heading 0 points away from the camera."""

    def make(
        x: float,
        z: float,
        heading: float = 0.0,
        size: tuple[float, float, float] = (4.0, 1.6, 1.5),
        label: str = "Car",
        speed: float = 0.0,
    ) -> Actor:
        model = _box(*size)
        return Actor(label, lambda time: model, Motion(x, z, 0.0, speed, heading))

    return make


@pytest.fixture
def make_scene(road: Road) -> Callable[..., Scene]:
    """Makes a scene of actors, seen from the middle of the road; the backdrop is behind the camera."""

    def make(*actors: Actor) -> Scene:
        light = Light((0.0, -1.0, 0.0), sun=2.0, sky=0.5, clouds=0.0, visibility=1000.0)
        behind = _box(1.0, 1.0, 1.0).moved(np.eye(3), np.array([0.0, 0.0, -50.0]))
        return Scene(road, light, 0.6, Motion(0.0, 0.0), tuple(actors), behind, seed=0)

    return make
