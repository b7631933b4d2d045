"""What competitors run: networks in runtimes, without importing PyTorch, whose memory would be counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mp_perception.inference.predictor import Predictor
from mp_perception.inference.runtimes.base import NetworkSource
from mp_perception.inference.runtimes.registry import load_runtime

#: Runtimes of `run_files`.
FILE_RUNTIMES = ("openvino", "onnxruntime")


def run_runtime(weights: Path, runtime: str, precision: str, num_threads: int) -> Callable[[], object]:
    """One of the package's runtimes on one noise image of the network's input size in training."""
    loaded = load_runtime(runtime, NetworkSource("mobilenet_v2", weights), "cpu", precision, num_threads)
    images = noise((1, *loaded.description.input_size, 3))
    return lambda: loaded.run(images)


def run_predictor(weights: Path, num_threads: int, image_size: tuple[int, int]) -> Callable[[], object]:
    """`Predictor.predict` in OpenVINO fp32 on one noise image of (height, width)."""
    predictor = Predictor.load(
        weights=weights, runtime="openvino", precision="fp32", device="cpu", num_threads=num_threads
    )
    image = noise((*image_size, 3))
    return lambda: predictor.predict(image)


def run_files(files: Sequence[tuple[Path, str]], input_size: tuple[int, int], num_threads: int) -> Callable[[], object]:
    """Models, also of other authors, one after the other, each on one noise image, in fp32.

    files: (ONNX model with one input (1, h, w, 3), uint8; one of FILE_RUNTIMES).  input_size: (h, w).
    """
    images = noise((1, *input_size, 3))
    networks = [
        (_open_in_openvino if runtime == "openvino" else _open_in_onnxruntime)(file, images, num_threads)
        for file, runtime in files
    ]

    def run() -> None:
        for network in networks:
            network()

    return run


def noise(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Reproducible 8-bit noise."""
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def _open_in_openvino(file: Path, images: NDArray[np.uint8], num_threads: int) -> Callable[[], object]:
    from mp_perception.inference.runtimes.openvino_runtime import compile_for_latency, read_network

    request = compile_for_latency(read_network(file), images.shape, "fp32", num_threads).create_infer_request()
    return lambda: request.infer([images], share_inputs=True)


def _open_in_onnxruntime(file: Path, images: NDArray[np.uint8], num_threads: int) -> Callable[[], object]:
    from mp_perception.inference.runtimes.onnxruntime_runtime import CPU_PROVIDER, open_session

    session = open_session(file, [CPU_PROVIDER], num_threads)
    name = session.get_inputs()[0].name
    return lambda: session.run(None, {name: images})
