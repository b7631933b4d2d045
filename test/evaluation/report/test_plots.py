"""Plots: the same for the folder and the page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import cv2

from mp_perception.evaluation.report.page import Report
from mp_perception.evaluation.report.plots import depth_plots, precision_recall_plots, render, write_plots


def test_the_folder_has_a_picture_of_all_that_counts(make_report: Callable[..., Report], tmp_path: Path) -> None:
    result = make_report(("0", "1")).result
    write_plots(tmp_path, [*precision_recall_plots(result), *depth_plots(result)])
    curves = {f"precision_recall_{name}.png" for name in ("car_0.7", "car_0.5", "pedestrian_0.5", "cyclist_0.5")}
    assert {path.name for path in tmp_path.iterdir()} == curves | {"depth_rel_by_distance.png"}
    for path in tmp_path.iterdir():
        picture = cv2.imread(str(path))
        assert picture.std() > 5
        assert min(picture.shape[:2]) > 200


def test_where_nothing_counts_there_is_no_plot() -> None:
    nothing = {"depth": None, "detection": None}
    assert depth_plots(nothing) == precision_recall_plots(nothing) == []
    by_difficulty = {"counted": {"easy": 0, "moderate": 5}, "AP40": {"easy": None, "moderate": 50.0}}
    row = {"min_iou": 0.7, **by_difficulty, "precision": {"easy": None, "moderate": [1.0] * 41}}
    (plot,) = precision_recall_plots({"detection": {"Car": row}})
    svg = render(plot, "svg").decode()
    assert "moderate: AP40 50.00 (5 objects)" in svg
    assert "easy" not in svg


def test_an_svg_keeps_its_words_and_is_small(make_report: Callable[..., Report]) -> None:
    result = make_report(("0", "1")).result
    for plot in [*precision_recall_plots(result), *depth_plots(result)]:
        svg = render(plot, "svg")
        words = {
            "".join(text.itertext()) for text in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
        }
        assert words & {"recall", "true distance, metres"}
        assert len(svg) < 40_000
