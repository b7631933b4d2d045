"""Depth maps as PNG: units, unknown depth, and refused files."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mp_perception.data.depth_png import encode_depth_png, read_depth_png, write_depth_png
from mp_perception.errors import UserError

depths = arrays(np.float32, (3, 5), elements=st.floats(0.0078125, 250, width=32) | st.just(np.nan))


@given(depths)
def test_stored_value_is_metres_times_256(depth):
    stored = cv2.imdecode(np.frombuffer(encode_depth_png(depth), np.uint8), cv2.IMREAD_UNCHANGED)
    expected = [[0 if np.isnan(v) else max(round(float(v) * 256), 1) for v in row] for row in depth]
    assert stored.dtype == np.uint16
    assert stored.tolist() == expected


def test_extremes_stay_known_or_are_clipped(tmp_path):
    path = tmp_path / "depth.png"
    write_depth_png(path, np.array([[1e-6, 1e6, -1, np.inf, np.nan, 0]], np.float32))
    read = read_depth_png(path)
    np.testing.assert_allclose(read[0, :2], [1 / 256, 65535 / 256])
    assert np.isnan(read[0, 2:]).all()


def test_files_that_are_not_depth_maps(tmp_path):
    path = tmp_path / "depth.png"
    with pytest.raises(UserError, match="found: No such file"):
        read_depth_png(path)
    path.write_bytes(b"")
    with pytest.raises(UserError, match="cannot be decoded"):
        read_depth_png(path)
    cv2.imwrite(str(path), np.zeros((4, 5), np.uint8))
    with pytest.raises(UserError, match=r"one channel, found uint8 of shape \(4, 5\)"):
        read_depth_png(path)
    cv2.imwrite(str(path), np.zeros((4, 5, 3), np.uint16))
    with pytest.raises(UserError, match=r"found uint16 of shape \(4, 5, 3\)"):
        read_depth_png(path)
