"""Pasted people: size, feet, depth and boxes by hand; what hides them and what they hide; which cut-outs are drawn."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mp_perception.data.cutouts import Cutout, Cutouts, PasteCutouts, feet_row, paste, stands_on_ground
from mp_perception.data.samples import Sample
from mp_perception.errors import UserError
from mp_perception.geometry import CameraIntrinsics

#: The horizon is the image point in row 29.5 + 0.5 = 30.
CAMERA = CameraIntrinsics(fx=100, fy=100, cx=59.5, cy=29.5, width=120, height=60)
#: The ground at 10 m is in row 30 + 100 * 1.65 / 10 = 46.5, at 11 m in row 45.
DISTANCE = 11.0
#: As high as 16 pixels at 11 m: the mask of 32 pixels is halved.
PERSON = Cutout(Path("person.webp"), "pedestrian", 1.76)
#: What the mask covers then: its lowest row is above row 45, its middle column is 50.
ROWS, COLUMNS = slice(29, 45), slice(47, 53)


def pixels_of_person() -> np.ndarray:
    """RGBA 40x20: an opaque rectangle in rows 4 to 35 and columns 4 to 15."""
    pixels = np.zeros((40, 20, 4), np.uint8)
    pixels[4:36, 4:16] = (200, 60, 20, 255)
    return pixels


def sample(boxes: list[list[float]] | None = None, depths: list[float] | None = None, depth: float = 40) -> Sample:
    """A grey image with pedestrians, and a depth map that is the same everywhere, but not known in the top row."""
    depth_map = np.full((60, 120), depth, np.float32)
    depth_map[0] = np.nan
    count = len(boxes or [])
    return Sample(
        name="grey",
        origin="test",
        image=np.full((60, 120, 3), 100, np.uint8),
        class_names=("Pedestrian", "Cyclist"),
        labelled_classes=np.array([True, True]),
        boxes=np.array(boxes or [], np.float32).reshape(-1, 4),
        labels=np.zeros(count, np.int64),
        object_depths=np.array(depths or [], np.float32),
        exact=np.ones(count, dtype=bool),
        depth=depth_map,
        intrinsics=CAMERA,
    )


def paste_person(
    into: Sample, cutout: Cutout = PERSON, distance: float = DISTANCE, column: float = 50
) -> Sample | None:
    return paste(into, pixels_of_person(), cutout, distance, column, np.random.default_rng(3))


def covered(found: Sample) -> np.ndarray:
    """Mask of the pixels that have the pasted person's depth."""
    assert found.depth is not None
    return np.asarray(found.depth == np.float32(DISTANCE))


def test_size_feet_box_and_depth_by_hand() -> None:
    before = sample()
    found = paste_person(before)
    wanted = np.zeros((60, 120), dtype=bool)
    wanted[ROWS, COLUMNS] = True
    np.testing.assert_array_equal(covered(found), wanted)
    assert (found.depth[~wanted & np.isfinite(before.depth)] == 40).all()
    # The margins are 0.02, 0.035, 0.02 and 0.01 of 16 pixels.
    np.testing.assert_allclose(found.boxes, [[46.68, 28.44, 53.32, 45.16]], atol=1e-4)
    assert found.class_names[found.labels[0]] == "Pedestrian"
    assert (found.object_depths.tolist(), found.exact.tolist()) == ([11], [True])
    # Redder than grey inside, the same outside (the blur reaches some pixels).
    inside, outside = found.image[31:43, 48:52].astype(int), found.image.copy()
    assert (inside[..., 0] - inside[..., 2] > 60).all()
    outside[25:50, 43:57] = 100
    assert (outside == 100).all()
    assert (before.image == 100).all()
    assert len(before.boxes) == 0


@given(distance=st.floats(5, 45), fy=st.floats(50, 300))
def test_feet_are_where_the_ground_is_projected(distance: float, fy: float) -> None:
    camera = replace(CAMERA, fy=fy)
    ((_, row),) = camera.project([[0.0, 1.65, distance]])
    assert feet_row(camera, distance) == pytest.approx(row)


@pytest.mark.parametrize("distance", [6.0, 22.0])
def test_size_is_inverse_to_the_distance(distance: float) -> None:
    found = paste_person(sample(), distance=distance)
    left, top, right, bottom = found.boxes[0]
    height = 100 * 1.76 / distance
    assert bottom - top == pytest.approx(1.045 * height, rel=1e-3)
    # The mask's height is 32 pixels, its width 12.
    assert right - left == pytest.approx(12 / 32 * height + 0.04 * height, rel=1e-3)
    # Whole pixels of the image are replaced: up to half a pixel from the exact row.
    assert bottom - 0.01 * height == pytest.approx(feet_row(CAMERA, distance), abs=0.5)


