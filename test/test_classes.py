"""Colours of classes."""

from __future__ import annotations

import pytest

from mp_perception.classes import class_color


@pytest.mark.parametrize("name", ["Tractor", "Träger", "", "bytes that are no text \udcff", "\ud800"])
def test_any_name_has_a_colour(name: str) -> None:
    color = class_color(name)
    assert all(0 <= channel <= 255 for channel in color)
    assert color == class_color(name)
    assert max(color) > 200
