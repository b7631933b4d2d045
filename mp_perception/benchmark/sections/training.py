"""Samples per second of the loader against those of the training step: who waits for whom?"""

from __future__ import annotations

from functools import partial

from mp_perception.benchmark.charts import Bars, SectionResult
from mp_perception.benchmark.conditions import Conditions
from mp_perception.benchmark.interleaved import Competitor, measure
from mp_perception.benchmark.measurement import ratio, spread
from mp_perception.benchmark.networks.training_step import BATCH_SIZE, load_samples, train_step
from mp_perception.benchmark.tables import Cell, Table
from mp_perception.files import share_folder
from mp_perception.synthetic.drive import write_object_set

#: A step takes a hundred times as long as one inference.
_ROUNDS_SHARE = 5
_NUM_STREETS = 4


def compare_loading(conditions: Conditions) -> SectionResult:
    """The default recipe on drawn streets of KITTI's size, one thread each."""
    streets = conditions.folder / "streets"
    write_object_set(streets, _NUM_STREETS, seed=1, workers=max(conditions.threads))
    recipe = share_folder() / "config" / "train" / "kitti_mobilenet_v2.yaml"
    competitors = [
        Competitor("loader", partial(load_samples, recipe, streets)),
        Competitor("step", partial(train_step, recipe, streets, 1)),
    ]
    loader, step = measure("training", competitors, max(2, conditions.rounds // _ROUNDS_SHARE))
    step = step.scaled("training step", 1 / BATCH_SIZE)
    share = ratio(loader, step)
    rows: list[dict[str, Cell]] = [
        {
            "part": m.name,
            "clock, ms per image": spread(m.wall_ms).median,
            "processor, ms per image": spread(m.processor_ms).median,
            "images per second, processor": 1e3 / spread(m.processor_ms).median,
        }
        for m in (loader, step)
    ]
    note = (
        f"Loader / step: {share.processor:.2f} by processor time, {share.wall:.2f} by the clock. One loading process "
        "keeps up with a step that is faster than this one by the inverse of that."
    )
    chart = Bars(
        "Training",
        "processor time per image, ms (median)",
        [loader.name, step.name],
        {"time": [spread(m.processor_ms).median for m in (loader, step)]},
    )
    return SectionResult([Table(f"Training, one thread, batches of {BATCH_SIZE}", rows, note)], [chart])
