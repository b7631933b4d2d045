"""How the cost of a whole frame grows with the camera's image and with the number of objects in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from mp_perception.benchmark.charts import Lines, SectionResult
from mp_perception.benchmark.conditions import Conditions
from mp_perception.benchmark.engines import noise, run_frame, run_runtime
from mp_perception.benchmark.interleaved import Competitor, measure
from mp_perception.benchmark.measurement import spread
from mp_perception.benchmark.tables import Table, measured_row
from mp_perception.geometry import DEPTH_STRIDE
from mp_perception.inference.postprocess import suppress_overlaps
from mp_perception.inference.predictor import Predictor
from mp_perception.inference.runtimes.base import NetworkSource, Runtime, RuntimeOutputs
from mp_perception.inference.runtimes.registry import load_runtime
from mp_perception.model.checkpoint_description import CheckpointDescription
from mp_perception.model.default_boxes import generate_default_boxes

#: Images of a camera, (height, width): the network's, KITTI's, and usual ones.
_IMAGE_SIZES = ((192, 640), (375, 1242), (720, 1280), (1080, 1920), (2160, 3840))
_OBJECTS = (0, 10, 30, 100)
_NETWORK = "network alone"
#: A logit that makes an object certain.
_CERTAIN = 12.0


def measure_growth(conditions: Conditions) -> SectionResult:
    """Whole frames of growing size, and the way around the network with growing numbers of objects."""
    sizes, sizes_chart = _compare_images(conditions)
    objects, objects_chart = _compare_objects(conditions)
    return SectionResult([sizes, objects], [sizes_chart, objects_chart])


def _compare_images(conditions: Conditions) -> tuple[Table, Lines]:
    threads = conditions.threads[0]
    alone = Competitor(_NETWORK, partial(run_runtime, conditions.exported, "openvino", "fp32", threads))
    frames = [
        Competitor(f"{size[1]}x{size[0]}", partial(run_frame, conditions.exported, threads, size))
        for size in _IMAGE_SIZES
    ]
    measured = measure("image sizes", [alone, *frames], conditions.rounds)
    rows = [measured_row("image", m, measured[0]) for m in measured]
    x = [height * width / 1e6 for height, width in _IMAGE_SIZES]
    chart = Lines(
        "Camera image",
        "megapixels",
        "processor time of a frame, ms",
        {"whole frame": (x, [spread(m.processor_ms).median for m in measured[1:]])},
    )
    note = "A frame is resizing, network, suppression and depth of the objects; the image is noise, with few objects."
    return Table(f"Camera image, OpenVINO fp32, threads: {threads}", rows, note), chart


def _compare_objects(conditions: Conditions) -> tuple[Table, Lines]:
    competitors = [
        Competitor(f"{count} objects", partial(run_around_network, conditions.exported, count)) for count in _OBJECTS
    ]
    measured = measure("objects", competitors, conditions.rounds)
    rows = [measured_row("objects", m, replace(measured[0], name="none")) for m in measured]
    times = [spread(m.processor_ms).median for m in measured]
    note = "Everything but the network: the image has the network's size, and each object is found by one default box."
    return Table("Objects, without the network", rows, note), Lines(
        "Objects", "objects in the image", "ms without the network", {"frame": (list(map(float, _OBJECTS)), times)}
    )


def run_around_network(exported: Path, num_objects: int) -> Callable[[], object]:
    """All of `Predictor.predict` but the network, for an image of the network's size with so many objects."""
    loaded = load_runtime("openvino", NetworkSource("mobilenet_v2", exported, None), "cpu", "fp32", 1)
    description = loaded.description
    loaded.close()
    predictor = Predictor(FixedOutputs(description, num_objects))
    image = noise((*description.input_size, 3))
    return lambda: predictor.predict(image)


class FixedOutputs(Runtime):
    """Runs nothing: always gives the outputs of an image with so many objects that do not overlap.

    Raises ValueError if the image has no room for them.
    """

    name = "fixed outputs"
    device = "cpu"
    precision = "fp32"

    def __init__(self, description: CheckpointDescription, num_objects: int) -> None:
        self.description = description
        height, width = description.input_size
        boxes = generate_default_boxes(description.levels, description.input_size)
        inside = np.flatnonzero((boxes[:, :2] >= 0).all(axis=1) & (boxes[:, 2:] <= [width, height]).all(axis=1))
        apart = suppress_overlaps(boxes[inside], np.ones(len(inside)), np.zeros(len(inside), np.int64), 0.0)
        if len(apart) < num_objects:
            raise ValueError(f"expected room for {num_objects} objects, found room for {len(apart)}")
        logits = np.zeros((1, len(boxes), 1 + len(description.class_names)), dtype=np.float32)
        logits[..., 0] = _CERTAIN
        logits[0, inside[apart[:num_objects]], 1] = 2 * _CERTAIN
        depth = np.full((1, height // DEPTH_STRIDE, width // DEPTH_STRIDE), description.depth_range[1] / 2, np.float32)
        self._outputs = RuntimeOutputs(logits, np.zeros((1, len(boxes), 4), dtype=np.float32), depth)

    def run(self, images: object) -> RuntimeOutputs:
        """See Runtime.run."""
        return RuntimeOutputs(*(output.copy() for output in self._outputs))

    def close(self) -> None:
        """See Runtime.close."""
