"""`make fuzz`: fuzzes every parser with atheris, in one process per parser, and prints what it found."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Annotated

import atheris
import typer

with atheris.instrument_imports(include=["mp_perception", "rosbags", "mcap", "yaml", "defusedxml"]):
    from reliability.fuzzing import bag_targets, data_targets, message_targets, model_targets  # noqa: F401
    from reliability.fuzzing.judging import judge
    from reliability.fuzzing.target import TARGETS

#: Seconds after which an input counts as one that never ends.
_HANG = 30
_MAX_BYTES = 1 << 17


class FindingError(Exception):
    """What is wrong with the way a parser handled an input."""


def main(
    targets: Annotated[list[str] | None, typer.Argument(help="Parsers; all by default.", show_default=False)] = None,
    seconds: Annotated[int, typer.Option(help="Seconds for each parser.", min=1)] = 10,
    out: Annotated[Path, typer.Option(help="Folder of findings and corpora.")] = Path("fuzzing"),
    replay: Annotated[Path | None, typer.Option(help="Try this input on the one parser named.")] = None,
) -> None:
    """Mutate valid files and messages: a parser must accept each, or refuse it with one line.

    A parser's run ends with its first finding, whose input is kept; the next run starts from the inputs that reached
    new code in earlier runs.  Exit code 1 if there was a finding.
    """
    names = targets or list(TARGETS)
    if unknown := set(names) - set(TARGETS):
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: expected some of {', '.join(TARGETS)}")
    if replay is not None:
        problem = judge(TARGETS[names[0]], replay.read_bytes())
        print(problem or "accepted, or refused with one line")
        sys.exit(1 if problem else 0)
    found = [name for name in names if not _fuzz(name, seconds, out / name)]
    sys.exit(1 if found else 0)


def _fuzz(name: str, seconds: int, folder: Path) -> bool:
    """Print how many inputs a parser was given and what was found; whether nothing was found."""
    (folder / "corpus").mkdir(parents=True, exist_ok=True)
    for old in folder.glob("finding-*"):
        old.unlink()
    log = folder / "log.txt"
    child = os.fork()
    if child == 0:
        _run_atheris(name, seconds, folder, log)
    _, status = os.waitpid(child, 0)
    text = log.read_text(errors="replace")
    inputs = re.search(r"number_of_executed_units: (\d+)", text)
    finding = re.search(r"FindingError: (.*)", text)
    print(f"{name:<20} {inputs[1] if inputs else '?':>9} inputs", flush=True)
    if status != 0:
        print(f"    {finding[1] if finding else f'the process ended; see {log}'}")
        for file in folder.glob("finding-*"):
            print(f"    python -m reliability.fuzzing {name} --replay {file}", flush=True)
    return status == 0


def _run_atheris(name: str, seconds: int, folder: Path, log: Path) -> None:
    """Runs in the child: fuzzes until the time is over or there is a finding, then ends the process."""
    with log.open("wb") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    target = TARGETS[name]
    seeds = target.seeds()
    for number, seed in enumerate(seeds):
        (folder / "corpus" / f"seed_{number:02d}").write_bytes(seed)
        judge(target, seed)  # loads what the parser loads when first used

    def take(data: bytes) -> None:
        if problem := judge(target, data):
            raise FindingError(problem)

    options = [
        f"-max_total_time={seconds}",
        f"-max_len={min(_MAX_BYTES, 2 * max(map(len, seeds)) + 4096)}",
        f"-timeout={_HANG}",
        "-rss_limit_mb=4096",
        f"-artifact_prefix={folder}/finding-",
        "-use_value_profile=1",
        "-print_final_stats=1",
        "-verbosity=0",
    ]
    atheris.Setup([sys.argv[0], *options, str(folder / "corpus")], take)
    atheris.Fuzz()


if __name__ == "__main__":
    typer.run(main)
