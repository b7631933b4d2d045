"""Dense depth maps in metres from a network that knows depth up to scale.

The network's inverse depth becomes metric by one slope and offset for the whole data set, and by a scale for each
frame, both from lidar.  The depth of labelled objects takes its place only in sets with too little lidar: networks that
learned from videos misjudge what moves, and with it most labelled objects (docs/training.md has the measurement).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mp_perception.data.depth_png import write_depth_png
from mp_perception.data.frame_sets import FrameSet
from mp_perception.data.samples import Sample
from mp_perception.errors import UserError
from mp_perception.evaluation.depth_metrics import depth_errors
from mp_perception.inference.object_depth import measure_object_depth
from mp_perception.progress import track
from mp_perception.training.teachers import DepthTeacher, Floats

#: Larger depths, metres, become this one: the files hold no larger ones.
MAX_DEPTH = 255.0
#: Lidar pixels, or labelled objects of known depth, that give a frame its own scale.
MIN_LIDAR_PIXELS, MIN_OBJECTS = 200, 3
#: Frames without lidar get a common scale if at least so many frames have lidar, and if the scales of 68 % of these are
#: within this fraction of the median.
MIN_LIDAR_FRAMES, MAX_SCALE_SPREAD = 10, 0.1
#: Pixels around a mask of the sky whose depth is unknown too, because masks are not exact.
SKY_MARGIN = 4
#: Lidar pixels of one frame that are compared, evenly distributed.
_MAX_REFERENCES = 2000
_NUM_REWEIGHTINGS = 30


@dataclass(frozen=True)
class References:
    """Where the depth of a frame is known: the teacher's inverse depths (n,), and the depths (n,), metres."""

    inverse_depth: Floats
    depth: Floats


@dataclass(frozen=True)
class Alignment:
    """From a teacher's inverse depth to metres: depth = scale / (slope * inverse_depth + offset)."""

    slope: float
    offset: float

    def depth(self, inverse_depth: Floats) -> NDArray[np.float64]:
        """Depth of the same shape for scale 1, metres, at most MAX_DEPTH; NaN stays."""
        return np.asarray(1 / np.maximum(self.slope * inverse_depth.astype(np.float64) + self.offset, 1 / MAX_DEPTH))

    def scale(self, references: References) -> float:
        """The scale of a frame: the median of the true depth over the aligned one."""
        return float(np.median(references.depth / self.depth(references.inverse_depth)))


@dataclass(frozen=True)
class TaughtDepth:
    """What teach_depth did.

    existing: frames whose file existed.
    written: source of the scale ("lidar", "other frames" or "objects") -> files written.
    left_out: frames that could not be given metres.
    scales: (k,) of the frames with lidar.
    errors: "own scale" and, if there is one, "scale of other frames" -> rel and d1 against lidar, means over these
        frames.
    """

    existing: int
    written: Counter[str]
    left_out: int
    alignment: Alignment
    scales: Floats
    errors: dict[str, tuple[float, float]]


def teach_depth(frames: FrameSet, teacher: DepthTeacher, out: Path) -> TaughtDepth:
    """Write <out>/<name>.png, 16-bit depth, for every frame that can be given metres; existing files are kept.

    Raises UserError if no frame has references, or the teacher's map does not grow with the inverse depth.
    """
    with_depth = [index for index, frame in enumerate(frames.frames) if frame.depth is not None]
    lidar = _all_references(frames, with_depth, teacher, lidar_references)
    fitted = lidar
    if len(lidar) < MIN_LIDAR_FRAMES:
        fitted = lidar + _all_references(frames, range(len(frames)), teacher, object_references)
    if not fitted:
        raise UserError(
            f"{frames.origin}: expected frames with {MIN_LIDAR_PIXELS} lidar pixels, or {MIN_OBJECTS} labelled objects "
            "of known depth, found none"
        )
    alignment = align(fitted)
    if alignment.slope <= 0:
        path, slope = teacher.network.path, alignment.slope
        raise UserError(f"{path}: expected {teacher.kind} depth, found a map that falls with it (slope {slope:.3g})")
    scales = np.array([alignment.scale(references) for references in lidar], dtype=np.float32)
    common_scale = consistent_scale(scales)

    targets = [out / f"{frame.name}.png" for frame in frames.frames]
    missing = [index for index, target in enumerate(targets) if not target.exists()]
    written: Counter[str] = Counter()
    for index in track(missing, "writing depth"):
        sample = frames[index]
        inverse_depth = teacher.inverse_depth(sample.image)
        if (references := lidar_references(sample, inverse_depth)) is not None:
            source, scale = "lidar", alignment.scale(references)
        elif common_scale is not None:
            source, scale = "other frames", common_scale
        elif (references := object_references(sample, inverse_depth)) is not None:
            source, scale = "objects", alignment.scale(references)
        else:
            continue
        depth = (scale * alignment.depth(inverse_depth)).astype(np.float32)
        write_depth_png(targets[index], with_what_is_known(depth, sample.depth, frames.sky(index)))
        written[source] += 1
    return TaughtDepth(
        existing=len(targets) - len(missing),
        written=written,
        left_out=len(missing) - written.total(),
        alignment=alignment,
        scales=scales,
        errors=_errors(alignment, lidar, common_scale),
    )


