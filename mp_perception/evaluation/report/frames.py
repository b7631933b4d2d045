"""The frames with the greatest and the least depth error, kept as small pictures while an evaluation runs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import partial

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mp_perception.data.samples import Sample
from mp_perception.evaluation.depth_by_distance import mean_relative_error
from mp_perception.evaluation.protocols import resize_depth
from mp_perception.evaluation.report.plots import Plot
from mp_perception.prediction import Prediction
from mp_perception.visualization.depth_colors import color_depth
from mp_perception.visualization.overlay import draw_detections

#: So many of the best and of the worst frames.
NUM_FRAMES = 3
#: Pictures are made to fit into this width and height, pixels, and into so many bytes.
MAX_PICTURE_SIZE = (960, 640)
MAX_PICTURE_BYTES = 150_000

#: Relative error at which the error map's colour ends.
_MAX_ERROR = 0.5
_SCALE_SIZE = (4.0, 0.62)
_QUALITIES = (82, 65, 45, 25)

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Picture:
    """title, description: what it is, short and for those who cannot see it.  jpeg: the file's bytes.  size: w, h."""

    title: str
    description: str
    jpeg: bytes
    size: tuple[int, int]


@dataclass(frozen=True)
class KeptFrame:
    """A frame of the report.

    error: mean relative error of its depth map.  known_share: of the pixels whose true depth is known, 0..1.
    objects: class -> detections shown, the most frequent first.
    pictures: objects, image, predicted depth, true depth, error map.
    """

    name: str
    error: float
    known_share: float
    objects: dict[str, int]
    pictures: tuple[Picture, ...]

    @property
    def rank(self) -> tuple[float, str]:
        """Orders frames from the best to the worst."""
        return self.error, self.name


