"""Light of sun, sky and air: the colour of the sky, illumination of surfaces, reflections, haze."""

from __future__ import annotations

import numpy as np

from mp_perception.arrays import AnyFloats
from mp_perception.synthetic.noise import smooth_noise
from mp_perception.synthetic.scene import Light

# Colours are in single precision, which halves the time.
_SUN = np.array([1.0, 0.95, 0.85], dtype=np.float32)
_BLUE_SKY = np.array([0.86, 0.95, 1.12], dtype=np.float32)
_GREY_SKY = np.array([0.97, 1.0, 1.03], dtype=np.float32)
_ZENITH = np.array([0.24, 0.49, 1.06], dtype=np.float32)
_HORIZON = np.array([0.88, 0.93, 1.0], dtype=np.float32)


def sky_color(light: Light, directions: AnyFloats, to_sun: AnyFloats) -> AnyFloats:
    """Linear light (N, 3) from the sky in directions (N, 3); to_sun (3,): in the same frame, y down."""
    length = np.linalg.norm(directions, axis=1)
    up = np.clip(-directions[:, 1] / length, 0, 1)
    azimuth = np.arctan2(directions[:, 0], directions[:, 2])
    clear = _HORIZON + (_ZENITH - _HORIZON) * np.clip(up * 2.6, 0, 1)[:, None] ** 0.55
    # The clouds are a plane: their pattern shrinks towards the horizon.
    distance = 1 / (up + 0.12)
    density = smooth_noise(2, np.sin(azimuth) * distance * 40 + 100, np.cos(azimuth) * distance * 40)
    cover = np.clip((density - 1 + light.clouds) * 4, 0, 1)[:, None]
    clouds = (0.62 + 0.38 * smooth_noise(2, azimuth * 60, distance * 30)[:, None]) * (1.15 if light.is_sunny else 1.0)
    glow = 0.5 * light.sun * np.clip((directions @ to_sun) / length, 0, 1)[:, None] ** 24 * _SUN
    brightness = 1.75 if light.is_sunny else light.sky
    return np.asarray((clear * (1 - cover) + clouds * cover + glow) * brightness)


def illuminate(
    reflectance: AnyFloats, normals: AnyFloats, lit: AnyFloats, open_sky: AnyFloats, light: Light, to_sun: AnyFloats
) -> AnyFloats:
    """Linear light (N, 3) from matte surfaces with a reflectance (N, 3) and unit normals (N, 3).

    lit (N,): 1 in the sun, 0 in shadow.  open_sky (N,): fraction of the sky that the surface sees.
    """
    sky = (_BLUE_SKY if light.is_sunny else _GREY_SKY) * light.sky * 0.85
    direct = np.clip(normals @ to_sun, 0, 1) * lit
    upward = (0.25 + 0.75 * (0.5 - 0.5 * normals[:, 1])) * open_sky
    bounce = np.clip(normals[:, 1] * 0.5 + 0.5, 0, 1) * (0.10 * light.sun + 0.12 * light.sky)
    return reflectance * (direct[:, None] * light.sun * _SUN + upward[:, None] * sky + bounce[:, None])


def add_reflections(
    color: AnyFloats,
    normals: AnyFloats,
    rays: AnyFloats,
    shine: AnyFloats,
    lit: AnyFloats,
    light: Light,
    to_sun: AnyFloats,
) -> AnyFloats:
    """Light (N, 3) with the sun's highlight and a mirror image of the surroundings.

    rays (N, 3): from the camera to the surface.  shine (N,): 0 matte to 1 polished.
    """
    incoming = rays / np.linalg.norm(rays, axis=1, keepdims=True)
    cosine = -(incoming * normals).sum(axis=1)
    outgoing = incoming + 2 * cosine[:, None] * normals
    mirror = ((0.10 + 0.63 * np.clip(1 - cosine, 0, 1) ** 4) * shine)[:, None]
    # The sky, dark below a skyline of houses and trees.
    above = np.clip(-4 * outgoing[:, 1] - 1, 0, 1)[:, None]
    surroundings = sky_color(light, outgoing, to_sun) * above + 0.1 * (light.sky + 0.4 * light.sun) * (1 - above)
    highlight = np.clip(normals @ to_sun, 0, 1) ** 40 * lit * shine
    return np.asarray(color * (1 - mirror) + surroundings * mirror + highlight[:, None] * light.sun * _SUN)


def add_haze(color: AnyFloats, depth: AnyFloats, light: Light) -> AnyFloats:
    """Light (N, 3) after depth (N,) metres of air."""
    clear = np.exp(-depth / light.visibility)[:, None]
    brightness = 1.3 if light.is_sunny else light.sky
    return np.asarray(color * clear + np.array([0.82, 0.88, 0.95], dtype=np.float32) * brightness * (1 - clear))
