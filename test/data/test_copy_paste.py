"""Pasted objects: pixels, depth and geometry of the rectangle are the donor's, everything else the image's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mp_perception.data.copy_paste import CopyPaste, ObjectDonors, cut_out, paste, place_and_paste
from mp_perception.data.kitti.object import KittiObjects
from mp_perception.data.sample_geometry import resize
from mp_perception.data.samples import Sample
from mp_perception.geometry import CameraIntrinsics

NAMES = ("Car", "Pedestrian")
PEDESTRIAN = "Pedestrian 0.00 0 0 20 4 30 28 1.7 0.6 0.6 -1.05 1.0 10.0 0"


def sample_with(value: int, box: list[float], depth: float, camera: CameraIntrinsics | None) -> Sample:
    height, width = 60, 120
    return Sample(
        name=str(value),
        origin="test",
        image=np.full((height, width, 3), value, dtype=np.uint8),
        class_names=NAMES,
        boxes=np.array([box], dtype=np.float32),
        labels=np.array([1]),
        object_depths=np.array([depth], dtype=np.float32),
        exact=np.array([True]),
        labelled_classes=np.array([True, True]),
        depth=np.linspace(depth, depth + 1, height * width).astype(np.float32).reshape(height, width),
        intrinsics=camera,
    )


TARGET = sample_with(50, [60, 20, 80, 40], 30, CameraIntrinsics(72, 72, 60, 30, 120, 60))
DONOR = sample_with(200, [30, 15, 50, 45], 8, CameraIntrinsics(60, 60, 55, 30, 120, 60))


def test_pasted_points_keep_depth_and_height_and_move_sideways_only() -> None:
    donor = cut_out(DONOR, (30, 15, 50, 45))
    pasted = place_and_paste(TARGET, donor, np.random.default_rng(4))
    assert pasted.object_depths[-1] == 8
    rows, columns = np.nonzero(pasted.depth < 20)
    assert len(rows) > 500
    depths = pasted.depth[rows, columns]
    points = pasted.intrinsics.unproject(np.stack([columns + 0.5, rows + 0.5], axis=1), depths)
    # The donor's depths are all different, so they tell which point of its scene each pixel shows.
    old_rows, old_columns = np.unravel_index(np.searchsorted(DONOR.depth.ravel(), depths), DONOR.size)
    old = DONOR.intrinsics.unproject(np.stack([old_columns + 0.5, old_rows + 0.5], axis=1), depths)
    moved = points - old
    pixel = 9 / 60  # metres that an old pixel spans at the donor's depth of at most 9 m
    assert np.abs(moved[:, 2]).max() == 0
    assert np.abs(moved[:, 1]).max() < pixel
    # Sideways all points move by the same angle.
    assert np.ptp(moved[:, 0] / depths) < 1.5 / 60
    # The box is where the pedestrian stood: 1.2 times as large, at the same height above the horizon.
    box = pasted.boxes[-1]
    assert box[2] - box[0] == pytest.approx(24, abs=0.5)
    assert box[1] - 30.5 == pytest.approx(1.2 * (15 - 30.5), abs=0.6)


def test_paste_changes_only_its_rectangle_and_hides_what_is_below() -> None:
    donor = cut_out(DONOR, (30, 15, 50, 45))
    height, width = donor.size
    pasted = paste(TARGET, replace(donor, exact=np.array([False])), 58, 10)
    assert pasted.exact.tolist() == [False]
    assert paste(TARGET, donor, 0, 0).exact.tolist() == [True, True]
    outside = np.ones(TARGET.size, dtype=bool)
    outside[10 : 10 + height, 58 : 58 + width] = False
    assert (pasted.image[outside] == 50).all()
    np.testing.assert_array_equal(pasted.depth[outside], TARGET.depth[outside])
    assert pasted.image[10 + height // 2, 58 + width // 2].tolist() == [200] * 3
    assert np.isnan(pasted.depth[10, 58:80]).all()  # faded pixels belong to neither
    assert (pasted.depth[20:30, 65:75] < 10).all()
    # the target's own pedestrian lay below: unknown now
    assert pasted.ignored.tolist() == TARGET.boxes.tolist()
    np.testing.assert_allclose(pasted.boxes, donor.boxes + np.array([58, 10, 58, 10]))


def test_a_donor_without_camera_has_no_depth_and_is_placed_by_its_height() -> None:
    """Feet 0.8 to 1.15 of the object's height below the horizon, whatever the height drawn."""
    target = resize(TARGET, 480, 240)
    donor = replace(cut_out(DONOR, (30, 15, 50, 45)), intrinsics=None)
    heights = []
    for seed in range(30):
        pasted = place_and_paste(target, donor, np.random.default_rng(seed))
        rectangle = (pasted.image != 50).any(axis=2)
        if not rectangle.any():
            continue  # too large to stand in this image
        assert np.isnan(pasted.object_depths[-1])
        assert np.isnan(pasted.depth[rectangle]).all()
        _, top, _, bottom = pasted.boxes[-1]
        heights.append(bottom - top)
        # The fade's three pixels of context blur the relation in so small a donor.
        horizon = target.intrinsics.cy + 0.5
        assert horizon + 0.7 * (bottom - top) < bottom < horizon + 1.3 * (bottom - top)
    assert len(heights) > 10
    assert max(heights) > 2 * min(heights)


def test_a_donor_of_fewer_classes_makes_its_rectangle_unknown() -> None:
    donor = replace(cut_out(DONOR, (30, 15, 50, 45)), labelled_classes=np.array([False, True]))
    pasted = paste(TARGET, donor, 0, 0)
    height, width = donor.size
    assert pasted.ignored.tolist() == [[0, 0, width, height]]
    assert pasted.labels.tolist() == [1, 1]


def test_donors_are_the_whole_and_visible_objects(make_object_set: Callable[..., Path]) -> None:
    labels = [
        PEDESTRIAN,
        PEDESTRIAN.replace("0.00 0", "0.00 2"),  # hidden
        PEDESTRIAN.replace("0.00 0", "0.50 0"),  # cut off
        PEDESTRIAN.replace("28 1.7", "14 1.7"),  # low
        "",
    ]
    objects = KittiObjects(make_object_set(labels))
    donors = ObjectDonors([objects], ("Pedestrian", "Cyclist"), min_height=20)
    assert donors.counts == {"Pedestrian": 1, "Cyclist": 0}
    drawn = donors.draw(np.random.default_rng(0))
    assert (drawn.name, drawn.labels.tolist()) == ("000000", [3])
    # 15 % and three pixels of context around a box of 10x24
    assert drawn.boxes.tolist() == [[5, 4, 15, 28]]
    assert drawn.size == (32, 20)
    target = objects[4]
    pasted = [len(CopyPaste(donors, 1.0)(target, np.random.default_rng(seed)).boxes) for seed in range(8)]
    assert set(pasted) == {1, 2}
    assert CopyPaste(donors, 0.0)(target, np.random.default_rng(0)) is target