def lidar_references(sample: Sample, inverse_depth: Floats) -> References | None:
    """The pixels of the sample's depth map, if there are enough.  inverse_depth: (H, W)."""
    if sample.depth is None:
        return None
    pixels = np.flatnonzero(np.isfinite(sample.depth) & np.isfinite(inverse_depth))
    if len(pixels) < MIN_LIDAR_PIXELS:
        return None
    pixels = pixels[:: -(-len(pixels) // _MAX_REFERENCES)]
    return References(inverse_depth.ravel()[pixels], sample.depth.ravel()[pixels])


def object_references(sample: Sample, inverse_depth: Floats) -> References | None:
    """The cores of the boxes of the sample's objects, if the depth of enough is known.  inverse_depth: (H, W)."""
    values, _, _ = measure_object_depth(inverse_depth, sample.boxes)
    known = np.isfinite(values) & np.isfinite(sample.object_depths)
    if known.sum() < MIN_OBJECTS:
        return None
    return References(values[known], sample.object_depths[known])


def align(frames: Sequence[References]) -> Alignment:
    """The alignment with the minimum mean relative error of the inverse depth over all references.

    The relative error |(slope * inverse_depth + offset) * depth - 1| is linear in both values, so that iteratively
    reweighted least squares find the minimum.
    """
    inverse_depth = np.concatenate([references.inverse_depth for references in frames]).astype(np.float64)
    depth = np.concatenate([references.depth for references in frames]).astype(np.float64)
    factors = np.stack([inverse_depth * depth, depth], axis=1)
    roots_of_weights = np.ones(len(depth))
    for _ in range(_NUM_REWEIGHTINGS):
        solution, *_ = np.linalg.lstsq(factors * roots_of_weights[:, None], roots_of_weights, rcond=None)
        roots_of_weights = np.maximum(np.abs(factors @ solution - 1), 1e-3) ** -0.5
    return Alignment(float(solution[0]), float(solution[1]))


def consistent_scale(scales: Floats) -> float | None:
    """The median of the scales (k,) of frames, or None if they are too few or too different to be that of others."""
    if len(scales) < MIN_LIDAR_FRAMES:
        return None
    low, median, high = np.percentile(scales, [16, 50, 84])
    return float(median) if max(median - low, high - median) <= MAX_SCALE_SPREAD * median else None


def with_what_is_known(depth: Floats, lidar: Floats | None, sky: NDArray[np.bool_] | None) -> Floats:
    """Taught depth (H, W), unknown in and around the sky, with lidar's depth (H, W) wherever that is known."""
    known = depth.copy()
    if sky is not None:
        size = 2 * SKY_MARGIN + 1
        known[cv2.dilate(sky.astype(np.uint8), np.ones((size, size), np.uint8)) > 0] = np.nan
    return known if lidar is None else np.where(np.isfinite(lidar), lidar, known)


def _all_references(
    frames: FrameSet,
    indices: Iterable[int],
    teacher: DepthTeacher,
    find: Callable[[Sample, Floats], References | None],
) -> list[References]:
    found = []
    for index in track(list(indices), "aligning"):
        sample = frames[index]
        references = find(sample, teacher.inverse_depth(sample.image))
        if references is not None:
            found.append(references)
    return found


def _errors(
    alignment: Alignment, frames: Sequence[References], common_scale: float | None
) -> dict[str, tuple[float, float]]:
    """See TaughtDepth.errors."""
    scales = {"own scale": [alignment.scale(references) for references in frames]} if frames else {}
    if common_scale is not None:
        scales["scale of other frames"] = [common_scale] * len(frames)
    errors = {}
    for name, values in scales.items():
        of_frames = [
            depth_errors(references.depth.astype(np.float64), scale * alignment.depth(references.inverse_depth))
            for references, scale in zip(frames, values, strict=True)
        ]
        rel, d1 = (float(np.mean([error[metric] for error in of_frames])) for metric in ("rel", "d1"))
        errors[name] = rel, d1
    return errors
