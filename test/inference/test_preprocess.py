"""Placement of images in the network's input, and of boxes in the image."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mp_perception.geometry import letterbox_size
from mp_perception.inference.preprocess import PIXEL_TOLERANCE, Placement, Preprocessor, fit_input_size

sides = st.integers(1, 4000)
#: Sizes of KITTI's cameras.
KITTI = [(375, 1242), (370, 1224), (374, 1238), (376, 1241)]


def test_a_kitti_image_by_hand():
    assert letterbox_size((375, 1242), (192, 640)) == (192, 636)  # 192 / 375 = 0.512; 1242 * 0.512 = 635.9


@pytest.mark.parametrize(
    ("image_size", "num_pixels", "input_size"),
    [
        *(((height, width), 122880, (192, 640)) for height, width in KITTI),
        *(((height, width), 491520, (384, 1280)) for height, width in KITTI),
        ((375, 500), 122880, (320, 416)),
        ((480, 640), 122880, (320, 416)),
        ((640, 480), 122880, (416, 320)),
        ((720, 1280), 122880, (256, 448)),
        ((1, 1), 1024, (32, 32)),
        ((1, 5000), 122880, (32, 4096)),
    ],
)
def test_the_input_fits_the_camera(image_size, num_pixels, input_size):
    assert fit_input_size(image_size, num_pixels) == input_size


@given(sides, sides, st.integers(1024, 1 << 20))
@settings(deadline=None, max_examples=60)
def test_no_other_input_of_a_row_of_cells_more_or_less_fits_better(height, width, num_pixels):
    def fit(rows, columns):
        content = letterbox_size((height, width), (rows, columns))
        return (content[0] * content[1]) ** 2 / (rows * columns)

    rows, columns = fit_input_size((height, width), num_pixels)
    assert rows % 32 == columns % 32 == 0
    assert rows * columns <= PIXEL_TOLERANCE * num_pixels
    others = [(rows + i, columns + j) for i in (-32, 0, 32) for j in (-32, 0, 32)]
    allowed = [(r, c) for r, c in others if 0 < r <= 4096 and 0 < c <= 4096 and r * c <= PIXEL_TOLERANCE * num_pixels]
    assert fit(rows, columns) == max(fit(r, c) for r, c in allowed)


@given(sides, sides)
def test_content_fits_is_even_and_keeps_the_aspect_ratio(height, width):
    content_height, content_width = letterbox_size((height, width), (192, 640))
    assert 2 <= content_height <= 192
    assert 2 <= content_width <= 640
    assert content_height % 2 == 0
    assert content_width % 2 == 0
    scale = min(192 / height, 640 / width)
    assert abs(content_height - height * scale) <= 1 or content_height == 2
    assert abs(content_width - width * scale) <= 1 or content_width == 2


def test_pixels_equal_opencvs_and_the_rest_is_black():
    image = np.random.default_rng(0).integers(0, 256, (375, 1242, 3), dtype=np.uint8)
    buffer, _ = Preprocessor((192, 640))(image)
    assert buffer.shape == (1, 192, 640, 3)
    expected = cv2.resize(image, (636, 192), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(buffer[0, :, :636], expected)
    assert not buffer[0, :, 636:].any()


def test_a_change_of_size_removes_the_previous_image():
    preprocess = Preprocessor((192, 640))
    preprocess(np.full((375, 1242, 3), 255, dtype=np.uint8))
    buffer, placement = preprocess(np.full((480, 640, 3), 9, dtype=np.uint8))
    assert placement.content_size == (192, 256)
    assert (buffer[0, :, :256] == 9).all()
    assert not buffer[0, :, 256:].any()


def test_strong_shrinking_averages_all_pixels():
    """A checkerboard of single pixels becomes grey; bilinear interpolation would keep black or white."""
    board = (np.indices((1920, 1920)).sum(axis=0) % 2 * 255).astype(np.uint8)
    buffer, _ = Preprocessor((192, 640))(np.repeat(board[..., None], 3, axis=2))
    assert abs(buffer[0, :, :192].astype(int) - 127).max() <= 1


@given(st.integers(50, 2000), st.integers(50, 2000))
def test_boxes_are_mapped_back_to_image_pixels(height, width):
    placement = Placement((height, width), letterbox_size((height, width), (192, 640)))
    box = np.array([[0.1 * width, 0.2 * height, 0.7 * width, 0.9 * height]], dtype=np.float32)
    scale = [placement.scale_x, placement.scale_y] * 2
    np.testing.assert_allclose(placement.to_image(box * np.array(scale, np.float32)), box, rtol=1e-4)
    whole = placement.to_image(np.array([[-50, -50, 5000, 5000]], dtype=np.float32))
    np.testing.assert_allclose(whole, [[0, 0, width, height]])
