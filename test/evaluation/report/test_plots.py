"""Plots: the same for the folder and the page; and the latency they show."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

from mp_perception.evaluation.detection_metrics import Curve
from mp_perception.evaluation.report.html import Report
from mp_perception.evaluation.report.latency import FrameCounts, Latency
from mp_perception.evaluation.report.plots import (
    INK,
    latency_plots,
    precision_recall_plots,
    result_plots,
    write_plots,
)
from mp_perception.evaluation.report.svg import inline_svg


def curve(class_name: str, difficulty: str, counted: int) -> Curve:
    return Curve(class_name, 0.7, difficulty, counted, np.zeros(0), np.linspace(1, 0, 41), 50.0, 50.0)


def test_the_folder_has_a_picture_of_all_that_counts(make_report: Callable[..., Report], tmp_path: Path) -> None:
    report = make_report(("0", "1"))
    write_plots(tmp_path, result_plots(report.result, report.curves))
    curves = {f"precision_recall_{name}.png" for name in ("car_0.7", "car_0.5", "pedestrian_0.5", "cyclist_0.5")}
    depths = {f"depth_{metric}_by_distance.png" for metric in ("rel", "rmse", "d1")}
    objects = {f"object_depth_rel_by_{kind}.png" for kind in ("class", "distance")}
    assert {path.name for path in tmp_path.iterdir()} == curves | depths | objects
    for path in tmp_path.iterdir():
        picture = cv2.imread(str(path))
        assert picture.std() > 5
        assert min(picture.shape[:2]) > 200


def test_nothing_that_counts_is_no_plot() -> None:
    assert precision_recall_plots([curve("Car", "easy", 0), curve("Cyclist", "easy", 0)]) == []
    (plot,) = precision_recall_plots([curve("Car", "easy", 5), curve("Car", "hard", 0)])
    assert "easy: AP40 50.00, 5 objects" in plot.description
    assert "hard" not in plot.description


def test_an_svg_takes_the_pages_colours_and_keeps_its_words(make_report: Callable[..., Report]) -> None:
    report = make_report(("0", "1"), classes=("$\\frac{<Car>", "Pedestrian", "Cyclist\x07"))
    plots = {plot.name: inline_svg(plot) for plot in result_plots(report.result, report.curves)}
    element = ElementTree.fromstring(plots["object_depth_rel_by_class"])
    assert element.tag == "svg"
    words = ["".join(text.itertext()) for text in element.iter("text")]
    assert "$\\frac{<Car> (2)" in words
    assert "Cyclist? (2)" in words
    assert "mean |d - p| / d" in words
    for svg in plots.values():
        assert INK not in svg
        assert "var(--ink)" in svg
        assert "http" not in svg
        assert "<style" not in svg
        assert len(svg) < 40_000


def test_plots_of_one_page_share_no_names() -> None:
    one, other = (inline_svg(precision_recall_plots([curve(name, "easy", 1)])[0]) for name in ("Car!", "Car?"))
    names = [{e.attrib["id"] for e in ElementTree.fromstring(svg).iter() if "id" in e.attrib} for svg in (one, other)]
    assert names[0]
    assert names[0].isdisjoint(names[1])


def latency_of(totals: np.ndarray) -> Latency:
    latency = Latency()
    for i, total in enumerate(totals):
        latency.add(i / 10, total, {"inference": total - 1} if i % 2 else {"inference": total - 1, "wait": 1.0})
    return latency


def test_percentiles_are_numpys_over_the_frames_that_have_the_stage() -> None:
    totals = np.random.default_rng(0).gamma(3, 10, 1001)
    rows = {row[0]: row[1:] for rows in latency_of(totals).table().groups for row in rows}
    expected = [*np.percentile(totals, [50, 90, 99]), totals.max()]
    assert rows["total"] == ("1001", *(f"{value:.2f}" for value in expected))
    assert rows["wait"] == ("501", "1.00", "1.00", "1.00", "1.00")


def test_parts_of_several_processes_come_into_order() -> None:
    one, other = Latency("image number"), Latency("image number")
    for i in (0, 2):
        one.add(i, 10 + i, {"a": 1.0})
    other.add(1, 11, {"b": 2.0})
    one.merge(other)
    assert one.total().tolist() == [10, 11, 12]
    assert one.stamps().tolist() == [0, 1, 2]
    assert {row[0]: row[1] for rows in one.table().groups for row in rows} == {"a": "2", "b": "1", "total": "3"}
    assert list(one.figures()) == ["a", "b", "total"]


@pytest.mark.parametrize("count", [1, 2, 100_000])
def test_plots_of_many_frames_stay_small(count: int) -> None:
    for plot in latency_plots(latency_of(np.random.default_rng(0).gamma(3, 10, count))):
        assert 2_000 < len(inline_svg(plot)) < 60_000


def test_counts_that_do_not_add_up_are_told() -> None:
    counts = FrameCounts(10, 6, {"too old": 1, "overwritten": 2})
    assert (counts.num_dropped, counts.unaccounted) == (3, 1)
