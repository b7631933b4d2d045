"""Asynchronous updates: when, and over how many images."""

from __future__ import annotations

import pytest

from mp_perception.training.update_schedule import UpdateSchedule


def test_a_task_is_due_when_enough_of_its_images_were_seen() -> None:
    schedule = UpdateSchedule({"depth": 4, "detection": 6})
    assert schedule.step({"depth": 3, "detection": 1}) == {}
    assert schedule.step({"depth": 2}) == {"depth": 5}
    assert schedule.step({"depth": 3, "detection": 5}) == {"detection": 6}
    assert schedule.step({"depth": 1, "detection": 6}) == {"depth": 4, "detection": 6}
    assert schedule.state() == {"depth": 0, "detection": 0}


def test_it_goes_on_from_a_state() -> None:
    first = UpdateSchedule({"depth": 4, "detection": 6})
    first.step({"depth": 3, "detection": 2})
    second = UpdateSchedule({"depth": 4, "detection": 6})
    second.restore(first.state())
    assert second.step({"depth": 1, "detection": 3}) == {"depth": 4}
    with pytest.raises(ValueError, match="expected counts of"):
        second.restore({"depth": 1})


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one image"):
        UpdateSchedule({"depth": 0})
    with pytest.raises(KeyError):
        UpdateSchedule({"depth": 1}).step({"deth": 1})
