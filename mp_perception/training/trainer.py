"""A training from configuration to weights: reproducible, resumable, in one process or several."""

from __future__ import annotations

import io
import json
import logging
import os
import warnings
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

import lightning
import torch
import yaml
from lightning.pytorch.callbacks import (
    Callback,
    LearningRateMonitor,
    ModelCheckpoint,
    WeightAveraging,
)
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch import Tensor

from mp_perception.errors import UserError, one_line
from mp_perception.files import write_atomically
from mp_perception.network.faster_rcnn import FASTER_RCNN
from mp_perception.progress import error_console
from mp_perception.training.configuration import TrainingConfiguration
from mp_perception.training.data_module import TrainingData
from mp_perception.training.module import MultiTaskTraining, network_of
from mp_perception.training.processes import is_first, num_processes
from mp_perception.training.progress_display import ProgressDisplay
from mp_perception.training.task_updates import AsynchronousUpdates
from mp_perception.training.two_stage import TwoStageTraining
from mp_perception.training.validation_outputs import ValidationPictures, WeightsFiles

_MONITOR = "validation/score"
#: Lightning's warnings that say nothing to the user: our own files are in the folder, and a deprecation within PyTorch.
_NEEDLESS_WARNINGS = (r"Checkpoint directory .* exists and is not empty", r"`isinstance\(treespec, LeafSpec\)`")
_Precision = Literal["32-true", "bf16-mixed", "16-mixed"]


def train(configuration: TrainingConfiguration, data_root: Path, out: Path, resume: bool, device: str = "auto") -> None:
    """Train and write into `out`: best.safetensors, last.safetensors, configuration.yaml, validation.jsonl, logs.

    data_root: folder to which relative paths of data sources refer.  resume: continue from out/last.ckpt.
    device: "auto", "cpu" or "cuda".  Under torchrun each process takes its part of every batch.
    Raises UserError for invalid data, an output folder in use, nothing to resume, or a loss that is not finite.
    """
    last = out / "last.ckpt"
    if resume:
        _check_resumable(last)
    if not resume and is_first() and out.exists() and any(out.iterdir()):
        raise UserError(f"{out}: expected a new or empty folder, found files (resume with --resume)")
    given = configuration
    configuration = _with_network_below(given, data_root)
    _silence_lightning()
    lightning.seed_everything(configuration.seed, workers=True, verbose=False)
    data = TrainingData(configuration, data_root)
    training = TwoStageTraining if configuration.network.head == FASTER_RCNN else MultiTaskTraining
    module = training(configuration)
    optimisation = configuration.optimisation
    callbacks = _callbacks(configuration, out, bool(data.validation_sets))
    if is_first():
        out.mkdir(parents=True, exist_ok=True)
        # By way of JSON, which turns tuples into lists.
        write_atomically(out / "configuration.yaml", yaml.safe_dump(json.loads(json.dumps(asdict(given)))).encode())
    trainer = lightning.Trainer(
        accelerator={"auto": "auto", "cpu": "cpu", "cuda": "gpu"}[device],
        devices=int(os.environ.get("LOCAL_WORLD_SIZE", "1")),
        num_nodes=num_processes() // int(os.environ.get("LOCAL_WORLD_SIZE", "1")),
        # With partial labels a batch may leave a branch without gradients.
        strategy="ddp_find_unused_parameters_true" if num_processes() > 1 else "auto",
        precision=usable_precision(optimisation.precision, device),
        max_epochs=optimisation.epochs,
        gradient_clip_val=optimisation.gradient_clip or None,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        limit_val_batches=None if data.validation_sets else 0,
        log_every_n_steps=min(10, configuration.data.samples_per_epoch // configuration.data.batch_size),
        enable_model_summary=False,
        enable_progress_bar=False,
        logger=TensorBoardLogger(str(out), name=None, version="tensorboard"),
        callbacks=callbacks,
        plugins=[CompleteCheckpointIO()],
    )
    try:
        trainer.fit(module, data, ckpt_path=str(last) if resume else None, weights_only=True)
    except SystemExit:
        # Lightning's way to end after Ctrl-C.
        if trainer.interrupted:
            raise KeyboardInterrupt from None
        raise


def _silence_lightning() -> None:
    """Keep Lightning's remarks about itself and the machine off the terminal; other warnings and errors stay."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in _NEEDLESS_WARNINGS:
        warnings.filterwarnings("ignore", message)


def usable_precision(configured: _Precision, device: str) -> _Precision:
    """The configured precision, or fp32 with a message instead of bf16 on a processor without bf16 arithmetic.

    Emulated bf16 is several times slower than fp32 (measured with AVX2).
    """
    on_cpu = device == "cpu" or not torch.cuda.is_available()
    if configured == "bf16-mixed" and on_cpu and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        if is_first():
            error_console.print("this processor has no bf16 arithmetic: training in fp32 (precision 32-true)")
        return "32-true"
    return configured


class CompleteCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its old one and replaces it when it is complete.

    Lightning's own writes through a temporary folder, which may be on another file system: then it copies in place.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        content = io.BytesIO()
        torch.save(checkpoint, content)
        write_atomically(Path(path), content.getvalue())


def _check_resumable(path: Path) -> None:
    """Raises UserError unless the file is a complete checkpoint of a training."""
    if not path.is_file():
        raise UserError(f"{path}: nothing to resume")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
        complete = isinstance(found, dict) and {"state_dict", "loops", "optimizer_states"} <= found.keys()
    except Exception as error:
        raise UserError(f"{path}: expected a checkpoint of a training, found: {one_line(error)[:200]}") from error
    if not complete:
        raise UserError(f"{path}: expected a checkpoint of a training, found something else")


class AveragedWeights(WeightAveraging):
    """Keeps an exponential moving average of the weights, which is validated and written.

    decay: weight of the average in each step, at most (1 + n) / (10 + n) in step n, so that the random initial weights
    are soon forgotten.
    """

    def __init__(self, decay: float) -> None:
        def average(averaged: Tensor, current: Tensor, num_averaged: Tensor) -> Tensor:
            steps = float(num_averaged)
            return averaged + (current - averaged) * (1 - min(decay, (1 + steps) / (10 + steps)))

        super().__init__(avg_fn=average)


def _callbacks(configuration: TrainingConfiguration, out: Path, validates: bool) -> list[Callback]:
    optimisation = configuration.optimisation
    callbacks: list[Callback] = [ProgressDisplay(), LearningRateMonitor("step"), WeightsFiles(out, _MONITOR)]
    if validates:
        callbacks.append(ValidationPictures())
    if optimisation.average_decay:
        callbacks.append(AveragedWeights(optimisation.average_decay))
    if optimisation.images_per_update:
        callbacks.append(AsynchronousUpdates(optimisation.images_per_update))
    # Last, so that it stores the state of the others.
    callbacks.append(ModelCheckpoint(dirpath=str(out), filename="last", save_top_k=1, enable_version_counter=False))
    return callbacks


def _with_network_below(configuration: TrainingConfiguration, data_root: Path) -> TrainingConfiguration:
    """The configuration with weights files below data_root resolved, and the network of the initial weights."""

    def found(weights: str | None) -> str | None:
        return str(data_root / weights) if weights and (data_root / weights).is_file() else weights

    initial = found(configuration.network.initial_weights)
    if initial:
        return replace(configuration, network=network_of(Path(initial)))
    weights = found(configuration.network.backbone_weights)
    return replace(configuration, network=replace(configuration.network, backbone_weights=weights))
