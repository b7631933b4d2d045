"""Hand-made scenes: boxes on a straight road in plain light, so that everything in them can be computed by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from mp_perception.synthetic.ground import Road

from mp_perception.geometry import CameraIntrinsics
from mp_perception.synthetic.scene import Actor, CameraLook, Ego, Light, Motion, Scene, Vehicle
from mp_perception.synthetic.shapes import Model, ModelBuilder


@pytest.fixture
def small_camera() -> CameraIntrinsics:
    """A camera of another size, focal lengths and principal point than KITTI's."""
    return CameraIntrinsics(fx=310.0, fy=290.0, cx=161.25, cy=88.5, width=320, height=180)


@pytest.fixture
def straight_road() -> Road:
    return Road(
        curvature=0.0,
        half_width=4.0,
        pavement=3.0,
        paved=True,
        lanes=2,
        parking=0.0,
        zebra=None,
        asphalt=0.2,
        wear=0.0,
        seed=3,
    )


def _box(length: float, width: float, height: float) -> Model:
    builder = ModelBuilder()
    builder.box((-length / 2, -width / 2, 0.0), (length / 2, width / 2, height), (0.5, 0.2, 0.2))
    return builder.build()


@pytest.fixture
def box_actor() -> Callable[..., Actor]:
    """Makes a box of (length, width, height) whose middle stands at s, t; heading 0 points away from the camera."""

    def make(
        s: float,
        t: float,
        heading: float = 0.0,
        size: tuple[float, float, float] = (4.0, 1.6, 1.5),
        label: str = "Car",
        speed: float = 0.0,
    ) -> Actor:
        return Actor(Vehicle(label, _box(*size)), Motion(s, t, speed, 0.0, heading))

    return make


@pytest.fixture
def make_scene(straight_road: Road) -> Callable[..., Scene]:
    """Makes a scene of actors, seen from the road's middle, 1.65 m above it; the backdrop lies behind the camera."""

    def make(*actors: Actor) -> Scene:
        light = Light((0.0, -1.0, 0.0), sun=2.0, sky=0.5, clouds=0.0, visibility=1000.0, warmth=0.0, wetness=0.0)
        look = CameraLook(exposure=0.6, noise=0.0, blur=0.0, jpeg_quality=0, balance=(1.0, 1.0, 1.0), contrast=1.0)
        behind = _box(1.0, 1.0, 1.0).moved(np.eye(3), np.array([0.0, 0.0, -50.0]))
        return Scene(straight_road, light, look, Ego(t=0.0, speed=0.0, sway=0.0), tuple(actors), behind, seed=0)

    return make
