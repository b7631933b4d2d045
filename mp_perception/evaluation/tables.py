"""The paper's Tables 1-3 for networks of ours, beside what is known of the paper's own figures."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.table import Table

from mp_perception.data.frame_sets import FrameSet
from mp_perception.evaluation.depth_metrics import SIX_METRICS
from mp_perception.evaluation.evaluate import evaluate
from mp_perception.evaluation.report.figure_tables import number
from mp_perception.inference.predictor import Predictor

#: Of the paper: backbone -> frames per second on an RTX 2080 Ti (timing method unknown) and parameters.  The numbers
#: of its Tables 2 and 3 are not known.
PAPER_TABLE_1 = {"mobilenet_v2": (36.7, "~2.4 M"), "resnet50": (29.1, "~75.1 M")}
_NOT_KNOWN = "not\nknown"

_NUM_RUNS = 10


@dataclass(frozen=True)
class NetworkFigures:
    """A row of the tables.

    name: the weights'.  num_parameters: as Runtime has it.
    network_rate, whole_rate: images per second, the network alone and all of Predictor.predict.
    measured_on: device, threads and input.  result: what Evaluation.result gives by protocol `paper`, or None.
    """

    name: str
    num_parameters: int | None
    network_rate: float
    whole_rate: float
    measured_on: str
    result: Mapping[str, Any] | None


def measure_network(predictor: Predictor, data_set: FrameSet | None) -> NetworkFigures:
    """All figures of one network.  predictor: with an input of 384x1280.  data_set: None leaves Tables 2 and 3 out."""
    height, width = predictor.description.input_size
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    predictor.warm_up()
    network, whole = [], []
    for _ in range(_NUM_RUNS):
        start = time.perf_counter()
        predictor.runtime.run(image[None])
        middle = time.perf_counter()
        predictor.predict(image)
        end = time.perf_counter()
        network.append(middle - start)
        whole.append(end - middle)
    path = predictor.weights_path
    name = predictor.description.backbone if path is None else path.stem
    return NetworkFigures(
        name=f"{name} (untrained)" if predictor.untrained else name,
        num_parameters=predictor.runtime.num_parameters,
        network_rate=1 / statistics.median(network),
        whole_rate=1 / statistics.median(whole),
        measured_on=f"{predictor.runtime.device}, {predictor.runtime.precision}, {width}x{height}, one image at a time",
        result=None if data_set is None else evaluate(predictor, data_set, protocol="paper").result(),
    )


def paper_tables(networks: Sequence[NetworkFigures]) -> list[Table]:
    """Tables 1 to 3 for rich; 2 and 3 only with results."""
    first = _table("Table 1: frame rate and parameters", ["network", "parameters", "frames/s", "measured"])
    for backbone, (rate, parameters) in PAPER_TABLE_1.items():
        first.add_row(f"paper, {backbone}", parameters, f"{rate:g}", "RTX 2080 Ti, method not known")
    for figures in networks:
        count = "-" if figures.num_parameters is None else f"{figures.num_parameters:,}"
        first.add_row(figures.name, count, f"{figures.network_rate:.2f}", "here, network alone")
        first.add_row("", "", f"{figures.whole_rate:.2f}", "here, with pre- and post-processing")
    places = dict.fromkeys(figures.measured_on for figures in networks)
    first.caption = (
        f"Parameters: backbone and depth branch. Here: {'; '.join(places)}; median of {_NUM_RUNS} runs. Frame rates "
        "of different machines cannot be compared."
    )
    tables = [first]
    measured = [(figures.name, figures.result) for figures in networks if figures.result is not None]
    if measured:
        tables += [_depth_maps(measured), *(_objects(measured, category) for category in ("People", "Vehicle"))]
    return tables


def _depth_maps(measured: Sequence[tuple[str, Mapping[str, Any]]]) -> Table:
    table = _comparison("Table 2: depth maps", "images")
    captions = [
        "faulty: the paper's evaluation with its named faults. correct: measured pixels only, registered with the "
        "image. rmse in metres."
    ]
    for name, result in measured:
        depth = result["depth"]
        if depth is None:
            table.add_row(f"{name}: no depth maps")
            continue
        table.add_row(f"{name}, faulty", str(depth["images"]), *_six(depth))
        table.add_row(f"{name}, correct", str(depth["correct"]["images"]), *_six(depth["correct"]))
        units = depth["rmse_in_paper_units"]
        if units is not None:
            captions.append(f"{name}, faulty: rmse {units:.3f} if the paper's unit is 3.906 m.")
    table.caption = "\n".join(captions)
    return table


def _objects(measured: Sequence[tuple[str, Mapping[str, Any]]], category: str) -> Table:
    table = _comparison(f"Table 3: depth of objects, {category}", "objects")
    for name, result in measured:
        objects = result["objects"]
        if objects is None:
            table.add_row(f"{name}: no labels")
            continue
        faulty, correct = objects[category], objects["correct"][category]
        table.add_row(f"{name}, faulty", str(faulty["count"]), *_six(faulty))
        table.add_row(f"{name}, correct", str(correct["count"]), *_six(correct))
    table.caption = (
        "faulty: mean depth in the box against the mean of the filled map there. correct: median of the box's core "
        "against the lidar inside the object."
    )
    return table


def _comparison(title: str, counted: str) -> Table:
    """A table whose first rows are the paper's own."""
    table = _table(title, ["network", counted, *SIX_METRICS])
    for backbone in PAPER_TABLE_1:
        table.add_row(f"paper, {backbone}", *([_NOT_KNOWN] * (1 + len(SIX_METRICS))))
    table.add_section()
    return table


def _six(figures: Mapping[str, Any]) -> list[str]:
    return [number(figures.get(metric), metric) for metric in SIX_METRICS]


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", caption_justify="left")
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i == 0 or column == "measured" else "right")
    return table
