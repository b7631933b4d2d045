"""Random scenes: enough people and cars, in the sizes of KITTI's labels, on the ground and apart from each other."""

from __future__ import annotations

import numpy as np
import pytest

from mp_perception.synthetic.people import cyclist, pedestrian, random_person
from mp_perception.synthetic.streets import random_scene
from mp_perception.synthetic.vehicles import random_vehicle


def extent(model):
    """Length, height, width of a model."""
    lowest, highest = model.bounds()
    return highest - lowest


SIZES = {
    "Car": ((3.2, 4.9), (1.3, 1.9), (1.5, 1.95)),
    "Van": ((4.3, 5.9), (1.85, 2.6), (1.7, 2.2)),
    "Pedestrian": ((0.25, 1.5), (1.0, 2.05), (0.3, 1.0)),
    "Cyclist": ((1.1, 2.1), (1.1, 2.1), (0.3, 0.8)),
}


def test_objects_stand_on_the_ground_in_realistic_sizes():
    generator = np.random.default_rng(1)
    models = [random_vehicle(generator) for _ in range(60)]
    models += [("Pedestrian", pedestrian(random_person(generator), 0.3)) for _ in range(20)]
    models += [("Cyclist", cyclist(random_person(generator), 0.3)) for _ in range(20)]
    assert {label for label, _ in models} == set(SIZES)
    for label, model in models:
        for value, (minimum, maximum) in zip(extent(model), SIZES[label], strict=True):
            assert minimum <= value <= maximum, label
        # y points down: the lowest point is the ground, within the sole of a shoe.
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


def test_a_cyclists_feet_follow_the_pedals():
    person = random_person(np.random.default_rng(4))
    cycle = 2 / person.pace
    turned = [cyclist(person, time).centre for time in (0.0, cycle / 2, cycle)]
    np.testing.assert_allclose(turned[0], turned[2], atol=1e-9)
    assert np.abs(turned[0] - turned[1]).max() > 0.1


def test_scenes_show_people_and_vehicles():
    labels = [actor.label for seed in range(6) for actor in random_scene(seed).actors]
    per_scene = {name: labels.count(name) / 6 for name in set(labels)}
    assert set(per_scene) == set(SIZES)
    assert per_scene["Pedestrian"] > 4
    assert per_scene["Cyclist"] > 1
    assert per_scene["Car"] > 4


@pytest.mark.parametrize("seed", [1, 2])
def test_actors_stay_apart_from_each_other_and_from_the_camera(seed):
    scene = random_scene(seed, duration=4.0)
    for time in np.arange(0.0, 4.01, 0.5):
        places = np.array([actor.motion.at(time)[[0, 2]] for actor in scene.actors])
        distances = np.linalg.norm(places[:, None] - places[None], axis=-1)
        assert distances[~np.eye(len(places), dtype=bool)].min() > 0.5
        assert np.linalg.norm(places - scene.camera.at(time)[[0, 2]], axis=1).min() > 1.0


def test_the_same_seed_gives_the_same_scene():
    first, second = random_scene(7), random_scene(7)
    assert first.road == second.road
    assert first.light == second.light
    assert [actor.motion for actor in first.actors] == [actor.motion for actor in second.actors]
    np.testing.assert_array_equal(first.backdrop.corners, second.backdrop.corners)
    assert random_scene(8).road != first.road
