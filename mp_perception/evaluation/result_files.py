"""What an evaluation writes: figures as JSON with their origin, KITTI result files, depth PNGs."""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from mp_perception import __version__
from mp_perception.data.depth_png import write_depth_png
from mp_perception.data.frame_sets import FrameCamera
from mp_perception.data.kitti.labels import write_results
from mp_perception.errors import UserError
from mp_perception.files import check_can_be_written, check_new_folder, write_atomically
from mp_perception.inference.predictor import Predictor
from mp_perception.machine import library_versions
from mp_perception.prediction import Detections, Prediction

#: Libraries whose versions may change a figure.
_LIBRARIES = ("numpy", "opencv-python-headless", "openvino", "onnxruntime", "torch")


@dataclass(frozen=True)
class ResultPaths:
    """Where results go; None: not wanted.  json, report: files.  plots, detections, depth: new folders.

    command: what was run, for the report.
    """

    json: Path | None = None
    report: Path | None = None
    plots: Path | None = None
    detections: Path | None = None
    depth: Path | None = None
    command: str = ""

    def check(self) -> None:
        """Raises UserError for a path that exists, is named twice or cannot be written, or a library that it needs."""
        paths = [self.json, self.report, self.plots, self.detections, self.depth]
        named = [path.absolute() for path in paths if path is not None]
        for path in (self.plots, self.detections, self.depth):
            if path is not None:
                check_new_folder(path)
        for file, content in ((self.json, "the figures"), (self.report, "the report")):
            if file is not None:
                if file.is_dir():
                    raise UserError(f"{file}: expected a file for {content}, found a folder")
                check_can_be_written(file)
        for wanted, library in ((self.report, "jinja2"), (self.report or self.plots, "matplotlib")):
            if wanted is not None and find_spec(library) is None:
                raise UserError(f"{wanted}: needs {library}: pip install 'mp_perception[reports]'")
        for path in named:
            if named.count(path) > 1:
                raise UserError(f"{path}: expected a path for each kind of result, found it named twice")


def write_detections(folder: Path, name: str, detections: Detections, camera: FrameCamera | None) -> None:
    """Write <folder>/<name>.txt: KITTI's result lines, in the label frame where the camera is known."""
    label_to_camera = np.eye(4) if camera is None else camera.label_to_camera
    write_results(folder / f"{name}.txt", detections, label_to_camera)


def write_depth(folder: Path, name: str, prediction: Prediction) -> None:
    """Write <folder>/<name>.png: 16 bit, metres x 256, 0 where unknown or sky, of the original image's size."""
    write_depth_png(folder / f"{name}.png", prediction.depth)


def write_json(path: Path, result: dict[str, Any]) -> None:
    """Write figures as JSON; the file appears complete or not at all."""
    write_atomically(path, (json.dumps(result, indent=1, allow_nan=False) + "\n").encode())


def describe_network(predictor: Predictor) -> dict[str, Any]:
    """Where figures come from: the weights with their hash and description, their input, and what runs them.

    `parameters` is left out where the weights file does not contain their number.
    """
    runtime = predictor.runtime
    return {
        "weights": {
            "file": None if predictor.weights_path is None else predictor.weights_path.name,
            "sha256": predictor.weights_sha256,
            **({} if runtime.num_parameters is None else {"parameters": runtime.num_parameters}),
            "untrained": predictor.untrained,
            "description": json.loads(predictor.description.to_json()),
        },
        "input": {"size": predictor.fixed_size, "pixels": predictor.input_pixels},
        "runtime": {"name": runtime.name, "device": runtime.device, "precision": runtime.precision},
    }


def describe_versions() -> dict[str, str]:
    """Versions of everything that may change a figure."""
    own = {"mp_perception": __version__, "python": platform.python_version()}
    return own | library_versions(_LIBRARIES)
