"""Depth maps from a teacher whose map is the red of the image: scales, lidar, sky, and frames without lidar."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

from mp_perception.data.data_sets import open_data_set
from mp_perception.data.depth_png import read_depth_png, write_depth_png
from mp_perception.data.frame_sets import FrameSet
from mp_perception.errors import UserError
from mp_perception.training.taught_depth import References, align, consistent_scale, teach_depth, with_what_is_known
from mp_perception.training.teachers import DepthTeacher

HEIGHT, WIDTH = 20, 32
SLOPE, OFFSET = 0.5, 0.02
CALIBRATION = "P2: 20 0 15.5 0 0 20 9.5 0 0 0 1 0\n"
LIDAR = np.random.default_rng(7).random((HEIGHT, WIDTH)) < 0.5


@pytest.fixture
def teacher(tmp_path: Path) -> DepthTeacher:
    graph = f"""(float[1, 3, {HEIGHT}, {WIDTH}] image) => (float[1, 1, {HEIGHT}, {WIDTH}] map) {{
        first = Constant<value = int64[1] {{0}}>()
        second = Constant<value = int64[1] {{1}}>()
        map = Slice(image, first, second, second)
    }}"""
    path = tmp_path / "red.onnx"
    onnx.save(onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["": 17]> teacher {graph}'), path)
    return DepthTeacher(path)


def write_frame(root: Path, number: int, scale: float, lidar: bool) -> np.ndarray:
    """A frame whose red value tells the depth up to the scale; returns its true depth."""
    training = root / "training"
    for kind in ("image_2", "label_2", "calib", "depth_2"):
        (training / kind).mkdir(parents=True, exist_ok=True)
    red = np.random.default_rng(number).integers(10, 250, (HEIGHT // 4, WIDTH // 4)).repeat(4, axis=0).repeat(4, axis=1)
    depth = scale / (SLOPE * red / 255 + OFFSET)
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[..., 2] = red
    cv2.imwrite(str(training / "image_2" / f"{number:06d}.png"), image)
    (training / "label_2" / f"{number:06d}.txt").write_text("")
    (training / "calib" / f"{number:06d}.txt").write_text(CALIBRATION)
    if lidar:
        write_depth_png(training / "depth_2" / f"{number:06d}.png", np.where(LIDAR, depth, np.nan).astype(np.float32))
    return depth


def write_set(root: Path, scales: Sequence[float]) -> list[np.ndarray]:
    """Frames with lidar and these scales, and one more without lidar, whose scale is 1; returns their true depths."""
    depths = [write_frame(root, number, scale, lidar=True) for number, scale in enumerate(scales)]
    return [*depths, write_frame(root, len(scales), 1.0, lidar=False)]


def car_labels(frames: FrameSet, index: int, teacher: DepthTeacher, scale: float) -> list[str]:
    """Lines of three cars at the depths, times a scale, that the teacher's map has in the cores of their boxes."""
    inverse_depth = teacher.inverse_depth(frames[index].image)
    lines = []
    for column in (6, 16, 26):
        core = np.median(inverse_depth[8:13, column - 2 : column + 3])
        middle = scale / (SLOPE * core + OFFSET) + 0.1  # the 3D box is 0.2 m thick
        x = (column - 0.5 - 15.5) / 20 * middle
        box = f"{column - 5}.00 5.00 {column + 5}.00 15.00"
        lines.append(f"Car 0.00 0 -10 {box} 8.0 0.2 40.0 {x:.4f} 4.0000 {middle:.4f} 0.00")
    return lines


CLOSE_SCALES = (0.97, 0.98, 0.99, 1.0, 1.0, 1.0, 1.0, 1.01, 1.02, 1.03)
FAR_SCALES = (0.5, 0.6, 0.7, 0.8, 1.0, 1.0, 1.2, 1.4, 1.6, 2.0)


def test_frames_get_the_scale_of_their_lidar_or_of_the_other_frames(tmp_path: Path, teacher: DepthTeacher) -> None:
    depths = write_set(tmp_path, CLOSE_SCALES)
    out = tmp_path / "taught"
    taught = teach_depth(open_data_set("kitti-object", tmp_path), teacher, out)
    for number, depth in enumerate(depths):
        np.testing.assert_allclose(read_depth_png(out / f"{number:06d}.png"), depth, rtol=0.01)
    assert taught.written == {"lidar": 10, "other frames": 1}
    assert (taught.existing, taught.left_out) == (0, 0)
    np.testing.assert_allclose(taught.scales / taught.scales[4], CLOSE_SCALES, rtol=0.003)
    assert taught.alignment.slope == pytest.approx(SLOPE, rel=0.02)
    assert taught.alignment.offset == pytest.approx(OFFSET, abs=0.002)
    assert taught.errors["own scale"][0] < 0.003
    # Mean of |scale - 1| over the ten frames, measured against their own lidar: |1 / scale - 1|.
    assert taught.errors["scale of other frames"][0] == pytest.approx(
        np.mean([abs(1 / scale - 1) for scale in CLOSE_SCALES]), abs=0.003
    )
    assert taught.errors["own scale"][1] == taught.errors["scale of other frames"][1] == 1


