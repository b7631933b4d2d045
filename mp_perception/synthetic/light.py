"""Sun, sky and air: random weather, the colour of the sky, illumination of surfaces, haze."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mp_perception.synthetic.noise import smooth_noise
from mp_perception.synthetic.shapes import Floats


@dataclass(frozen=True)
class Light:
    """Weather and sun.

    to_sun (3,): unit vector.  sun: strength of direct light, 0 under clouds.  sky: strength of light from above.
    clouds: 0 clear to 1 closed.  visibility: distance over which a view fades to 1/e, metres.  warmth: 0 white light
    to 1 evening light.
    """

    to_sun: tuple[float, float, float]
    sun: float
    sky: float
    clouds: float
    visibility: float
    warmth: float

    @property
    def is_sunny(self) -> bool:
        """Whether the sun dominates."""
        return self.sun > 0.6


def random_light(generator: np.random.Generator) -> Light:
    """Sun in about two thirds of the cases, otherwise clouds or fog."""
    weather = generator.choice(["sun", "clouds", "fog"], p=[0.65, 0.27, 0.08])
    azimuth, elevation = generator.uniform(0, 2 * np.pi), np.deg2rad(generator.uniform(18, 62))
    horizontal = np.cos(elevation)
    to_sun = (
        float(horizontal * np.sin(azimuth)),
        float(-np.sin(elevation)),
        float(horizontal * np.cos(azimuth)),
    )
    if weather == "sun":
        return Light(
            to_sun,
            sun=generator.uniform(2.2, 3.2),
            sky=generator.uniform(0.4, 0.75),
            clouds=generator.uniform(0, 0.6),
            visibility=generator.uniform(500, 3000),
            warmth=max(0.0, 1 - np.rad2deg(elevation) / 45) * generator.uniform(0.3, 1),
        )
    sun = generator.uniform(0, 0.5) if weather == "clouds" else 0.0
    visibility = generator.uniform(400, 2500) if weather == "clouds" else generator.uniform(40, 200)
    return Light(to_sun, sun, generator.uniform(0.9, 1.4), clouds=1.0, visibility=visibility, warmth=0.0)


def color_vector(red: float, green: float, blue: float) -> NDArray[np.float32]:
    """A colour in single precision: that halves the time, and colours need no more."""
    return np.array([red, green, blue], dtype=np.float32)


def sky_color(light: Light, directions: Floats, to_sun: Floats, heading: float) -> Floats:
    """Linear light (N, 3) from the sky in directions (N, 3) of the camera's frame.

    to_sun (3,): in the camera's frame.  heading: of the camera, radians; the clouds belong to the world.
    """
    length = np.linalg.norm(directions, axis=1)
    up = np.clip(-directions[:, 1] / length, 0, 1)
    azimuth = np.arctan2(directions[:, 0], directions[:, 2]) + heading
    blue = color_vector(0.20, 0.42, 0.92) * (1.25 - 0.45 * light.warmth)
    horizon = color_vector(0.88, 0.93, 1.0)
    clear = horizon + (blue - horizon) * np.clip(up * 2.6, 0, 1)[:, None] ** 0.55
    # The clouds are a plane: their pattern shrinks towards the horizon.
    distance = 1 / (up + 0.12)
    density = smooth_noise(2, np.sin(azimuth) * distance * 40 + 100, np.cos(azimuth) * distance * 40)
    cover = np.clip((density - 1 + light.clouds) * 4, 0, 1)[:, None]
    clouds = (0.62 + 0.38 * smooth_noise(2, azimuth * 60, distance * 30)[:, None]) * (1.15 if light.is_sunny else 1.0)
    glow = np.clip((directions @ to_sun) / length, 0, 1)[:, None] ** 24 * color_vector(0.5, 0.45, 0.35)
    color = clear * (1 - cover) + clouds * cover + glow * light.sun
    result: Floats = color * (1.75 if light.is_sunny else light.sky)
    return result


def illuminate(
    reflectance: Floats, normals: Floats, lit: Floats, open_sky: Floats, light: Light, to_sun: Floats
) -> Floats:
    """Linear light (N, 3) from matte surfaces with a reflectance (N, 3) and unit normals (N, 3).

    lit (N,): 1 in the sun, 0 in shadow.  open_sky (N,): fraction of the sky that the surface sees.
    """
    sky = color_vector(0.86, 0.95, 1.12) if light.is_sunny else color_vector(0.97, 1.0, 1.03)
    direct = np.clip(normals @ to_sun, 0, 1) * lit
    upward = (0.25 + 0.75 * (0.5 - 0.5 * normals[:, 1])) * open_sky
    bounce = np.clip(normals[:, 1] * 0.5 + 0.5, 0, 1) * (0.10 * light.sun + 0.12 * light.sky)
    result: Floats = reflectance * (
        direct[:, None] * sun_color(light) + upward[:, None] * light.sky * sky * 0.85 + bounce[:, None]
    )
    return result


def sun_color(light: Light) -> Floats:
    """Direct light (3,) of the sun."""
    return color_vector(1.0, 0.96 - 0.16 * light.warmth, 0.88 - 0.38 * light.warmth) * light.sun


def add_haze(color: Floats, depth: Floats, light: Light) -> Floats:
    """Light (N, 3) after depth (N,) metres of air."""
    clear = np.exp(-depth / light.visibility)[:, None]
    brightness = 1.3 if light.is_sunny else light.sky
    result: Floats = color * clear + color_vector(0.82, 0.88, 0.95) * brightness * (1 - clear)
    return result
