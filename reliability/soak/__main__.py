"""`make soak`: runs every trial and prints one table of what was tried and what happened."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from reliability import own_domain
from reliability.small_network import write_small_network
from reliability.soak.load import LOADS, run_load
from reliability.soak.scenarios import SCENARIOS
from reliability.soak.signals import signal_rounds
from reliability.soak.stage import NotPossibleHereError, Stage


def main(
    seconds: Annotated[float, typer.Option(help="Seconds of each load.")] = 10,
    rounds: Annotated[int, typer.Option(help="Signals at random moments, each with a restart.")] = 10,
    weights: Annotated[Path | None, typer.Option(help="Weights of the nodes.", show_default="a small network")] = None,
    only: Annotated[str, typer.Option(help="Run only the trials that have this text in their names.")] = "",
) -> None:
    """Run the node under load and with faults; exit code 1 if a trial fails."""
    os.environ["ROS_DOMAIN_ID"] = str(own_domain())
    failed = False
    print("| tried | what happened |\n|---|---|", flush=True)
    for name, trial in _trials(seconds, rounds):
        if only.lower() not in name.lower():
            continue
        with tempfile.TemporaryDirectory(prefix="soak.") as folder:
            try:
                with Stage(Path(folder), weights or write_small_network(Path(folder))) as stage:
                    result = trial(stage)
            except NotPossibleHereError as reason:
                result = f"left out: {reason}"
            except Exception as error:
                failed = True
                result = f"**failed**: {type(error).__name__}: {' '.join(str(error).split())[:1000]}"
        print(f"| {name} | {result.replace('|', '/')} |", flush=True)
    sys.exit(1 if failed else 0)


def _trials(seconds: float, rounds: int) -> Iterator[tuple[str, Callable[[Stage], str]]]:
    """What is tried, in words, and the function that does it and returns what happened."""
    for load in LOADS:
        yield f"Load: {load}, {seconds:g} s", lambda stage, load=load: run_load(stage, load, seconds)
    for scenario in SCENARIOS:
        yield (scenario.__doc__ or "").strip(), scenario
    yield f"Signals at random moments, {rounds} times", lambda stage: signal_rounds(stage, rounds)


if __name__ == "__main__":
    typer.run(main)
