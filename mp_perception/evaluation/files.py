"""What an evaluation leaves on disk: KITTI result files, depth PNGs, and where its figures come from."""

from __future__ import annotations

import json
import os
import platform
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from mp_perception import __version__
from mp_perception.data.depth_png import write_depth_png
from mp_perception.data.frame_sets import FrameCamera
from mp_perception.data.kitti.labels import write_results
from mp_perception.errors import UserError
from mp_perception.files import make_folder, write_atomically
from mp_perception.inference.predictor import Predictor
from mp_perception.machine import library_versions
from mp_perception.prediction import Detections, Prediction

#: Libraries whose versions may change a figure.
_LIBRARIES = ("numpy", "opencv-python-headless", "openvino", "onnxruntime", "torch")


def check_result_folder(path: Path) -> None:
    """Raises UserError if the folder exists and holds anything, is a file, or cannot be made."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UserError(f"{path}: expected no such folder or an empty one, found something there")
    check_can_be_written(path)


def check_can_be_written(path: Path) -> None:
    """Raises UserError if a file or folder of this name surely cannot be made: better before a long run than after."""
    parent = path.absolute().parent
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise UserError(f"{path}: cannot be written: {parent} is not a folder that can be written to")


@contextmanager
def result_folder(path: Path | None, token: str, is_first: bool) -> Iterator[Path | None]:
    """A folder that appears under its name at the end of the block, or not at all if anything goes wrong.

    Gives the folder to write into meanwhile; None for None.  token: tells runs apart, the same in all processes.
    is_first: whether this process makes and renames it; it must leave the block after the others have written.
    """
    if path is None:
        yield None
        return
    path = path.absolute()
    partial = path.parent / f".{path.name}.{token}.part"
    try:
        partial.mkdir(parents=True, exist_ok=True)
        yield partial
        if is_first:
            if path.exists():
                path.rmdir()
            partial.rename(path)
    except BaseException as error:
        shutil.rmtree(partial, ignore_errors=True)
        if isinstance(error, OSError):
            raise UserError(f"{path}: cannot be written: {error.strerror}") from error
        raise


def write_detections(folder: Path, name: str, detections: Detections, camera: FrameCamera | None) -> None:
    """Write <folder>/<name>.txt: KITTI's result lines, in the label frame where the camera is known."""
    label_to_camera = np.eye(4) if camera is None else camera.label_to_camera
    write_results(_place(folder, name, ".txt"), detections, label_to_camera)


def write_depth(folder: Path, name: str, prediction: Prediction) -> None:
    """Write <folder>/<name>.png: 16 bit, metres x 256, 0 where invalid, of the original image's size."""
    write_depth_png(_place(folder, name, ".png"), prediction.depth)


def write_json(path: Path, result: dict[str, Any]) -> None:
    """Write figures as JSON; the file appears whole or not at all."""
    make_folder(path.parent)
    write_atomically(path, (json.dumps(result, indent=1, allow_nan=False) + "\n").encode())


def describe_origin(predictor: Predictor) -> dict[str, Any]:
    """Where figures come from: the weights with their hash and description, what ran them, versions.

    `parameters` is left out where the weights do not tell their number.
    """
    parameters = predictor.runtime.num_parameters
    return {
        "weights": {
            "file": None if predictor.weights_path is None else predictor.weights_path.name,
            "sha256": predictor.weights_sha256,
            **({} if parameters is None else {"parameters": parameters}),
            "untrained": predictor.untrained,
            "description": json.loads(predictor.description.to_json()),
        },
        "runtime": {
            "name": predictor.runtime.name,
            "device": predictor.runtime.device,
            "precision": predictor.runtime.precision,
        },
        **describe_versions(),
    }


def describe_versions() -> dict[str, Any]:
    """The versions of all that may change a figure, as `versions`."""
    own = {"mp_perception": __version__, "python": platform.python_version()}
    return {"versions": own | library_versions(_LIBRARIES)}


def _place(folder: Path, name: str, suffix: str) -> Path:
    """The file of an image; names with folders in them (drives) keep those."""
    path = folder / f"{name}{suffix}"
    make_folder(path.parent)
    return path
