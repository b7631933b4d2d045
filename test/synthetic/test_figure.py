"""The picture of the documentation can be made again."""

from __future__ import annotations

import cv2
from mp_perception.synthetic.figure import write_figure


def test_figure_has_three_panels_and_a_moderate_size(tmp_path):
    path = tmp_path / "street.png"
    write_figure(path)
    picture = cv2.imread(str(path))
    assert picture is not None
    # Three panels of 800 x 242 pixels with white gaps between them.
    assert picture.shape == (3 * 242 + 2 * 6, 800, 3)
    assert (picture[242:248] == 255).all()
    assert path.stat().st_size < 600_000
