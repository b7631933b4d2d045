"""Arguments of launch files that are not declared, and files with cameras."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from mp_perception.errors import UserError
from mp_perception.ros.launch_arguments import check_arguments, read_cameras

FILE = "/share/launch/perception.launch.py"
DECLARED = ["image", "camera_info", "params_file", "device"]


def context(arguments: list[str], visible: list[str]) -> SimpleNamespace:
    """The part of a launch.LaunchContext that is read."""
    return SimpleNamespace(argv=arguments, launch_configurations=dict.fromkeys(visible, "x"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["imge:=/camera/image_raw"], "unknown argument 'imge': expected one of image, .*; did you mean 'image'\\?"),
        (["image:=a", "colour:=red"], "unknown argument 'colour': expected one of image"),
    ],
)
def test_a_file_that_is_started_directly_refuses_any_unknown_argument(
    arguments: list[str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["ros2", "launch", "mp_perception", "perception.launch.py", *arguments])
    with pytest.raises(UserError, match=words):
        check_arguments(context(arguments, []), FILE, DECLARED)


def test_known_arguments_and_those_of_ros2_launch_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["ros2", "launch", FILE])
    arguments = ["image:=/a:=b", "device:=cpu", "launch-prefix:=nice", "launch-prefix-filter:=x"]
    check_arguments(context(arguments, []), FILE, DECLARED)


def test_an_included_file_refuses_only_what_resembles_an_argument_that_is_not_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", ["ros2", "launch", "my_robot", "robot.launch.py", "robot:=r2"])
    check_arguments(context(["robot:=r2"], ["robot", "image", "images"]), FILE, DECLARED)
    with pytest.raises(UserError, match="unknown argument 'imge' of perception.launch.py: did you mean 'image'"):
        check_arguments(context(["robot:=r2"], ["robot", "imge"]), FILE, DECLARED)


def cameras_file(folder: Path, text: str) -> Path:
    path = folder / "cameras.yaml"
    path.write_text(text)
    return path


ARGUMENTS = ["namespace", "name", "image", "params_file", "weights", "score_threshold", "classes", "respawn"]


def test_cameras_are_read_as_launch_arguments(tmp_path: Path) -> None:
    path = cameras_file(
        tmp_path,
        "- {namespace: front, image: /front/image_raw, params_file: front.yaml, score_threshold: 0.4}\n"
        "- {namespace: /rear/, classes: [Car, Van], respawn: true, weights: /a/b.onnx, image: }\n"
        "- {namespace: left, weights: mobilenet_v2}\n"
        "- {namespace: right, weights: right.onnx}\n",
    )
    assert read_cameras(path, ARGUMENTS) == [
        {
            "namespace": "front", "image": "/front/image_raw", "params_file": str(tmp_path / "front.yaml"),
            "score_threshold": "0.4",
        },
        {"namespace": "/rear/", "classes": "[Car, Van]", "respawn": "true", "weights": "/a/b.onnx", "image": ""},
        {"namespace": "left", "weights": "mobilenet_v2"},
        {"namespace": "right", "weights": str(tmp_path / "right.onnx")},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected a list with the arguments of each camera, found 'None'"),
        ("front: {image: a}", "expected a list"),
        ("[front, rear]", "expected a list"),
        ("- {namespace: a, imge: b}", "camera 1: unknown argument 'imge': .*did you mean 'image'"),
        ("- {namespace: a}\n- {namespace: /a}", "camera 2: expected another namespace or name"),
        ("- {namespace: [", "cameras.yaml: while parsing"),
    ],
)
def test_files_with_mistakes_are_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        read_cameras(cameras_file(tmp_path, text), ARGUMENTS)
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="No such file"):
        read_cameras(tmp_path / "none.yaml", ARGUMENTS)
