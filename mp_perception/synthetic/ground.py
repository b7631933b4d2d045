"""The ground: a road along an arc between raised kerbs, intersected in closed form, and its markings.

Road coordinates: s along the road's middle line (metres from the world's origin), t to the right of it.  The middle
line is a circle of the road's curvature, so any place and any ray convert without a search.
World: x right, y down, z forward at the origin; the roadway lies at y = 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mp_perception.synthetic.shapes import Floats
from mp_perception.synthetic.textures import noise, smooth_noise

#: Height of the kerbs, metres.
KERB = 0.12


@dataclass(frozen=True)
class Road:
    """The road and what borders it.

    curvature: 1/m, positive bends to the right.  half_width: middle line to kerb, metres.  pavement: breadth of the
    footway on each side; beyond lies grass or, if paved is set, more pavement.  lanes: number of lanes (marks between
    them).  parking: breadth of the parking strips inside the kerbs, 0 none.  zebra: s of a pedestrian crossing, None
    without.  asphalt: its reflectance, 0..1.  wear: 0 new asphalt, 1 patched and cracked.  seed: chooses the texture.
    """

    curvature: float
    half_width: float
    pavement: float
    paved: bool
    lanes: int
    parking: float
    zebra: float | None
    asphalt: float
    wear: float
    seed: int

    def place(self, s: float, t: float) -> tuple[float, float]:
        """World x, z of road coordinates."""
        angle = self.curvature * s
        # sin(a)/a and (1 - cos(a))/a written so that a straight road is no special case.
        along = s * np.sinc(angle / np.pi)
        aside = s * np.sin(angle / 2) * np.sinc(angle / 2 / np.pi)
        return aside + t * np.cos(angle), along - t * np.sin(angle)

    def heading(self, s: float) -> float:
        """Angle of the road's direction from world z towards x, radians."""
        return self.curvature * s

    def height(self, t: float) -> float:
        """Height of the surface at t: 0 on the roadway, KERB beside it."""
        return KERB if abs(t) > self.half_width else 0.0

    def coordinates(self, x: Floats, z: Floats) -> tuple[Floats, Floats]:
        """Road coordinates s, t of world places, the inverse of `place`."""
        k = self.curvature
        t = (2 * x - k * (x**2 + z**2)) / (1 + np.sqrt((1 - k * x) ** 2 + (k * z) ** 2))
        # A curvature too small for the quotient is none.
        s = np.arctan2(k * z, 1 - k * x) / k if abs(k) > 1e-12 else z
        return s, t


