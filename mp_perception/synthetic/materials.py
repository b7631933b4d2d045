"""Colours of shapes and ground: the pattern of each material, lit by sun and sky."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mp_perception.arrays import AnyFloats
from mp_perception.synthetic.light import add_reflections, illuminate
from mp_perception.synthetic.noise import noise, smooth_noise
from mp_perception.synthetic.scene import CAMERA_HEIGHT, Light, Road
from mp_perception.synthetic.shadows import ShadowMap
from mp_perception.synthetic.shapes import Kind, Material, Model


def shape_color(
    model: Model, shape: NDArray[Any], points: AnyFloats, rays: AnyFloats, shadows: ShadowMap, light: Light
) -> AnyFloats:
    """Linear light (N, 3) from points (N, 3) on shapes (N,) along rays (N, 3) with z = 1, in the camera's frame."""
    inverse = np.linalg.inv(model.axes).astype(np.float32)
    rows = inverse[shape]
    local = np.einsum("nij,nj->ni", rows, points - model.centre.astype(np.float32)[shape])
    normals = _normals(model, shape, local, rows, rays)
    reflectance = model.color.astype(np.float32)[shape]
    pattern = model.pattern.astype(np.float32)[shape]
    height = CAMERA_HEIGHT - points[:, 1]
    shine, lit = np.zeros(len(shape), dtype=np.float32), np.ones(len(shape), dtype=np.float32)
    material = model.material[shape]
    for kind, shade in _MATERIALS.items():
        part = np.flatnonzero(material == kind)
        shaded = shade(_Part(*(values[part] for values in (reflectance, local, pattern, normals, height))))
        reflectance[part], normals[part], shine[part] = shaded
        # The normals alone shade houses and crowns: the shadow map does not tell them from their own shadow.
        if kind not in (Material.FACADE, Material.LEAVES):
            lit[part] = shadows.on_objects(points[part])
    color = illuminate(reflectance, normals, lit, np.ones_like(lit), light, shadows.to_sun)
    shiny = np.flatnonzero(shine > 0)
    shown = (color[shiny], normals[shiny], rays[shiny], shine[shiny], lit[shiny])
    color[shiny] = add_reflections(*shown, light, shadows.to_sun)
    return color


def _normals(model: Model, shape: NDArray[Any], local: AnyFloats, rows: AnyFloats, rays: AnyFloats) -> AnyFloats:
    """Unit normals (N, 3) towards the camera."""
    kind = model.kind[shape]
    gradient = np.where((kind == Kind.POLYGON)[:, None], np.array([0, 0, 1], dtype=np.float32), local)
    cones = np.flatnonzero(kind == Kind.CONE)
    first, last = model.radii.astype(np.float32)[shape[cones]].T
    slope = (last - first) / 2
    gradient[cones, 2] = -slope * ((first + last) / 2 + slope * local[cones, 2])
    normals = _normalized(np.einsum("nji,nj->ni", rows, gradient))
    normals[(normals * rays).sum(axis=1) > 0] *= -1
    return normals


def _normalized(vectors: AnyFloats) -> AnyFloats:
    return np.asarray(vectors / np.sqrt(np.einsum("ni,ni->n", vectors, vectors))[:, None])


class _Part(NamedTuple):
    """The points of one material: reflectance (N, 3), local coordinates (N, 3), pattern (N, 3), unit normals (N, 3) and
    height above the ground (N,), metres."""

    color: AnyFloats
    local: AnyFloats
    pattern: AnyFloats
    normals: AnyFloats
    height: AnyFloats


#: Reflectance and unit normals (N, 3), and shine (N,) or a number: 0 matte to 1 polished.
_Shaded = tuple[AnyFloats, AnyFloats, AnyFloats | float]


def _matte(part: _Part) -> _Shaded:
    """Pattern: roughness 0..1."""
    grain = noise(1, part.local[:, 0] * 30 + part.local[:, 2] * 11, part.local[:, 1] * 30)[:, None] - 0.5
    return part.color * (1 + (0.12 + 0.6 * part.pattern[:, :1]) * grain), part.normals, 0.0


def _paint(part: _Part) -> _Shaded:
    # Sheet metal is curved: lower parts look down, upper ones up, so that reflections run along the body.
    curve = np.clip(part.height - 0.62, -0.5, 0.5)[:, None] * np.array([0, -0.55, 0], dtype=np.float32)
    return part.color, _normalized(part.normals + curve), 0.9


