"""The ground: a plane with a road along an arc, footways beside it, and its markings.

Road coordinates: s along the middle of the road (metres from the world's origin), t to the right of it.  The middle is
a circle of the road's curvature, so that positions convert in closed form.
World: x right, y down, z forward at the origin; the ground lies at y = 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mp_perception.synthetic.noise import noise, smooth_noise
from mp_perception.synthetic.shapes import Floats

#: Width of the kerb stones, metres.
_KERB = 0.16


@dataclass(frozen=True)
class Road:
    """The road and what borders it.

    curvature: 1/m, positive bends to the right.  half_width: from the middle to the kerb, metres.  pavement: width of
    the footway on each side; beyond it is grass or, if `paved`, more pavement.  lanes: number of lanes.  parking: width
    of the parking strips inside the kerbs, 0 for none.  zebra: s of a pedestrian crossing, None for none.  asphalt: its
    reflectance, 0..1.  seed: selects the texture.
    """

    curvature: float
    half_width: float
    pavement: float
    paved: bool
    lanes: int
    parking: float
    zebra: float | None
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

    def place(self, s: float, t: float) -> Floats:
        """World position (3,) of road coordinates."""
        angle = self.curvature * s
        # sin(a)/a and (1 - cos(a))/a in a form that is also valid for a straight road.
        along = s * np.sinc(angle / np.pi)
        aside = s * np.sin(angle / 2) * np.sinc(angle / 2 / np.pi)
        return np.array([aside + t * np.cos(angle), 0.0, along - t * np.sin(angle)])

    def heading(self, s: float) -> float:
        """Angle of the road's direction from world z towards x, radians."""
        return self.curvature * s

    def coordinates(self, x: Floats, z: Floats) -> tuple[Floats, Floats]:
        """Road coordinates s, t of world positions, the inverse of `place`."""
        k = self.curvature
        t = (2 * x - k * (x**2 + z**2)) / (1 + np.sqrt((1 - k * x) ** 2 + (k * z) ** 2))
        # A smaller curvature would be lost in the quotient.
        s = np.arctan2(k * z, 1 - k * x) / k if abs(k) > 1e-12 else z
        return s, t


def random_road(generator: np.random.Generator) -> Road:
    """A street of one to four lanes, straight or slightly curved."""
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
        seed=int(generator.integers(0, 1000)),
    )


def ground_reflectance(road: Road, points: Floats, depth: Floats) -> Floats:
    """Linear reflectance (N, 3) of ground points (N, 3) seen at depth (N,)."""
    x, z = points[:, 0], points[:, 2]
    s, t = road.coordinates(x, z)
    # Detail finer than a pixel would flicker: it fades with distance.
    grain = (noise(0, x * 90, z * 90) - 0.5) * np.exp(-depth / 12)
    patches = smooth_noise(2, x * 3 + road.seed, z * 3)
    border = np.abs(t) - road.half_width
    paved = (border <= road.pavement) | road.paved
    grey = np.select(
        [border <= 0, border <= _KERB, paved],
        [
            _asphalt(road, s, t, grain, patches),
            _kerb_stones(s, grain, patches),
            _slabs(road, s, border, depth, patches),
        ],
    )
    tint = np.array([1.1, 1.0, 0.9] if road.seed % 3 else [1.2, 0.95, 0.85], dtype=np.float32)
    color = grey[:, None] * np.where((border <= _KERB)[:, None], np.float32(1), tint)
    lawn = np.flatnonzero((border > _KERB) & ~paved)
    color[lawn] = _lawn(x[lawn], z[lawn], depth[lawn], patches[lawn])
    result: Floats = color.astype(np.float32)
    return result


def _asphalt(road: Road, s: Floats, t: Floats, grain: Floats, patches: Floats) -> Floats:
    # Tyres polish two tracks per lane.
    tracks = 1 + 0.06 * np.cos(4 * np.pi * t / road.lane_width)
    cracks = np.where(np.abs(smooth_noise(1, s * 6, t * 6 + road.seed) - 0.5) < 0.006, 0.7, 1.0)
    worn = smooth_noise(1, s * 8, t * 8 + 7) > 0.8
    plain = road.asphalt * (0.80 + 0.4 * patches) * (1 + 0.5 * grain) * tracks * cracks
    result: Floats = np.where(_is_marked(road, s, t) & ~worn, 0.62, plain)
    return result


def _kerb_stones(s: Floats, grain: Floats, patches: Floats) -> Floats:
    joints = np.where(np.mod(s, 1.0) < 0.02, 0.7, 1.0)
    result: Floats = 0.30 * joints * (0.85 + 0.3 * patches) * (1 + 0.4 * grain)
    return result


def _slabs(road: Road, s: Floats, border: Floats, depth: Floats, patches: Floats) -> Floats:
    size = 0.3 if road.seed % 2 else 0.5
    joint = (np.mod(s, size) < 0.018) | (np.mod(border, size) < 0.018)
    shade = noise(0, np.floor(s / size) * 7, np.floor(border / size) * 5 + road.seed) - 0.5
    result: Floats = 0.245 * (0.9 + 0.2 * patches + 0.2 * shade) * np.where(joint, 1 - 0.45 * np.exp(-depth / 20), 1.0)
    return result


def _lawn(x: Floats, z: Floats, depth: Floats, patches: Floats) -> Floats:
    blades = noise(1, x * 40, z * 40) - 0.5
    grass = (0.5 + patches) * (1 + blades * np.exp(-depth / 25))
    result: Floats = grass[:, None] * np.array([0.085, 0.125, 0.03], dtype=np.float32)
    return result


def _is_marked(road: Road, s: Floats, t: Floats) -> NDArray[np.bool_]:
    """Where white marks are: dashes between lanes, lines at parking strips, a zebra crossing."""
    white = np.zeros(len(s), dtype=bool)
    for lane in range(1, road.lanes):
        white |= (np.abs(t + road.drivable - lane * road.lane_width) < 0.07) & (np.mod(s + road.seed, 9.0) < 4.0)
    if road.parking > 0:
        white |= np.abs(np.abs(t) - road.drivable) < 0.05
        white |= (np.abs(t) > road.drivable) & (np.mod(s, 5.6) < 0.1)
    if road.zebra is not None:
        white |= (np.abs(s - road.zebra) < 1.6) & (np.mod(t, 1.0) < 0.5) & (np.abs(t) < road.half_width - 0.2)
    return white
