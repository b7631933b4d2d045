"""Colours of the shapes: each material's pattern and reflections, lit by sun and sky."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mp_perception.synthetic.light import Light, color_vector, illuminate, sky_color, sun_color
from mp_perception.synthetic.noise import noise, smooth_noise
from mp_perception.synthetic.shadows import ShadowMap
from mp_perception.synthetic.shapes import Floats, Kind, Material, Model


def shape_color(
    model: Model, shape: NDArray[Any], points: Floats, rays: Floats, shadows: ShadowMap, light: Light, heading: float
) -> Floats:
    """Linear light (N, 3) from points (N, 3) on shapes (N,) along rays (N, 3) with z = 1, in the camera's frame."""
    inverse = np.linalg.inv(model.axes).astype(np.float32)
    rows = inverse[shape]
    origin = -(inverse @ model.centre.astype(np.float32)[:, :, None])[..., 0]
    local = origin[shape] + np.einsum("nij,nj->ni", rows, points)
    normals = _normals(model, shape, local, rows, rays)
    reflectance = model.color.astype(np.float32)[shape]
    pattern = model.pattern.astype(np.float32)[shape]
    height = shadows.camera_height - points[:, 1]
    shine = np.zeros(len(shape), dtype=np.float32)
    lit = np.ones(len(shape), dtype=np.float32)
    material = model.material[shape]
    for kind, apply in _MATERIALS.items():
        part = np.flatnonzero(material == kind)
        if len(part):
            arguments = (values[part] for values in (reflectance, local, pattern, normals, height))
            reflectance[part], normals[part], shine[part] = apply(*arguments)
        # The normals alone shade houses and crowns: the shadow map does not tell them from their own shadow.
        if kind not in (Material.FACADE, Material.LEAVES):
            lit[part] = shadows.on_objects(points[part])
    color = illuminate(reflectance, normals, lit, np.ones_like(lit), light, shadows.to_sun)
    shiny = np.flatnonzero(shine > 0)
    arguments = (values[shiny] for values in (color, normals, rays, shine, lit))
    color[shiny] = _add_reflections(*arguments, light, shadows.to_sun, heading)
    return color


def _normals(model: Model, shape: NDArray[Any], local: Floats, rows: Floats, rays: Floats) -> Floats:
    """Unit normals (N, 3) towards the camera."""
    kind = model.kind[shape]
    gradient = np.where((kind == Kind.POLYGON)[:, None], color_vector(0.0, 0.0, 1.0), local)
    cones = np.flatnonzero(kind == Kind.CONE)
    first, last = model.radii.astype(np.float32)[shape[cones]].T
    slope = (last - first) / 2
    gradient[cones, 2] = -slope * ((first + last) / 2 + slope * local[cones, 2])
    normals = _normalized(np.einsum("nji,nj->ni", rows, gradient))
    normals[(normals * rays).sum(axis=1) > 0] *= -1
    return normals


def _normalized(vectors: Floats) -> Floats:
    result: Floats = vectors / np.sqrt(np.einsum("ni,ni->n", vectors, vectors))[:, None]
    return result


def _add_reflections(
    color: Floats,
    normals: Floats,
    rays: Floats,
    shine: Floats,
    lit: Floats,
    light: Light,
    to_sun: Floats,
    heading: float,
) -> Floats:
    """Adds the sun's highlight and the mirror image of the surroundings: bright above the horizon, dark below."""
    incoming = _normalized(rays)
    cosine = -(incoming * normals).sum(axis=1)
    outgoing = incoming + 2 * cosine[:, None] * normals
    mirror = 0.10 * shine
    mirror = (mirror + (1 - mirror) * np.clip(1 - cosine, 0, 1) ** 4 * 0.7)[:, None]
    # The height of the mirrored skyline varies with the direction.
    skyline = 0.15 + 0.6 * smooth_noise(2, np.arctan2(outgoing[:, 0], outgoing[:, 2]) * 60, outgoing[:, 1] * 20)
    above = np.clip((-outgoing[:, 1] - skyline) * 8 + 0.5, 0, 1)[:, None]
    street = color_vector(0.10, 0.10, 0.09) * (light.sky + 0.4 * light.sun)
    surroundings = sky_color(light, outgoing, to_sun, heading) * above + street * (1 - above)
    highlight = np.clip(normals @ to_sun, 0, 1) ** 40 * lit * shine
    result: Floats = color * (1 - mirror) + surroundings * mirror + highlight[:, None] * sun_color(light)
    return result


#: (reflectance, local, pattern, normals, height above the roadway) -> reflectance (N, 3), normals (N, 3), shine (N,)
#: or a number: 0 matte to 1 polished.
_Shaded = tuple[Floats, Floats, Floats | float]
_Material = Callable[[Floats, Floats, Floats, Floats, Floats], _Shaded]


def _matte(color: Floats, local: Floats, pattern: Floats, normals: Floats, height: Floats) -> _Shaded:
    """Pattern: roughness 0..1."""
    grain = noise(1, local[:, 0] * 30 + local[:, 2] * 11, local[:, 1] * 30)[:, None] - 0.5
    return color * (1 + (0.12 + 0.6 * pattern[:, :1]) * grain), normals, 0.0


