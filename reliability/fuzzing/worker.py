"""One process that fuzzes one target with atheris: `python -m reliability.fuzzing.worker TARGET SECONDS INPUTS FOLDER`.

SECONDS are those of the processor, so that a busy machine makes it longer, not thinner.

FOLDER gets progress.json (rewritten as it goes), findings/ (an input for each different finding, and its reason), and
corpus/, the inputs that reached something new, which the next run starts from.  What ends the process, such as a crash
in a library, is seen by the parent and its input is kept by libFuzzer.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sys
import time
from pathlib import Path

import atheris

from mp_perception.errors import UserError
from reliability.fuzzing.judging import Judge, limit_memory
from reliability.fuzzing.seeds import SEEDS
from reliability.fuzzing.targets import TARGETS

#: What is watched for new paths; the rest of a process is too large.
_INSTRUMENTED = ["mp_perception", "rosbags", "mcap", "yaml", "cv_bridge", "defusedxml"]
#: Wall seconds after which libFuzzer takes an input for one that never ends.
_HANG = 30
_MAX_BYTES = 1 << 17


class _Run:
    """Judges what libFuzzer sends, and writes down how far it is."""

    def __init__(self, judge: Judge, folder: Path, seconds: float, inputs: int) -> None:
        self._judge = judge
        self._folder = folder
        self._end = time.process_time() + seconds
        self._inputs = inputs
        self._count = 0
        self._findings: dict[str, str] = {}
        self._next_report = 0.0

    def take(self, data: bytes) -> None:
        """One input; ends the process when it was the last."""
        self._count += 1
        problem = self._judge.judge(data)
        if problem is not None and problem not in self._findings:
            name = hashlib.sha256(data).hexdigest()[:12]
            (self._folder / "findings" / name).write_bytes(data)
            self._findings[problem] = name
        now = time.process_time()
        ended = now > self._end or self._count >= self._inputs
        if ended or problem is not None or now > self._next_report:
            self._report()
            self._next_report = now + 0.2
        if ended:
            os._exit(0)

    def _report(self) -> None:
        progress = {
            "inputs": self._count,
            "seconds": time.process_time(),
            "findings": self._findings,
            "slowest": self._judge.slowest,
            "peak_megabytes": self._judge.peak_megabytes,
        }
        temporary = self._folder / "progress.part"
        temporary.write_text(json.dumps(progress))
        temporary.replace(self._folder / "progress.json")


def main() -> None:
    """Fuzz until so many seconds or inputs are spent."""
    name, seconds, inputs, folder = sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    target = TARGETS[name]
    for kind in ("findings", "corpus"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    seeds = SEEDS[name]()
    for number, seed in enumerate(seeds):
        (folder / "corpus" / f"seed_{number:02d}").write_bytes(seed)
    files = folder / "files"
    shutil.rmtree(files, ignore_errors=True)
    files.mkdir()
    with atheris.instrument_imports(include=_INSTRUMENTED):
        for seed in seeds:  # imports whatever the parser imports
            with contextlib.suppress(UserError):
                target.parse(seed, files)
    shutil.rmtree(files)
    files.mkdir()
    limit_memory(4 * target.max_megabytes)
    run = _Run(Judge(target, files), folder, seconds, inputs)
    longest = min(_MAX_BYTES, 2 * max(len(seed) for seed in seeds) + 4096)
    options = [
        f"-max_len={longest}",
        f"-timeout={_HANG}",
        "-rss_limit_mb=0",
        f"-artifact_prefix={folder / 'findings'}/",
        "-use_value_profile=1",
        "-verbosity=0",
    ]
    atheris.Setup([sys.argv[0], *options, str(folder / "corpus")], run.take)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
