"""`Predictor`: image in, `Prediction` out.  Commands, the node, evaluation and the benchmark all use it."""

from __future__ import annotations

import math
import time
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mp_perception.errors import UserError, unknown_name
from mp_perception.files import sha256
from mp_perception.geometry import DEPTH_STRIDE, CameraIntrinsics, box_centres
from mp_perception.inference.camera_depth import camera_depth, relative_depth_error
from mp_perception.inference.default_weights import default_weights, is_shipped_name
from mp_perception.inference.object_depth import measure_object_depth
from mp_perception.inference.postprocess import select_detections
from mp_perception.inference.prediction_settings import PredictionSettings
from mp_perception.inference.preprocess import Placement, Preprocessor, fit_input_size
from mp_perception.inference.runtimes.base import NetworkSource, Runtime, RuntimeOutputs
from mp_perception.inference.runtimes.registry import load_runtime
from mp_perception.model.checkpoint_description import (
    BACKBONE_NAMES,
    CheckpointDescription,
    backbone_names,
    check_input_pixels,
    check_input_size,
)
from mp_perception.model.default_boxes import generate_default_boxes
from mp_perception.prediction import Detections, Prediction

#: Default boxes are kept for so many sizes of the network's input.
_KEPT_SIZES = 16


class Predictor:
    """A network in a runtime, with preprocessing and postprocessing.  Not thread-safe.

    The network's input has the size that fits the image best (preprocess.fit_input_size), unless it is fixed.  Weights
    that were adapted to a camera see its images at the size that they were trained for.

    Attributes:
        runtime: the engine that runs the network.
        weights_path: the weights file; None if the network is untrained.
        weights_sha256: hash of the weights file; None if the network is untrained.
        input_size: (height, width) of the network's input for the last image.
        fixed_size: that of all images; None if it follows the image.
        input_pixels: number of pixels of an input that follows the image.

    Examples:
        >>> import numpy as np
        >>> predictor = Predictor.load("mobilenet_v2", num_threads=1)
        >>> prediction = predictor.predict(np.zeros((375, 1242, 3), np.uint8))
        >>> prediction.depth.shape, prediction.detections.class_names
        ((375, 1242), ('Car', 'Van', 'Truck', 'Pedestrian', 'Cyclist'))
        >>> predictor.close()
    """

    def __init__(
        self,
        runtime: Runtime,
        weights_path: Path | None = None,
        input_size: tuple[int, int] | None = None,
        input_pixels: int | None = None,
    ) -> None:
        """Arguments as `load` has them."""
        self.runtime = runtime
        self.weights_path = weights_path
        self.weights_sha256 = sha256(*_parts(weights_path)) if weights_path else None
        self.fixed_size = input_size or runtime.fixed_input_size
        self.input_pixels = input_pixels or math.prod(self.description.input_size)
        self._preprocess = Preprocessor(self.fixed_size or self.description.input_size)
        self._default_boxes = lru_cache(_KEPT_SIZES)(partial(generate_default_boxes, self.description.levels))
        self._checked_sizes: set[tuple[int, int]] = set()

    @classmethod
    def load(
        cls,
        backbone: str | None = None,
        weights: str | Path | None = None,
        *,
        runtime: str = "auto",
        device: str = "auto",
        precision: str = "auto",
        num_threads: int = 0,
        input_size: tuple[int, int] | None = None,
        input_pixels: int | None = None,
    ) -> Predictor:
        """Load a network.

        Args:
            backbone: one of backbone_names(); default: that of the weights, or mobilenet_v2.
            weights: a file, or the name of weights that ship (default_weights.py); default: those that ship under the
                backbone's name, or an untrained network if none do (`untrained` is then true).
            runtime: one of runtime_names().
            device: auto, cpu, cuda or cuda:N.
            precision: one of PRECISIONS.
            num_threads: CPU threads; 0 for all cores but one.
            input_size: (height, width) of the network's input, multiples of 32; default: what fits each image best.
            input_pixels: about this number of pixels in such an input; default: that of the checkpoint's input.

        Raises:
            UserError: an argument is not valid, or not available on this machine.
        """
        if backbone is not None and backbone not in backbone_names():
            raise unknown_name("backbone", backbone, backbone_names())
        try:
            if input_size is not None:
                check_input_size(input_size)
            if input_pixels is not None:
                check_input_pixels(input_pixels)
        except ValueError as error:
            raise UserError(str(error)) from error
        if not weights or is_shipped_name(weights):
            default = default_weights(str(weights or backbone or BACKBONE_NAMES[0]), runtime, device, precision)
            path = default.path if default is not None else None
        else:
            default, path = None, Path(weights)
        if path is not None and not path.is_file():
            raise UserError(f"{path}: no such weights file")
        source = NetworkSource(backbone or BACKBONE_NAMES[0], path)
        loaded = load_runtime(runtime, source, device, precision, num_threads)
        if default is not None:
            loaded.reason += f"; {default.reason}"
        found = loaded.description.backbone
        if default is None and backbone not in (None, found):
            raise UserError(f"{path}: expected weights of backbone '{backbone}', found '{found}'")
        fixed = loaded.fixed_input_size
        if fixed is not None and input_size not in (None, fixed):
            raise UserError(
                f"{path}: expected input size {fixed[1]}x{fixed[0]}, the only one of this network in runtime "
                f"'{loaded.name}', found {input_size[1]}x{input_size[0]}"
            )
        return cls(loaded, path, input_size, input_pixels)

    @property
    def description(self) -> CheckpointDescription:
        """The description of the network."""
        return self.runtime.description

    @property
    def input_size(self) -> tuple[int, int]:
        """See Predictor."""
        return self._preprocess.input_size

    @property
    def untrained(self) -> bool:
        """Whether the network has random weights, so that its outputs are meaningless."""
        return self.weights_path is None

    def predict(
        self,
        image: NDArray[np.uint8],
        intrinsics: CameraIntrinsics | None = None,
        settings: PredictionSettings | None = None,
    ) -> Prediction:
        """Objects and depth of one image.

        Args:
            image: RGB uint8 (H, W, 3), any size.
            intrinsics: of this image; without them positions have no x and y, and depth is not corrected for the focal
                length.
            settings: default: `PredictionSettings()`.

        Raises:
            UserError: the array is not such an image, the intrinsics are of another image size, or a class or statistic
                is unknown.
        """
        settings = settings or PredictionSettings()
        _check_image(image, intrinsics)
        start = time.perf_counter()
        self._fit_input(image)
        network_input, placement = self._preprocess(image)
        preprocessed = time.perf_counter()
        outputs = self.runtime.run(network_input)
        inferred = time.perf_counter()
        boxes, scores, labels = self._detect(outputs, placement, settings)
        depth = camera_depth(outputs.depth[0], self.description, placement, intrinsics, settings)
        to_depth_map = np.array([depth.shape[1], depth.shape[0]] * 2) / np.array([image.shape[1], image.shape[0]] * 2)
        object_depth, std, valid = measure_object_depth(depth, boxes * to_depth_map, settings.object_depth_statistic)
        error = relative_depth_error(self.description, intrinsics, settings)
        detections = Detections(
            boxes=boxes,
            scores=scores,
            labels=labels,
            depth=object_depth,
            depth_std=np.hypot(std, np.float32(error) * object_depth),
            valid_fraction=valid,
            position=_positions(boxes, object_depth, intrinsics),
            class_names=self.description.class_names,
        )
        end = time.perf_counter()
        timings = {
            "preprocess": (preprocessed - start) * 1e3,
            "inference": (inferred - preprocessed) * 1e3,
            "postprocess": (end - inferred) * 1e3,
        }
        return Prediction(detections, depth, (image.shape[0], image.shape[1]), timings)

    def warm_up(self) -> None:
        """Run once on a black image: the first run of a network is several times slower than the others.

        At score threshold 0 so that every step has boxes to work on.

        Raises:
            UserError: the network's outputs are not finite, or not those of its description.
        """
        black = np.zeros((*self.input_size, 3), dtype=np.uint8)
        self.predict(black, settings=PredictionSettings(score_threshold=0.0))

    def close(self) -> None:
        """Release the network; the predictor cannot predict again."""
        self.runtime.close()

    def _fit_input(self, image: NDArray[np.uint8]) -> None:
        """Choose the network's input for the image, unless its size is fixed."""
        size = self.fixed_size or self._adapted_size(image) or fit_input_size(image.shape[:2], self.input_pixels)
        if size != self.input_size:
            self._preprocess = Preprocessor(size)

    def _adapted_size(self, image: NDArray[np.uint8]) -> tuple[int, int] | None:
        """The input for images of the camera that the weights were adapted to; None for others and other pixels."""
        camera, size = self.description.camera, self.description.input_size
        is_own = camera is not None and image.shape[:2] == (camera.height, camera.width)
        return size if is_own and self.input_pixels == math.prod(size) else None

    def _detect(
        self, outputs: RuntimeOutputs, placement: Placement, settings: PredictionSettings
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
        """Boxes (n, 4) in pixels of the image, scores (n,) and labels (n,), highest score first."""
        default_boxes = self._default_boxes(self.input_size)
        if self.input_size not in self._checked_sizes:
            self._check_outputs(outputs, default_boxes)
        threshold = settings.score_threshold
        boxes, scores, labels = select_detections(
            outputs.class_logits[0],
            outputs.box_offsets[0],
            default_boxes,
            score_threshold=self.description.score_threshold if threshold is None else threshold,
            nms_iou_threshold=settings.nms_iou_threshold,
            max_detections=settings.max_detections,
            wanted_classes=settings.wanted_classes(self.description.class_names),
        )
        boxes = placement.to_image(boxes)
        has_area = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        return boxes[has_area], scores[has_area], labels[has_area]

    def _check_outputs(self, outputs: RuntimeOutputs, default_boxes: NDArray[np.float32]) -> None:
        """Raises UserError unless the first outputs at an input size fit the description, and are finite."""
        height, width = self.input_size
        expected = (
            (1, len(default_boxes), 1 + len(self.description.class_names)),
            (1, len(default_boxes), 4),
            (1, height // DEPTH_STRIDE, width // DEPTH_STRIDE),
        )
        for name, output, shape in zip(RuntimeOutputs._fields, outputs, expected, strict=True):
            origin = f"{self.weights_path or self.description.backbone}: output {name}"
            if output.shape != shape:
                raise UserError(
                    f"{origin}: expected shape {shape} for an input of {width}x{height}, found {output.shape}"
                )
            # A network without a decoder has no depth.
            if not np.isfinite(output).all() and (name != "depth" or self.description.decoder != "none"):
                raise UserError(f"{origin}: expected finite values, found NaN or infinity")
        self._checked_sizes.add(self.input_size)


def _parts(weights: Path) -> list[Path]:
    """The files of a network: an OpenVINO model has two."""
    return [weights, weights.with_suffix(".bin")] if weights.suffix == ".xml" else [weights]


def _check_image(image: NDArray[np.uint8], intrinsics: CameraIntrinsics | None) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise UserError(f"expected an RGB image (height, width, 3) of uint8, found {image.shape} of {image.dtype}")
    if intrinsics is not None and (intrinsics.height, intrinsics.width) != image.shape[:2]:
        raise UserError(
            f"expected intrinsics of the image's size {image.shape[1]}x{image.shape[0]}, "
            f"found {intrinsics.width}x{intrinsics.height}"
        )


def _positions(
    boxes: NDArray[np.float32], depth: NDArray[np.float32], intrinsics: CameraIntrinsics | None
) -> NDArray[np.float32]:
    """(N, 3) metres: the middle of each box at the object's depth; x and y are NaN without intrinsics."""
    if intrinsics is not None:
        return intrinsics.unproject(box_centres(boxes), depth).astype(np.float32)
    positions = np.full((len(boxes), 3), np.nan, dtype=np.float32)
    positions[:, 2] = depth
    return positions
