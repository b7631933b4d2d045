"""The picture of a run."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from mp_perception.benchmark.charts import Bars, Lines
from mp_perception.benchmark.plots import write_plot
from mp_perception.errors import UserError

BARS = Bars("Runtimes", "ms", ["eager", "limit"], {"time": [70.0, 20.0]}, strong=[1])
PARTS = Bars("Node", "ms", ["alone", "busy"], {"wait": [1.0, 2.0], "inference": [20.0, 30.0]})
LINES = Lines("Size", "megapixels", "ms", {"ours": ([0.1, 0.2], [10.0, 20.0])})


def test_picture_grows_with_the_charts(tmp_path: Path) -> None:
    write_plot(tmp_path / "one.png", [BARS], "a machine")
    write_plot(tmp_path / "three.png", [BARS, PARTS, LINES], "a machine")
    one, three = cv2.imread(str(tmp_path / "one.png")), cv2.imread(str(tmp_path / "three.png"))
    assert three.shape[1] == pytest.approx(2 * one.shape[1], rel=0.02)
    assert three.shape[0] > 1.5 * one.shape[0]
    # The bar that shall be found is in its colour, #1f5fa8, as OpenCV orders it.
    assert (np.abs(one.astype(int) - [0xA8, 0x5F, 0x1F]).max(axis=-1) < 8).sum() > 500


def test_svg_holds_the_caption_and_is_the_same_every_time(tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        write_plot(tmp_path / name, [PARTS, LINES], "a machine")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert b"a machine" in (tmp_path / "a.svg").read_bytes()


def test_another_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"figures.txt: expected a name that ends in .png or .svg"):
        write_plot(tmp_path / "figures.txt", [BARS], "")
    assert list(tmp_path.iterdir()) == []
