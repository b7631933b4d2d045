"""Box, pixels, depth and camera stay registered through any chain of transforms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mp_perception.data.augmentation import RandomFlip, ScaleAndCrop, modern_recipe
from mp_perception.data.sample_geometry import crop, flip, letterbox, pad, resize, resize_measured_depth
from mp_perception.data.samples import Sample
from mp_perception.geometry import CameraIntrinsics
from mp_perception.inference.preprocess import Preprocessor

HEIGHT, WIDTH = 40, 100
CAMERA = CameraIntrinsics(fx=70, fy=65, cx=47.3, cy=18.8, width=WIDTH, height=HEIGHT)
Step = Callable[[Sample], Sample]


def make_sample(seed: int, known_fraction: float) -> Sample:
    """Three flat objects at their depths; every known depth is another one, so that it tells where it came from.

    The image's red grows by 2 per column and its green by 5 per row; its blue is full, which black borders are not.
    """
    random = np.random.default_rng(seed)
    image = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
    image[..., 0] = 2 * np.arange(WIDTH)
    image[..., 1] = 5 * np.arange(HEIGHT)[:, None]
    image[..., 2] = 255
    depth = random.permutation(np.linspace(2, 60, HEIGHT * WIDTH)).astype(np.float32).reshape(HEIGHT, WIDTH)
    depth[random.random(depth.shape) > known_fraction] = np.nan
    corners = np.sort(random.uniform(0, 1, (3, 2, 2)) * [WIDTH - 12, HEIGHT - 12], axis=1)
    boxes = np.concatenate([corners[:, 0], corners[:, 1] + 12], axis=1).astype(np.float32)
    return Sample(
        name="x",
        origin="test",
        image=image,
        class_names=("Car", "Pedestrian"),
        boxes=boxes,
        labels=np.array([0, 1, 0]),
        object_depths=np.array([5, 17, 40], dtype=np.float32),
        exact=np.array([True, True, True]),
        ignored=boxes[:1] + np.float32(1),
        labelled_classes=np.array([True, True]),
        depth=depth,
        intrinsics=CAMERA,
    )


@st.composite
def steps(draw: st.DrawFn) -> tuple[list[Step], bool]:
    """A chain of one to five steps, and whether it mirrors the image."""
    chain: list[Step] = []
    mirrored = False
    fraction = st.floats(0, 1)
    for _ in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(["flip", "crop", "resize", "pad", "letterbox"]))
        a, b, c, d = (draw(fraction) for _ in range(4))

        def apply(sample: Sample, kind: str = kind, a: float = a, b: float = b, c: float = c, d: float = d) -> Sample:
            height, width = sample.size
            if kind == "flip":
                return flip(sample)
            if kind == "crop":
                new_width, new_height = width - int(a * 0.4 * width), height - int(b * 0.4 * height)
                return crop(sample, int(c * (width - new_width)), int(d * (height - new_height)), new_width, new_height)
            if kind == "resize":
                return resize(sample, max(2, int((0.4 + 1.2 * a) * width)), max(2, int((0.4 + 1.2 * b) * height)))
            if kind == "pad":
                return pad(sample, width + int(20 * a), height + int(20 * b), top=int(20 * b * c))
            return letterbox(sample, (24 + int(40 * a), 60 + int(80 * b)))

        chain.append(apply)
        mirrored ^= kind == "flip"
    return chain, mirrored


def scene_points(sample: Sample) -> np.ndarray:
    """Camera coordinates (n, 3) of all known pixels' centres."""
    rows, columns = np.nonzero(np.isfinite(sample.depth))
    return sample.intrinsics.unproject(np.stack([columns + 0.5, rows + 0.5], axis=1), sample.depth[rows, columns])


def depth_tolerance(chain: list[Sample]) -> np.ndarray:
    """How far (2,) a known depth may move, in pixels of the last sample: half a coarser pixel per resize."""
    scales = np.array([[sample.intrinsics.fx, sample.intrinsics.fy] for sample in chain])
    resized = (scales[1:] != scales[:-1]).any(axis=1)
    coarser = np.minimum(scales[1:], scales[:-1])[resized]
    return 0.5 * (scales[-1] / coarser).sum(axis=0) + 1e-3


