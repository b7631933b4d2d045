"""Random street scenes: `random_scene` places road, houses, trees, vehicles and people; a seed gives one scene."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from mp_perception.synthetic import surroundings
from mp_perception.synthetic.light import Light, random_light
from mp_perception.synthetic.people import cyclist, pedestrian, random_frame, random_person
from mp_perception.synthetic.road import Road, random_road
from mp_perception.synthetic.scene import Actor, CameraLook, Ego, Motion, Scene
from mp_perception.synthetic.shapes import Floats, Model, join, rotation_about_vertical
from mp_perception.synthetic.vehicles import random_car, random_truck, random_van

#: Length of the street ahead of the camera's last position, metres.
_VIEW = 110.0

#: Seconds between the times at which actors are kept apart.
_STEP = 0.5


def random_scene(seed: int, duration: float = 0.0) -> Scene:
    """A street whose actors do not touch each other or the camera's car from time 0 to duration, seconds."""
    generator = np.random.default_rng(seed)
    light, road = random_light(generator), random_road(generator)
    ego = Ego(
        t=road.drivable - road.lane_width / 2 if road.lanes > 1 else 0.0,
        speed=generator.uniform(5.0, 10.0) if duration > 0 else 0.0,
        sway=generator.uniform(-0.3, 0.3),
    )
    traffic = _Traffic(generator, road, ego, duration)
    traffic.park_vehicles()
    traffic.add_moving_vehicles()
    traffic.add_people_on_footways()
    traffic.add_people_crossing()
    traffic.add_cyclists()
    backdrop = _backdrop(generator, road, ego.speed * duration)
    return Scene(road, light, _random_look(generator, light), ego, tuple(traffic.actors), backdrop, seed)


def _random_look(generator: np.random.Generator, light: Light) -> CameraLook:
    # The exposure follows the light, as a camera's does, but not exactly.
    level = 0.55 * light.sun + 0.9 * light.sky
    return CameraLook(
        exposure=float(0.82 / level * np.exp(generator.normal(0, 0.25))),
        contrast=float(generator.uniform(1.0, 1.6)),
        blur=float(generator.uniform(0.45, 0.8)),
        noise=float(generator.uniform(1.0, 5.0)),
    )


