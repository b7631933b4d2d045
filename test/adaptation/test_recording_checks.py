"""The checks of a recording, on made scenes whose faults are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mp_perception.adaptation.depth_alignment import Displacement, EdgeScores
from mp_perception.adaptation.frame_evidence import depth_edges, read_evidence, sample_indices
from mp_perception.adaptation.recording_checks import Finding, check_recording
from mp_perception.adaptation.scale_checks import doubts_of_scale, floor_distance, object_size_ratios
from mp_perception.data.frame_sets import Frame, FrameCamera, FrameSet
from mp_perception.geometry import CameraIntrinsics

WIDTH, HEIGHT, COUNT = 320, 240, 24
CAMERA = CameraIntrinsics(300, 300, 159.5, 119.5, WIDTH, HEIGHT)
Scene = list[tuple[NDArray[np.uint8], NDArray[np.float32]]]


class Scenes(FrameSet):
    """Frames in memory."""

    def __init__(self, scenes: Scene, camera: CameraIntrinsics | None = CAMERA) -> None:
        super().__init__("scenes", [Frame(f"{number:03d}", Path(), Path()) for number in range(len(scenes))])
        self._scenes, self._given = scenes, camera

    def image(self, index: int) -> NDArray[np.uint8]:
        return self._scenes[index][0]

    def depth(self, index: int) -> NDArray[np.float32]:
        return self._scenes[index][1]

    def camera(self, index: int, width: int, height: int) -> FrameCamera | None:
        return None if self._given is None else FrameCamera(self._given)

    def stamp(self, index: int) -> float | None:
        return 0.1 * index


@pytest.fixture(scope="module")
def scenes() -> Scene:
    """Boxes at 1 to 3 m before a textured wall at 4 to 5 m; every frame has others."""
    random = np.random.default_rng(3)
    made = []
    for _ in range(COUNT):
        texture = cv2.resize(random.integers(60, 130, (15, 20)).astype(np.float32), (WIDTH, HEIGHT))
        grey, depth = texture + random.normal(0, 2, texture.shape), np.linspace(4, 5, WIDTH * HEIGHT, dtype=np.float32)
        depth = depth.reshape(HEIGHT, WIDTH)
        for distance in sorted(random.uniform(1, 3, 8), reverse=True):
            (x, y), (w, h) = random.uniform((0, 0), (WIDTH, HEIGHT)).astype(int), random.integers(25, 70, 2)
            grey[y : y + h, x : x + w] = random.choice([20, 40, 160, 200]) + random.normal(0, 2)
            depth[y : y + h, x : x + w] = distance
        image = np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
        made.append((image, depth))
    return made


def warp(depth: NDArray[np.float32], displacement: Displacement) -> NDArray[np.float32]:
    """The depth map that the displacement brings back to where it was."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    centres = np.column_stack([columns.ravel() + 0.5, rows.ravel() + 0.5])
    source = displacement.apply(centres, np.full(len(centres), np.inf), (HEIGHT, WIDTH)) - 0.5
    x, y = source.T.reshape(2, HEIGHT, WIDTH).astype(np.float32)
    return np.asarray(cv2.remap(depth, x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE), dtype=np.float32)


def with_depth(scenes: Scene, change: Callable[[NDArray[np.float32]], NDArray[np.float32]]) -> Scenes:
    return Scenes([(image, change(depth)) for image, depth in scenes])


def refused(findings: Sequence[Finding]) -> list[str]:
    return [finding.name for finding in findings if finding.severity == "refuse"]


def warned(findings: Sequence[Finding]) -> list[str]:
    return [finding.name for finding in findings if finding.severity == "warn"]


def test_an_aligned_recording_is_accepted(scenes: Scene) -> None:
    findings = check_recording(Scenes(scenes))
    assert [(finding.severity, finding.name) for finding in findings] == [("warn", "frames")]
    assert findings[0].text == "24 frames with depth: expected 100 or more for good results"