def assert_registered(chain: list[Sample], mirrored: bool) -> None:
    before, after = chain[0], chain[-1]
    mirror = np.array([-1 if mirrored else 1, 1, 1])

    # Depth: every known depth is an old one, unchanged, and its 3D point projects to the pixel that holds it.
    old = {np.float32(point[2]).item(): point * mirror for point in scene_points(before)}
    rows, columns = np.nonzero(np.isfinite(after.depth))
    if len(rows):
        origins = np.array([old[value.item()] for value in after.depth[rows, columns]])
        offsets = np.abs(after.intrinsics.project(origins) - np.stack([columns + 0.5, rows + 0.5], axis=1))
        assert (offsets <= depth_tolerance(chain)).all()

    # Boxes: the corners of the flat objects in space, projected by the new camera and cut to the image.
    for i, depth in enumerate(before.object_depths):
        corners = before.intrinsics.unproject(before.boxes[i].reshape(2, 2), np.full(2, depth)) * mirror
        projected = after.intrinsics.project(corners)
        low = np.clip(projected.min(axis=0), 0, None)
        found = [box for box, found_depth in zip(after.boxes, after.object_depths, strict=True) if found_depth == depth]
        for box in found:
            # A crop before a padding cuts where the image ended then, so edges may lie further inside.
            assert (box[:2] >= low - 0.02).all()
            assert (box[2:] <= projected.max(axis=0) + 0.02).all()

    # Image: red and green tell the old column and row of what is seen at a pixel's centre, where no border mixes in.
    height, width = after.size
    v, u = np.mgrid[2 : height - 2 : 3, 2 : width - 2 : 3]
    pixels = np.stack([u.ravel() + 0.5, v.ravel() + 0.5], axis=1)
    if len(pixels):
        expected = before.intrinsics.project(after.intrinsics.unproject(pixels, np.ones(len(pixels))) * mirror) - 0.5
        seen = after.image[v.ravel(), u.ravel()].astype(float)
        inside = (
            (expected > 3).all(axis=1)
            & (expected[:, 0] < WIDTH - 4)
            & (expected[:, 1] < HEIGHT - 4)
            & (seen[:, 2] > 253)
        )
        away = np.abs(seen[inside, :2] / [2, 5] - expected[inside])
        # Half an old pixel and rounded grey values; more only where an enlarged image is continued beyond its edge.
        assert len(away) < 20 or np.quantile(away, 0.8) < 0.75


@settings(max_examples=150)
@given(steps(), st.integers(0, 2**32 - 1), st.sampled_from([0.05, 0.5, 1.0]))
def test_everything_stays_registered(drawn: tuple[list[Step], bool], seed: int, known_fraction: float) -> None:
    chain = [make_sample(seed, known_fraction)]
    for step in drawn[0]:
        chain.append(step(chain[-1]))
    assert_registered(chain, mirrored=drawn[1])


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_random_transforms_stay_registered_too(seed: int) -> None:
    before = make_sample(seed, 0.3)
    assert_registered([before, ScaleAndCrop((32, 64))(before, np.random.default_rng(seed))], mirrored=False)
    assert_registered([before, RandomFlip(1.0)(before, np.random.default_rng(seed))], mirrored=True)
    recipe = modern_recipe((32, 64))
    first, second = (recipe(before, np.random.default_rng(seed)) for _ in range(2))
    assert first.size == (32, 64)
    assert (first.image == second.image).all()
    np.testing.assert_array_equal(first.depth, second.depth)


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.6, 1.0, 1.8]))
def test_zoom_keeps_the_principal_points_row(seed: int, zoom: float) -> None:
    """So the road's rows keep their distance in focal lengths; but for the tilt, and half a pixel of rounding.

    Before the zoom the scale is between that of the letterbox and that at which the image fills the input.
    """
    before = make_sample(seed, 0.3)
    fitting = [limit / side for limit, side in zip((32, 64), before.size, strict=True)]
    still = ScaleAndCrop((32, 64), zoom=(zoom, zoom), tilt=0.0)(before, np.random.default_rng(seed)).intrinsics
    scale = still.fy / before.intrinsics.fy / zoom
    assert 0.94 * min(fitting) < scale < 1.06 * max(fitting)
    assert still.cy == pytest.approx(before.intrinsics.cy * scale, abs=0.5 * zoom + 2)
    tilted = ScaleAndCrop((32, 64), zoom=(zoom, zoom), tilt=0.1)(before, np.random.default_rng(seed)).intrinsics
    assert abs(tilted.cy - still.cy) <= 3.2 + zoom + 1.2


