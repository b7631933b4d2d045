"""Pictures of the frames with the greatest and the least depth error: image, objects, depth, truth and error map."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mp_perception.data.frame_sets import FrameSet
from mp_perception.data.samples import Sample
from mp_perception.evaluation.evaluate import Evaluation
from mp_perception.evaluation.report.plots import new_figure, write_figure
from mp_perception.inference.predictor import PredictionSettings, Predictor
from mp_perception.prediction import Prediction
from mp_perception.visualization.depth_colors import color_depth
from mp_perception.visualization.overlay import draw_overlay

#: So many of the best and of the worst frames.
NUM_FRAMES = 3
#: Relative error at which the error map's colour ends.
_MAX_ERROR = 0.5


def write_frames(folder: Path, evaluation: Evaluation, predictor: Predictor, data_set: FrameSet) -> None:
    """Write worst_N_<name>.png and best_N_<name>.png, by mean relative error; they are predicted once more."""
    ranked = sorted(evaluation.frame_errors, key=lambda name: (evaluation.frame_errors[name], name))
    indices = {frame.name: i for i, frame in enumerate(data_set.frames)}
    settings = PredictionSettings(score_threshold=evaluation.score_threshold)
    count = min(NUM_FRAMES, len(ranked) // 2) or len(ranked)
    for kind, names in (("best", ranked[:count]), ("worst", ranked[::-1][:count])):
        for number, name in enumerate(names, start=1):
            sample = data_set[indices[name]]
            prediction = predictor.predict(sample.image, sample.intrinsics, settings)
            title = f"{name}: mean relative error {evaluation.frame_errors[name]:.3f} ({kind} {number})"
            path = folder / f"{kind}_{number}_{name.replace('/', '_')}.png"
            write_frame(path, title, sample, prediction)


def write_frame(path: Path, title: str, sample: Sample, prediction: Prediction) -> None:
    """Write one frame's picture; its sample has a depth map."""
    assert sample.depth is not None
    error = np.abs(prediction.depth - sample.depth) / sample.depth
    height, width = sample.size
    panel_height = 9 * height / width
    figure = new_figure(9.6, 5 * (panel_height + 0.35))
    figure.suptitle(title)
    panels = figure.subplots(5, 1)
    pictures = (
        ("image", sample.image),
        ("objects", draw_overlay(sample.image, prediction)),
        ("predicted depth", color_depth(prediction.depth)),
        ("true depth", color_depth(_thickened(sample.depth))),
    )
    for axes, (name, picture) in zip(panels, pictures, strict=False):
        axes.imshow(picture)
        axes.set_title(name, fontsize=9)
    shown = panels[-1].imshow(_thickened(error), cmap="turbo", vmin=0, vmax=_MAX_ERROR, interpolation="nearest")
    panels[-1].set_title("error map: |d - p| / d where the truth is known", fontsize=9)
    panels[-1].set_facecolor("black")
    figure.colorbar(shown, ax=panels[-1], orientation="horizontal", extend="max", fraction=0.05, pad=0.02)
    for axes in panels:
        axes.set_xticks([])
        axes.set_yticks([])
    write_figure(figure, path)


def _thickened(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """A sparse map (H, W), NaN where unknown, made visible: an unknown pixel takes the least value of those around."""
    known = np.isfinite(values)
    filled = np.where(known, values, np.float32(np.finfo(np.float32).max)).astype(np.float32)
    least = cv2.erode(filled, np.ones((3, 3), dtype=np.uint8))
    thick = np.where(known, values, least)
    thick[thick == np.finfo(np.float32).max] = np.nan
    return np.asarray(thick, dtype=np.float32)