@pytest.mark.parametrize("hidden_columns", [1, 3, 4, 5])
@pytest.mark.parametrize("by", ["box", "depth"])
def test_what_is_nearer_hides_and_decides_what_becomes_of_the_object(by: str, hidden_columns: int) -> None:
    first = 53 - hidden_columns
    if by == "box":
        into = sample([[first, 20, 80, 60]], [5.0])
    else:
        into = sample()
        into.depth[:, first:80] = 5
    found = paste_person(into)
    if hidden_columns == 5:  # one sixth is visible
        assert found is None
        return
    assert not covered(found)[:, first:].any()
    assert covered(found)[ROWS, 47:first].all()
    assert (found.image[:, first + 3 : 80] == 100).all()
    # The box is of the whole object, as KITTI's; where only a third of it is visible, nobody would label it.
    pasted = found.boxes[len(into.boxes) :]
    assert (len(pasted), len(found.ignored)) == ((0, 1) if hidden_columns == 4 else (1, 0))
    np.testing.assert_allclose([*pasted, *found.ignored], [[46.68, 28.44, 53.32, 45.16]], atol=1e-4)


def test_what_is_as_far_or_of_unknown_depth_does_not_hide() -> None:
    into = sample([[45, 20, 60, 60], [45, 20, 60, 60]], [10.5, np.nan])
    into.depth[ROWS, COLUMNS] = 10.5
    assert covered(paste_person(into))[ROWS, COLUMNS].all()


def test_single_pixels_of_lidar_do_not_hide() -> None:
    into = sample()
    into.depth[::4, ::4] = 5
    assert covered(paste_person(into))[ROWS, COLUMNS].all()


def test_objects_behind_become_unknown_if_most_of_them_is_hidden() -> None:
    behind, beside, nearer = [48, 30, 54, 42], [50, 30, 62, 42], [52, 30, 53, 42]
    found = paste_person(sample([behind, beside, nearer, behind], [20.0, 20.0, 5.0, np.nan]))
    np.testing.assert_array_equal(found.boxes[:2], [beside, nearer])
    assert len(found.boxes) == len(found.labels) == len(found.object_depths) == len(found.exact) == 3
    np.testing.assert_array_equal(found.ignored, [behind, behind])


def test_the_part_outside_the_image_is_cut_off() -> None:
    found = paste_person(sample(), column=118)
    assert covered(found)[ROWS, 115:].all()
    np.testing.assert_allclose(found.boxes, [[114.68, 28.44, 120, 45.16]], atol=1e-4)
    assert paste_person(sample(), column=122) is None


@pytest.mark.parametrize(("kind", "num_ignored"), [("negative", 1), ("motorcyclist", 2)])
def test_other_kinds_are_no_objects(kind: str, num_ignored: int) -> None:
    found = paste_person(sample([[48, 30, 53, 42]], [20.0]), replace(PERSON, kind=kind))
    assert covered(found).sum() == 96
    assert len(found.boxes) == 0
    assert len(found.ignored) == num_ignored


def test_edges_have_no_depth() -> None:
    pixels = pixels_of_person()
    pixels[4:36, 4:6, 3] = 128
    found = paste(sample(), pixels, PERSON, DISTANCE, 50, np.random.default_rng(3))
    assert np.isnan(found.depth[ROWS, 47]).all()
    assert (found.depth[ROWS, 48:53] == 11).all()


def test_people_stand_on_free_ground() -> None:
    into = sample([[20, 20, 40, 50]], [12.0], depth=DISTANCE)
    assert stands_on_ground(into, 50, DISTANCE)
    assert not stands_on_ground(into, 30, DISTANCE)  # in a box
    assert not stands_on_ground(into, 120, DISTANCE)  # beside the image
    assert not stands_on_ground(into, 50, 5)  # below the image: row 63
    into.depth[40:50, 60:100] = 13.5  # a hole: the ground is 23 % farther than flat ground would be
    assert not stands_on_ground(into, 80, DISTANCE)
    into.depth[40:50, 60:100] = np.inf
    assert not stands_on_ground(into, 80, DISTANCE)
    into.depth[40:50, 60:100] = np.nan
    assert stands_on_ground(into, 80, DISTANCE)
    assert stands_on_ground(replace(into, depth=None), 80, DISTANCE)