def test_padding_above_and_below() -> None:
    sample = make_sample(1, 1.0)
    height, width = sample.size
    padded = pad(sample, width + 3, height + 9, top=4)
    assert (padded.image[:4] == 0).all()
    assert (padded.image[4 + height :] == 0).all()
    np.testing.assert_array_equal(padded.image[4 : 4 + height, :width], sample.image)
    with pytest.raises(ValueError, match="does not fit into .* at row 10"):
        pad(sample, width + 3, height + 9, top=10)


def test_boxes_that_are_not_cut_are_exact() -> None:
    sample = make_sample(3, 1.0)
    moved = resize(pad(flip(resize(sample, 150, 64)), 170, 70), 340, 35)
    for box, moved_box, depth in zip(sample.boxes, moved.boxes, sample.object_depths, strict=True):
        corners = CAMERA.unproject(box.reshape(2, 2), np.full(2, depth)) * [-1, 1, 1]
        projected = moved.intrinsics.project(corners)
        expected = np.concatenate([projected.min(axis=0), projected.max(axis=0)])
        np.testing.assert_allclose(moved_box, expected, atol=1e-3)


@pytest.mark.parametrize("size", [(375, 1242), (70, 200), (900, 300)])
def test_letterbox_gives_the_pixels_that_inference_sees(size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    seen, _ = Preprocessor((96, 320))(image)
    np.testing.assert_array_equal(letterbox(Sample("1", "test", image, ("Car",)), (96, 320)).image, seen[0])


def test_crop_cuts_objects_and_ignores_slivers() -> None:
    sample = replace(
        make_sample(0, 1.0),
        boxes=np.array([[10, 10, 30, 30], [25, 10, 45, 30], [60, 10, 80, 30]], dtype=np.float32),
        exact=np.array([True, False, True]),
        ignored=np.array([[0, 0, 100, 5]], dtype=np.float32),
    )
    # 15 of 20 columns of the first are left, 20 of 20 of the second; of the third 2 of 20, a sliver.
    cut = crop(sample, 15, 0, 47, 40)
    assert cut.boxes.tolist() == [[0, 10, 15, 30], [10, 10, 30, 30]]
    assert cut.labels.tolist() == [0, 1]
    assert cut.object_depths.tolist() == [5, 17]
    assert cut.exact.tolist() == [True, False]
    assert cut.ignored.tolist() == [[0, 0, 47, 5], [45, 10, 47, 30]]
    with pytest.raises(ValueError, match="no part 50x10"):
        crop(sample, 60, 0, 50, 10)


def test_shrinking_keeps_sparse_points_and_the_nearest_of_them() -> None:
    depth = np.full((4, 8), np.nan, dtype=np.float32)
    depth[0, 0], depth[1, 0] = 9, 7  # both in pixel (0, 0), under whose centre is pixel (1, 1)
    depth[1, 3], depth[0, 2] = 30, 4  # pixel (0, 1): the centre's own depth counts, though another is nearer
    depth[3, 7] = 50
    expected = [[7, 30, np.nan, np.nan], [np.nan, np.nan, np.nan, 50]]
    np.testing.assert_array_equal(resize_measured_depth(depth, 4, 2), expected)


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_depth_is_resized_as_its_docstring_says(height: int, width: int, rows: int, columns: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    depth = random.uniform(1, 80, (height, width)).astype(np.float32)
    depth[random.random(depth.shape) < 0.6] = np.nan
    expected = np.full((rows, columns), np.nan, dtype=np.float32)
    for row in range(rows):
        for column in range(columns):
            # Exact fractions: the old pixel under the centre, and the old centres within the new pixel.
            old_row, old_column = (2 * row + 1) * height // (2 * rows), (2 * column + 1) * width // (2 * columns)
            value = depth[old_row, old_column]
            if np.isnan(value):
                within = [
                    depth[r, c]
                    for r in range(height)
                    for c in range(width)
                    if 2 * row * height <= (2 * r + 1) * rows < 2 * (row + 1) * height
                    and 2 * column * width <= (2 * c + 1) * columns < 2 * (column + 1) * width
                    and np.isfinite(depth[r, c])
                ]
                value = min(within, default=np.nan)
            expected[row, column] = value
    np.testing.assert_array_equal(resize_measured_depth(depth, columns, rows), expected)


def test_a_sample_without_labels_stays_without() -> None:
    unlabelled = Sample("x", "test", np.zeros((20, 30, 3), dtype=np.uint8), ("Car",))
    moved = letterbox(crop(flip(unlabelled), 0, 0, 20, 10), (32, 64))
    assert (len(moved.boxes), moved.depth, moved.intrinsics) == (0, None, None)
    assert moved.size == (32, 64)
    assert moved.labelled_classes.tolist() == [False]