class FrameGallery:
    """The best and the worst of all frames that were shown to it: at most 2 * NUM_FRAMES are kept.

    score_threshold: of the detections that are drawn.
    """

    def __init__(self, score_threshold: float) -> None:
        self._score_threshold = score_threshold
        self._num_frames = 0
        self._best: list[KeptFrame] = []
        self._worst: list[KeptFrame] = []

    def add(self, sample: Sample, prediction: Prediction) -> None:
        """Take a frame; one without a known depth has no error and is left out."""
        error = None if sample.depth is None else mean_relative_error(sample.depth, prediction.network_depth)
        if error is None:
            return
        self._num_frames += 1
        rank = (error, sample.name)
        # Only frames that are kept are drawn: soon few are.
        if len(self._best) < NUM_FRAMES or rank < self._best[-1].rank or rank > self._worst[-1].rank:
            frame = [draw_frame(sample, prediction, error, self._score_threshold)]
            self._keep(frame, frame)

    def merge(self, other: FrameGallery) -> None:
        """Take over the frames of a part."""
        self._num_frames += other._num_frames
        self._keep(other._best, other._worst)

    def best(self) -> list[KeptFrame]:
        """Frames with the least error, the best one first; none is among the worst as well."""
        return self._best[: (self._num_frames + 1) // 2]

    def worst(self) -> list[KeptFrame]:
        """Frames with the greatest error, the worst one first."""
        return self._worst[: self._num_frames // 2]

    def _keep(self, best: list[KeptFrame], worst: list[KeptFrame]) -> None:
        self._best = sorted(self._best + best, key=lambda frame: frame.rank)[:NUM_FRAMES]
        self._worst = sorted(self._worst + worst, key=lambda frame: frame.rank, reverse=True)[:NUM_FRAMES]


def draw_frame(sample: Sample, prediction: Prediction, error: float, score_threshold: float) -> KeptFrame:
    """The pictures of a frame that has a depth map.  error: its mean relative error."""
    assert sample.depth is not None
    truth = sample.depth
    depth = resize_depth(prediction.network_depth, truth.shape[1], truth.shape[0])
    shown = prediction.detections[prediction.detections.scores >= score_threshold]
    objects = dict(Counter(shown.name(i) for i in range(len(shown))).most_common())
    known = np.isfinite(truth)
    told = ", ".join(f"{count} {name}" for name, count in objects.items()) or "none"
    width, height = _fitting_size(sample.size)
    image = np.asarray(cv2.resize(sample.image, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    # Drawn at the picture's own size, so that labels stay readable.
    overlay = image.copy()
    draw_detections(overlay, replace(shown, boxes=shown.boxes * np.float32(width / sample.size[1])))
    pictures = (
        _encode("objects", f"Camera image with the detected objects: {told}", overlay),
        _encode("image", "Camera image", image),
        _map(
            "predicted depth", f"Predicted depth, median {_median(depth)}", color_depth(_fitted(depth), scale_bar=False)
        ),
        _map(
            "true depth",
            f"True depth where it is known, median {_median(truth)}",
            color_depth(_fitted(_thickened(truth)), scale_bar=False),
        ),
        _map(
            "error map",
            f"Relative error where the true depth is known, {error:.3f} in the mean",
            _color_error(_fitted(_thickened(np.abs(depth - truth) / truth))),
        ),
    )
    return KeptFrame(sample.name, error, float(known.mean()), objects, pictures)


def frame_plots(gallery: FrameGallery) -> list[Plot]:
    """Each kept frame's pictures below each other, for the folder of pictures."""
    plots = []
    for kind, frames in (("best", gallery.best()), ("worst", gallery.worst())):
        for number, frame in enumerate(frames, start=1):
            width, height = frame.pictures[0].size
            plots.append(
                Plot(
                    f"{kind}_{number}_{frame.name.replace('/', '_')}",
                    f"{frame.name}: mean relative error {frame.error:.3f} ({kind} {number})",
                    "; ".join(picture.description for picture in frame.pictures),
                    partial(_draw_pictures, frame),
                    size=(6.6, len(frame.pictures) * (6.2 * height / width + 0.3) + 1),
                )
            )
    return plots


def scale_plots() -> list[Plot]:
    """What the colours of the depth maps and of the error map mean."""
    return [
        Plot(
            "depth_scale",
            "Colours of depth",
            "Near is warm (1 m red), far is cold (80 m blue), in logarithmic steps; unknown is black.",
            lambda figure: _draw_depth_scale(figure.subplots()),
            size=_SCALE_SIZE,
        ),
        Plot(
            "error_scale",
            "Colours of the error map",
            f"Blue is right, red is wrong by {_MAX_ERROR:.0%} and more; unknown is black.",
            lambda figure: _draw_error_scale(figure.subplots()),
            size=_SCALE_SIZE,
        ),
    ]


def _draw_pictures(frame: KeptFrame, figure: Figure) -> None:
    count = len(frame.pictures)
    grid = figure.add_gridspec(count + 1, 2, height_ratios=[*[4] * count, 0.5])
    for row, picture in enumerate(frame.pictures):
        pixels = cv2.imdecode(np.frombuffer(picture.jpeg, np.uint8), cv2.IMREAD_COLOR)
        assert pixels is not None
        axes = figure.add_subplot(grid[row, :])
        axes.imshow(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))
        axes.set_title(picture.title, fontsize="small")
        axes.set_axis_off()
    _draw_depth_scale(figure.add_subplot(grid[count, 0]))
    _draw_error_scale(figure.add_subplot(grid[count, 1]))


def _draw_depth_scale(axes: Axes) -> None:
    depths = np.geomspace(1, 80, 256, dtype=np.float32)[None]
    _draw_scale(axes, depths, color_depth(depths, scale_bar=False), (1, 2, 5, 10, 20, 40, 80))
    axes.set_xlabel("depth, metres")


def _draw_error_scale(axes: Axes) -> None:
    errors = np.linspace(0, _MAX_ERROR, 256, dtype=np.float32)[None]
    _draw_scale(axes, errors, _color_error(errors), (0, 0.1, 0.2, 0.3, 0.4, 0.5))
    axes.set_xlabel("relative error |d - p| / d")


def _draw_scale(axes: Axes, values: NDArray[np.float32], colors: Pixels, ticks: tuple[float, ...]) -> None:
    """Colours (1, n, 3) of rising values (1, n), with ticks."""
    axes.imshow(colors, aspect="auto", interpolation="nearest")
    axes.set_xticks(np.interp(ticks, values[0], np.arange(values.size)), [f"{tick:g}" for tick in ticks])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def _map(title: str, description: str, colors: Pixels) -> Picture:
    """A picture whose colours are a scale: no halved resolution of colour."""
    return _encode(title, description, colors, (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444))


def _encode(title: str, description: str, pixels: Pixels, options: tuple[int, ...] = ()) -> Picture:
    height, width = pixels.shape[:2]
    for quality in _QUALITIES:
        good, content = cv2.imencode(
            ".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality, *options]
        )
        assert good
        if len(content) <= MAX_PICTURE_BYTES:
            return Picture(title, description, content.tobytes(), (width, height))
    # Noise and the like, of no use to anybody, which must not make the report large.
    return _encode(title, description, np.asarray(cv2.resize(pixels, (width // 2 + 1, height // 2 + 1))), options)


def _fitting_size(shape: tuple[int, ...]) -> tuple[int, int]:
    """Width and height of a picture (H, W, ...) made small enough."""
    height, width = shape[:2]
    factor = min(1.0, MAX_PICTURE_SIZE[0] / width, MAX_PICTURE_SIZE[1] / height)
    return max(1, round(width * factor)), max(1, round(height * factor))


def _fitted(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """A map (H, W) made small enough; single values are kept, not mixed."""
    return np.asarray(cv2.resize(values, _fitting_size(values.shape), interpolation=cv2.INTER_NEAREST))


def _color_error(error: NDArray[np.float32]) -> Pixels:
    levels = np.clip(np.nan_to_num(error, nan=0.0) / _MAX_ERROR, 0, 1) * 255
    colors = cv2.cvtColor(cv2.applyColorMap(levels.astype(np.uint8), cv2.COLORMAP_TURBO), cv2.COLOR_BGR2RGB)
    colors[np.isnan(error)] = 0
    return np.asarray(colors, dtype=np.uint8)


def _thickened(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """A sparse map (H, W), NaN where unknown, made visible: an unknown pixel takes the least value of those around."""
    known = np.isfinite(values)
    filled = np.where(known, values, np.float32(np.finfo(np.float32).max)).astype(np.float32)
    least = cv2.erode(filled, np.ones((3, 3), dtype=np.uint8))
    thick = np.where(known, values, least)
    thick[thick == np.finfo(np.float32).max] = np.nan
    return np.asarray(thick, dtype=np.float32)


def _median(depth: NDArray[np.float32]) -> str:
    known = depth[np.isfinite(depth)]
    return f"{np.median(known):.1f} m" if len(known) else "unknown"
