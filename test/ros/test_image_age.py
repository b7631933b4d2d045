"""Ages of images, and clocks that disagree."""

from __future__ import annotations

import pytest

from mp_perception.ros.image_age import describe_clock_mismatch, image_age

SECOND = 10**9
NOW = 1_700_000_000 * SECOND


@pytest.mark.parametrize(
    ("stamp", "now", "age"),
    [
        (NOW - SECOND // 4, NOW, 0.25),
        (NOW, NOW, 0.0),
        (NOW + SECOND // 2, NOW, -0.5),
        (NOW - 60 * SECOND, NOW, 60.0),
        (NOW - 61 * SECOND, NOW, None),
        (NOW + 2 * SECOND, NOW, None),
        (0, NOW, None),
        (NOW, 0, None),
        (0, 0, None),
        (-SECOND, NOW, None),
        (-SECOND, 0, None),
    ],
)
def test_age(stamp: int, now: int, age: float | None) -> None:
    assert image_age(stamp, now) == age


@pytest.mark.parametrize(
    ("stamp", "now", "words"),
    [
        (
            1317042272 * SECOND,
            1317042272 * SECOND + int(15 * 365.25 * 86400) * SECOND,
            "15 years old: set use_sim_time",
        ),
        (NOW - 3 * 86400 * SECOND, NOW, "3 days old"),
        (NOW - 90 * SECOND, NOW, "90 seconds old"),
        (NOW + 7200 * SECOND, NOW, "2 hours in the future"),
        (0, NOW, "the stamps are zero"),
        (-1, NOW, "the stamps are before 1970"),
        (NOW, 0, "/clock has no time"),
    ],
)
def test_a_mismatch_names_the_remedy(stamp: int, now: int, words: str) -> None:
    text = describe_clock_mismatch(stamp, now, "/image")
    assert words in text
    assert text.startswith("/image: ")
    assert "\n" not in text
