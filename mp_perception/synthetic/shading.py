"""Colour of what each pixel sees: materials under sun and sky, with haze.  Nothing here moves geometry."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mp_perception.synthetic.scene import Light
from mp_perception.synthetic.shadows import ShadowMap
from mp_perception.synthetic.shapes import Floats, Kind, Material, Model
from mp_perception.synthetic.textures import noise, random_of, smooth_noise


def _triple(first: float, second: float, third: float) -> NDArray[np.float32]:
    """A colour or vector in single precision, which halves the time; colours do not need more."""
    return np.array([first, second, third], dtype=np.float32)


def sky_color(light: Light, directions: Floats, heading: float) -> Floats:
    """Linear light (N, 3) from the sky in directions (N, 3) of the camera's frame."""
    length = np.linalg.norm(directions, axis=1)
    up = np.clip(-directions[:, 1] / length, 0, 1)
    azimuth = np.arctan2(directions[:, 0], directions[:, 2]) + heading
    blue = _triple(0.20, 0.42, 0.92) * (1.25 - 0.45 * light.warmth)
    horizon = _triple(0.88, 0.93, 1.0)
    clear = horizon + (blue - horizon) * np.clip(up * 2.6, 0, 1)[:, None] ** 0.55
    # Clouds lie on a plane above: their pattern shrinks towards the horizon.
    range_ = 1 / (up + 0.12)
    cover = smooth_noise(2, np.sin(azimuth) * range_ * 40 + 100, np.cos(azimuth) * range_ * 40)
    mask = np.clip((cover - 1 + light.clouds) * 4, 0, 1)[:, None]
    grey = 0.62 + 0.38 * smooth_noise(2, azimuth * 60, range_ * 30)[:, None]
    clouds = _triple(1.0, 1.0, 1.02) * (1.15 if light.sun > 0.6 else 1.0) * grey
    color = clear * (1 - mask) + clouds * mask
    glow = np.clip((directions @ _to_sun_in_camera(light, heading)) / length, 0, 1) ** 24
    color = color + glow[:, None] * light.sun * _triple(0.5, 0.45, 0.35)
    brightness = 1.25 if light.sun > 0.6 else light.sky
    result: Floats = color * brightness * (1 + 0.4 * (light.sun > 0.6))
    return result


def _to_sun_in_camera(light: Light, heading: float) -> Floats:
    x, y, z = light.to_sun
    cosine, sine = np.cos(heading), np.sin(heading)
    return _triple(cosine * x - sine * z, y, sine * x + cosine * z)


def illuminate(
    reflectance: Floats,
    normals: Floats,
    lit: NDArray[Any],
    light: Light,
    to_sun: Floats,
    gloss: Floats | float = 0.0,
    darkness: Floats | float = 0.0,
) -> Floats:
    """Linear light (N, 3) from matte surfaces (N, 3) with unit normals (N, 3), in shadow where lit is 0.

    gloss: share of a sharp highlight, darkness: share of the sky that is hidden; (N,) or a number.
    """
    sun_color = _triple(1.0, 0.96 - 0.16 * light.warmth, 0.88 - 0.38 * light.warmth) * light.sun
    sky = _triple(0.86, 0.95, 1.12) if light.sun > 0.6 else _triple(0.97, 1.0, 1.03)
    facing = normals @ to_sun
    direct = np.clip(facing, 0, 1) * lit
    upward = (0.25 + 0.75 * (0.5 - 0.5 * normals[:, 1])) * (1 - darkness)
    bounce = np.clip(normals[:, 1] * 0.5 + 0.5, 0, 1) * (0.10 * light.sun + 0.12 * light.sky)
    result: Floats = reflectance * (
        direct[:, None] * sun_color + upward[:, None] * light.sky * sky * 0.85 + bounce[:, None]
    )
    if np.any(gloss):
        result = result + (np.clip(facing, 0, 1) ** 40 * lit * gloss)[:, None] * sun_color
    return result


