"""Teachers: models whose outputs are known from their graphs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from mp_perception.errors import UserError
from mp_perception.training.teachers import PIXEL_FORMATS, DepthTeacher, DetectionTeacher

#: The map is red, plus 0, 1, 2, 3 along the row.
RAMP = """(float[N, 3, 2, 4] image) => (float[N, 1, 2, 4] map) {
    first = Constant<value = int64[1] {0}>()
    second = Constant<value = int64[1] {1}>()
    ramp = Constant<value = float[4] {0, 1, 2, 3}>()
    red = Slice(image, first, second, second)
    map = Add(red, ramp)
}"""


def write_model(path: Path, graph: str) -> Path:
    """A model from the text of its graph: inputs, outputs and nodes."""
    onnx.save(onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["": 17]> teacher {graph}'), path)
    return path


def image(*rows: list[int]) -> np.ndarray:
    """An image with these red values, and other values of green and blue."""
    red = np.array(rows, dtype=np.uint8)
    return np.dstack([red, red // 2 + 7, 250 - red // 2])


def test_pixel_formats() -> None:
    pixel = np.float32([[[255, 51, 0]]])
    wanted = {
        "rgb-0-1": [1, 0.2, 0],
        "rgb-0-255": [255, 51, 0],
        "bgr-0-255": [0, 51, 255],
        "imagenet": [(1 - 0.485) / 0.229, (0.2 - 0.456) / 0.224, -0.406 / 0.225],
    }
    assert set(PIXEL_FORMATS) == set(wanted)
    for name, values in wanted.items():
        np.testing.assert_allclose(PIXEL_FORMATS[name](pixel)[0, 0], values, rtol=1e-5)


def test_map_and_mirrored_map_are_averaged(tmp_path: Path) -> None:
    teacher = DepthTeacher(write_model(tmp_path / "ramp.onnx", RAMP), pixels="rgb-0-255")
    # The ramp and the mirrored ramp have a mean of 1.5 everywhere; red stays at its place.
    found = teacher.inverse_depth(image([10, 20, 30, 40], [50, 60, 70, 80]))
    np.testing.assert_allclose(found, [[11.5, 21.5, 31.5, 41.5], [51.5, 61.5, 71.5, 81.5]])


def test_metric_maps_are_inverted_and_values_that_are_no_depth_are_unknown(tmp_path: Path) -> None:
    graph = """(float[1, 3, 2, 4] image) => (float[2, 4] map) {
        first = Constant<value = int64[1] {0}>()
        second = Constant<value = int64[1] {1}>()
        axes = Constant<value = int64[2] {0, 1}>()
        red = Slice(image, first, second, second)
        map = Squeeze(red, axes)
    }"""
    teacher = DepthTeacher(write_model(tmp_path / "metric.onnx", graph), "metric", "rgb-0-255")
    found = teacher.inverse_depth(image([10, 20, 0, 40], [50, 100, 200, 250]))
    np.testing.assert_allclose(found, [[0.1, 0.05, np.nan, 0.025], [0.02, 0.01, 0.005, 0.004]], rtol=1e-5)


def test_images_are_stretched_to_the_input_and_maps_to_the_image(tmp_path: Path) -> None:
    teacher = DepthTeacher(write_model(tmp_path / "ramp.onnx", RAMP), pixels="rgb-0-255")
    large = np.repeat(np.repeat(image([10, 20, 30, 40], [50, 60, 70, 80]), 10, axis=0), 10, axis=1)
    found = teacher.inverse_depth(large)
    assert found.shape == (20, 40)
    # Around the centres of the map's pixels, between which it is interpolated.
    assert found[0, 14:16].mean() == pytest.approx(21.5)
    assert found[19, 24:26].mean() == pytest.approx(71.5)


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        ("(float[1, 3, H, W] image) => (float[1, 3, H, W] y) { y = Identity(image) }", "fixed size, found .1,3,"),
        ("(float[1, 2, 4, 3] image) => (float[1, 2, 4, 3] y) { y = Identity(image) }", "3, height, width. of a fixed"),
        ("(float[3, 2, 4] image) => (float[3, 2, 4] y) { y = Identity(image) }", "one input .N, 3, height, width"),
        (
            "(float[1, 3, 2, 4] a, float[1, 3, 2, 4] b) => (float[1, 3, 2, 4] y) { y = Add(a, b) }",
            "found .1,3,2,4., .1,3,2,4.",
        ),
        ("(float[1, 3, 2, 4] a) => (float[1, 3, 2, 4] y) { y = Identity(a) }", r"a map .*found \(1, 3, 2, 4\)"),
        (
            "(float[1, 3, 2, 4] a) => (float[1, 1, 1, 4] x, float[1, 3, 2, 4] y)"
            "{ y = Identity(a) x = ReduceMax<axes = [1, 2]>(a) }",
            "one output",
        ),
    ],
)
def test_models_that_give_no_map_are_refused(tmp_path: Path, graph: str, message: str) -> None:
    path = write_model(tmp_path / "model.onnx", graph)
    with pytest.raises(UserError, match=message) as caught:
        DepthTeacher(path).inverse_depth(image([1, 2, 3, 4], [5, 6, 7, 8]))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_are_no_models_and_unknown_formats_are_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    with pytest.raises(UserError, match="broken.onnx: expected an OpenVINO or ONNX model"):
        DepthTeacher(tmp_path / "broken.onnx")
    for name in ("missing.onnx", "model.pt"):
        with pytest.raises(UserError, match=rf"{name}: expected the file of a model \(.onnx or .xml\), found none"):
            DepthTeacher(tmp_path / name)
    with pytest.raises(UserError, match="unknown pixel format 'rgb': expected one of rgb-0-1, rgb-0-255"):
        DepthTeacher(tmp_path / "missing.onnx", pixels="rgb")


#: Adds the maximum of the input's lower half, which an image of four times its height as width leaves black.
LOWER_HALF = """
    first = Constant<value = int64[1] {4}>()
    end = Constant<value = int64[1] {8}>()
    axis = Constant<value = int64[1] {2}>()
    lower = Slice(image, first, end, axis)
    maximum = ReduceMax<keepdims = 0>(lower)
    found = Add(rows, maximum)
