"""What streets hold: enough people, sizes as in KITTI's labels, everything on the ground and nothing inside another."""

from __future__ import annotations

import numpy as np
import pytest
from mp_perception.synthetic.cyclists import cyclist, random_bicycle
from mp_perception.synthetic.trucks import random_truck

from mp_perception.synthetic.people import pedestrian, random_person
from mp_perception.synthetic.streets import random_scene
from mp_perception.synthetic.vehicles import random_car, random_van


def extent(model):
    """Length, height, width of a model."""
    lowest, highest = model.bounds()
    return highest - lowest


@pytest.mark.parametrize(
    ("make", "height", "width", "length"),
    [
        (random_car, (1.3, 1.9), (1.5, 1.95), (3.2, 4.9)),
        (random_van, (1.85, 2.6), (1.7, 2.2), (4.3, 5.9)),
        (random_truck, (2.9, 3.8), (2.4, 2.7), (6.4, 10.1)),
        (lambda g: pedestrian(random_person(g), 0.3), (1.0, 2.05), (0.3, 1.0), (0.25, 1.5)),
        (lambda g: cyclist(random_person(g), random_bicycle(g), 0.3), (1.2, 2.1), (0.45, 0.95), (1.6, 2.0)),
    ],
)
def test_things_stand_on_the_ground_in_sizes_of_the_street(make, height, width, length):
    generator = np.random.default_rng(1)
    for _ in range(20):
        model = make(generator)
        assert np.isfinite(model.corners).all()
        size = extent(model)
        for value, (least, most) in zip(size, (length, height, width), strict=True):
            assert least <= value <= most
        # y points down: the lowest point is the ground, within a shoe's sole.
        assert model.bounds()[1][1] == pytest.approx(0.0, abs=0.03)


def test_a_walker_strides_and_a_standing_person_does_not():
    generator = np.random.default_rng(2)
    walker, standing = random_person(generator, walking=True), random_person(generator, walking=False)
    strides = [extent(pedestrian(walker, time))[0] for time in np.linspace(0, 1.2, 13)]
    assert max(strides) > 1.4 * min(strides)
    still = [pedestrian(standing, time).corners for time in (0.0, 0.7)]
    np.testing.assert_array_equal(*still)


def test_a_gait_repeats_after_two_steps():
    person = random_person(np.random.default_rng(3))
    cycle = 2 / person.pace
    np.testing.assert_allclose(pedestrian(person, 0.2).centre, pedestrian(person, 0.2 + cycle).centre, atol=1e-9)
    assert np.abs(pedestrian(person, 0.2).centre - pedestrian(person, 0.2 + cycle / 2).centre).max() > 0.1


def test_streets_hold_people_and_cars():
    labels = [actor.body.label for seed in range(12) for actor in random_scene(seed).actors]
    per_street = {name: labels.count(name) / 12 for name in set(labels)}
    assert per_street["Pedestrian"] > 4
    assert per_street["Cyclist"] > 1
    assert per_street["Car"] > 4
    assert {"Van", "Truck"} <= set(per_street)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_actors_keep_clear_of_each_other_and_of_the_camera(seed):
    scene = random_scene(seed, duration=4.0)
    for time in np.arange(0.0, 4.01, 0.5):
        places = np.array([actor.motion.at(scene.road, time)[0][[0, 2]] for actor in scene.actors])
        distances = np.linalg.norm(places[:, None] - places[None], axis=-1)
        assert distances[~np.eye(len(places), dtype=bool)].min() > 0.5
        camera = scene.ego.at(scene.road, time)[0][[0, 2]]
        assert np.linalg.norm(places - camera, axis=1).min() > 1.0


def test_the_same_seed_gives_the_same_street():
    first, second = random_scene(7), random_scene(7)
    assert first.road == second.road
    assert first.light == second.light
    assert [actor.motion for actor in first.actors] == [actor.motion for actor in second.actors]
    np.testing.assert_array_equal(first.backdrop.corners, second.backdrop.corners)
    assert random_scene(8).road != first.road