def add_haze(color: Floats, depth: Floats, light: Light) -> Floats:
    """Light (N, 3) after depth (N,) metres of air."""
    clear = np.exp(-depth / light.visibility)[:, None]
    brightness = 1.3 if light.sun > 0.6 else light.sky
    result: Floats = color * clear + _triple(0.82, 0.88, 0.95) * brightness * (1 - clear)
    return result


def surface_color(
    model: Model, shape: NDArray[Any], points: Floats, rays: Floats, shadows: ShadowMap, light: Light, heading: float
) -> Floats:
    """Linear light (N, 3) from points (N, 3) on shapes (N,) along rays (N, 3) with z = 1, in the camera's frame."""
    # Pixels of one material side by side: then each material works on a view of its own.
    order = np.argsort(model.material[shape].astype(np.uint8), kind="stable")
    shape, points, rays = shape[order], points[order], rays[order]
    inverse = np.linalg.inv(model.axes).astype(np.float32)
    origin = -(inverse @ model.centre.astype(np.float32)[:, :, None])[..., 0]
    rows = inverse[shape]
    local = origin[shape] + np.einsum("nij,nj->ni", rows, points)
    normals = _normals(model, shape, local, rows, rays)
    reflectance = model.color.astype(np.float32)[shape]
    pattern = model.pattern.astype(np.float32)[shape]
    place = np.stack([points[:, 2], shadows.camera_height - points[:, 1]], axis=1)
    gloss, mirror = (np.zeros(len(shape), dtype=np.float32) for _ in range(2))
    ends = np.cumsum(np.bincount(model.material[shape], minlength=len(Material)))
    part_of = {kind: slice(int(ends[kind - 1]) if kind else 0, int(ends[kind])) for kind in Material}
    for kind, apply in _MATERIALS.items():
        part = part_of[kind]
        if part.start < part.stop:
            result = apply(reflectance[part], local[part], pattern[part], normals[part], place[part])
            reflectance[part], normals[part], gloss[part], mirror[part] = result
    # Houses and crowns shade themselves through their normals only: the map cannot tell them from their shadow.
    lit = np.ones(len(shape), dtype=np.float32)
    for kind in set(Material) - {Material.FACADE, Material.LEAVES, Material.ROOF}:
        part = part_of[kind]
        lit[part] = shadows.lit(points[part], on_ground=False)
    color = illuminate(reflectance, normals, lit, light, shadows.to_sun, gloss)
    shiny = np.flatnonzero(mirror > 0)
    color[shiny] = _reflect(color[shiny], normals[shiny], rays[shiny], mirror[shiny], light, heading)
    color[part_of[Material.LAMP]] += reflectance[part_of[Material.LAMP]] * (0.12 * (0.25 + 0.5 * light.sky))
    result_in_order = np.empty_like(color)
    result_in_order[order] = color
    return result_in_order


def _normals(model: Model, shape: NDArray[Any], local: Floats, rows: Floats, rays: Floats) -> Floats:
    """Unit normals (N, 3) towards the camera."""
    gradient = np.zeros_like(local)
    gradient[:, 2] = 1.0
    curved = model.kind[shape] == Kind.QUADRIC
    q0, q1, _ = model.parameters.astype(np.float32)[shape[curved]].T
    gradient[curved] = np.stack([local[curved, 0], local[curved, 1], q0 * local[curved, 2] + q1 / 2], axis=1)
    normals: Floats = np.einsum("nji,nj->ni", rows, gradient)
    normals /= np.sqrt(np.einsum("ni,ni->n", normals, normals))[:, None]
    normals[(normals * rays).sum(axis=1) > 0] *= -1
    return normals


