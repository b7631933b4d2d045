"""One network with two branches against two networks with a branch each: time and memory."""

from __future__ import annotations

from functools import partial

from mp_perception.benchmark.charts import Bars, SectionResult
from mp_perception.benchmark.conditions import Conditions
from mp_perception.benchmark.engines import ENGINES, run_files
from mp_perception.benchmark.interleaved import Competitor, measure
from mp_perception.benchmark.measurement import spread
from mp_perception.benchmark.tables import Table, measured_row

SEPARATE = "two networks"


def compare_sharing(conditions: Conditions) -> SectionResult:
    """In the first engine, with the first number of threads; both networks in one process, one after the other."""
    detection, depth = conditions.branches
    files = {
        "one shared network": [conditions.exported],
        SEPARATE: [detection, depth],
        "detection alone": [detection],
        "depth alone": [depth],
    }
    threads = conditions.threads[0]
    competitors = [Competitor(name, partial(run_files, paths, ENGINES[0], threads)) for name, paths in files.items()]
    measured = {m.name: m for m in measure("shared or separate", competitors, conditions.rounds)}
    reference = measured[SEPARATE]
    rows = [
        {
            **measured_row("networks", m, reference),
            "memory, MiB": m.memory_mib,
            f"/ {SEPARATE}, memory": m.memory_mib / reference.memory_mib,
        }
        for m in measured.values()
    ]
    note = "Memory is that of the whole process beyond a bare Python: engine, weights and activations."
    title = f"Shared or separate, {ENGINES[0]} fp32, threads: {threads}"
    chart = Bars(
        "Shared or separate",
        "processor time of one image, ms (median)",
        list(measured),
        {"time": [spread(m.processor_ms).median for m in measured.values()]},
        strong=[0],
    )
    return SectionResult([Table(title, rows, note)], [chart])
