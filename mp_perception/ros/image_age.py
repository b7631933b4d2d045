"""The age of an image, and whether its stamp and our clock can be compared."""

from __future__ import annotations

#: An age outside of this range, seconds, means another clock: a bag recorded in 2011 is not 15 years late.
_YOUNGEST, _OLDEST = -1.0, 60.0
_UNITS = (("years", 365.25 * 86400), ("days", 86400.0), ("hours", 3600.0), ("seconds", 1.0))


def image_age(stamp: int, now: int) -> float | None:
    """Age in seconds of an image stamped `stamp` at time `now`, both in nanoseconds.

    None if the two are of different clocks: one of them is not above zero, or the age is below -1 s or above 60 s.
    """
    age = (now - stamp) / 1e9
    return age if stamp > 0 and now > 0 and _YOUNGEST <= age <= _OLDEST else None


def describe_clock_mismatch(stamp: int, now: int, topic: str) -> str:
    """One line for the user about a stamp for which `image_age` returns None."""
    if stamp <= 0:
        found = "zero" if stamp == 0 else "before 1970"
        return f"{topic}: the stamps are {found}, so max_age has no effect: the camera's driver should set them"
    if now <= 0:
        return f"{topic}: use_sim_time is set, but /clock has no time (play the bag with --clock): age is unknown"
    difference = (now - stamp) / 1e9
    unit, seconds = next((unit for unit in _UNITS if abs(difference) >= 2 * unit[1]), _UNITS[-1])
    text = f"{abs(difference) / seconds:.0f} {unit}"
    if difference < 0:
        return f"{topic}: stamps are {text} in the future: synchronise the clocks, or set use_sim_time for a bag"
    return f"{topic}: stamps are {text} old: set use_sim_time and play with --clock"
