"""Depth images of compressed_depth_image_transport."""

from __future__ import annotations

import struct
from itertools import groupby

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from mp_perception.bags.message_types import bag_header, new_message
from mp_perception.errors import UserError
from mp_perception.messages.header import Message
from mp_perception.messages.images import depth_to_array, is_depth_image


def message(kind: str, data: bytes, a: float = 0, b: float = 0) -> Message:
    return new_message(
        "sensor_msgs/msg/CompressedImage",
        header=bag_header("camera", 0),
        format=kind,
        data=np.frombuffer(struct.pack("<Iff", 0, a, b) + data, np.uint8),
    )


def png(stored: np.ndarray) -> bytes:
    return bytes(cv2.imencode(".png", stored)[1])


def rvl(stored: np.ndarray) -> bytes:
    """As in the paper: nibbles, most significant first in words of 32 bits."""
    nibbles: list[int] = []

    def write(value: int) -> None:
        while True:
            value, low = value >> 3, value & 7
            nibbles.append(low | (8 if value else 0))
            if not value:
                return

    runs = [(empty, list(run)) for empty, run in groupby(stored.ravel().tolist(), key=lambda value: value == 0)]
    if not runs[0][0]:
        runs.insert(0, (True, []))
    if len(runs) % 2:
        runs.append((False, []))
    previous = 0
    for (_, zeros), (_, others) in zip(runs[::2], runs[1::2], strict=True):
        write(len(zeros))
        write(len(others))
        for value in others:
            difference, previous = value - previous, value
            write(2 * difference if difference >= 0 else -2 * difference - 1)
    nibbles += [0] * (-len(nibbles) % 8)
    words = [int("".join(f"{nibble:x}" for nibble in nibbles[i : i + 8]), 16) for i in range(0, len(nibbles), 8)]
    return struct.pack("<II", stored.shape[1], stored.shape[0]) + struct.pack(f"<{len(words)}I", *words)


DEPTHS = arrays(
    np.uint16, array_shapes(min_dims=2, max_dims=2, max_side=8), elements=st.sampled_from([0, 1, 900, 65535])
)


@given(
    stored=DEPTHS, packed=st.sampled_from([("16UC1; compressedDepth png", png), ("16UC1; compressedDepth rvl", rvl)])
)
def test_millimetres_come_back(stored: np.ndarray, packed: tuple[str, object]) -> None:
    kind, pack = packed
    read = message(kind, pack(stored))  # type: ignore[operator]
    assert is_depth_image(read)
    expected = np.where(stored > 0, stored / np.float32(1000), np.nan).astype(np.float32)
    assert np.array_equal(depth_to_array(read), expected, equal_nan=True)


def test_metres_are_stored_as_inverse_depth() -> None:
    # The transport's own formula with a depth of 10 m stored as 1 and a quantisation of 100: n = A / depth + B.
    a = 100.0 * 101.0
    b = 1.0 - a / 10.0
    metres = np.array([[0.5, 1.25, 4.0, 9.0]])
    stored = np.rint(a / metres + b).astype(np.uint16)
    stored[0, 3] = 0
    depth = depth_to_array(message("32FC1; compressedDepth png", png(stored), a, b))
    assert depth[0, :3] == pytest.approx(metres[0, :3], rel=1e-3)
    assert np.isnan(depth[0, 3])


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("16UC1; compressedDepth png", png(np.ones((4, 4), np.uint16))[:50]),
        ("16UC1; compressedDepth png", png(np.ones((4, 4), np.uint8))),
        ("16UC1; compressedDepth png", b""),
        ("16UC1; compressedDepth rvl", b"\1"),
        ("16UC1; compressedDepth rvl", rvl(np.full((8, 8), 500, np.uint16))[:-4]),
        ("16UC1; compressedDepth rvl", struct.pack("<II", 4, 4) + bytes(8)),
        ("16UC1; compressedDepth rvl", struct.pack("<II", 2**31, 2**31)),
        ("rgb8; compressedDepth png", png(np.ones((4, 4), np.uint16))),
    ],
)
def test_damaged_data_are_refused(kind: str, data: bytes) -> None:
    with pytest.raises(UserError, match=r"^(format|size)"):
        depth_to_array(message(kind, data))


def test_data_shorter_than_the_header_are_refused() -> None:
    short = message("16UC1; compressedDepth png", b"")
    short.data = short.data[:5]
    with pytest.raises(UserError, match="expected PNG or RVL, found 5 bytes"):
        depth_to_array(short)
