"""Overlays: boxes at their places, labels inside the image."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mp_perception.classes import class_color
from mp_perception.prediction import Detections, Prediction
from mp_perception.visualization.overlay import draw_detections, draw_overlay, draw_true_boxes, free_patch, text_color


def prediction(boxes, size=(100, 200), depth=10.0):
    count = len(boxes)
    detections = Detections(
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        scores=np.full(count, 0.9, np.float32),
        labels=np.zeros(count, np.int64),
        depth=np.full(count, depth, np.float32),
        depth_std=np.ones(count, np.float32),
        valid_fraction=np.ones(count, np.float32),
        position=np.full((count, 3), np.nan, np.float32),
        class_names=("Car",),
    )
    return Prediction(detections, np.ones((size[0] // 2, size[1] // 2), np.float32), size)


def test_the_image_is_not_changed_and_the_box_has_the_colour_of_its_class():
    image = np.zeros((100, 200, 3), np.uint8)
    overlay = draw_overlay(image, prediction([[50, 40, 120, 80]]))
    assert not image.any()
    assert tuple(overlay[60, 50]) == class_color("Car")
    assert tuple(overlay[80, 90]) == class_color("Car")
    assert not overlay[60, 90].any()


def test_without_detections_the_overlay_is_the_image():
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


def test_true_boxes_are_white_lines():
    canvas = np.full((100, 200, 3), 128, np.uint8)
    draw_true_boxes(canvas, [(50, 40, 120, 80)])
    assert tuple(canvas[60, 50]) == (255, 255, 255)
    assert tuple(canvas[40, 90]) == (255, 255, 255)
    assert (canvas[50:70, 60:110] == 128).all()


def test_text_is_readable_on_its_patch():
    assert text_color((255, 255, 0)) == (0, 0, 0)
    assert text_color((40, 0, 90)) == (255, 255, 255)


def test_class_names_that_opencv_cannot_draw_become_question_marks():
    """A lone surrogate crashes OpenCV."""
    odd, plain = (
        replace(prediction([[50, 40, 120, 80]]).detections, class_names=(name,)) for name in ("a\ud800", "a?")
    )
    canvases = [np.zeros((100, 200, 3), np.uint8) for _ in range(2)]
    for canvas, detections in zip(canvases, (odd, plain), strict=True):
        draw_detections(canvas, detections)
    # Patch and text are where they were; only the colour is another.
    np.testing.assert_array_equal(canvases[0].any(axis=2), canvases[1].any(axis=2))


@given(
    st.lists(st.tuples(*(st.integers(-5, most) for most in (205, 105)), *(st.integers(1, 80),) * 2), max_size=20),
    st.tuples(st.integers(4, 60), st.integers(4, 14)),
)
def test_labels_are_inside_the_image_and_do_not_overlap(corners, size):
    taken = []
    for left, top, width, height in corners:
        box = np.array([left, top, left + width, top + height], np.float32)
        patch = free_patch(box, size, (200, 100), taken)
        if patch is not None:
            taken.append(patch)
    pixels = np.zeros((100, 200), int)
    for left, top, right, bottom in taken:
        assert (right - left, bottom - top) == size
        assert 0 <= left < right <= 200
        assert 0 <= top < bottom <= 100
        pixels[top:bottom, left:right] += 1
    assert pixels.max(initial=0) <= 1


def test_a_label_is_above_its_box_and_gives_way():
    box = np.array([50, 40, 120, 80], np.float32)
    places = []
    for _ in range(9):
        places.append(free_patch(box, (40, 10), (200, 100), places))
    assert places[:3] == [(50, 30, 90, 40), (50, 80, 90, 90), (50, 40, 90, 50)]
    assert None not in places[:6]


def test_of_many_labels_at_one_place_the_nearest_objects_remain():
    """Thirty equal boxes: there is space for a few labels; the distance alone needs less of it."""
    boxes = [[50, 40, 120, 80]] * 30
    one = replace(prediction(boxes).detections, depth=np.arange(30, 0, -1, dtype=np.float32))
    canvas = np.zeros((100, 200, 3), np.uint8)
    draw_detections(canvas, one)
    alone = np.zeros((100, 200, 3), np.uint8)
    draw_detections(alone, one[np.array([29])])
    # The label of the nearest object is where it is without the others.
    np.testing.assert_array_equal(canvas[25:39, 50:150], alone[25:39, 50:150])