@pytest.mark.parametrize(
    "displacement",
    [Displacement(0.9), Displacement(1.1), Displacement(right=0.015), Displacement(down=-0.02)],
)
def test_a_displacement_is_found_and_measured(scenes: Scene, displacement: Displacement) -> None:
    moved = with_depth(scenes, lambda depth: warp(depth, displacement))
    (finding,) = (finding for finding in check_recording(moved) if finding.severity == "refuse")
    assert finding.name == "alignment"
    assert finding.picture is not None
    assert finding.picture.shape == (HEIGHT, WIDTH, 3)
    fit = EdgeScores(list(read_evidence(moved, []))).fit_displacement().best
    assert fit.scale == pytest.approx(displacement.scale, abs=0.01)
    assert (fit.right + fit.parallax / 2, fit.down) == pytest.approx((displacement.right, displacement.down), abs=0.004)


@pytest.mark.parametrize("lag", [1, -3])
def test_depth_of_another_moment_is_found(scenes: Scene, lag: int) -> None:
    images, depths = [image for image, _ in scenes], [depth for _, depth in scenes]
    pairs = list(zip(images[lag:], depths, strict=False) if lag > 0 else zip(images, depths[-lag:], strict=False))
    findings = check_recording(Scenes(pairs))
    (finding,) = (finding for finding in findings if finding.severity == "refuse")
    assert finding.name == "time offset"
    late = "late" if lag > 0 else "early"
    assert f"depth is {'1 frame' if lag == 1 else '3 frames'} ({abs(lag) * 0.1:.2g} s) too {late}" in finding.text


def test_depth_that_has_nothing_to_do_with_the_images_is_doubted(scenes: Scene) -> None:
    findings = check_recording(with_depth(scenes, lambda depth: depth[::-1, ::-1]))
    assert "alignment" in warned(findings)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda depth: depth * np.float32(1000), "scale"),
        (lambda depth: depth / np.float32(1000), "scale"),
        (lambda depth: np.full_like(depth, 2.5), "constant depth"),
        (lambda depth: np.full_like(depth, np.nan), "depth"),
    ],
)
def test_impossible_depth_is_refused(
    scenes: Scene, change: Callable[[NDArray[np.float32]], NDArray[np.float32]], name: str
) -> None:
    assert refused(check_recording(with_depth(scenes, change))) == [name]


def test_holes_and_a_saturated_range_are_reported(scenes: Scene) -> None:
    random = np.random.default_rng(1)
    unknown = random.random((HEIGHT, WIDTH)) < 0.7
    assert "holes" in warned(check_recording(with_depth(scenes, lambda depth: np.where(unknown, np.nan, depth))))
    assert "saturated depth" in warned(check_recording(with_depth(scenes, lambda depth: np.minimum(depth, 2))))


def test_one_view_and_too_few_frames_are_refused(scenes: Scene) -> None:
    random = np.random.default_rng(1)
    image, depth = scenes[0]
    noisy = [(np.clip(image + random.normal(0, 3, image.shape), 0, 255).astype(np.uint8), depth) for _ in range(COUNT)]
    assert refused(check_recording(Scenes(noisy))) == ["motion"]
    assert refused(check_recording(Scenes(scenes[:19]))) == ["frames"]
    assert refused(check_recording(Scenes(scenes[:20]))) == []


def test_a_stopped_depth_camera_is_refused(scenes: Scene) -> None:
    stopped = [(image, scenes[0][1]) for image, _ in scenes]
    assert "repeated depth" in refused(check_recording(Scenes(stopped)))