def test_labelled_objects_give_the_scale_where_lidar_disagrees(tmp_path: Path, teacher: DepthTeacher) -> None:
    depths = write_set(tmp_path, FAR_SCALES)
    frames = open_data_set("kitti-object", tmp_path)
    lines = car_labels(frames, 10, teacher, 1.3)
    labels = tmp_path / "training" / "label_2" / "000010.txt"
    labels.write_text("\n".join(lines[:2]))
    assert teach_depth(frames, teacher, tmp_path / "two").left_out == 1
    assert not (tmp_path / "two" / "000010.png").exists()
    labels.write_text("\n".join(lines))
    taught = teach_depth(frames, teacher, tmp_path / "three")
    assert taught.written == {"lidar": 10, "objects": 1}
    assert "scale of other frames" not in taught.errors
    np.testing.assert_allclose(read_depth_png(tmp_path / "three" / "000010.png"), 1.3 * depths[10], rtol=0.05)


def test_objects_align_a_set_without_lidar(tmp_path: Path, teacher: DepthTeacher) -> None:
    for number in range(6):
        write_frame(tmp_path, number, 1.0, lidar=False)
    frames = open_data_set("kitti-object", tmp_path)
    for number in range(5):
        lines = car_labels(frames, number, teacher, 1.0)
        (tmp_path / "training" / "label_2" / f"{number:06d}.txt").write_text("\n".join(lines))
    taught = teach_depth(frames, teacher, tmp_path / "taught")
    assert taught.written == {"objects": 5}
    assert taught.left_out == 1
    assert (len(taught.scales), taught.errors) == (0, {})
    assert taught.alignment.slope == pytest.approx(SLOPE, rel=0.1)


def test_existing_maps_are_kept(tmp_path: Path, teacher: DepthTeacher) -> None:
    write_set(tmp_path, CLOSE_SCALES)
    out = tmp_path / "taught"
    frames = open_data_set("kitti-object", tmp_path)
    teach_depth(frames, teacher, out)
    first = (out / "000003.png").read_bytes()
    (out / "000003.png").unlink()
    (out / "000004.png").write_bytes(b"kept")
    taught = teach_depth(frames, teacher, out)
    assert (taught.existing, taught.written) == (10, {"lidar": 1})
    # The same map again, because the alignment does not depend on what exists.
    assert (out / "000003.png").read_bytes() == first
    assert (out / "000004.png").read_bytes() == b"kept"
    assert len(list(out.iterdir())) == 11


def test_the_other_kind_of_depth_and_sets_without_references_are_refused(tmp_path: Path, teacher: DepthTeacher) -> None:
    write_set(tmp_path, CLOSE_SCALES)
    frames = open_data_set("kitti-object", tmp_path)
    with pytest.raises(UserError, match=r"red.onnx: expected metric depth, found a map that falls with it"):
        teach_depth(frames, DepthTeacher(teacher.network.path, "metric"), tmp_path / "taught")
    for path in (tmp_path / "training" / "depth_2").iterdir():
        path.unlink()
    frames = open_data_set("kitti-object", tmp_path)
    with pytest.raises(UserError, match="kitti-object: expected frames with 200 lidar pixels, or 3 labelled objects"):
        teach_depth(frames, teacher, tmp_path / "taught")
    assert not (tmp_path / "taught").exists()


def test_lidar_replaces_the_map_and_the_sky_is_unknown() -> None:
    depth = np.full((20, 30), 50, np.float32)
    lidar = np.full((20, 30), np.nan, np.float32)
    lidar[0, 29], lidar[12, 2] = 33, 7
    sky = np.zeros((20, 30), dtype=bool)
    sky[:6, 10:] = True
    known = with_what_is_known(depth, lidar, sky)
    assert (known[0, 29], known[12, 2]) == (33, 7)
    # The mask ends before row 6 and begins at column 10; four pixels more are unknown.
    unknown = np.zeros((20, 30), dtype=bool)
    unknown[:10, 6:] = True
    unknown[0, 29] = False
    np.testing.assert_array_equal(np.isnan(known), unknown)
    assert (known[~unknown & np.isnan(lidar)] == 50).all()
    assert np.isfinite(depth).all()
    np.testing.assert_array_equal(with_what_is_known(depth, None, None), depth)


def test_outliers_do_not_move_the_alignment() -> None:
    random = np.random.default_rng(1)
    inverse_depth = random.uniform(0, 1, 1000).astype(np.float32)
    depth = (1 / (0.3 * inverse_depth + 0.01)).astype(np.float32)
    depth[:100] *= random.uniform(2, 5, 100).astype(np.float32)
    found = align([References(inverse_depth[:400], depth[:400]), References(inverse_depth[400:], depth[400:])])
    assert found.slope == pytest.approx(0.3, rel=0.01)
    assert found.offset == pytest.approx(0.01, rel=0.02)
    # Where the map says that nothing is far enough, depth ends at the files' maximum.
    np.testing.assert_allclose(found.depth(np.float32([1, -1])), [1 / 0.31, 255], rtol=0.01)


def test_few_or_different_scales_are_not_those_of_other_frames() -> None:
    assert consistent_scale(np.float32([1.0] * 9)) is None
    assert consistent_scale(np.float32([2.0] * 9 + [9.0])) == 2
    assert consistent_scale(np.linspace(0.88, 1.12, 25, dtype=np.float32)) == pytest.approx(1)
    assert consistent_scale(np.linspace(0.8, 1.2, 25, dtype=np.float32)) is None
