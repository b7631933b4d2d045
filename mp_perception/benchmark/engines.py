"""Model files in their engines, as functions to time; without PyTorch, so that its memory is not theirs.

Settings are those of `inference.runtimes`; here any model file runs, not only those of `mp_perception export`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mp_perception.inference.predictor import Predictor
from mp_perception.inference.runtimes.base import NetworkSource
from mp_perception.inference.runtimes.registry import load_runtime

#: What runs any model file.
ENGINES = ("openvino", "onnxruntime")


def run_runtime(weights: Path, runtime: str, precision: str, num_threads: int) -> Callable[[], object]:
    """Our own runtime on one image of noise of the network's size."""
    loaded = load_runtime(runtime, NetworkSource("mobilenet_v2", weights, None), "cpu", precision, num_threads)
    height, width = loaded.description.input_size
    images = noise((1, height, width, 3))
    return lambda: loaded.run(images)


def run_frame(weights: Path, num_threads: int, image_size: tuple[int, int]) -> Callable[[], object]:
    """The whole way of an image of (height, width) to a Prediction, in float32."""
    predictor = Predictor.load(weights=weights, precision="fp32", device="cpu", num_threads=num_threads)
    image = noise((*image_size, 3))
    return lambda: predictor.predict(image)


def run_files(files: Sequence[Path], engine: str, num_threads: int, batch: int = 1) -> Callable[[], object]:
    """Networks of one 8-bit input (B, h, w, 3), one after the other on the same images, in float32.

    engine: one of ENGINES.
    """
    opened = [
        (_open_openvino if engine == "openvino" else _open_onnxruntime)(file, num_threads, batch) for file in files
    ]

    def run() -> None:
        for network in opened:
            network()

    return run


def noise(shape: tuple[int, ...]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """8-bit noise, the same every time."""
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def _open_openvino(file: Path, num_threads: int, batch: int) -> Callable[[], object]:
    import openvino

    core = openvino.Core()
    network = core.read_model(file)
    shape = [batch, *(side.get_length() for side in list(network.inputs[0].partial_shape)[1:])]
    network.reshape(shape)
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": "1",
        "INFERENCE_NUM_THREADS": num_threads,
        "INFERENCE_PRECISION_HINT": "f32",
        "ENABLE_CPU_PINNING": False,
    }
    request = core.compile_model(network, "CPU", settings).create_infer_request()
    images = noise(tuple(shape))
    return lambda: request.infer([images], share_inputs=True)


def _open_onnxruntime(file: Path, num_threads: int, batch: int) -> Callable[[], object]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    taken = session.get_inputs()[0]
    images = noise((batch, *taken.shape[1:]))
    return lambda: session.run(None, {taken.name: images})
