"""What a parser may do with an input: return or raise a UserError of one line, within limits of time and memory."""

from __future__ import annotations

import re
import time
import traceback
from pathlib import Path

from mp_perception.errors import UserError
from reliability.fuzzing.target import Target

#: Processor time that one input may take, seconds.
MAX_SECONDS = 1.0
#: A one-line message does not contain the whole input.
MAX_MESSAGE_CHARACTERS = 2000


def judge(target: Target, data: bytes) -> str | None:
    """What is wrong with the way a parser handles an input, in one line; None if nothing is wrong."""
    Path("/proc/self/clear_refs").write_text("5")  # the kernel's record of the peak restarts at the present use
    peak_before, start = _peak_megabytes(), time.process_time()
    problem = _run(target, data)
    if problem is None and time.process_time() - start > MAX_SECONDS:
        problem = f"slow: more than {MAX_SECONDS:g} s of processor time"
    if problem is None and _peak_megabytes() - peak_before > target.max_megabytes:
        problem = f"memory: more than {target.max_megabytes} MB"
    return problem


def _run(target: Target, data: bytes) -> str | None:
    try:
        target.parse(data)
    except UserError as error:
        text = str(error)
        if not text or not text.isprintable():
            return f"message that is not one printable line {_place(error)}"
        if len(text) > MAX_MESSAGE_CHARACTERS:
            return f"message of more than {MAX_MESSAGE_CHARACTERS} characters {_place(error)}"
    except Exception as error:
        return f"{type(error).__name__} {_place(error)}"
    return None


def _place(error: BaseException) -> str:
    """Where an error comes from: the innermost line of mp_perception, else the innermost line of all."""
    frames = traceback.extract_tb(error.__traceback__)
    place = ([frame for frame in frames if "/mp_perception/" in frame.filename] or frames)[-1]
    return f"at {Path(place.filename).name}:{place.lineno}"


def _peak_megabytes() -> float:
    """Maximum resident memory of this process."""
    match = re.search(r"^VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert match is not None
    return int(match[1]) / 1024
