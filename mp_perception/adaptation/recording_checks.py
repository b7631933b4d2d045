"""Faults of a recording that would teach a network wrong depth, found before the training.

Each check is a function from the evidence of the recording's frames to findings; `check_recording` calls them all.
Bags are mended while they are read (bags/frames.py): what was done there is reported here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mp_perception.adaptation.check_pictures import displaced_edges, lagging_edges, thumbnails
from mp_perception.adaptation.depth_alignment import EdgeScores
from mp_perception.adaptation.frame_evidence import FrameEvidence, read_evidence, sample_indices
from mp_perception.adaptation.scale_checks import doubts_of_scale
from mp_perception.arrays import RgbImage
from mp_perception.data.frame_sets import FrameSet
from mp_perception.inference.predictor import Predictor

#: Frames with depth: fewer teach nothing; with less than the second number a warning.
_MIN_FRAMES, _GOOD_FRAMES = 20, 100
#: Depth is aligned if its borders are within so many cells of colour's edges: .7 % of the image's width, or 1.4 % for
#: a lidar.
_ALIGNED_CELLS = 2.2
#: So many borders of depth decide whether depth is aligned.
_ENOUGH_EDGES = 1000
#: Sensible depths of a scene, metres: median, and 99 %.
_MIN_MEDIAN, _MAX_MEDIAN, _MAX_DEPTH = 0.1, 150.0, 250.0
#: So many frames are looked at for the scale.
_SCALE_FRAMES = 10
#: Correlation of two thumbnails above which they show the same view, and the same image but for noise; and how many
#: views a recording should have.
_SAME_VIEW, _SAME_IMAGE, _GOOD_VIEWS = 0.95, 0.999, 10
#: Fraction of pixels without depth, of depth at the sensor's maximum, of pixels too dark or bright, and of frames with
#: the depth map of the frame before, from which there is a warning.
_MANY_HOLES, _MUCH_SATURATED, _BADLY_EXPOSED, _REPEATED = 0.6, 0.2, 0.3, 0.1
#: A lidar's points cover a smaller fraction of the image.
_MAX_LIDAR = 0.1
#: Ratio of the mean brightnesses of consecutive frames that counts as a jump, and the fraction of frames with jumps.
_BRIGHTNESS_JUMP, _MANY_JUMPS = 1.25, 0.1


@dataclass(frozen=True)
class Finding:
    """Something that a check found.

    severity: refuse (the recording would teach wrong depth), warn, or mended (corrected while reading).
    name: of the check, one or two words.  text: one line for people.
    picture: RGB (H, W, 3) that shows it, or None.
    """

    severity: Literal["refuse", "warn", "mended"]
    name: str
    text: str
    picture: RgbImage | None = None


def check_recording(frames: FrameSet, predictor: Predictor | None = None) -> list[Finding]:
    """What is wrong with a recording; an empty list if nothing is.

    Args:
        frames: of one camera, in order of time; a sample of them is read.
        predictor: with the default weights: finds more wrong units.
    """
    problems: list[str] = []
    evidence = list(read_evidence(frames, problems))
    findings = [Finding("mended", "reading", text) for text in frames.mended]
    if problems:
        more = f" ({len(problems)} problems)" if len(problems) > 1 else ""
        findings.append(Finding("warn", "reading", f"{problems[0]}{more}"))
    findings += _check_number(frames, evidence)
    same_size = [frame for frame in evidence if frame.size == evidence[0].size]
    for check in (_check_camera, _check_depths, _check_holes, _check_motion, _check_exposure, _check_repeated):
        if any(finding.severity == "refuse" for finding in findings):
            return findings  # what is found after a fault is mostly its consequence
        findings += check(same_size)
    findings += _check_alignment(frames, same_size)
    findings += _check_scale(frames, same_size, predictor)
    return findings


def _check_number(frames: FrameSet, evidence: Sequence[FrameEvidence]) -> Iterator[Finding]:
    count = round(len(evidence) * len(frames) / len(sample_indices(len(frames))))
    if not evidence:
        yield Finding("refuse", "depth", f"expected depth in the recording, found none in {len(frames)} frames")
    elif count < _MIN_FRAMES:
        yield Finding("refuse", "frames", f"expected at least {_MIN_FRAMES} frames with depth, found {count}")
    elif count < _GOOD_FRAMES:
        yield Finding("warn", "frames", f"{count} frames with depth: expected {_GOOD_FRAMES} or more for good results")


def _check_camera(evidence: Sequence[FrameEvidence]) -> Iterator[Finding]:
    camera = evidence[0].camera
    if camera is None:
        yield Finding("refuse", "camera", "expected camera info or calib.txt with the focal length, found none")
        return
    off_centre = max(abs(camera.cx / camera.width - 0.5), abs(camera.cy / camera.height - 0.5))
    if off_centre > 0.2:
        found = f"principal point {camera.cx:.0f}, {camera.cy:.0f} of an image of {camera.width}x{camera.height}"
        expected = "expected it near the centre; is this the camera info of another image size?"
        yield Finding("warn", "camera", f"{found}: {expected}")


def _check_depths(evidence: Sequence[FrameEvidence]) -> Iterator[Finding]:
    """Depth that no scene has: constant, or in another unit."""
    low, middle, high = np.median([frame.depth_range for frame in evidence], axis=0)
    if high <= low * 1.01:
        yield Finding("refuse", "constant depth", f"all depths are {middle:.2f} m: expected those of a scene")
        return
    if not (_MIN_MEDIAN <= middle <= _MAX_MEDIAN and high <= _MAX_DEPTH):
        unit = "is the unit right"
        if middle > _MAX_MEDIAN or middle < _MIN_MEDIAN:
            unit = f"are these {'millimetres taken for metres' if middle > 1 else 'metres taken for millimetres'}"
        found = f"median depth {middle:.3g} m, 99 % below {high:.3g} m"
        yield Finding("refuse", "scale", f"{found}: expected {_MIN_MEDIAN:g} to {_MAX_MEDIAN:g} m; {unit}?")
    saturated = float(np.median([frame.at_maximum for frame in evidence]))
    if saturated > _MUCH_SATURATED:
        text = f"{saturated:.0%} of depths have the largest value, {high:.2f} m: is it the end of the sensor's range?"
        yield Finding("warn", "saturated depth", text)


def _check_holes(evidence: Sequence[FrameEvidence]) -> Iterator[Finding]:
    known = float(np.median([frame.known for frame in evidence]))
    if _MAX_LIDAR < known < 1 - _MANY_HOLES:
        yield Finding("warn", "holes", f"{1 - known:.0%} of the pixels have no depth: nothing is learned there")


def _check_motion(evidence: Sequence[FrameEvidence]) -> Iterator[Finding]:
    views = [evidence[0].thumbnail]
    for frame in evidence[1:]:
        if all(_correlation(frame.thumbnail, view) < _SAME_VIEW for view in views):
            views.append(frame.thumbnail)
    picture = thumbnails(views)
    if len(views) == 1:
        yield Finding("refuse", "motion", "all frames show one view: move the camera through the scene", picture)
    elif len(views) < _GOOD_VIEWS:
        text = f"only {len(views)} different views: expected {_GOOD_VIEWS} or more; move the camera through the scene"
        yield Finding("warn", "motion", text, picture)


def _check_exposure(evidence: Sequence[FrameEvidence]) -> Iterator[Finding]:
    for what, fractions in (("dark", [f.dark for f in evidence]), ("bright", [f.bright for f in evidence])):
        bad = sum(fraction > _BADLY_EXPOSED for fraction in fractions)
        if bad > _MANY_JUMPS * len(evidence):
            text = f"{bad} of {len(evidence)} frames are too {what} in {_BADLY_EXPOSED:.0%} of the image"
            yield Finding("warn", "exposure", text)
    pairs = list(_consecutive(evidence))
    ratios = [(after.thumbnail.mean() + 1) / (before.thumbnail.mean() + 1) for before, after in pairs]
    jumps = sum(max(ratio, 1 / ratio) > _BRIGHTNESS_JUMP for ratio in ratios)
    if jumps > _MANY_JUMPS * len(pairs):
        found = f"over {_BRIGHTNESS_JUMP - 1:.0%} between {jumps} of {len(pairs)} pairs of frames"
        text = f"the brightness jumps by {found}: fix the camera's exposure, or make it slower"
        yield Finding("warn", "exposure", text)


def _check_repeated(evidence: Sequence[FrameEvidence]) -> Iterator[Finding]:
    """A depth camera that stopped, or is slower than the colour camera."""
    pairs = list(_consecutive(evidence))
    repeated = [
        after.depth_code == before.depth_code and _correlation(before.thumbnail, after.thumbnail) < _SAME_IMAGE
        for before, after in pairs
    ]
    if sum(repeated) > _REPEATED * max(len(pairs), 1):
        text = f"{sum(repeated)} of {len(pairs)} depth maps equal the one before, while the image changes"
        yield Finding("refuse" if sum(repeated) > len(pairs) / 2 else "warn", "repeated depth", text)


def _check_alignment(frames: FrameSet, evidence: Sequence[FrameEvidence]) -> Iterator[Finding]:
    kinds = [frame for frame in evidence if frame.gradients.shape == evidence[0].gradients.shape]
    scores = EdgeScores(kinds)
    if scores.count < _ENOUGH_EDGES:
        text = f"{scores.count} borders of depth: too few to see whether depth is aligned with the image"
        yield Finding("warn", "alignment", text)
        return
    timing, fit = scores.fit_lag(), scores.fit_displacement()
    # Displaced depth fits other images by chance better than its own, but worse than its own when it is moved back.
    is_late = timing.significant and timing.score >= fit.score
    if is_late:
        late, count = "late" if timing.lag > 0 else "early", abs(timing.lag)
        time, seconds = "", frames.seconds()
        if seconds is not None:
            time = f" ({count * float(np.median(np.diff(seconds))):.2g} s)"
        yield Finding(
            "refuse",
            "time offset",
            f"depth is {count} {'frame' if count == 1 else 'frames'}{time} too {late}: "
            f"its borders fit the image of another moment (score {timing.score:.3f}, own image {timing.given:.3f})",
            lagging_edges(frames, kinds, timing.lag),
        )
        fit = scores.fit_displacement(timing.lag)
    width = kinds[0].size[1]
    if fit.significant and fit.distance * width > _ALIGNED_CELLS * kinds[0].cell:
        best = fit.best
        right = f"{best.right * width:+.0f} pixels right"
        if best.parallax:
            camera = kinds[0].camera
            apart = "" if camera is None else f" (cameras {abs(best.parallax) * width / camera.fx * 1000:.0f} mm apart)"
            right = f"{best.parallax * width:+.1f} pixels right at 1 m{apart}"
        yield Finding(
            "refuse",
            "alignment",
            f"depth is not aligned with the image: its borders fit with a scale of {best.scale:.2f}, {right}, "
            f"{best.down * width:+.0f} down (score {fit.score:.3f}, as it is {fit.given:.3f}); "
            "record registered depth, or camera info and transforms of both cameras",
            displaced_edges(frames, kinds, best),
        )
    elif not (fit.confirmed or is_late):
        text = "the borders of depth fit the image no better than chance: is depth aligned, and of the same moment?"
        yield Finding("warn", "alignment", text, displaced_edges(frames, kinds, None))


def _check_scale(frames: FrameSet, evidence: Sequence[FrameEvidence], predictor: Predictor | None) -> Iterator[Finding]:
    some = [frame.index for frame in evidence[:: max(1, len(evidence) // _SCALE_FRAMES)]]
    if doubts := list(doubts_of_scale(frames, some, predictor)):
        yield Finding("warn", "scale", f"{'; '.join(doubts)}: are the unit of the depth and the focal length right?")


def _consecutive(evidence: Sequence[FrameEvidence]) -> Iterator[tuple[FrameEvidence, FrameEvidence]]:
    for before, after in pairwise(evidence):
        if after.index == before.index + 1:
            yield before, after


def _correlation(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """Of the brightness of two thumbnails; 1 if both are blank."""
    one, other = first - first.mean(), second - second.mean()
    power = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float((one * other).sum()) / power if power > 0 else 1.0