def write_index(folder: Path, rows: list[tuple[str, str, str]]) -> Path:
    """An index of files (class, source_set, on_ground), each an image of a person."""
    lines = ["file,class,source_set,height_m,on_ground"]
    folder.mkdir(exist_ok=True)
    for number, (kind, source, on_ground) in enumerate(rows):
        lines.append(f"{number}.png,{kind},{source},1.76,{on_ground}")
        cv2.imwrite(str(folder / f"{number}.png"), pixels_of_person()[..., [2, 1, 0, 3]])
    (folder / "index.csv").write_text("\n".join(lines))
    return folder


def test_kinds_and_sources_are_drawn_by_their_frequencies(tmp_path: Path) -> None:
    rows = [("pedestrian", "small", "1")] + [("pedestrian", "large", "1")] * 9 + [("pedestrian", "large", "0")] * 30
    rows += [("cyclist", "a", "1"), ("negative", "a", "1"), ("motorcyclist", "a", "1")]
    cutouts = Cutouts(write_index(tmp_path, rows))
    random = np.random.default_rng(0)
    drawn = [cutouts.draw(random) for _ in range(8000)]
    kinds = Counter(cutout.kind for cutout in drawn)
    for kind, frequency in {"pedestrian": 0.5, "cyclist": 0.38, "negative": 0.08, "motorcyclist": 0.04}.items():
        assert kinds[kind] / 8000 == pytest.approx(frequency, abs=4 * np.sqrt(frequency / 8000))
    numbers = Counter(int(cutout.path.stem) for cutout in drawn)
    # One and nine cut-outs: the square roots are as 1 to 3, so the single one is drawn in a quarter of the cases.
    assert numbers[0] / kinds["pedestrian"] == pytest.approx(0.25, abs=0.03)
    # Those that do not stand on the ground are never drawn.
    assert set(numbers) == set(range(10)) | {40, 41, 42}


def test_missing_kinds_are_left_out(tmp_path: Path) -> None:
    cutouts = Cutouts(write_index(tmp_path, [("cyclist", "a", "1")]))
    assert {cutouts.draw(np.random.default_rng(seed)).kind for seed in range(20)} == {"cyclist"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "index.csv: expected file, class, source_set, height_m, on_ground, found: .*No such file"),
        (b"file,class\n1.png,pedestrian\n", "found: 'on_ground'"),
        (b"file,class,source_set,height_m,on_ground\n1.png,pedestrian,a,tall,1\n", "could not convert string to float"),
        (
            b"file,class,source_set,height_m,on_ground\n1.png,robot,a,1,1\n",
            "expected classes pedestrian, cyclist, motorcyclist, negative, found 'robot'",
        ),
        (
            b"file,class,source_set,height_m,on_ground\n1.png,cyclist,a,1,0\n",
            "expected cut-outs that stand on the ground, found none",
        ),
        (b"file,class,on_ground,source_set,height_m\n1.png,cyclist,1,a\n", "index.csv: expected file, class"),
        (b"\xff\xfe", "index.csv: expected file, class"),
    ],
)
def test_a_wrong_index_is_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "index.csv").write_bytes(content)
    with pytest.raises(UserError, match=message):
        Cutouts(tmp_path)


def test_a_sample_is_changed_in_the_same_way_by_the_same_random_numbers(tmp_path: Path) -> None:
    transform = PasteCutouts(Cutouts(write_index(tmp_path, [("pedestrian", "a", "1"), ("cyclist", "a", "1")])), 1.0)
    before = replace(sample(), depth=None)
    first, second = (transform(before, np.random.default_rng(5)) for _ in range(2))
    assert 1 <= len(first.boxes) <= 3
    for name in ("image", "boxes", "labels", "object_depths", "exact", "ignored"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    counts = {len(transform(before, np.random.default_rng(seed)).boxes) for seed in range(40)}
    assert {1, 2, 3} <= counts


def test_samples_are_left_alone_without_camera_or_labels_of_people(tmp_path: Path) -> None:
    cutouts = Cutouts(write_index(tmp_path, [("pedestrian", "a", "1")]))
    always, never = PasteCutouts(cutouts, 1.0), PasteCutouts(cutouts, 0.0)
    random = np.random.default_rng(0)
    for left_alone in (replace(sample(), intrinsics=None), replace(sample(), labelled_classes=np.array([True, False]))):
        assert always(left_alone, random) is left_alone
    before = sample()
    assert never(before, random) is before
    assert always(replace(before, depth=None), random) is not before


def test_a_file_without_alpha_channel_is_refused(tmp_path: Path) -> None:
    cutouts = Cutouts(write_index(tmp_path, [("pedestrian", "a", "1")]))
    for content in (b"no image", cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes()):
        (tmp_path / "0.png").write_bytes(content)
        with pytest.raises(UserError, match=r"0.png: expected an image with an alpha channel"):
            PasteCutouts(cutouts, 1.0)(sample(), np.random.default_rng(0))