def _reflect(color: Floats, normals: Floats, rays: Floats, mirror: Floats, light: Light, heading: float) -> Floats:
    """Adds the mirror image of sky and street: bright above the horizon, dark below."""
    incoming = rays / np.linalg.norm(rays, axis=1, keepdims=True)
    cosine = -(incoming * normals).sum(axis=1)
    outgoing = incoming + 2 * cosine[:, None] * normals
    fresnel = mirror + (1 - mirror) * np.clip(1 - cosine, 0, 1) ** 4 * 0.7
    sky = sky_color(light, outgoing, heading)
    azimuth = np.arctan2(outgoing[:, 0], outgoing[:, 2])
    # Houses and trees stand around, here higher, there lower.
    skyline = 0.15 + 0.6 * smooth_noise(2, azimuth * 60, outgoing[:, 1] * 20)
    street = _triple(0.10, 0.10, 0.09) * (light.sky + 0.4 * light.sun)
    above = np.clip((-outgoing[:, 1] - skyline) * 8 + 0.5, 0, 1)[:, None]
    result: Floats = color * (1 - fresnel[:, None]) + (sky * above + street * (1 - above)) * fresnel[:, None]
    return result


#: What a material makes of (reflectance, local, pattern, normals, place): reflectance and normals (N, 3), gloss
#: and mirror (N,) or a number.  place (N, 2): distance and height above the roadway, metres.
_Shaded = tuple[Floats, Floats, Floats | float, Floats | float]


def _matte(color: Floats, local: Floats, pattern: Floats, normals: Floats, place: Floats) -> _Shaded:
    rough = pattern[:, :1]
    grain = noise(1, local[:, 0] * 30 + local[:, 2] * 11, local[:, 1] * 30)[:, None] - 0.5
    return color * (1 + (0.12 + 0.6 * rough) * grain), normals, 0.0, 0.0


def _paint(color: Floats, local: Floats, pattern: Floats, normals: Floats, place: Floats) -> _Shaded:
    panel = pattern[:, 0] > 0
    if panel.any():
        # Door seams and a darker sill on the flank: u from the nose backwards, v upwards.
        u, v = np.abs(local[panel, 0]), np.abs(local[panel, 1])
        length = np.maximum(u, v)
        seam = np.zeros(panel.sum(), dtype=bool)
        for door in (1.35, 2.35, 3.2):
            seam |= np.abs(length - door) < 0.012
        color[panel] = np.where(seam[:, None], color[panel] * 0.35, color[panel])
    # Sheet metal bulges: lower parts look down, upper ones up, which makes reflections run along the body.
    bulged = normals + _triple(0.0, -0.55, 0.0) * np.clip(place[:, 1:] - 0.62, -0.5, 0.5)
    bulged /= np.sqrt(np.einsum("ni,ni->n", bulged, bulged))[:, None]
    dirt = smooth_noise(2, local[:, 0] * 20, local[:, 1] * 20)[:, None]
    return color * (0.93 + 0.14 * dirt), bulged, 0.9, 0.10


def _glass(color: Floats, local: Floats, pattern: Floats, normals: Floats, place: Floats) -> _Shaded:
    inside = smooth_noise(2, local[:, 0] * 25, local[:, 1] * 25)[:, None]
    return color * (0.2 + 0.9 * inside), normals, 1.0, 0.10


