"""`make fuzz`: every parser in a process of its own, again after each crash, and one table of what happened."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from reliability.fuzzing.targets import TARGETS


def main(
    seconds: Annotated[float, typer.Option(help="Processor seconds for each parser.")] = 10,
    inputs: Annotated[int, typer.Option(help="At most so many inputs for each parser.")] = 1_000_000_000,
    processes: Annotated[int, typer.Option(help="Parsers that are fuzzed at a time.")] = 1,
    out: Annotated[Path, typer.Option(help="Folder of findings and of what later runs start from.")] = Path("fuzzing"),
    targets: Annotated[list[str] | None, typer.Argument(help="Some parsers only.")] = None,
) -> None:
    """Mutates valid files and messages; a parser may accept the result or refuse it with one line."""
    chosen = targets or list(TARGETS)
    if unknown := set(chosen) - set(TARGETS):
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: expected some of {', '.join(TARGETS)}")
    with ThreadPoolExecutor(processes) as pool:
        results = dict(
            zip(chosen, pool.map(lambda name: _fuzz(name, seconds, inputs, out / name), chosen), strict=True)
        )
    (out / "results.json").write_text(json.dumps(results, indent=1))
    console = Console(width=120)
    console.print(_table(results))
    for name, result in results.items():
        for problem, file in result["findings"].items():
            console.print(f"{name}: {problem}: {out / name / 'findings' / file}", markup=False, soft_wrap=True)
    sys.exit(1 if any(result["findings"] for result in results.values()) else 0)


def _fuzz(name: str, seconds: float, inputs: int, folder: Path) -> dict[str, Any]:
    """What happened to one parser, over as many processes as its crashes need."""
    shutil.rmtree(folder / "findings", ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    total: dict[str, Any] = {"inputs": 0, "findings": {}, "seconds": 0.0, "slowest": 0.0, "peak_megabytes": 0.0}
    while (left := seconds - total["seconds"]) > 0 and total["inputs"] < inputs:
        (folder / "progress.json").unlink(missing_ok=True)
        before = set((folder / "findings").glob("*-*"))
        command = [sys.executable, "-m", "reliability.fuzzing.worker", name, str(left), str(inputs - total["inputs"])]
        with (folder / "log.txt").open("wb") as log:
            code = subprocess.run([*command, str(folder)], stdout=log, stderr=log, check=False).returncode
        if not (folder / "progress.json").exists():
            total["findings"][f"the process did not start (exit code {code}), see log.txt"] = "../log.txt"
            break
        progress = json.loads((folder / "progress.json").read_text())
        for figure in ("inputs", "seconds"):
            total[figure] += progress[figure]
        total["findings"] |= progress["findings"]
        for figure in ("slowest", "peak_megabytes"):
            total[figure] = max(total[figure], progress[figure])
        if code != 0:
            kept = sorted(set((folder / "findings").glob("*-*")) - before)
            for file in kept:
                problem = f"the process ended with exit code {code} ({file.name.split('-')[0]})"
                total["findings"].setdefault(problem, file.name)
            if not kept:
                total["findings"][f"the process ended with exit code {code}, see log.txt"] = "../log.txt"
    return total


def _table(results: dict[str, dict[str, Any]]) -> Table:
    table = Table(title="Fuzzing: every input was accepted, or refused with one line, unless it counts as a finding")
    table.add_column("parser")
    for column in ("inputs", "findings", "slowest (CPU s)", "peak memory (MB)"):
        table.add_column(column, justify="right")
    for name, result in results.items():
        figures = (f"{result['slowest']:.3f}", f"{result['peak_megabytes']:.0f}")
        table.add_row(name, f"{result['inputs']:,}", str(len(result["findings"])), *figures)
    sums = (sum(result["inputs"] for result in results.values()), sum(len(r["findings"]) for r in results.values()))
    table.add_row("all", f"{sums[0]:,}", str(sums[1]), "", "", style="bold")
    return table


if __name__ == "__main__":
    typer.run(main)
