"""`make reliability`: a robot's day, and one table of what was tried and what happened."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from reliability.day.full_shared_memory import full_shared_memory
from reliability.day.kills import kill_rounds
from reliability.day.load import LOADS, run_load
from reliability.day.scenarios import SCENARIOS
from reliability.day.stage import NotPossibleHereError, Stage
from reliability.domain import own_domain
from reliability.fuzzing.seeds import SEEDS


def main(
    seconds: Annotated[float, typer.Option(help="Seconds of each load.")] = 10,
    rounds: Annotated[int, typer.Option(help="Signals at random moments, each with a restart.")] = 10,
    weights: Annotated[Path | None, typer.Option(help="Of the nodes; default: a network that costs nothing.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of reliability.md and reliability.json.")] = Path(
        "reliability_report"
    ),
    only: Annotated[str, typer.Option(help="Run what has this in its name.")] = "",
) -> None:
    """Drive the node through a day; exit code 1 if anything went wrong."""
    out.mkdir(parents=True, exist_ok=True)
    os.environ["ROS_DOMAIN_ID"] = str(own_domain())
    rows = []
    with tempfile.TemporaryDirectory(prefix="reliability.") as folder:
        if weights is None:
            weights = Path(folder) / "small.onnx"
            weights.write_bytes(SEEDS["onnx_model"]()[0])
        for number, (tried, run) in enumerate(_trials(weights, seconds, rounds)):
            if only.lower() not in tried.lower():
                continue
            place = Path(folder) / str(number)
            place.mkdir()
            row = _row(tried, run, place)
            rows.append(row)
            print(f"{row['result']:6} {row['tried']}: {row['happened']}", flush=True)
            _write(out, rows)
    sys.exit(0 if all(row["result"] != "failed" for row in rows) else 1)


def _trials(weights: Path, seconds: float, rounds: int) -> Iterator[tuple[str, Callable[[Path], str]]]:
    """What is tried, in words, and the function that does it in a folder of its own."""

    def staged(action: Callable[[Stage], str]) -> Callable[[Path], str]:
        def run(folder: Path) -> str:
            with Stage(folder, weights) as stage:
                return action(stage)

        return run

    for load in LOADS:
        yield f"Load: {load}, {seconds:g} s", staged(lambda stage, load=load: run_load(stage, load, seconds))
    for scenario in SCENARIOS:
        yield (scenario.__doc__ or "").strip(), staged(scenario)
    for megabytes in (1, 100):
        yield f"/dev/shm of {megabytes} MB.", lambda folder, size=megabytes: full_shared_memory(weights, size)
    yield f"Signals at random moments, {rounds} times.", staged(lambda stage: kill_rounds(stage, rounds))


def _row(tried: str, run: Callable[[Path], str], folder: Path) -> dict[str, str]:
    start = time.monotonic()
    try:
        happened, result = run(folder), "good"
    except NotPossibleHereError as reason:
        happened, result = str(reason), "left out"
    except Exception as error:
        happened, result = f"{type(error).__name__}: {' '.join(str(error).split())[:1000]}", "failed"
    return {"tried": tried, "happened": happened, "result": result, "seconds": f"{time.monotonic() - start:.0f}"}


def _write(out: Path, rows: list[dict[str, str]]) -> None:
    (out / "reliability.json").write_text(json.dumps(rows, indent=1))
    lines = ["| tried | happened | result |", "|---|---|---|"]
    lines += [f"| {row['tried']} | {row['happened'].replace('|', '/')} | {row['result']} |" for row in rows]
    (out / "reliability.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    typer.run(main)
