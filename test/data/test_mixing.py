"""Proportions, order and reproducibility of mixed data sets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from mp_perception.data.augmentation import modern_recipe, plain_recipe
from mp_perception.data.kitti.object import KittiObjects
from mp_perception.data.mixing import MixedSamples, Source

CAR = "Car 0.00 0 0 10 5 30 25 1.5 1.6 3.7 1.0 1.0 12.0 0"


@pytest.fixture
def sources(make_object_set: Callable[..., Path]) -> list[Source]:
    few = KittiObjects(make_object_set([CAR] * 3, name="few"), origin="few")
    many = KittiObjects(make_object_set([CAR] * 40, name="many"), origin="many")
    return [Source(few, 1), Source(many, 2)]


def test_each_source_is_drawn_by_its_weight_and_all_its_frames_in_turn(sources: list[Source]) -> None:
    mixed = MixedSamples(sources, [plain_recipe((16, 32))], samples_per_epoch=25, seed=5)
    assert len(mixed) == 25
    for epoch in range(4):
        plan = mixed.plan(epoch)
        by_source = Counter(plan[:, 0].tolist())
        assert by_source == {0: 8, 1: 17}  # a third of 25 is 8.33
        # three frames eight times: each two or three times; forty frames: none twice
        assert sorted(Counter(plan[plan[:, 0] == 0, 1].tolist()).values()) == [2, 3, 3]
        assert max(Counter(plan[plan[:, 0] == 1, 1].tolist()).values()) == 1
    assert (mixed.plan(0) != mixed.plan(1)).any()


def test_a_sample_depends_on_seed_epoch_and_position_only(sources: list[Source]) -> None:
    def fresh(seed: int) -> MixedSamples:
        return MixedSamples(sources, [modern_recipe((16, 32))], samples_per_epoch=12, seed=seed)

    keys = [(epoch, position) for epoch in (0, 1) for position in range(12)]
    in_order = [fresh(3)[key] for key in keys]
    with ThreadPoolExecutor(3) as pool:
        shuffled = list(pool.map(lambda key: fresh(3)[key], reversed(keys)))
    for first, second in zip(in_order, reversed(shuffled), strict=True):
        assert (first.origin, first.name) == (second.origin, second.name)
        np.testing.assert_array_equal(first.image, second.image)
        np.testing.assert_array_equal(first.boxes, second.boxes)
    other = [fresh(4)[key] for key in keys]
    assert any((first.image != second.image).any() for first, second in zip(in_order, other, strict=True))


def test_the_samples_of_a_batch_have_one_size(sources: list[Source]) -> None:
    recipes = [plain_recipe(size) for size in ((16, 32), (32, 32), (32, 16))]
    mixed = MixedSamples(sources, recipes, samples_per_epoch=80, seed=1, batch_size=4)
    sizes = [mixed[0, position].size for position in range(80)]
    batches = [set(sizes[start : start + 4]) for start in range(0, 80, 4)]
    assert all(len(batch) == 1 for batch in batches)
    assert {size for batch in batches for size in batch} == {(16, 32), (32, 32), (32, 16)}


def test_no_sources_weights_or_samples_are_refused(sources: list[Source]) -> None:
    for wrong in ([], [Source(sources[0].data_set, 0)]):
        with pytest.raises(ValueError, match="weights above 0"):
            MixedSamples(wrong, [plain_recipe((16, 32))], 10)
