"""Random street scenes: `random_scene` places road, houses, trees, vehicles and people; a seed gives one scene."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from mp_perception.arrays import AnyFloats
from mp_perception.data.boxes_3d import rotation_about_vertical
from mp_perception.synthetic import surroundings
from mp_perception.synthetic.people import cyclist, pedestrian, random_person
from mp_perception.synthetic.scene import Actor, Light, Motion, Road, Scene
from mp_perception.synthetic.shapes import Model, join
from mp_perception.synthetic.vehicles import random_vehicle

#: Length of the street ahead of the camera's last position, metres.
_VIEW = 110.0


def random_scene(seed: int, duration: float = 0.0) -> Scene:
    """A street whose actors do not touch each other or the camera's car from time 0 to duration, seconds."""
    generator = np.random.default_rng(seed)
    light, road = _random_light(generator), _random_road(generator)
    own_lane = road.drivable - road.lane_width / 2 if road.lanes > 1 else 0.0
    camera = Motion(own_lane, 0.0, 0.0, generator.uniform(5.0, 10.0) * (duration > 0), generator.normal(0, 0.02))
    traffic = _Traffic(generator, road, camera, duration)
    traffic.park_vehicles()
    traffic.add_moving_vehicles()
    traffic.add_pedestrians()
    traffic.add_cyclists()
    backdrop = _backdrop(generator, road, camera.speed_z * duration)
    # The exposure follows the light, as a camera's does, but not exactly.
    exposure = 0.82 / (0.55 * light.sun + 0.9 * light.sky) * float(np.exp(generator.normal(0, 0.25)))
    return Scene(road, light, exposure, camera, tuple(traffic.actors), backdrop, seed)


def _random_light(generator: np.random.Generator) -> Light:
    """Sun in about two thirds of the cases, otherwise clouds or fog."""
    weather = generator.choice(["sun", "clouds", "fog"], p=[0.65, 0.27, 0.08])
    azimuth, elevation = generator.uniform(0, 2 * np.pi), np.deg2rad(generator.uniform(18, 62))
    level = np.cos(elevation)
    to_sun = (float(level * np.sin(azimuth)), float(-np.sin(elevation)), float(level * np.cos(azimuth)))
    if weather == "sun":
        sun, sky, clouds = generator.uniform(2.2, 3.2), generator.uniform(0.4, 0.75), generator.uniform(0, 0.6)
        return Light(to_sun, sun, sky, clouds, visibility=generator.uniform(500, 3000))
    sun = generator.uniform(0, 0.5) if weather == "clouds" else 0.0
    visibility = generator.uniform(400, 2500) if weather == "clouds" else generator.uniform(40, 200)
    return Light(to_sun, sun, sky=generator.uniform(0.9, 1.4), clouds=1.0, visibility=visibility)


def _random_road(generator: np.random.Generator) -> Road:
    """A street of one to four lanes."""
    lanes = int(generator.choice([1, 2, 3, 4], p=[0.22, 0.55, 0.08, 0.15]))
    parking = 2.1 if generator.random() < 0.5 else 0.0
    lane = generator.uniform(3.6, 4.6) if lanes == 1 else generator.uniform(2.8, 3.4)
    return Road(
        half_width=lanes * lane / 2 + parking,
        footway=generator.uniform(1.8, 8.0),
        lanes=lanes,
        parking=parking,
        asphalt=generator.uniform(0.10, 0.26),
        seed=int(generator.integers(0, 1000)),
    )


