"""Whether a parser did with an input what it may: return, or raise a UserError of one line, in time and memory."""

from __future__ import annotations

import resource
import time
import traceback
from pathlib import Path

from mp_perception.errors import UserError
from reliability.fuzzing.targets import Target

#: Processor time that an input may take, seconds.
MAX_SECONDS = 1.0
#: A one-line message is no dump of the input.
MAX_MESSAGE_CHARACTERS = 2000


class Judge:
    """Runs one target on inputs and says what is wrong.

    folder: empty, for the target's files.  slowest: processor seconds of the slowest input so far.
    peak_megabytes: by how much the process has grown since the judge was made.
    """

    def __init__(self, target: Target, folder: Path) -> None:
        self.slowest = 0.0
        self._target = target
        self._folder = folder
        # The kernel's mark of the peak goes down to the present use: what ran here before may have needed more.
        Path("/proc/self/clear_refs").write_text("5")
        self._peak_at_start = self._peak = _peak_megabytes()

    @property
    def peak_megabytes(self) -> float:
        return self._peak - self._peak_at_start

    def judge(self, data: bytes) -> str | None:
        """What is wrong with how the parser takes the input, in one line; None if nothing is."""
        start = time.process_time()
        problem = self._run(data)
        seconds = time.process_time() - start
        self.slowest = max(self.slowest, seconds)
        grown, self._peak = _peak_megabytes() - self._peak, _peak_megabytes()
        if problem is None and seconds > MAX_SECONDS:
            problem = "slow: more than a second"
        if problem is None and grown > self._target.max_megabytes:
            problem = f"memory: more than {self._target.max_megabytes} MB"
        return problem

    def _run(self, data: bytes) -> str | None:
        try:
            self._target.parse(data, self._folder)
        except UserError as error:
            return _fault_of_message(error) or _hidden_allocation(error)
        except Exception as error:
            return f"{type(error).__name__} {_place(error)}"
        return None


def limit_memory(megabytes: int) -> None:
    """Let this process allocate so much more than it has now: what asks for more gets a MemoryError."""
    limit = (_status("VmData") << 10) + (megabytes << 20)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _fault_of_message(error: UserError) -> str | None:
    text = str(error)
    if not text or "\n" in text or "\r" in text:
        return f"message of {len(text.splitlines())} lines {_place(error)}"
    if len(text) > MAX_MESSAGE_CHARACTERS:
        return f"message of more than {MAX_MESSAGE_CHARACTERS} characters {_place(error)}"
    try:
        text.encode()
    except UnicodeEncodeError:
        return f"message that cannot be printed {_place(error)}"
    return None


def _hidden_allocation(error: BaseException) -> str | None:
    """A UserError because memory was refused here would have taken it elsewhere.

    Reading more from a file than it has takes addresses, but no memory.
    """
    cause = error.__cause__ or error.__context__
    while cause is not None:
        refused = isinstance(cause, MemoryError) or "bad_alloc" in str(cause) or "Failed to allocate" in str(cause)
        innermost = traceback.extract_tb(cause.__traceback__)[-1:]
        if refused and not any(".read(" in (frame.line or "") for frame in innermost):
            return f"memory asked for without limit {_place(error)}"
        cause = cause.__cause__ or cause.__context__
    return None


def _place(error: BaseException) -> str:
    """Where an error comes from: our innermost line, and the innermost of all."""
    frames = [
        (frame.filename, f"{Path(frame.filename).name}:{frame.lineno}")
        for frame in traceback.extract_tb(error.__traceback__)
    ]
    ours = [place for file, place in frames if "/mp_perception/" in file]
    innermost = frames[-1][1] if frames else ""
    place = ours[-1] if ours else innermost
    return f"at {place}" if innermost == place else f"at {place} (from {innermost})"


def _peak_megabytes() -> float:
    return _status("VmHWM") / 1024


def _status(name: str) -> int:
    """An entry of this process's status, KiB."""
    entries = Path("/proc/self/status").read_text().splitlines()
    return next(int(entry.split()[1]) for entry in entries if entry.startswith(name))
