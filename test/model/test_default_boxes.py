"""Default boxes: order, shapes, and offsets against SSD's equations written out."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mp_perception.model.checkpoint_description import DetectionLevel
from mp_perception.model.default_boxes import decode_offsets, generate_default_boxes, ssd_shapes


def test_order_is_level_row_cell_shape():
    levels = (DetectionLevel(16, "backbone", ((10, 10), (20, 8))), DetectionLevel(32, "backbone", ((30, 30),)))
    boxes = generate_default_boxes(levels, (32, 64))
    assert len(boxes) == 2 * 4 * 2 + 1 * 2
    assert boxes[0].tolist() == [3, 3, 13, 13]  # cell (0, 0): centre (8, 8)
    assert boxes[1].tolist() == [-2, 4, 18, 12]
    assert boxes[2].tolist() == [19, 3, 29, 13]  # next cell of the row: centre (24, 8)
    assert boxes[8].tolist() == [3, 19, 13, 29]  # second row: centre (8, 24)
    assert boxes[16].tolist() == [1, 1, 31, 31]


def test_square_shapes_are_square_at_any_input_size():
    level = (DetectionLevel(32, "backbone", ((50, 50),)),)
    for size in ((192, 640), (480, 640), (64, 1024)):
        boxes = generate_default_boxes(level, size)
        np.testing.assert_allclose(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])


def test_maps_of_strides_that_do_not_divide_the_input_round_up():
    for stride, cells in ((128, 2 * 5), (8, 24 * 80)):
        level = (DetectionLevel(stride, "backbone", ((50, 50),)),)
        assert len(generate_default_boxes(level, (192, 640))) == cells


def test_ssd_shapes_by_hand():
    shapes = ssd_shapes(20, 80)
    assert shapes[0] == (20, 20)
    assert shapes[1] == (40, 40)
    np.testing.assert_allclose(shapes[2], (20 * math.sqrt(2), 20 / math.sqrt(2)))
    np.testing.assert_allclose([w * h for w, h in shapes[2:]], [400, 400])


boxes = st.tuples(st.floats(0, 500), st.floats(0, 500), st.floats(2, 300), st.floats(2, 300))


@given(boxes, boxes)
def test_decoding_inverts_ssds_encoding(default, truth):
    """SSD, equation 2, written out: g = (t - d) / size / 0.1 and log(t / d) / 0.2."""
    (dx, dy, dw, dh), (tx, ty, tw, th) = default, truth
    offsets = [(tx - dx) / dw / 0.1, (ty - dy) / dh / 0.1, math.log(tw / dw) / 0.2, math.log(th / dh) / 0.2]
    if max(offsets[2:]) * 0.2 > math.log(1000 / 16):
        return
    corners = np.array([[dx - dw / 2, dy - dh / 2, dx + dw / 2, dy + dh / 2]], dtype=np.float32)
    decoded = decode_offsets(np.array([offsets], dtype=np.float32), corners)
    expected = [[tx - tw / 2, ty - th / 2, tx + tw / 2, ty + th / 2]]
    np.testing.assert_allclose(decoded, expected, rtol=1e-3, atol=0.05)


def test_extreme_offsets_do_not_overflow():
    decoded = decode_offsets(np.array([[0, 0, 1e30, 1e30]], np.float32), np.array([[0, 0, 16, 16]], np.float32))
    assert np.isfinite(decoded).all()
    np.testing.assert_allclose(decoded[0, 2] - decoded[0, 0], 1000, rtol=1e-3)