def test_bad_exposure_is_reported(scenes: Scene) -> None:
    flashing = [((image // (3 if number % 3 else 1)), depth) for number, (image, depth) in enumerate(scenes)]
    (finding,) = (finding for finding in check_recording(Scenes(flashing)) if finding.name == "exposure")
    assert finding.text.startswith("the brightness jumps by over 25% between 15 of 23 pairs of frames")
    dark = [(np.where(image < 90, 0, image).astype(np.uint8), depth) for image, depth in scenes]
    assert "exposure" in warned(check_recording(Scenes(dark)))


def test_a_missing_or_wrong_camera_is_reported(scenes: Scene) -> None:
    assert "camera" in refused(check_recording(Scenes(scenes, None)))
    full_size = CameraIntrinsics(600, 600, 319.5, 239.5, WIDTH, HEIGHT)
    assert "camera" in warned(check_recording(Scenes(scenes, full_size)))


def test_what_was_mended_is_reported(scenes: Scene) -> None:
    frames = Scenes(scenes)
    frames.mended.append("/depth: registered into the camera")
    assert check_recording(frames)[0] == Finding("mended", "reading", "/depth: registered into the camera")


def test_borders_belong_to_the_nearer_surface() -> None:
    depth = np.full((6, 12), 4, np.float32)
    depth[2:4, 5:8] = 2
    depth[2:4, 8:10] = np.nan  # the shadow that a depth camera leaves
    edges = depth_edges(depth, sparse=False)
    assert (edges[:, 2] == 2).all()
    sides = edges[edges[:, 3] == 1]
    assert sorted(map(tuple, sides[:, :2].tolist())) == [(5, 2.5), (5, 3.5), (8, 2.5), (8, 3.5)]
    upright = edges[edges[:, 3] == 0]
    assert {tuple(edge) for edge in upright[:, :2].tolist()} == {(x + 0.5, y) for x in (5, 6, 7) for y in (2, 4)}


def test_a_lidars_lines_end_at_the_sky() -> None:
    depth = np.full((3, 40), np.nan, np.float32)
    depth[1, 10:20:2] = 5
    edges = depth_edges(depth, sparse=True)
    assert edges.tolist() == [[19, 1.5, 5, 1], [10, 1.5, 5, 1]]


def test_a_long_recording_is_sampled_in_runs() -> None:
    assert sample_indices(90) == list(range(90))
    indices = sample_indices(5000)
    assert len(indices) == 160
    assert (indices[0], indices[-1]) == (0, 4999)
    assert sum(after - before == 1 for before, after in pairwise(indices)) == 152


@pytest.mark.parametrize("factor", [5, 0.05])
def test_a_floor_at_an_impossible_distance_is_doubted(scenes: Scene, factor: float) -> None:
    rays = CAMERA.pixel_rays()
    tilt = np.radians(20)
    with np.errstate(divide="ignore"):
        floor = 0.6 / (rays[..., 1] * np.cos(tilt) + np.sin(tilt))  # 0.6 m below a camera that looks down
    floor[floor <= 0] = np.inf
    seen = np.minimum(floor, 6).astype(np.float32)
    assert floor_distance(seen, CAMERA) == pytest.approx(0.6, abs=0.01)
    assert floor_distance(np.full((HEIGHT, WIDTH), 3, np.float32), CAMERA) != pytest.approx(3)  # a wall
    doubts = list(doubts_of_scale(with_depth(scenes, lambda depth: seen * np.float32(factor)), range(5), None))
    assert len(doubts) == 1
    assert doubts[0].startswith(f"the floor is {0.6 * factor:.2g} m below the camera")


def test_cars_have_a_known_height(scenes: Scene) -> None:
    sample = Scenes(scenes)[0]
    depth = np.full((HEIGHT, WIDTH), 10, np.float32)
    objects = [("Car", np.array([50, 100, 150, 146], np.float32)), ("Car", np.array([0, 100, 150, 146], np.float32))]
    # 46 pixels at 10 m and a focal length of 300: 1.53 m; the other car is cut off by the image
    assert object_size_ratios(replace(sample, depth=depth), objects) == pytest.approx([1.0], abs=0.01)


def test_ground_at_a_flat_angle_has_no_borders() -> None:
    below = np.arange(1, 40, dtype=np.float32)  # rows below the horizon
    depth = np.full((60, 30), np.nan, np.float32)
    depth[21:] = (300 * 1.5 / below)[:, None]
    assert len(depth_edges(depth, sparse=False)) == 0
    depth[30:40, 10:15] = 20
    edges = depth_edges(depth, sparse=False)
    assert set(edges[:, 2].tolist()) == {20}
