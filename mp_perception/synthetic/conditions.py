"""Random weather, camera settings and roads."""

from __future__ import annotations

import numpy as np

from mp_perception.synthetic.ground import Road
from mp_perception.synthetic.scene import CameraLook, Light


def random_light(generator: np.random.Generator) -> Light:
    """Sun in about half of the cases, else clouds, fog or rain."""
    weather = generator.choice(["sunny", "cloudy", "fog", "rain"], p=[0.65, 0.25, 0.04, 0.06])
    azimuth, elevation = generator.uniform(0, 2 * np.pi), np.deg2rad(generator.uniform(18, 62))
    to_sun = (
        float(np.cos(elevation) * np.sin(azimuth)),
        float(-np.sin(elevation)),
        float(np.cos(elevation) * np.cos(azimuth)),
    )
    low = float(np.clip(1 - np.rad2deg(elevation) / 45, 0, 1))
    if weather == "sunny":
        return Light(
            to_sun,
            generator.uniform(2.2, 3.2),
            generator.uniform(0.4, 0.75),
            generator.uniform(0, 0.6),
            generator.uniform(500, 3000),
            low * generator.uniform(0.3, 1),
            0.0,
        )
    if weather == "cloudy":
        return Light(
            to_sun, generator.uniform(0, 0.5), generator.uniform(0.9, 1.4), 1.0, generator.uniform(400, 2500), 0.0, 0.0
        )
    if weather == "fog":
        return Light(to_sun, 0.0, generator.uniform(0.9, 1.3), 1.0, generator.uniform(40, 120), 0.0, 0.0)
    return Light(to_sun, 0.0, generator.uniform(0.7, 1.1), 1.0, generator.uniform(90, 300), 0.0, 1.0)


def random_look(generator: np.random.Generator, light: Light) -> CameraLook:
    """A camera setting that suits the light more or less."""
    # The exposure follows the light, as a camera's does, but not perfectly.
    level = 0.55 * light.sun + 0.9 * light.sky
    balance = 1 + generator.normal(0, 0.03, 3)
    return CameraLook(
        exposure=float(0.82 / level * np.exp(generator.normal(0, 0.25))),
        noise=float(generator.uniform(1.0, 5.0)),
        blur=float(generator.uniform(0.0, 0.7)),
        jpeg_quality=int(generator.integers(70, 96)) if generator.random() < 0.6 else 0,
        balance=(float(balance[0]), float(balance[1]), float(balance[2])),
        contrast=float(generator.uniform(1.0, 1.6)),
    )


def random_road(generator: np.random.Generator) -> Road:
    """A street of one to four lanes, straight or gently bent."""
    lanes = int(generator.choice([1, 2, 3, 4], p=[0.22, 0.55, 0.08, 0.15]))
    parking = 2.1 if generator.random() < 0.5 else 0.0
    lane = generator.uniform(3.6, 4.6) if lanes == 1 else generator.uniform(2.8, 3.4)
    curvature = generator.uniform(-1, 1) / generator.uniform(150, 400) if generator.random() < 0.6 else 0.0
    return Road(
        curvature=float(curvature),
        half_width=float(lanes * lane / 2 + parking),
        pavement=float(generator.uniform(1.8, 5.0)),
        paved=bool(generator.random() < 0.4),
        lanes=lanes,
        parking=parking,
        zebra=float(generator.uniform(8, 30)) if generator.random() < 0.25 else None,
        asphalt=float(generator.uniform(0.10, 0.26)),
        wear=float(generator.random()),
        seed=int(generator.integers(0, 1000)),
    )
