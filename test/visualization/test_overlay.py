"""Overlays: boxes where they belong, labels inside the image."""

import numpy as np

from mp_perception.classes import class_color
from mp_perception.prediction import Detections, Prediction
from mp_perception.visualization.overlay import draw_overlay


def prediction(boxes, size=(100, 200), depth=10.0):
    count = len(boxes)
    detections = Detections(
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        scores=np.full(count, 0.9, np.float32),
        labels=np.zeros(count, np.int64),
        depth=np.full(count, depth, np.float32),
        depth_spread=np.ones(count, np.float32),
        valid_share=np.ones(count, np.float32),
        position=np.full((count, 3), np.nan, np.float32),
        class_names=("Car",),
    )
    return Prediction(detections, np.ones((size[0] // 2, size[1] // 2), np.float32), size)


def test_the_image_itself_stays_and_the_box_is_drawn_in_its_colour():
    image = np.zeros((100, 200, 3), np.uint8)
    overlay = draw_overlay(image, prediction([[50, 40, 120, 80]]))
    assert not image.any()
    assert tuple(overlay[60, 50]) == class_color("Car")
    assert tuple(overlay[80, 90]) == class_color("Car")
    assert not overlay[60, 90].any()


def test_nothing_to_draw_gives_the_image():
    image = np.random.default_rng(0).integers(0, 256, (100, 200, 3), dtype=np.uint8)
    np.testing.assert_array_equal(draw_overlay(image, prediction([])), image)


def test_labels_at_the_border_stay_readable():
    """The label's patch is as large at the border as in the middle: it moves inside instead of being cut."""

    def labelled(box):
        overlay = draw_overlay(np.zeros((100, 200, 3), np.uint8), prediction([box]))
        return int((overlay == class_color("Car")).all(axis=2).sum())

    middle = labelled([60, 50, 70, 60])
    for corner in ([190, 50, 200, 60], [0, 0, 10, 10], [190, 0, 200, 10]):
        assert labelled(corner) > 0.75 * middle


def test_depth_that_is_unknown_is_left_out_of_the_label():
    known = draw_overlay(np.zeros((100, 200, 3), np.uint8), prediction([[20, 50, 60, 90]]))
    unknown = draw_overlay(np.zeros((100, 200, 3), np.uint8), prediction([[20, 50, 60, 90]], depth=np.nan))
    assert (known > 0).sum() > (unknown > 0).sum()