"""


def test_boxes_of_detection_output(tmp_path: Path) -> None:
    rows = (
        "0, 2, 0.9, 0.25, 0.125, 0.5, 0.5,  0, 1, 0.8, 0.5, 0.5, 0.25, 1,  0, 1, 0, 0, 0, 1, 1,  -1, 0, 0.9, 0, 0, 1, 1"
    )
    graph = f"""(float[1, 3, 8, 16] image) => (float[1, 1, 4, 7] found) {{
        rows = Constant<value = float[1, 1, 4, 7] {{{rows}}}>()
        {LOWER_HALF}
    }}"""
    found = DetectionTeacher(write_model(tmp_path / "model.onnx", graph)).detect(np.full((40, 160, 3), 200, np.uint8))
    # The image is a tenth as large in the input, in its upper half.  The second box is inverted, the third has no
    # score, and the last row ends the list.
    np.testing.assert_allclose(found.boxes, [[40, 10, 80, 40]])
    np.testing.assert_allclose(found.scores, [0.9])
    assert found.classes.tolist() == [2]


def test_boxes_in_pixels_of_the_input_with_classes_beside(tmp_path: Path) -> None:
    graph = f"""(float[1, 3, 8, 16] image) => (int64[1, 2] labels, float[1, 2, 5] found) {{
        labels = Constant<value = int64[1, 2] {{0, 3}}>()
        rows = Constant<value = float[1, 2, 5] {{4, 1, 8, 3.5, 0.75,  0, 0, 16, 4, 0.25}}>()
        {LOWER_HALF}
    }}"""
    found = DetectionTeacher(write_model(tmp_path / "model.onnx", graph)).detect(np.full((40, 160, 3), 200, np.uint8))
    np.testing.assert_allclose(found.boxes, [[40, 10, 80, 35], [0, 0, 160, 40]])
    np.testing.assert_allclose(found.scores, [0.75, 0.25])
    assert found.classes.tolist() == [0, 3]


def test_other_outputs_are_refused_as_boxes(tmp_path: Path) -> None:
    path = write_model(tmp_path / "ramp.onnx", RAMP)
    with pytest.raises(UserError, match=r"ramp.onnx: expected outputs \(1, 1, N, 7\).* found \(1, 1, 2, 4\)"):
        DetectionTeacher(path).detect(np.zeros((20, 80, 3), np.uint8))