class _Traffic:
    """Collects actors that do not touch each other."""

    def __init__(self, generator: np.random.Generator, road: Road, camera: Motion, duration: float) -> None:
        self.actors: list[Actor] = []
        self._generator = generator
        self._road = road
        self._duration = duration
        self._speed = camera.speed_z
        self._travelled = camera.speed_z * duration
        # Every half second; actors do not touch at these times.
        self._times = np.linspace(0.0, duration, int(np.ceil(duration * 2)) + 1).tolist()
        # Positions (T, 2) and half extents (2,) along x and z; the first are those of the camera's car.
        self._occupied = [(self._positions(camera), np.array([1.0, 3.0]))]

    def _positions(self, motion: Motion) -> AnyFloats:
        return np.array([motion.at(time)[[0, 2]] for time in self._times])

    def _add(self, label: str, model: Callable[[float], Model], motion: Motion) -> None:
        """Adds an actor unless it touches another one."""
        lowest, highest = model(0.0).moved(rotation_about_vertical(motion.heading - np.pi / 2), np.zeros(3)).bounds()
        positions, extent = self._positions(motion), (highest - lowest)[[0, 2]] / 2 + 0.1
        for others, other_extent in self._occupied:
            if (np.abs(positions - others) < extent + other_extent).all(axis=1).any():
                return
        self._occupied.append((positions, extent))
        self.actors.append(Actor(label, model, motion))

    def _add_vehicle(self, motion: Motion) -> None:
        label, shapes = random_vehicle(self._generator)
        self._add(label, lambda time: shapes, motion)

    def _add_pedestrian(self, motion: Motion) -> None:
        person = random_person(self._generator, walking=motion.speed_x != 0 or motion.speed_z != 0)
        self._add("Pedestrian", partial(pedestrian, person), motion)

    def _distance_ahead(self) -> float:
        """A random z along the whole drive, near positions more often."""
        return self._generator.uniform(0, self._travelled + 1e-9) + 4.0 + 62 * float(self._generator.beta(1.0, 1.9))

    def park_vehicles(self) -> None:
        """Rows on the parking strips, or across the road's direction behind the footway."""
        generator, road = self._generator, self._road
        for side in (1, -1):
            density = generator.choice([0.15, 0.5, 0.85])
            if road.parking > 0:
                step, place, heading = 5.9, road.half_width - 1.02, 0.0 if side > 0 else np.pi
            elif generator.random() < 0.3:
                step, place, heading = 2.7, road.half_width + road.footway + 3.0, generator.choice([-1, 1]) * np.pi / 2
            else:
                continue
            for z in np.arange(-3.0, (self._travelled + _VIEW) * 0.7, step).tolist():
                if generator.random() < density:
                    shift, turn = generator.normal(0, 0.1), generator.normal(0, 0.03)
                    self._add_vehicle(Motion(side * place, z + shift, heading=heading + turn))

    def add_moving_vehicles(self) -> None:
        """Oncoming and leading vehicles, and some that stand across the road."""
        generator, road = self._generator, self._road
        for lane in range(road.lanes):
            x = -road.drivable + road.lane_width * (lane + 0.5)
            is_ahead = lane >= road.lanes / 2 or road.lanes == 1
            for _ in range(generator.poisson(1.1)):
                speed = self._speed if is_ahead else -generator.uniform(5, 10) * (self._duration > 0)
                start = generator.uniform(9, 65) - min(speed, 0.0) * self._duration
                heading = 0.0 if is_ahead else np.pi
                self._add_vehicle(Motion(x + generator.normal(0, 0.15), start, 0.0, speed, heading))
        for _ in range(generator.poisson(0.5)):
            x, z = generator.uniform(-road.drivable, road.drivable), generator.uniform(14, 45)
            self._add_vehicle(Motion(x, z, heading=generator.uniform(-np.pi, np.pi)))

    def add_pedestrians(self) -> None:
        """Groups on the footways, walking or standing, and pedestrians who cross the road."""
        generator, road = self._generator, self._road
        for _ in range(generator.poisson(5.0 * generator.choice([0.5, 1.0, 2.2]) * (1 + self._travelled / 70))):
            side, direction = generator.choice([-1, 1], size=2)
            distance = road.half_width + generator.uniform(0.75, max(road.footway - 0.3, 0.8))
            speed = direction * generator.uniform(0.9, 1.6) * (generator.random() > 0.25)
            group = self._along(side * distance, speed)
            for member in range(generator.choice([1, 2, 3, 4], p=[0.6, 0.25, 0.1, 0.05])):
                beside, behind = side * 0.62 * (member % 2), 0.9 * (member // 2) + generator.normal(0, 0.12)
                turn = generator.normal(0, 0.12) if speed else generator.uniform(-np.pi, np.pi)
                self._add_pedestrian(
                    replace(group, x=group.x + beside, z=group.z + behind, heading=group.heading + turn)
                )
        for _ in range(generator.poisson(1.7)):
            self._add_pedestrian(self._across(generator.uniform(1.0, 1.7)))

    def add_cyclists(self) -> None:
        """Cyclists at the edges of the roadway, on the footways, or crossing."""
        generator, road = self._generator, self._road
        for _ in range(generator.poisson(2.3 * (1 + self._travelled / 70))):
            side, speed = generator.choice([-1, 1]), generator.uniform(3.0, 6.5)
            on_footway = road.half_width + generator.uniform(0.6, 1.4)
            distance = on_footway if generator.random() < 0.3 else road.drivable - 0.45
            motion = self._across(speed) if generator.random() < 0.3 else self._along(side * distance, side * speed)
            self._add("Cyclist", partial(cyclist, random_person(generator)), motion)

    def _along(self, x: float, speed: float) -> Motion:
        """Motion along the road at x; somebody who comes towards the camera starts farther away."""
        start = self._distance_ahead() - 0.7 * min(speed, 0.0) * self._duration
        return Motion(x, start, 0.0, speed, (0.0 if speed >= 0 else np.pi) + self._generator.normal(0, 0.06))

    def _across(self, speed: float) -> Motion:
        """Motion across the road that is on the roadway at a random time."""
        generator, road = self._generator, self._road
        direction, moment = generator.choice([-1, 1]), generator.uniform(0, self._duration + 1e-9)
        x = generator.uniform(-road.half_width, road.half_width) - direction * speed * moment
        heading = direction * np.pi / 2 + generator.normal(0, 0.2)
        return Motion(x, self._distance_ahead() + 2, direction * speed, 0.0, heading)


def _backdrop(generator: np.random.Generator, road: Road, travelled: float) -> Model:
    """Houses, trees and poles on both sides, and the skyline."""
    last = travelled + _VIEW
    models = [_placed(surroundings.skyline(generator), 0.0, travelled)]
    for side in (1, -1):
        edge = road.half_width + road.footway
        # Vehicles that are parked behind the footway need 6 m.
        front = edge + (generator.uniform(6.0, 11.0) if road.parking == 0 else generator.uniform(0.3, 6.0))
        built, greenery = generator.choice([0.2, 0.75, 1.0]), generator.choice([0.35, 0.8, 0.98])
        z = -25.0
        while z < last + 40:
            width = generator.uniform(8, 18)
            if generator.random() < built:
                models.append(_placed(surroundings.house(generator, width), side * front, z + width / 2))
            elif generator.random() < greenery:
                for _ in range(3):
                    x = side * (front + generator.uniform(1, 9))
                    models.append(_placed(surroundings.tree(generator), x, z + generator.uniform(0, width)))
            z += width + (0.0 if generator.random() < 0.5 else generator.uniform(1, 6))
        for z in np.arange(-6.0, last, 9.0).tolist():
            at_kerb = side * (road.half_width + 0.45), z + generator.uniform(-3, 3)
            if generator.random() < greenery * 0.5:
                models.append(_placed(surroundings.tree(generator), *at_kerb))
            elif generator.random() < 0.5:
                models.append(_placed(surroundings.street_furniture(generator), *at_kerb))
    return join(models)


def _placed(model: Model, x: float, z: float) -> Model:
    """A model on the ground whose left side faces the road."""
    heading = 0.0 if x >= 0 else np.pi
    return model.moved(rotation_about_vertical(heading - np.pi / 2), np.array([x, 0.0, z]))