def ground_depth(road: Road, origin: Floats, directions: Floats) -> Floats:
    """Distance along each ray, in lengths of its direction, to roadway, kerb or pavement; inf if it goes upwards.

    origin (3,): the camera, above the pavement.  directions (..., 3), all in world coordinates.
    """
    down = directions[..., 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        to_pavement = np.where(down > 0, (-KERB - origin[1]) / down, np.inf)
        to_roadway = np.where(down > 0, -origin[1] / down, np.inf)
        pavement_t = _t_along(road, origin, directions, to_pavement)
        roadway_t = _t_along(road, origin, directions, to_roadway)
        on_pavement = np.abs(pavement_t) > road.half_width
        on_roadway = ~on_pavement & (np.abs(roadway_t) <= road.half_width)
        depth = np.where(on_pavement, to_pavement, to_roadway)
        kerb = ~on_pavement & ~on_roadway & (down > 0)
    if kerb.any():
        side = np.sign(roadway_t[kerb]) * road.half_width
        depth[kerb] = _kerb_depth(road, origin, directions[kerb], side, to_pavement[kerb], to_roadway[kerb])
    return np.where(down > 0, depth, np.inf)


def _t_along(road: Road, origin: Floats, directions: Floats, depth: Floats) -> Floats:
    reach = np.where(np.isfinite(depth), depth, 0.0)
    return road.coordinates(origin[0] + reach * directions[..., 0], origin[2] + reach * directions[..., 2])[1]


def _kerb_depth(road: Road, origin: Floats, directions: Floats, side: Floats, low: Floats, high: Floats) -> Floats:
    """Where rays cross the kerb's face |t| = half_width between the depths low and high.

    On the face 2 x - k (x^2 + z^2) = 2 t - k t^2: a quadratic in the depth.
    """
    k = road.curvature
    dx, dz = directions[..., 0], directions[..., 2]
    a = -k * (dx**2 + dz**2)
    half_b = dx - k * (origin[0] * dx + origin[2] * dz)
    c = 2 * origin[0] - k * (origin[0] ** 2 + origin[2] ** 2) - 2 * side + k * side**2
    root = np.sqrt(np.maximum(half_b**2 - a * c, 0.0))
    # The stable pair of roots: no difference of nearly equal numbers, and a = 0 (straight road) needs no case.
    q = -(half_b + np.where(half_b >= 0, root, -root))
    with np.errstate(divide="ignore", invalid="ignore"):
        roots = np.stack([c / q, q / a])
    inside = (roots >= low - 1e-6) & (roots <= high + 1e-6)
    return np.clip(np.where(inside[0], roots[0], roots[1]), low, high)


def ground_color(road: Road, points: Floats, depth: Floats) -> Floats:
    """Linear reflectance (N, 3) of ground points (N, 3) seen at depth (N,)."""
    x, z = points[:, 0], points[:, 2]
    s, t = road.coordinates(x, z)
    # Detail finer than a pixel would flicker: it fades with distance.
    grain = (noise(0, x * 90, z * 90) - 0.5) * np.exp(-depth / 12)
    patches = smooth_noise(2, x * 3 + road.seed, z * 3)
    border = np.abs(t) - road.half_width
    color: Floats = np.empty((len(x), 3), dtype=np.float32)
    # The kerb's face lies at border = 0, give or take a rounding.
    roadway, kerb_stone = border <= -0.005, (border > -0.005) & (border <= 0.16)
    footway = (border > 0.16) & ((border <= road.pavement) | road.paved)
    for part, paint in ((roadway, _asphalt), (kerb_stone, _kerb_stones), (footway, _paving)):
        chosen = np.flatnonzero(part)
        color[chosen] = paint(road, *(values[chosen] for values in (s, t, x, z, depth, grain, patches)))
    chosen = np.flatnonzero((border > 0.16) & ~footway)
    color[chosen] = _lawn(road, *(values[chosen] for values in (x, z, depth, patches)))
    return color


def _asphalt(
    road: Road, s: Floats, t: Floats, x: Floats, z: Floats, depth: Floats, grain: Floats, patches: Floats
) -> Floats:
    # Tyres polish two tracks per lane, seams and cracks run along and across.
    lane = 2 * (road.half_width - road.parking) / max(road.lanes, 1)
    track = 1 + 0.06 * np.cos(4 * np.pi * t / lane)
    grey = road.asphalt * (0.80 + 0.4 * patches) * (1 + 0.5 * grain) * track
    grey[np.abs(smooth_noise(1, x * 6, z * 6 + road.seed) - 0.5) < 0.012 * road.wear] *= 0.7
    grey[smooth_noise(2, s * 1.5 + 3 * road.seed, t * 4) > 1.06 - 0.25 * road.wear] *= 0.78
    white = np.flatnonzero(_is_marked(road, s, t))
    worn = smooth_noise(1, x[white] * 8, z[white] * 8 + 7) > 0.97 - 0.35 * road.wear
    grey[white[~worn]] = 0.62
    return np.repeat(grey[:, None], 3, axis=1)


def _kerb_stones(
    road: Road, s: Floats, t: Floats, x: Floats, z: Floats, depth: Floats, grain: Floats, patches: Floats
) -> Floats:
    stones = np.where(np.mod(s, 1.0) < 0.02, 0.7, 1.0)
    return np.repeat((0.30 * stones * (0.85 + 0.3 * patches) * (1 + 0.4 * grain))[:, None], 3, axis=1)


def _paving(
    road: Road, s: Floats, t: Floats, x: Floats, z: Floats, depth: Floats, grain: Floats, patches: Floats
) -> Floats:
    slab = 0.3 if road.seed % 2 else 0.5
    border = np.abs(t) - road.half_width
    joint = (np.mod(s, slab) < 0.018) | (np.mod(border, slab) < 0.018)
    shade = noise(0, np.floor(s / slab) * 7, np.floor(border / slab) * 5 + road.seed) - 0.5
    grey = 0.9 + 0.2 * patches + 0.18 * shade + 0.4 * grain
    grey *= np.where(joint, 1 - 0.45 * np.exp(-depth / 20), 1.0)
    tint = np.array([0.27, 0.25, 0.225] if road.seed % 3 else [0.26, 0.20, 0.18], dtype=np.float32)
    result: Floats = tint * grey[:, None]
    return result


def _lawn(road: Road, x: Floats, z: Floats, depth: Floats, patches: Floats) -> Floats:
    blades = noise(1, x * 40, z * 40)
    bare = np.where(smooth_noise(2, x * 4, z * 4 + road.seed) > 0.8, 0.8, 0.0)[:, None]
    grass = ((0.5 + patches) * (1 + (blades - 0.5) * np.exp(-depth / 25)))[:, None]
    earth = (0.7 + 0.6 * blades)[:, None]
    green, brown = np.array([0.085, 0.125, 0.03]), np.array([0.16, 0.12, 0.08])
    result: Floats = green * grass * (1 - bare) + brown * earth * bare
    return result


def _is_marked(road: Road, s: Floats, t: Floats) -> NDArray[np.bool_]:
    """Where white marks are: dashes between lanes, lines at parking strips, a zebra crossing."""
    drivable = road.half_width - road.parking
    white = np.zeros(len(s), dtype=bool)
    if road.lanes > 1:
        for border in np.linspace(-drivable, drivable, road.lanes + 1)[1:-1]:
            white |= (np.abs(t - border) < 0.07) & (np.mod(s + road.seed, 9.0) < 4.0)
    if road.parking > 0:
        white |= np.abs(np.abs(t) - drivable) < 0.05
        white |= (np.abs(t) > drivable) & (np.abs(t) < road.half_width) & (np.mod(s, 5.6) < 0.1)
    elif road.lanes > 2:
        white |= np.abs(np.abs(t) - road.half_width + 0.3) < 0.06
    if road.zebra is not None:
        white |= (np.abs(s - road.zebra) < 1.6) & (np.mod(t, 1.0) < 0.5) & (np.abs(t) < road.half_width - 0.2)
    return white
