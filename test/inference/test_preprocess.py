"""Placement of images in the network's input, and of boxes in the image."""

import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mp_perception.geometry import letterbox_size
from mp_perception.inference.preprocess import Placement, Preprocessor

sides = st.integers(1, 4000)


def test_a_kitti_image_by_hand():
    assert letterbox_size((375, 1242), (192, 640)) == (192, 636)  # 192 / 375 = 0.512; 1242 * 0.512 = 635.9


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
