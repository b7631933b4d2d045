"""The report of an adaptation: one HTML file with the depth before and after on held-out frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mp_perception.adaptation.depth_comparison import DepthFigures
from mp_perception.adaptation.recording_checks import Finding
from mp_perception.arrays import DepthMap
from mp_perception.data.frame_sets import FrameSet
from mp_perception.evaluation.report.example_frames import MAX_ERROR, Picture, color_error, fitted, thickened
from mp_perception.evaluation.report.figure_tables import FigureTable
from mp_perception.evaluation.report.page import render_page
from mp_perception.evaluation.report.plots import comparison_plot
from mp_perception.files import write_atomically
from mp_perception.model.checkpoint_description import CheckpointDescription
from mp_perception.prediction import resize_depth
from mp_perception.visualization.depth_colors import color_depth

_METRICS = ("rel", "d1", "d2", "d3", "rmse", "log10")


@dataclass(frozen=True)
class AdaptationResult:
    """The result of an adaptation.

    figures, maps: by candidate, the adapted weights last: errors on the held-out frames, and depth maps of them.
    better: whether the adapted weights are better than all others, by rel and d1.
    kept_detections: as the function of this name.
    description: of the adapted weights.  training_frames: their number.
    """

    figures: Mapping[str, DepthFigures]
    maps: Mapping[str, Sequence[DepthMap]]
    better: bool
    kept_detections: Mapping[str, int]
    description: CheckpointDescription
    training_frames: int


def write_report(
    path: Path, result: AdaptationResult, held_out: FrameSet, findings: Sequence[Finding], command: str
) -> None:
    """Write the report; held_out: the frames that the result's figures are of.  findings: of the recording's checks."""
    by_distance = {name: figures.by_distance for name, figures in result.figures.items()}
    page = render_page(
        "adaptation.html",
        "mp_perception.adaptation",
        title="Weights adapted to a camera",
        sections={"recording": "Recording", "depth": "Depth maps", "frames": "Example frames"},
        command=command,
        findings=findings,
        result=result,
        held_out=len(held_out),
        verdict=_summary(result),
        tables=_comparison_tables(result),
        plots=[comparison_plot(by_distance)],
        examples=_examples(result, held_out),
        configuration={"description": asdict(result.description)},
    )
    write_atomically(path, page.encode())


def _summary(result: AdaptationResult) -> list[str]:
    """The result in a few sentences."""
    *others, (_, adapted) = result.figures.items()
    rel, d1 = adapted.overall["rel"], adapted.overall["d1"]
    sentences = [
        f"On held-out frames the depth of the adapted weights differs from the recorded depth by {rel:.1%} on average; "
        f"{d1:.1%} of the pixels are within a factor of 1.25."
    ]
    alternatives = "; ".join(
        f"{name}: {figures.overall['rel']:.1%} on average, {figures.overall['d1']:.1%} within that factor"
        for name, figures in others
    )
    better = "better than" if result.better else "NOT better than all of"
    sentences.append(f"That is {better} what needs no training ({alternatives}).")
    counts = result.kept_detections
    if counts["before"] or counts["new"]:
        sentences.append(
            f"Of {counts['before']} detections of the weights before, {counts['kept']} are still made; "
            f"{counts['new']} are new."
        )
    else:
        sentences.append("Neither the weights before nor the adapted ones detect an object in the held-out frames.")
    return sentences


def _comparison_tables(result: AdaptationResult) -> list[FigureTable]:
    """All candidates, and by distance and image region the errors of each."""
    overall = [
        (name, *(f"{figures.overall[metric]:.3f}" for metric in _METRICS)) for name, figures in result.figures.items()
    ]
    tables = [FigureTable("Depth on the held-out frames (per image, then mean)", ["", *_METRICS], [overall])]
    names = list(result.figures)
    distances = [
        (f"{rows[0]['from']:g}-{rows[0]['to']:g} m", str(rows[0]["pixels"]), *map(_rel_and_d1, rows))
        for rows in zip(*(figures.by_distance for figures in result.figures.values()), strict=True)
        if rows[0]["pixels"]
    ]
    tables.append(FigureTable("By true distance: rel / d1", ["distance", "pixels", *names], [distances]))
    regions = [
        (region, str(rows[0]["pixels"]), *map(_rel_and_d1, rows))
        for region in result.figures[names[-1]].by_region
        if (rows := [figures.by_region[region] for figures in result.figures.values()])[0]["pixels"]
    ]
    tables.append(FigureTable("By region of the image: rel / d1", ["region", "pixels", *names], [regions]))
    return tables


def _rel_and_d1(row: Mapping[str, Any]) -> str:
    return f"{row['rel']:.2f} / {row['d1']:.2f}" if row["pixels"] else "-"


def _examples(result: AdaptationResult, held_out: FrameSet) -> list[tuple[str, list[Picture]]]:
    """Title and pictures of the worst, the middle and the best frame."""
    errors = [*result.figures.values()][-1].relative_errors
    order = np.argsort(errors)[::-1]
    places = dict(zip(order[[0, len(order) // 2, -1]].tolist(), ("Worst", "Middle", "Best"), strict=False))
    low, high = result.description.valid_depth_range
    low = max(low, min(0.5, high / 10))
    examples = []
    for index, kind in places.items():
        sample = held_out[index]
        assert sample.depth is not None
        height, width = sample.size
        recorded = color_depth(thickened(sample.depth), low, high, scale_bar=False)
        pictures = [
            Picture(
                f"image; recorded depth, from {low:g} m (red) to {high:g} m (blue)",
                fitted(np.concatenate([sample.image, recorded], axis=1)),
            )
        ]
        for name, maps in result.maps.items():
            depth = resize_depth(maps[index], width, height)
            error = color_error(thickened((np.abs(depth - sample.depth) / sample.depth).astype(np.float32)))
            both = np.concatenate([color_depth(depth, low, high, scale_bar=False), error])
            pictures.append(Picture(f"{name}; below, its error, up to {MAX_ERROR:.0%} (red)", fitted(both)))
        examples.append((f"{kind} frame, {sample.name}: mean relative error {errors[index]:.3f}", pictures))
    return examples
