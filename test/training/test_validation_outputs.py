"""The curve that a training draws after each validation."""

import cv2
import pytest

from mp_perception.errors import UserError
from mp_perception.training.validation_outputs import draw_curve


def test_more_epochs_draw_more(tmp_path):
    records, picture = tmp_path / "validation.jsonl", tmp_path / "curve.png"
    lines = [f'{{"epoch": {epoch}, "d1": {0.1 * epoch}, "rmse": {9 - epoch}}}\n' for epoch in range(1, 8)]
    ink = []
    for count in (0, 1, 7):
        records.write_text("".join(lines[:count]))
        draw_curve(records, picture)
        ink.append(int((cv2.imread(str(picture)) < 128).sum()))
    assert ink[0] < ink[1] < ink[2]


def test_an_invalid_line_is_named(tmp_path):
    records = tmp_path / "validation.jsonl"
    records.write_text('{"epoch": 1}\nnonsense\n')
    with pytest.raises(UserError, match=r"validation.jsonl:2: expected a JSON object with an epoch, found 'nonsense'"):
        draw_curve(records, tmp_path / "curve.png")
