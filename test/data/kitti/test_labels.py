"""Label lines: reading, writing, and refused input."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mp_perception.data.kitti.labels import format_label_line, parse_label_line, read_labels, write_labels
from mp_perception.data.object_label import IGNORED_REGION, Box3D, ObjectLabel
from mp_perception.errors import UserError

CAR = "Car 0.25 1 -1.58 587.01 173.33 614.12 200.12 1.65 1.67 3.64 -0.65 1.71 46.70 -1.59"
DONT_CARE = "DontCare -1 -1 -10 503.89 169.71 590.61 190.13 -1 -1 -1 -1000 -1000 -1000 -10"


def test_every_column_is_read() -> None:
    assert parse_label_line(CAR, "x:1") == ObjectLabel(
        class_name="Car",
        box=(587.01, 173.33, 614.12, 200.12),
        truncation=0.25,
        occlusion=1,
        box_3d=Box3D((-0.65, 1.71, 46.70), (1.65, 1.67, 3.64), -1.59),
    )
    assert parse_label_line(CAR + " 0.75", "x:1") == parse_label_line(CAR, "x:1")


def test_unknown_columns_are_none() -> None:
    assert parse_label_line(DONT_CARE, "x:1") == ObjectLabel(IGNORED_REGION, (503.89, 169.71, 590.61, 190.13))


def test_the_observation_angle_is_written() -> None:
    """KITTI's alpha is the rotation relative to the ray from the camera to the object."""
    assert format_label_line(parse_label_line(CAR, "x:1")) == CAR


def test_class_names_with_spaces_are_one_column(tmp_path: Path) -> None:
    label = replace(parse_label_line(CAR, "x:1"), class_name="traffic  light")
    write_labels(tmp_path / "0.txt", [label])
    assert read_labels(tmp_path / "0.txt") == [replace(label, class_name="traffic_light")]


def test_a_byte_order_mark_is_no_part_of_the_first_class(tmp_path: Path) -> None:
    (tmp_path / "0.txt").write_text(CAR, encoding="utf-8-sig")
    assert read_labels(tmp_path / "0.txt")[0].class_name == "Car"


@pytest.mark.parametrize(("number", "shown"), [("1e300", "1e+300"), ("-1e10", "-1e+10")])
def test_numbers_that_no_length_or_pixel_has_are_refused(number: str, shown: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_label_line(CAR.replace("46.70", number), "x:1")
    assert str(caught.value) == f"x:1: expected numbers of at most 1e+09, found {shown}"


decimals = st.integers(-90000, 90000).map(lambda hundredths: hundredths / 100)


@given(
    st.sampled_from([None, 0.0, 0.5, 1.0]),
    st.none() | st.integers(0, 3),
    st.lists(decimals, min_size=2, max_size=2).map(sorted),
    st.lists(decimals, min_size=2, max_size=2).map(sorted),
    st.none() | st.builds(Box3D, st.tuples(decimals, decimals, decimals), st.just((1.5, 1.6, 3.7)), st.just(-0.25)),
)
def test_what_is_written_is_read_again(
    truncation: float | None,
    occlusion: int | None,
    columns: list[float],
    rows: list[float],
    box_3d: Box3D | None,
) -> None:
    box = (columns[0], rows[0], columns[1], rows[1])
    label = ObjectLabel("Van", box, truncation, occlusion, box_3d)
    assert parse_label_line(format_label_line(label), "x:1") == label


def test_files_are_written_and_an_empty_file_is_an_image_without_objects(tmp_path: Path) -> None:
    labels = [parse_label_line(CAR, "x:1"), parse_label_line(DONT_CARE, "x:2")]
    write_labels(tmp_path / "000001.txt", labels)
    write_labels(tmp_path / "000002.txt", [])
    assert read_labels(tmp_path / "000001.txt") == labels
    assert read_labels(tmp_path / "000002.txt") == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000001.txt", "000002.txt"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("Car 0 0 1 2 3 4 5", "expected 15 columns .16 with a score., found 8"),
        (CAR.replace("587.01", "left"), "expected 14 finite numbers"),
        (CAR.replace("587.01", "nan"), "expected 14 finite numbers"),
        (CAR.replace("587.01", "687.01"), "expected a box left top right bottom, found 687.01 173.33 614.12"),
        (CAR.replace("Car 0.25", "Car 25"), "expected a truncation"),
        (CAR.replace("0.25 1 ", "0.25 1.5 "), "expected an occlusion"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "000007.txt"
    path.write_text(f"{CAR}\n\n{line}\n")
    with pytest.raises(UserError, match=f"000007.txt:3: {message}"):
        read_labels(path)


@pytest.mark.shared_data
def test_all_official_labels_survive_reading_and_writing(shared_data: Path) -> None:
    lines = 0
    with zipfile.ZipFile(shared_data / "kitti" / "object" / "label_2_all.zip") as archive:
        for name in archive.namelist():
            if not name.endswith(".txt"):
                continue
            for number, line in enumerate(archive.read(name).decode().splitlines(), start=1):
                label = parse_label_line(line, f"{name}:{number}")
                assert parse_label_line(format_label_line(label), name) == label
                lines += 1
    assert lines > 50_000
