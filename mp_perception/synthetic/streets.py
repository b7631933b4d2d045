"""Invents streets: `random_scene` places road, houses, trees, cars and people at random, the same for the same seed."""

from __future__ import annotations

import numpy as np

from mp_perception.synthetic import surroundings
from mp_perception.synthetic.conditions import random_light, random_look, random_road
from mp_perception.synthetic.cyclists import random_bicycle, standing_bicycle
from mp_perception.synthetic.ground import Road
from mp_perception.synthetic.people import random_person
from mp_perception.synthetic.scene import Actor, Ego, Motion, Rider, Scene, Vehicle, Walker
from mp_perception.synthetic.shapes import Floats, Model, join, rotation_about_vertical
from mp_perception.synthetic.trucks import random_truck
from mp_perception.synthetic.vehicles import random_car, random_van

#: How far ahead of the camera's last position the street is furnished, metres.
_VIEW = 110.0

#: Seconds between the times at which things are kept apart.
_STEP = 0.5


def random_scene(seed: int, duration: float = 0.0) -> Scene:
    """A street whose actors keep clear of each other and of the camera's car from time 0 to duration, seconds."""
    generator = np.random.default_rng(seed)
    light = random_light(generator)
    road = random_road(generator)
    drivable = road.half_width - road.parking
    lane = 2 * drivable / road.lanes
    # A gentle drive: slower in narrow streets.
    ego = Ego(
        t=drivable - lane / 2 if road.lanes > 1 else 0.0,
        speed=generator.uniform(5.0, 10.0) if duration > 0 else 0.0,
        sway=generator.uniform(-0.3, 0.3),
    )
    last = ego.speed * duration + _VIEW
    street = _Street(generator, road, ego, duration, last)
    street.park_cars()
    street.let_cars_drive(lane)
    street.let_people_walk()
    street.let_people_cross()
    street.let_people_cycle(drivable)
    return Scene(road, light, random_look(generator, light), ego, tuple(street.actors), street.backdrop(), seed)


def _turned(model: Model, road: Road, s: float, t: float, heading: float) -> Model:
    x, z = road.place(s, t)
    position = np.array([x, -road.height(t), z])
    return model.moved(rotation_about_vertical(road.heading(s) + heading - np.pi / 2), position)