def _facade(part: _Part) -> _Shaded:
    """Plaster and windows.  Pattern: distance of the windows and height of a storey, metres; a seed."""
    (u, v, _), (spacing, storey, seed) = part.local.T, part.pattern.T
    column, across = np.divmod(u / spacing, 1.0)
    floor, up = np.divmod((v - 0.4) / storey, 1.0)
    plaster = (0.82 + 0.36 * smooth_noise(2, u * 6 + seed, v * 6)) * (0.85 + 0.3 * noise(1, u * 40, v * 40))
    wall = part.color * (plaster * np.where(v < 0.45, 0.4, 1.0))[:, None]
    across = np.abs(across - 0.5)
    frame = (across < 0.30) & (up > 0.28) & (up < 0.86)
    bars = (across < 0.015) | (np.abs(up - 0.62) < 0.012)
    pane = (across < 0.26) & (up > 0.31) & (up < 0.83) & ~bars
    # Some windows have curtains.
    dice = noise(0, column * 7 + seed, floor * 5)
    glass = np.where((dice > 0.55) & (across > 0.13), 0.35, 0.025 + 0.05 * dice)
    trim = np.where(noise(0, seed, seed) > 0.3, 0.72, 0.16)
    color = np.where(frame[:, None], np.where(pane, glass, trim)[:, None], wall)
    return color, part.normals, np.where(pane, 1.0, 0.0)


def _leaves(part: _Part) -> _Shaded:
    """Pattern: a seed; density of the leaves."""
    seed, density, _ = part.pattern.T
    x = (part.local[:, 0] * 22 + part.local[:, 2] * 13) * density + seed
    y = (part.local[:, 1] * 22 - part.local[:, 2] * 15) * density
    clump, leaf = smooth_noise(1, x, y), noise(0, x * 2.5, y * 2.5)
    bumps = np.stack([leaf - 0.5, clump - 0.6, noise(0, x * 2.5 + 50, y * 2.5) - 0.5], axis=1)
    return part.color * (0.1 + 1.1 * clump + 0.6 * leaf**2)[:, None], _normalized(part.normals + 1.1 * bumps), 0.0


def _cloth(part: _Part) -> _Shaded:
    """Pattern: a seed of the folds."""
    (x, y, z), (seed, _, _) = part.local.T, part.pattern.T
    fold = smooth_noise(1, x * 9 + seed * 7, z * 14 + y * 8 + seed * 3)[:, None]
    folds = (fold - 0.5) * np.array([0.5, 0.3, 0.5], dtype=np.float32)
    return part.color * (0.72 + 0.5 * fold), _normalized(part.normals + folds), 0.0


_MATERIALS = {
    Material.MATTE: _matte,
    Material.PAINT: _paint,
    Material.FACADE: _facade,
    Material.LEAVES: _leaves,
    Material.CLOTH: _cloth,
    Material.SPOKES: _matte,
}


def ground_reflectance(road: Road, points: AnyFloats, depth: AnyFloats) -> AnyFloats:
    """Linear reflectance (N, 3) of ground points (N, 3), in world coordinates, seen at depth (N,)."""
    x, z = points[:, 0], points[:, 2]
    # Detail finer than a pixel would flicker: it fades with distance.
    grain = 1 + (noise(0, x * 90, z * 90) - 0.5) * np.exp(-depth / 12)
    patches = 0.8 + 0.4 * smooth_noise(2, x * 3 + road.seed, z * 3)
    border = np.abs(x) - road.half_width
    is_joint = (np.mod(z, 0.5) < 0.018) | (np.mod(border, 0.5) < 0.018)
    slabs = 0.245 * np.where(is_joint, 1 - 0.45 * np.exp(-depth / 20), 1.0)
    # Between road and footway are kerb stones of 16 cm.
    grey = np.where(border < 0, _asphalt(road, x, z), np.where(border < 0.16, 0.30, slabs)) * grain * patches
    tint = np.array([1.1, 1.0, 0.9] if road.seed % 3 else [1.2, 0.95, 0.85], dtype=np.float32)
    color = grey[:, None] * np.where((border < 0.16)[:, None], np.float32(1), tint)
    lawn = np.flatnonzero(border > road.footway)
    blades = (noise(1, x[lawn] * 40, z[lawn] * 40) - 0.5) * np.exp(-depth[lawn] / 25)
    color[lawn] = ((1.5 * patches[lawn] - 0.5) * (1 + blades))[:, None] * np.array([0.085, 0.125, 0.03])
    return np.asarray(color, dtype=np.float32)


def _asphalt(road: Road, x: AnyFloats, z: AnyFloats) -> AnyFloats:
    """Reflectance (N,): tracks of the tyres, dashes between the lanes, lines at the parking strips."""
    tracks = 1 + 0.06 * np.cos(4 * np.pi * x / road.lane_width)
    is_white = (np.abs(np.abs(x) - road.drivable) < 0.05) & (road.parking > 0)
    for lane in range(1, road.lanes):
        border = lane * road.lane_width - road.drivable
        is_white |= (np.abs(x - border) < 0.07) & (np.mod(z + road.seed, 9.0) < 4.0)
    is_worn = smooth_noise(1, z * 8, x * 8 + 7) > 0.8
    return np.where(is_white & ~is_worn, 0.62, road.asphalt * tracks)
