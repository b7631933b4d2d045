"""Adapts weights to one camera: from a recording to weights, exported model and report, in one folder.

Only depth is trained, by layers that detection does not read, so every detection stays as it was.

Every step leaves its result in the folder, complete or not at all, and is not repeated if its result is there: the same
command continues after it was interrupted or killed.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from mp_perception.adaptation.adaptation_report import AdaptationResult, write_report
from mp_perception.adaptation.depth_comparison import (
    best_factor,
    compare_depth,
    depth_maps,
    fixed_depth_map,
    is_better,
    kept_detections,
    known_pixels,
    predict_all,
    relative_depth_error,
)
from mp_perception.adaptation.initial_weights import rescale_depth, separate_depth
from mp_perception.adaptation.recording_checks import Finding, check_recording
from mp_perception.adaptation.stored_recording import HELD_OUT, TRAINING, read_findings, store_findings, store_recording
from mp_perception.arrays import RgbImage
from mp_perception.data.frame_sets import FrameSet
from mp_perception.data.recording import Recording, read_camera
from mp_perception.data.sample_geometry import letterbox
from mp_perception.errors import UserError
from mp_perception.files import check_new_folder, complete_folder, write_atomically
from mp_perception.geometry import DEPTH_STRIDE, CameraIntrinsics, letterbox_size
from mp_perception.inference.export.exporter import export_model
from mp_perception.inference.predictor import Predictor
from mp_perception.model.checkpoint_description import AdaptedCamera, CheckpointDescription
from mp_perception.network.checkpoint import read_checkpoint, read_description, write_checkpoint
from mp_perception.progress import console, track, warn
from mp_perception.training.configuration import (
    DataConfiguration,
    DataSource,
    LossConfiguration,
    NetworkConfiguration,
    OptimisationConfiguration,
    TrainingConfiguration,
)
from mp_perception.training.trainer import train

#: What was asked for, beside the recording that was stored for it.
_REQUEST_FILE = "request.yaml"
#: Nearest depth of adapted weights, metres.
MIN_DEPTH = 0.2
#: Fraction of the recorded depths that are within the range; single pixels farther away are errors of the sensor.
_RANGE_QUANTILE = 0.999
#: Metres: recordings that reach so far show the sky, or may show it, and what is beyond the range has to be learned.
_OUTDOORS = 40.0
#: Frames from which the range and the first scale of the depth are taken.
_SURVEYED_FRAMES = 20
#: Frames with which exported models are compared with PyTorch, and int8 is calibrated.
_EXPORTED_FRAMES = 40
_EPOCHS, _BATCH_SIZE = 5, 6


@dataclass(frozen=True)
class AdaptationRequest:
    """What to adapt to what.

    weights: the checkpoint to start from.  source: what identifies the recording, to recognise the same command.
    max_frames: frames of the recording to train on.  num_samples: augmented images to train on, in total.
    int8: whether to export an int8 model as well.
    """

    weights: Path
    source: dict[str, Any]
    max_frames: int
    num_samples: int
    seed: int
    int8: bool


def adapt(request: AdaptationRequest, source: AbstractContextManager[FrameSet], out: Path, command: str) -> bool:
    """Adapt weights and write them and the report into `out`; whether the result is better than all else.

    source: the recording; it is opened only if it is not stored in `out` yet.  command: for the report.
    Raises UserError for a recording or weights that cannot be used, or a folder with something else in it.
    """
    # By way of JSON, paths become texts and tuples lists, as YAML has them.
    identity = yaml.safe_dump(json.loads(json.dumps(asdict(request), default=str)))
    if not _is_stored(out, identity):
        with source as frames, complete_folder(out / "recording") as folder:
            write_atomically(folder / _REQUEST_FILE, identity.encode())
            store_findings(_check(frames, request.weights), folder / "checks")
            store_recording(frames, folder, request.max_frames)
    training, held_out = (Recording(out / "recording", part) for part in (TRAINING, HELD_OUT))
    camera = read_camera(out / "recording" / "calib.txt")
    console.print(f"recording: {len(training)} frames to train on, {len(held_out)} held out")
    if not (out / "initial.safetensors").exists():
        _write_initial_weights(request.weights, training, camera, out / "initial.safetensors")
    if not (out / "training" / "last.safetensors").exists():
        _train(request, out)
    result = _compare(request, training, held_out, camera, out)
    export_frames = partial(_frames_for_export, training)
    for name, precision in [("weights.onnx", "fp32"), *([("weights_int8.onnx", "int8")] if request.int8 else [])]:
        export_model(out / "weights.safetensors", out / name, precision, export_frames)
    write_report(out / "report.html", result, held_out, read_findings(out / "recording" / "checks"), command)
    return result.better


def _check(frames: FrameSet, weights: Path) -> list[Finding]:
    """What is wrong with the recording, also printed.  Raises UserError if it would teach wrong depth."""
    predictor = Predictor.load(weights=weights)
    findings = check_recording(frames, predictor)
    predictor.close()
    for finding in findings:
        if finding.severity == "warn":
            warn(f"{finding.name}: {finding.text}")
        elif finding.severity == "mended":
            console.print(f"mended: {finding.text}")
    refused = [finding.text for finding in findings if finding.severity == "refuse"]
    if refused:
        raise UserError(f"{frames.title}: {'; '.join(refused)}")
    return findings


def _is_stored(out: Path, request: str) -> bool:
    """Whether the folder has the recording of this request.  Raises UserError if it has anything else."""
    record = out / "recording" / _REQUEST_FILE
    if record.is_file():
        if record.read_text() != request:
            raise UserError(f"{out}: expected a new folder, or one of the same command, found another adaptation")
        return True
    for killed in out.glob(".recording.*.part"):
        shutil.rmtree(killed, ignore_errors=True)
    check_new_folder(out)
    return False


def _write_initial_weights(weights: Path, training: FrameSet, camera: CameraIntrinsics, path: Path) -> None:
    """The weights with the depth range, input size and focal length of the camera."""
    network = separate_depth(read_checkpoint(weights))
    predictor = Predictor.load(weights=weights)
    step = max(1, len(training) // _SURVEYED_FRAMES)
    truths, predictions = [], []
    for index in track(range(0, len(training), step), "first look"):
        sample = training[index]
        prediction = predictor.predict(sample.image, sample.intrinsics)
        (depth,) = depth_maps([prediction], predictor.description.valid_depth_range[1])
        truth, predicted = known_pixels(sample, depth)
        truths.append(truth)
        predictions.append(predicted)
    input_size = predictor.input_size
    predictor.close()
    true_depth, predicted_depth = np.concatenate(truths), np.concatenate(predictions)
    farthest = float(np.quantile(true_depth, _RANGE_QUANTILE))
    description = _camera_description(network.description, camera, input_size, farthest)
    old_focal, focal = network.description.training_focal_length, description.training_focal_length
    # Predictions are in metres of this camera, the network's output in metres of the one that it was trained for.
    to_output = 1.0 if old_focal is None or focal is None else old_focal / focal
    rescale_depth(network, description, float(np.median(predicted_depth)) * to_output, float(np.median(true_depth)))
    write_checkpoint(path, network)


def _camera_description(
    old: CheckpointDescription, camera: CameraIntrinsics, input_size: tuple[int, int], farthest: float
) -> CheckpointDescription:
    """input_size: at which the old weights see the camera's images; at another one they detect other objects."""
    scale = letterbox_size((camera.height, camera.width), input_size)[0] / camera.height
    max_depth = float(math.ceil(farthest))
    outdoors = max_depth >= _OUTDOORS
    return replace(
        old,
        input_size=input_size,
        depth_range=(MIN_DEPTH, 2 * max_depth if outdoors else max_depth),
        max_depth=max_depth if outdoors else None,
        training_focal_length=camera.fy * scale,
        metrics={},
        depth_error=0.0,
    )