class _Street:
    """Collects actors that do not run into each other."""

    def __init__(self, generator: np.random.Generator, road: Road, ego: Ego, duration: float, last: float) -> None:
        self.generator = generator
        self.road = road
        self.ego = ego
        self.last = last
        self.times: list[float] = np.arange(0.0, duration + _STEP, _STEP).tolist() if duration > 0 else [0.0]
        self.actors: list[Actor] = []
        self._taken: list[tuple[Floats, float]] = []
        camera = [ego.at(road, time) for time in self.times]
        # The camera's own car: circles from 3 m behind the camera to 3 m before it.
        self._ego_places = np.array(
            [[p[[0, 2]] + a * np.array([np.sin(h), np.cos(h)]) for a in (-3, -1, 1, 3)] for p, h in camera]
        )

    def _add(self, actor: Actor, length: float, radius: float) -> bool:
        """Adds the actor, seen as a chain of circles of a radius over its length, unless it hits something."""
        shifts = np.linspace(-1, 1, max(1, int(np.ceil(length / (1.5 * radius))))) * max(length / 2 - radius, 0.0)
        places = np.empty((len(self.times), len(shifts), 2))
        for index, time in enumerate(self.times):
            position, heading = actor.motion.at(self.road, time)
            places[index] = position[[0, 2]] + shifts[:, None] * np.array([np.sin(heading), np.cos(heading)])
        for others, other_radius in [(self._ego_places, 1.0), *self._taken]:
            gap = np.linalg.norm(places[:, :, None] - others[:, None], axis=-1)
            if (gap < radius + other_radius + 0.05).any():
                return False
        self._taken.append((places, radius))
        self.actors.append(actor)
        return True

    def _add_vehicle(self, motion: Motion, parked: bool) -> bool:
        kind = self.generator.random()
        if kind < 0.84:
            body = Vehicle("Car", random_car(self.generator))
        elif kind < 0.96:
            body = Vehicle("Van", random_van(self.generator))
        else:
            body = Vehicle("Truck", random_truck(self.generator))
        if body.label == "Truck" and parked:
            return False
        lowest, highest = body.shapes.bounds()
        return self._add(Actor(body, motion), float(highest[0] - lowest[0]) + 0.3, float(highest[2] - lowest[2]) / 2)

    def park_cars(self) -> None:
        """Rows at the kerbs where there is a parking strip; else a few cars across or on the pavement."""
        generator, road = self.generator, self.road
        for side in (1, -1):
            share = generator.choice([0.15, 0.5, 0.85])
            if road.parking > 0:
                for s in np.arange(-3.0, self.last * 0.8, 5.9).tolist():
                    if generator.random() < share:
                        heading = (0.0 if side > 0 else np.pi) + (np.pi if generator.random() < 0.12 else 0.0)
                        place = side * (road.half_width - 1.02 + generator.normal(0, 0.06))
                        motion = Motion(s + generator.normal(0, 0.15), place, 0, 0, heading + generator.normal(0, 0.02))
                        self._add_vehicle(motion, parked=True)
            elif generator.random() < 0.45:
                # Across: noses or tails towards the road, behind the footway.
                across = generator.random() < 0.6
                step, depth = (2.7, 3.0) if across else (6.0, 1.2)
                turn = float(generator.choice([-1, 1]) * (np.pi / 2) if across else generator.choice([0, np.pi]))
                for s in np.arange(4.0, self.last * 0.6, step).tolist():
                    if generator.random() < share * 0.7:
                        place = side * (road.half_width + road.pavement + depth)
                        self._add_vehicle(Motion(s, place, 0, 0, turn + generator.normal(0, 0.04)), parked=True)

    def let_cars_drive(self, lane: float) -> None:
        """Oncoming and leading cars, and some that turn across the road."""
        generator, road = self.generator, self.road
        drivable = road.half_width - road.parking
        for number in range(road.lanes):
            t = -drivable + lane * (number + 0.5)
            along = number >= road.lanes / 2 or road.lanes == 1
            for _ in range(generator.poisson(1.1)):
                speed = self.ego.speed if along else -generator.uniform(5, 10)
                speed = speed if self.times[-1] > 0 else 0.0
                start = generator.uniform(9, 60) if along else generator.uniform(9, 70) - speed * self.times[-1]
                self._add_vehicle(
                    Motion(start, t + generator.normal(0, 0.15), speed, 0, 0 if along else np.pi), parked=False
                )
        for _ in range(generator.poisson(0.5)):
            start, place = generator.uniform(14, 45), generator.uniform(-drivable, drivable)
            self._add_vehicle(Motion(start, place, 0, 0, generator.uniform(-np.pi, np.pi)), parked=False)

    def _add_walker(self, motion: Motion) -> None:
        moving = motion.speed_s != 0 or motion.speed_t != 0
        self._add(Actor(Walker(random_person(self.generator, moving)), motion), 0.0, 0.27)

    def _somewhere_ahead(self) -> float:
        """An s that is more often near than far, over the whole way."""
        travelled = self.ego.speed * self.times[-1]
        return float(self.generator.uniform(0, travelled + 1e-9) + 4.0 + 62 * self.generator.beta(1.0, 1.9))

    def let_people_walk(self) -> None:
        """Groups of one to four on the footways, walking or standing."""
        generator, road = self.generator, self.road
        busy = generator.choice([0.5, 1.0, 2.2]) * (1 + self.ego.speed * self.times[-1] / 70)
        for _ in range(generator.poisson(4.0 * busy)):
            side = generator.choice([-1, 1])
            s = self._somewhere_ahead()
            border = road.pavement + (3.0 if road.paved else 0.0)
            t = side * (road.half_width + generator.uniform(0.75, max(border - 0.3, 0.8)))
            direction = generator.choice([-1, 1])
            standing = generator.random() < 0.25
            speed = 0.0 if standing else direction * generator.uniform(0.9, 1.6)
            for member in range(int(generator.choice([1, 2, 3, 4], p=[0.6, 0.25, 0.1, 0.05]))):
                heading = generator.uniform(-np.pi, np.pi) if standing else (0.0 if direction > 0 else np.pi)
                shift = generator.normal(0, 0.12) + (0.9 * (member // 2))
                self._add_walker(
                    Motion(s + shift, t + side * 0.62 * (member % 2), speed, 0.0, heading + generator.normal(0, 0.12))
                )

    def let_people_cross(self) -> None:
        """People who cross the road, more on a zebra crossing."""
        generator, road = self.generator, self.road
        for _ in range(generator.poisson(1.3 if road.zebra is None else 3.0)):
            direction = generator.choice([-1, 1])
            speed = direction * generator.uniform(1.0, 1.7)
            on_zebra = generator.uniform(-1.4, 1.4)
            s = self._somewhere_ahead() + 2 if road.zebra is None else road.zebra + on_zebra
            t = generator.uniform(-road.half_width, road.half_width)
            moment = generator.uniform(0, self.times[-1] + 1e-9)
            slant = generator.normal(0, 0.15)
            heading = direction * np.pi / 2 + slant
            self._add_walker(Motion(s, t - speed * moment, -abs(speed) * direction * np.sin(slant), speed, heading))

    def let_people_cycle(self, drivable: float) -> None:
        """Cyclists at the edges of the roadway, on the footway, or crossing."""
        generator, road = self.generator, self.road
        for _ in range(generator.poisson(2.3 * (1 + self.ego.speed * self.times[-1] / 70))):
            speed = generator.uniform(3.0, 6.5)
            kind = generator.choice(["along", "oncoming", "across", "footway"], p=[0.3, 0.2, 0.3, 0.2])
            s = self._somewhere_ahead() + 2
            if kind == "across":
                direction = generator.choice([-1, 1])
                t = generator.uniform(-road.half_width, road.half_width)
                moment = generator.uniform(0, self.times[-1] + 1e-9)
                motion = Motion(
                    s,
                    t - direction * speed * moment,
                    0.0,
                    direction * speed,
                    direction * np.pi / 2 + generator.normal(0, 0.3),
                )
            else:
                forward = kind == "along" or (kind == "footway" and generator.random() < 0.5)
                side = 1 if forward else -1
                on_footway = road.half_width + generator.uniform(0.6, max(road.pavement - 0.4, 0.9))
                t = side * (on_footway if kind == "footway" else drivable - 0.45 + generator.normal(0, 0.12))
                motion = Motion(
                    s if forward else s + speed * self.times[-1] * 0.7,
                    float(t),
                    speed if forward else -speed,
                    0.0,
                    (0.0 if forward else np.pi) + generator.normal(0, 0.06),
                )
            body = Rider(random_person(generator), random_bicycle(generator))
            self._add(Actor(body, motion), 1.75, 0.32)

    def backdrop(self) -> Model:
        """Houses, trees, hedges, poles and the skyline on both sides."""
        things = [_turned(surroundings.skyline(self.generator), self.road, self.last - _VIEW, 0.0, 0.0)]
        for side in (1, -1):
            edge = self.road.half_width + self.road.pavement
            near_houses = self.generator.random() < 0.45
            set_back = self.generator.uniform(0.3, 2.0) if near_houses else self.generator.uniform(4.0, 11.0)
            # Cars parked behind the footway need the room.
            parked = any(abs(actor.motion.t) > edge + 0.5 and actor.body.label != "Pedestrian" for actor in self.actors)
            set_back = max(set_back, 6.5) if parked else set_back
            greenery = float(self.generator.choice([0.35, 0.8, 0.98]))
            things += self._houses_and_trees(side, edge + set_back, greenery)
            if set_back > 3 and not parked:
                things += self._hedges(side, edge + 0.8)
            things += self._street_furniture(side, greenery)
        return join(things)

    def _houses_and_trees(self, side: int, front: float, greenery: float) -> list[Model]:
        """A row of houses whose fronts lie at |t| = front, with trees in the gaps."""
        generator, road = self.generator, self.road
        turn = 0.0 if side > 0 else np.pi
        built = generator.choice([0.2, 0.75, 1.0])
        things = []
        s = -25.0
        while s < self.last + 40:
            width = generator.uniform(8, 18)
            if generator.random() < built:
                model = surroundings.house(generator, width, generator.uniform(8, 12))
                things.append(_turned(model, road, s + width / 2, side * front, turn))
            elif generator.random() < greenery:
                for _ in range(3):
                    place_s, place_t = s + generator.uniform(0, width), side * (front + generator.uniform(1, 9))
                    things.append(_turned(surroundings.tree(generator), road, place_s, place_t, turn))
            s += width + (0.0 if generator.random() < 0.5 else generator.uniform(1, 6))
        return things

    def _hedges(self, side: int, front: float) -> list[Model]:
        """Hedges, walls, fences and bushes behind the footway."""
        generator, road = self.generator, self.road
        turn = 0.0 if side > 0 else np.pi
        things = []
        for s in np.arange(-6.0, self.last, 9.0).tolist():
            if generator.random() < 0.42:
                things.append(_turned(surroundings.hedge(generator, 8.8), road, s, side * front, turn))
            elif generator.random() < 0.3:
                things.append(_turned(surroundings.bush(generator), road, s, side * (front + 0.8), turn))
        return things

    def _street_furniture(self, side: int, greenery: float) -> list[Model]:
        """Trees, poles, signs, bins and parked bicycles along the kerb."""
        generator, road = self.generator, self.road
        turn = 0.0 if side > 0 else np.pi
        near_kerb = side * (road.half_width + 0.45)
        things = []
        for s in np.arange(-6.0, self.last, 9.0).tolist():
            kind = generator.random()
            if generator.random() < greenery * 0.5:
                model = surroundings.tree(generator)
            elif kind < 0.16:
                model = surroundings.lamp_post(generator)
            elif kind < 0.30:
                model = surroundings.road_sign(generator)
            elif kind < 0.36:
                model = surroundings.traffic_light(generator)
            elif kind < 0.50:
                model = surroundings.street_furniture(generator)
            elif kind < 0.58:
                model = standing_bicycle(random_bicycle(generator))
            else:
                continue
            things.append(_turned(model, road, s + generator.uniform(-3, 3), near_kerb, turn))
        return things
