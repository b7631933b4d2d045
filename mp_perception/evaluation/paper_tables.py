"""The paper's Tables 1-3 for networks of ours, beside what the paper says of frame rate and parameters.

Tables 2 and 3 together are the paper's 18 metrics: six of depth maps, six of People, six of Vehicle.
"""

from __future__ import annotations

import statistics
import timeit
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mp_perception.classes import CATEGORIES
from mp_perception.data.frame_sets import FrameSet
from mp_perception.evaluation.depth_metrics import SIX_METRICS
from mp_perception.evaluation.report.figure_tables import FigureTable, numbers
from mp_perception.evaluation.scoring import evaluate
from mp_perception.inference.predictor import Predictor

#: Of the paper: backbone -> frames per second on an RTX 2080 Ti (timing method unknown) and parameters.
PAPER_TABLE_1 = {"mobilenet_v2": (36.7, "~2.4 M"), "resnet50": (29.1, "~75.1 M")}

_NUM_RUNS = 10


@dataclass(frozen=True)
class NetworkFigures:
    """A network of the tables.

    name: the weights'.  num_parameters: as Runtime has it.  rate: images per second, the network alone.
    measured_on: device, precision and input.  result: what Evaluation.result gives by protocol `paper`, or None.
    """

    name: str
    num_parameters: int | None
    rate: float
    measured_on: str
    result: Mapping[str, Any] | None


def measure_network(predictor: Predictor, data_set: FrameSet | None) -> NetworkFigures:
    """All figures of one network.  predictor: with an input of 384x1280.  data_set: None leaves Tables 2 and 3 out."""
    height, width = predictor.input_size
    image = np.random.default_rng(0).integers(0, 256, (1, height, width, 3), dtype=np.uint8)
    predictor.warm_up()
    seconds = timeit.repeat(lambda: predictor.runtime.run(image), number=1, repeat=_NUM_RUNS)
    path = predictor.weights_path
    return NetworkFigures(
        name=f"{predictor.description.backbone} (untrained)" if path is None else path.stem,
        num_parameters=predictor.runtime.num_parameters,
        rate=1 / statistics.median(seconds),
        measured_on=f"{predictor.runtime.device}, {predictor.runtime.precision}, {width}x{height}, one image at a time",
        result=None if data_set is None else evaluate(predictor, data_set, protocol="paper").result(),
    )


def paper_tables(networks: Sequence[NetworkFigures]) -> list[FigureTable]:
    """Tables 1 to 3; 2 and 3 only with results."""
    results = {figures.name: figures.result for figures in networks if figures.result is not None}
    depth = {name: result["depth"] for name, result in results.items() if result["depth"] is not None}
    objects = {name: result["objects"] for name, result in results.items() if result["objects"] is not None}
    tables = [_first_table(networks)]
    if depth:
        notes = ["paper's way: with its named faults. correct: measured pixels only, registered with the image."]
        for name, figures in depth.items():
            if (rmse := figures["rmse_in_paper_units"]) is not None:
                notes.append(f"{name}, paper's way: rmse {rmse:.3f} if the paper's unit is 3.906 m.")
        parts = {name: (figures, figures["correct"]) for name, figures in depth.items()}
        tables.append(_comparison("Table 2: depth maps", "images", parts, notes))
    for category in CATEGORIES if objects else ():
        parts = {name: (figures[category], figures["correct"][category]) for name, figures in objects.items()}
        notes = [
            "paper's way: mean depth in the box against the mean of the filled map there. correct: median of the "
            "box's core against the depth map inside the object."
        ]
        tables.append(_comparison(f"Table 3: depth of objects, {category}", "count", parts, notes))
    return tables


def _first_table(networks: Sequence[NetworkFigures]) -> FigureTable:
    paper = [
        (f"paper, {backbone}", parameters, f"{rate:g}", "RTX 2080 Ti, method not known")
        for backbone, (rate, parameters) in PAPER_TABLE_1.items()
    ]
    ours = []
    for figures in networks:
        parameters = "-" if figures.num_parameters is None else f"{figures.num_parameters:,}"
        ours.append((figures.name, parameters, f"{figures.rate:.2f}", figures.measured_on))
    notes = [
        f"Parameters: backbone and depth branch. Frame rate: the network alone, median of {_NUM_RUNS} runs; the "
        "rates of different machines cannot be compared."
    ]
    columns = ["network", "parameters", "frames/s", "measured on"]
    return FigureTable("Table 1: frame rate and parameters", columns, [paper, ours], notes)


def _comparison(
    title: str, counted: str, parts: Mapping[str, Sequence[Mapping[str, Any]]], notes: Sequence[str]
) -> FigureTable:
    """parts: network -> figures the paper's way, and correct ones.  counted: key of their number."""
    rows = [
        [(f"{name}, {way}", str(both[i][counted]), *numbers(both[i], SIX_METRICS)) for name, both in parts.items()]
        for i, way in enumerate(("paper's way", "correct"))
    ]
    return FigureTable(title, ["network", counted, *SIX_METRICS], rows, notes)
