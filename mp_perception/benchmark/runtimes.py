"""All runtimes and precisions on one network, beside a limit that the processor's arithmetic sets."""

from __future__ import annotations

from functools import partial

from mp_perception.benchmark.interleaved import Competitor, measure
from mp_perception.benchmark.networks.model_files import ModelFiles
from mp_perception.benchmark.networks.pytorch import MATRIX_OPERATIONS, multiply_matrices, run_eager
from mp_perception.benchmark.operations import model_size
from mp_perception.benchmark.tables import Table, timing_cells
from mp_perception.benchmark.workloads import run_predictor, run_runtime

#: Images of KITTI's cameras, (height, width).
_CAMERA_SIZE = (375, 1242)
#: The reference, and the row that is computed from the matrix product.
EAGER, LIMIT = "eager", "arithmetic limit, fp32"


def compare_runtimes(models: ModelFiles, rounds: int, threads: int) -> Table:
    """Times of one image in every runtime and precision.

    threads: CPU threads of each competitor.
    """
    competitors = _competitors(models, threads)
    product = Competitor("matrix product", partial(multiply_matrices, threads))
    *measured, multiplied = measure(f"runtimes, threads: {threads}", [*competitors, product], rounds)
    size = model_size(models.fp32, models.description.input_size)
    limit = multiplied.scaled(LIMIT, size.operations / MATRIX_OPERATIONS)
    rows = [{"runtime": m.name, **timing_cells(m, measured[0])} for m in (*measured, limit)]
    height, width = models.description.input_size
    note = (
        f"One image of {width}x{height}, {size.operations / 1e9:.2f} GFLOP, {rounds} rounds. {EAGER} is PyTorch with "
        "its default settings. The limit is the time in which this machine does as many operations in one large matrix "
        "product (PyTorch, fp32); bf16 and int8 have faster arithmetic. int8 is calibrated for its speed only."
    )
    return Table(f"Runtimes, threads: {threads}", rows, note)


def _competitors(models: ModelFiles, threads: int) -> list[Competitor]:
    """The reference comes first."""
    competitors = [Competitor(EAGER, partial(run_eager, models.checkpoint, threads))]
    runtimes = [
        ("PyTorch fp32, channels last", models.checkpoint, "torch", "fp32"),
        ("ONNX Runtime fp32", models.fp32, "onnxruntime", "fp32"),
        ("OpenVINO fp32", models.fp32, "openvino", "fp32"),
        *([("OpenVINO bf16", models.fp32, "openvino", "bf16")] if _has_bfloat16() else []),
        ("ONNX Runtime int8", models.int8, "onnxruntime", "int8"),
        ("OpenVINO int8", models.int8, "openvino", "int8"),
    ]
    competitors += [
        Competitor(name, partial(run_runtime, file, runtime, precision, threads))
        for name, file, runtime, precision in runtimes
    ]
    height, width = _CAMERA_SIZE
    whole = partial(run_predictor, models.fp32, threads, _CAMERA_SIZE)
    return [*competitors, Competitor(f"OpenVINO fp32, whole frame of {width}x{height}", whole)]


def _has_bfloat16() -> bool:
    """Whether the processor has bfloat16 arithmetic."""
    from mp_perception.inference.runtimes.openvino_runtime import CORE

    return "BF16" in CORE.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