def _facade(color: Floats, local: Floats, pattern: Floats, normals: Floats, place: Floats) -> _Shaded:
    spacing, storey, seed, brick = pattern.T
    u, v = local[:, 0], local[:, 1]
    column, across = np.divmod(u / spacing, 1.0)
    floor, upward = np.divmod((v - 0.4) / storey, 1.0)
    weather = smooth_noise(2, u * 6 + seed, v * 6)[:, None]
    grain = noise(1, u * 40, v * 40)[:, None] - 0.5
    fade = np.exp(-place[:, :1] / 25)
    wall = color * (0.82 + 0.36 * weather) * (1 + 0.3 * grain * fade)
    row, in_row = np.divmod(v / 0.085, 1.0)
    joint = (in_row < 0.16) | (np.mod(u / 0.26 + 0.5 * np.mod(row, 2), 1.0) < 0.06)
    stone = random_of(u / 0.26 + 0.5 * np.mod(row, 2), row, seed)[:, None]
    bricks = np.where(joint[:, None], 0.30, color * _triple(0.75, 0.45, 0.38) * (0.7 + 0.6 * stone))
    wall = np.where((brick[:, None] > 0) & (fade > 0.2), bricks * fade + wall * (1 - fade), wall)
    dice = random_of(column, floor, seed)
    door = (floor == 0) & (dice > 0.8)
    low = np.where(door, -1.0, 0.28)
    frame = (np.abs(across - 0.5) < 0.30) & (upward > low) & (upward < 0.86)
    pane = (np.abs(across - 0.5) < 0.26) & (upward > low + 0.03) & (upward < 0.83)
    bars = (np.abs(across - 0.5) < 0.015) | (np.abs(upward - 0.62) < 0.012)
    sill = (np.abs(across - 0.5) < 0.34) & (np.abs(upward - 0.265) < 0.02) & ~door
    window = pane & ~bars & ~door
    trim = np.where(random_of(seed, seed, 3.0)[:, None] > 0.3, 0.72, 0.16)
    wall = np.where((frame | sill)[:, None], trim, wall)
    wall = np.where((pane & door)[:, None], _triple(0.10, 0.07, 0.05), wall)
    curtain = (dice > 0.55) & (np.abs(across - 0.5) > 0.13)
    glass = np.where(curtain[:, None], 0.35, 0.025 + 0.05 * dice[:, None])
    shutter = (random_of(column, floor, seed + 9) > 0.85) & (upward > 0.45)
    glass = np.where(shutter[:, None], 0.4, glass)
    result = np.where(window[:, None], glass, wall)
    return result, normals, np.where(window, 0.4, 0.0), np.where(window & ~shutter, 0.16, 0.0)


def _roof(color: Floats, local: Floats, pattern: Floats, normals: Floats, place: Floats) -> _Shaded:
    row, in_row = np.divmod(local[:, 1] / 0.30, 1.0)
    tile = random_of(local[:, 0] / 0.22, row, 5.0)[:, None]
    lip = np.where(in_row < 0.18, 0.65, 1.0)[:, None]
    fade = np.exp(-place[:, :1] / 30)
    return color * (1 - fade + fade * lip * (0.75 + 0.5 * tile)), normals, 0.0, 0.0


def _leaves(color: Floats, local: Floats, pattern: Floats, normals: Floats, place: Floats) -> _Shaded:
    scale = pattern[:, 1]
    x = local[:, 0] * scale * 22 + local[:, 2] * scale * 13 + pattern[:, 0]
    y = local[:, 1] * scale * 22 - local[:, 2] * scale * 15
    clump, leaf = smooth_noise(1, x, y), noise(0, x * 2.5, y * 2.5)
    bumpy = normals + 1.1 * np.stack([leaf - 0.5, clump - 0.6, noise(0, x * 2.5 + 50, y * 2.5) - 0.5], axis=1)
    bumpy /= np.linalg.norm(bumpy, axis=1, keepdims=True)
    shade = (0.1 + 1.1 * clump + 0.6 * leaf**2)[:, None]
    return color * shade, bumpy, 0.0, 0.0


def _lamp(color: Floats, local: Floats, pattern: Floats, normals: Floats, place: Floats) -> _Shaded:
    return color * (0.8 + 0.4 * noise(1, local[:, 0] * 60, local[:, 1] * 60)[:, None]), normals, 1.0, 0.15


def _wheel(color: Floats, local: Floats, pattern: Floats, normals: Floats, place: Floats) -> _Shaded:
    radius = np.hypot(local[:, 0], local[:, 1])
    angle = np.arctan2(local[:, 1], local[:, 0])
    spokes = np.cos(angle * pattern[:, 0]) > -0.15 + 0.5 * (radius - 0.3)
    metal = (radius < 0.66) & (spokes | (radius > 0.58) | (radius < 0.16))
    tyre = np.where(radius > 0.66, 0.018, 0.012)[:, None]
    return np.where(metal[:, None], color, tyre), normals, np.where(metal, 0.5, 0.0), 0.0


