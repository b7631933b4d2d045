from __future__ import annotations

import pytest

from mp_perception.progress import console, error_console, track, warn


@pytest.mark.parametrize("name", ["out[b]", "out[/b]", "[red]"])
def test_names_are_shown_with_their_brackets(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    console.print(f"{name}: 3 frames")
    error_console.print(f"{name}: 3 frames")
    warn(name)
    shown = capsys.readouterr()
    assert shown.out == f"{name}: 3 frames\n"
    assert shown.err == f"{name}: 3 frames\nwarning: {name}\n"


def test_a_warning_stays_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    warn("word " * 100)
    assert capsys.readouterr().err.count("\n") == 1


def test_tracking_yields_the_same_items() -> None:
    assert list(track(iter("abc"), "[/b]", total=3)) == ["a", "b", "c"]