def _train(request: AdaptationRequest, out: Path) -> None:
    folder = out / "training"
    resume = (folder / "last.ckpt").is_file()
    if not resume:
        shutil.rmtree(folder, ignore_errors=True)
    is_outdoors = read_description(out / "initial.safetensors").max_depth is not None
    configuration = TrainingConfiguration(
        network=NetworkConfiguration(initial_weights="initial.safetensors"),
        data=DataConfiguration(
            training=[DataSource("recording", "recording", TRAINING)],
            batch_size=_BATCH_SIZE,
            workers=1,
            samples_per_epoch=max(_BATCH_SIZE, request.num_samples // _EPOCHS),
            augmentation="camera",
        ),
        losses=LossConfiguration(object_depth_weight=0.0, keep_sky=is_outdoors),
        optimisation=OptimisationConfiguration(
            learning_rate=3e-3,
            epochs=_EPOCHS,
            weight_decay=0.01,
            average_decay=0.99,
            depth_only=True,
            # Batches of one camera are too few and too alike for statistics, and detection needs those of the old ones.
            freeze_batch_norm=True,
            precision="bf16-mixed",
        ),
        seed=request.seed,
    )
    start = time.perf_counter()
    train(configuration, out, folder, resume, "auto")
    console.print(f"trained in {(time.perf_counter() - start) / 60:.1f} minutes")


def _compare(
    request: AdaptationRequest, training: FrameSet, held_out: FrameSet, camera: CameraIntrinsics, out: Path
) -> AdaptationResult:
    """Write weights.safetensors and compare them with what else there is."""
    trained = out / "training" / "last.safetensors"
    before = Predictor.load(weights=request.weights)
    after = Predictor.load(weights=trained, input_size=read_description(trained).input_size)
    old, new = (predict_all(predictor, held_out) for predictor in (before, after))
    old_maps, new_maps = (
        depth_maps(predictions, predictor.description.valid_depth_range[1])
        for predictions, predictor in ((old, before), (new, after))
    )
    factor = best_factor(old_maps, held_out)
    height, width = (side // DEPTH_STRIDE for side in after.description.input_size)
    fixed = fixed_depth_map(training, letterbox_size((camera.height, camera.width), (height, width)))
    maps = {
        "weights before": old_maps,
        f"weights before x {factor:.2f}": [depth * np.float32(factor) for depth in old_maps],
        "fixed depth map": [fixed] * len(held_out),
        "adapted weights": new_maps,
    }
    figures = {name: compare_depth(candidate, held_out) for name, candidate in maps.items()}
    *others, adapted = figures.values()
    network = read_checkpoint(trained)
    network.description = replace(
        network.description,
        camera=AdaptedCamera(camera.width, camera.height, camera.fy),
        score_threshold=before.description.score_threshold,
        depth_error=min(10.0, relative_depth_error(new_maps, held_out)),
        metrics={name: round(adapted.overall[name], 5) for name in ("rel", "d1", "rmse")},
    )
    write_checkpoint(out / "weights.safetensors", network)
    before.close()
    after.close()
    return AdaptationResult(
        figures=figures,
        maps=maps,
        better=is_better(adapted, others),
        kept_detections=kept_detections(old, new, before.description.score_threshold),
        description=network.description,
        training_frames=len(training),
    )


def _frames_for_export(training: FrameSet, input_size: tuple[int, int]) -> list[RgbImage]:
    """Frames of the recording, at the size of the network's input, for the comparison and int8's calibration."""
    step = max(1, len(training) // _EXPORTED_FRAMES)
    return [letterbox(training[index], input_size).image for index in range(0, len(training), step)]