def _sign(color: Floats, local: Floats, pattern: Floats, normals: Floats, place: Floats) -> _Shaded:
    radius = np.hypot(local[:, 0], local[:, 1])
    inside = (radius < pattern[:, 0])[:, None]
    glyph = ((np.abs(local[:, 0]) < 0.14) & (np.abs(local[:, 1]) < 0.4))[:, None]
    with_glyph = np.where(glyph, np.where(pattern[:, :1] > 0, 0.03, 0.75), np.where(inside, 0.78, color))
    return with_glyph, normals, 0.2, 0.0


def _plate(color: Floats, local: Floats, pattern: Floats, normals: Floats, place: Floats) -> _Shaded:
    u, v = np.abs(local[:, 0]), np.abs(local[:, 1])
    letter = (np.mod(u, 0.065) > 0.022) & (u > 0.07) & (u < 0.49) & (v > 0.025) & (v < 0.085)
    blue = (u < 0.05)[:, None]
    plate = np.where(letter[:, None], 0.05, color)
    return np.where(blue, _triple(0.03, 0.08, 0.4), plate), normals, 0.1, 0.0


def _cloth(color: Floats, local: Floats, pattern: Floats, normals: Floats, place: Floats) -> _Shaded:
    kind, shift = pattern[:, 0], pattern[:, 1]
    fold = smooth_noise(1, local[:, 0] * 9 + shift * 7, local[:, 2] * 14 + local[:, 1] * 8 + shift * 3)
    stripes = (kind == 1) & (np.mod(local[:, 2] * 3.5, 1.0) < 0.4)
    check = (kind == 2) & (
        (np.mod(local[:, 2] * 4, 1.0) < 0.3) ^ (np.mod(np.arctan2(local[:, 1], local[:, 0]) * 2, 1) < 0.3)
    )
    dyed = np.where((stripes | check)[:, None], 1 - (1 - color) * 0.55, color)
    folded = normals + 0.5 * np.stack([fold - 0.5, 0.6 * (fold - 0.5), fold - 0.5], axis=1)
    folded /= np.linalg.norm(folded, axis=1, keepdims=True)
    return dyed * (0.72 + 0.5 * fold[:, None]), folded, 0.0, 0.0


def _grille(color: Floats, local: Floats, pattern: Floats, normals: Floats, place: Floats) -> _Shaded:
    pitch = np.where(pattern[:, 0] > 0, pattern[:, 0], 0.035)
    place = np.where(pattern[:, 1] > 0, local[:, 0], local[:, 1])
    bar = np.mod(place / pitch, 1.0) < np.where(pattern[:, 1] > 0, 0.88, 0.35)
    dark = np.where(pattern[:, 1:2] > 0, color * 0.3, 0.006)
    grain = noise(1, local[:, 0] * 12, local[:, 1] * 40)[:, None]
    return np.where(bar[:, None], (color + 0.02) * (0.7 + 0.6 * grain), dark), normals, 0.0, 0.0


def _skin(color: Floats, local: Floats, pattern: Floats, normals: Floats, place: Floats) -> _Shaded:
    return color * (0.9 + 0.2 * smooth_noise(1, local[:, 0] * 6, local[:, 2] * 6)[:, None]), normals, 0.05, 0.0


_MATERIALS = {
    Material.MATTE: _matte,
    Material.PAINT: _paint,
    Material.GLASS: _glass,
    Material.FACADE: _facade,
    Material.ROOF: _roof,
    Material.LEAVES: _leaves,
    Material.LAMP: _lamp,
    Material.WHEEL: _wheel,
    Material.SIGN: _sign,
    Material.PLATE: _plate,
    Material.CLOTH: _cloth,
    Material.GRILLE: _grille,
    Material.SKIN: _skin,
}