def _paint(color: Floats, local: Floats, pattern: Floats, normals: Floats, height: Floats) -> _Shaded:
    # Sheet metal is curved: lower parts look down, upper ones up, so that reflections run along the body.
    curved = normals + color_vector(0.0, -0.55, 0.0) * np.clip(height - 0.62, -0.5, 0.5)[:, None]
    dirt = smooth_noise(2, local[:, 0] * 20, local[:, 1] * 20)[:, None]
    return color * (0.93 + 0.14 * dirt), _normalized(curved), 0.9


def _facade(color: Floats, local: Floats, pattern: Floats, normals: Floats, height: Floats) -> _Shaded:
    """Plaster and windows.  Pattern: distance of the windows and height of a storey, metres; a seed."""
    spacing, storey, seed = pattern.T
    u, v = local[:, 0], local[:, 1]
    column, across = np.divmod(u / spacing, 1.0)
    floor, up = np.divmod((v - 0.4) / storey, 1.0)
    weather = smooth_noise(2, u * 6 + seed, v * 6)[:, None]
    wall = color * (0.82 + 0.36 * weather) * (0.85 + 0.3 * noise(1, u * 40, v * 40)[:, None])
    wall = np.where((v < 0.45)[:, None], wall * 0.4, wall)
    across = np.abs(across - 0.5)
    frame = (across < 0.30) & (up > 0.28) & (up < 0.86)
    bars = (across < 0.015) | (np.abs(up - 0.62) < 0.012)
    pane = (across < 0.26) & (up > 0.31) & (up < 0.83) & ~bars
    # Some windows have curtains.
    dice = noise(0, column * 7 + seed, floor * 5)
    glass = np.where((dice > 0.55) & (across > 0.13), 0.35, 0.025 + 0.05 * dice)[:, None]
    trim = np.where(noise(0, seed, seed)[:, None] > 0.3, 0.72, 0.16)
    return np.where(pane[:, None], glass, np.where(frame[:, None], trim, wall)), normals, np.where(pane, 1.0, 0.0)


def _leaves(color: Floats, local: Floats, pattern: Floats, normals: Floats, height: Floats) -> _Shaded:
    """Pattern: a seed; density of the leaves."""
    seed, scale = pattern[:, 0], pattern[:, 1]
    x = local[:, 0] * scale * 22 + local[:, 2] * scale * 13 + seed
    y = local[:, 1] * scale * 22 - local[:, 2] * scale * 15
    clump, leaf = smooth_noise(1, x, y), noise(0, x * 2.5, y * 2.5)
    bumps = np.stack([leaf - 0.5, clump - 0.6, noise(0, x * 2.5 + 50, y * 2.5) - 0.5], axis=1)
    return color * (0.1 + 1.1 * clump + 0.6 * leaf**2)[:, None], _normalized(normals + 1.1 * bumps), 0.0


def _cloth(color: Floats, local: Floats, pattern: Floats, normals: Floats, height: Floats) -> _Shaded:
    """Pattern: 1 stripes, 2 checks, otherwise plain; a seed of the folds."""
    weave, seed = pattern[:, 0], pattern[:, 1]
    fold = smooth_noise(1, local[:, 0] * 9 + seed * 7, local[:, 2] * 14 + local[:, 1] * 8 + seed * 3)
    around = np.mod(np.arctan2(local[:, 1], local[:, 0]) * 2, 1) < 0.3
    stripes = (weave == 1) & (np.mod(local[:, 2] * 3.5, 1.0) < 0.4)
    checks = (weave == 2) & ((np.mod(local[:, 2] * 4, 1.0) < 0.3) ^ around)
    dyed = np.where((stripes | checks)[:, None], 1 - (1 - color) * 0.55, color)
    folded = normals + (fold - 0.5)[:, None] * color_vector(0.5, 0.3, 0.5)
    return dyed * (0.72 + 0.5 * fold[:, None]), _normalized(folded), 0.0


def _wheel(color: Floats, local: Floats, pattern: Floats, normals: Floats, height: Floats) -> _Shaded:
    """Pattern: number of spokes."""
    radius, angle = np.hypot(local[:, 0], local[:, 1]), np.arctan2(local[:, 1], local[:, 0])
    spokes = np.cos(angle * pattern[:, 0]) > -0.15 + 0.5 * (radius - 0.3)
    metal = (radius < 0.66) & (spokes | (radius > 0.58) | (radius < 0.16))
    return np.where(metal[:, None], color, 0.015), normals, np.where(metal, 0.2, 0.0)


_MATERIALS: dict[Material, _Material] = {
    Material.MATTE: _matte,
    Material.PAINT: _paint,
    Material.FACADE: _facade,
    Material.LEAVES: _leaves,
    Material.CLOTH: _cloth,
    Material.WHEEL: _wheel,
    Material.SPOKES: _matte,
}