class _Traffic:
    """Collects actors that do not touch each other."""

    def __init__(self, generator: np.random.Generator, road: Road, ego: Ego, duration: float) -> None:
        self.actors: list[Actor] = []
        self._generator = generator
        self._road = road
        self._duration = duration
        self._travelled = ego.speed * duration
        self._speed = ego.speed
        self._times = np.arange(0.0, duration + _STEP, _STEP).tolist() if duration > 0 else [0.0]
        # Circles that each actor occupies: their positions (T, K, 2) and radius.  The first are the camera's own car's.
        self._occupied = [(self._circles(partial(ego.at, road), 6.0, 1.0), 1.0)]

    def _circles(self, at: Callable[[float], tuple[Floats, float]], length: float, radius: float) -> Floats:
        """Centres (T, K, 2) of circles along an actor's length at all times."""
        shifts = np.linspace(-1, 1, max(1, int(np.ceil(length / (1.5 * radius))))) * max(length / 2 - radius, 0.0)
        poses = [at(time) for time in self._times]
        return np.array([p[[0, 2]] + shifts[:, None] * np.array([np.sin(h), np.cos(h)]) for p, h in poses])

    def _add(self, label: str, model: Callable[[float], Model], motion: Motion, length: float, radius: float) -> None:
        """Adds an actor unless it touches another one."""
        circles = self._circles(partial(motion.at, self._road), length, radius)
        for others, other_radius in self._occupied:
            gap = np.linalg.norm(circles[:, :, None] - others[:, None], axis=-1)
            if (gap < radius + other_radius + 0.05).any():
                return
        self._occupied.append((circles, radius))
        self.actors.append(Actor(label, model, motion))

    def _add_vehicle(self, motion: Motion) -> None:
        kinds = (("Car", random_car), ("Van", random_van), ("Truck", random_truck))
        label, random_vehicle = kinds[self._generator.choice(3, p=[0.84, 0.13, 0.03])]
        shapes = random_vehicle(self._generator)
        lowest, highest = shapes.bounds()
        length, _, width = highest - lowest
        self._add(label, lambda time: shapes, motion, float(length) + 0.3, float(width) / 2)

    def _add_pedestrian(self, motion: Motion) -> None:
        person = random_person(self._generator, walking=motion.speed_s != 0 or motion.speed_t != 0)
        self._add("Pedestrian", partial(pedestrian, person), motion, 0.0, 0.27)

    def _position_ahead(self) -> float:
        """A random s, near positions more often, along the whole drive."""
        return float(self._generator.uniform(0, self._travelled + 1e-9) + 4.0 + 62 * self._generator.beta(1.0, 1.9))

    def park_vehicles(self) -> None:
        """Rows on the parking strips; on roads without them, across or along the road behind the footway."""
        generator, road = self._generator, self._road
        for side in (1, -1):
            density = generator.choice([0.15, 0.5, 0.85])
            if road.parking > 0:
                step, place, turn = 5.9, road.half_width - 1.02, 0.0 if side > 0 else np.pi
            elif generator.random() < 0.45:
                across = generator.random() < 0.6
                step, place = (2.7, road.half_width + road.pavement + 3.0) if across else (6.0, road.half_width + 2.0)
                turn = generator.choice([-1, 1]) * np.pi / 2 if across else generator.choice([0, np.pi])
            else:
                continue
            for s in np.arange(-3.0, (self._travelled + _VIEW) * 0.7, step).tolist():
                if generator.random() < density:
                    shift, slant = generator.normal(0, 0.1), generator.normal(0, 0.03)
                    self._add_vehicle(Motion(s + shift, side * place, heading=turn + slant))

    def add_moving_vehicles(self) -> None:
        """Oncoming and leading vehicles, and some that stand across the road."""
        generator, road = self._generator, self._road
        for lane in range(road.lanes):
            t = -road.drivable + road.lane_width * (lane + 0.5)
            ahead = lane >= road.lanes / 2 or road.lanes == 1
            for _ in range(generator.poisson(1.1)):
                speed = self._speed if ahead else -generator.uniform(5, 10) * (self._duration > 0)
                start = generator.uniform(9, 65) - min(speed, 0.0) * self._duration
                heading = 0.0 if ahead else np.pi
                self._add_vehicle(Motion(start, t + generator.normal(0, 0.15), speed, heading=heading))
        for _ in range(generator.poisson(0.5)):
            s, t = generator.uniform(14, 45), generator.uniform(-road.drivable, road.drivable)
            self._add_vehicle(Motion(s, t, heading=generator.uniform(-np.pi, np.pi)))

    def add_people_on_footways(self) -> None:
        """Groups of one to four, walking or standing."""
        generator, road = self._generator, self._road
        for _ in range(generator.poisson(4.0 * generator.choice([0.5, 1.0, 2.2]) * (1 + self._travelled / 70))):
            side, direction = generator.choice([-1, 1], size=2)
            s, t = self._position_ahead(), road.half_width + generator.uniform(0.75, max(road.pavement - 0.3, 0.8))
            standing = generator.random() < 0.25
            speed = 0.0 if standing else direction * generator.uniform(0.9, 1.6)
            for member in range(int(generator.choice([1, 2, 3, 4], p=[0.6, 0.25, 0.1, 0.05]))):
                heading = generator.uniform(-np.pi, np.pi) if standing else (0.0 if direction > 0 else np.pi)
                beside, behind = 0.62 * (member % 2), 0.9 * (member // 2) + generator.normal(0, 0.12)
                heading += generator.normal(0, 0.12)
                self._add_pedestrian(Motion(s + behind, side * (t + beside), speed, heading=heading))

    def add_people_crossing(self) -> None:
        """More people cross where there is a zebra crossing."""
        generator, road = self._generator, self._road
        for _ in range(generator.poisson(1.3 if road.zebra is None else 3.0)):
            s = self._position_ahead() + 2 if road.zebra is None else road.zebra + generator.uniform(-1.4, 1.4)
            self._add_pedestrian(self._crossing(s, generator.uniform(1.0, 1.7), 0.15))

    def add_cyclists(self) -> None:
        """Cyclists at the edges of the roadway, on the footway, or crossing."""
        generator, road = self._generator, self._road
        for _ in range(generator.poisson(2.3 * (1 + self._travelled / 70))):
            speed, s = generator.uniform(3.0, 6.5), self._position_ahead() + 2
            side = generator.choice([-1, 1])
            if generator.random() < 0.3:
                motion = self._crossing(s, speed, 0.3)
            else:
                on_footway = generator.random() < 0.3
                t = road.half_width + generator.uniform(0.6, 1.4) if on_footway else road.drivable - 0.45
                start = s if side > 0 else s + speed * self._duration * 0.7
                heading = (0.0 if side > 0 else np.pi) + generator.normal(0, 0.06)
                motion = Motion(start, side * t, side * speed, heading=heading)
            model = partial(cyclist, random_person(generator), random_frame(generator))
            self._add("Cyclist", model, motion, 1.75, 0.32)

    def _crossing(self, s: float, speed: float, slant: float) -> Motion:
        """Motion across the road at about s that is on the roadway at a random time."""
        generator, road = self._generator, self._road
        direction, angle = generator.choice([-1, 1]), generator.normal(0, slant)
        moment = generator.uniform(0, self._duration + 1e-9)
        t = generator.uniform(-road.half_width, road.half_width) - direction * speed * moment
        along = -speed * direction * np.sin(angle)
        return Motion(s - along * moment, t, along, direction * speed, direction * np.pi / 2 + angle)


def _backdrop(generator: np.random.Generator, road: Road, travelled: float) -> Model:
    """Houses, trees, hedges and poles on both sides, and the skyline."""
    models = [_placed(surroundings.skyline(generator), road, travelled, 0.0)]
    last = travelled + _VIEW
    for side in (1, -1):
        edge = road.half_width + road.pavement
        # Vehicles that are parked across need 6 m behind the footway.
        front = edge + (generator.uniform(6.0, 11.0) if road.parking == 0 else generator.uniform(0.3, 6.0))
        built, greenery = generator.choice([0.2, 0.75, 1.0]), generator.choice([0.35, 0.8, 0.98])
        s = -25.0
        while s < last + 40:
            width = generator.uniform(8, 18)
            if generator.random() < built:
                house = surroundings.house(generator, width, generator.uniform(8, 12))
                models.append(_placed(house, road, s + width / 2, side * front))
            elif generator.random() < greenery:
                for _ in range(3):
                    place, behind = s + generator.uniform(0, width), generator.uniform(1, 9)
                    models.append(_placed(surroundings.tree(generator), road, place, side * (front + behind)))
            s += width + (0.0 if generator.random() < 0.5 else generator.uniform(1, 6))
        for s in np.arange(-6.0, last, 9.0).tolist():
            if road.parking > 0 and front > edge + 3 and generator.random() < 0.5:
                models.append(_placed(surroundings.hedge(generator, 8.8), road, s, side * (edge + 0.8)))
            model = _random_roadside_object(generator, greenery)
            if model is not None:
                models.append(_placed(model, road, s + generator.uniform(-3, 3), side * (road.half_width + 0.45)))
    return join(models)


def _random_roadside_object(generator: np.random.Generator, greenery: float) -> Model | None:
    """What is at the kerb: a tree, a pole, a sign or nothing."""
    if generator.random() < greenery * 0.5:
        return surroundings.tree(generator)
    make = (surroundings.lamp_post, surroundings.road_sign, surroundings.street_furniture)
    kind = int(generator.choice(4, p=[0.2, 0.15, 0.15, 0.5]))
    return make[kind](generator) if kind < 3 else None


def _placed(model: Model, road: Road, s: float, t: float) -> Model:
    """A model on the ground whose left side faces the road."""
    turn = road.heading(s) + (0.0 if t >= 0 else np.pi) - np.pi / 2
    return model.moved(rotation_about_vertical(turn), road.place(s, t))
