"""What a training is made of, as typed values: read from a YAML file, with single values changed on the command line.

Every field has a default that works, so a file names only what it decides.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import yaml
from jsonargparse import ArgumentParser, Namespace

from mp_perception.classes import DEFAULT_CLASSES
from mp_perception.errors import UserError
from mp_perception.model.checkpoint_description import DetectionLevel


@dataclass(frozen=True)
class NetworkConfiguration:
    """The network to train.

    backbone, decoder, head: names in the registries of `network`.
    backbone_weights: "torchvision", a safetensors file (its path may start from the data's folder), or None for a
    random start.
    initial_weights: a checkpoint to go on from, for a training on one's own data, or None.  The network is then the
    checkpoint's (`network_of`), whatever else is said here.
    levels: feature maps with detection heads and their default boxes; empty takes describe_network's.
    input_size: height and width, pixels.  depth_range: metres.  depth_bound: "logarithmic" or "none".
    focal_length: pixels of the network's input; depth is learned as a camera of this focal length would have it, and
    scaled to other cameras at inference.  The default is KITTI's at an input of 640x192.
    """

    backbone: str = "mobilenet_v2"
    backbone_weights: str | None = None
    initial_weights: str | None = None
    decoder: str = "deconvolution"
    head: str = "depthwise"
    levels: list[DetectionLevel] = field(default_factory=list)
    class_names: list[str] = field(default_factory=lambda: list(DEFAULT_CLASSES))
    input_size: tuple[int, int] = (192, 640)
    depth_range: tuple[float, float] = (1.0, 80.0)
    depth_bound: Literal["logarithmic", "none"] = "logarithmic"
    focal_length: float = 369.4


@dataclass(frozen=True)
class DataSource:
    """One data set.

    dataset: a name that `mp_perception evaluate --dataset` knows.  root: its folder.  split: a split file or name.
    share: how often its samples are drawn, relative to the other sources' shares.
    depth: folder of other depth maps by the frames' names, such as `mp_perception data complete-depth` fills.
    donates: whether its objects of rare classes may be pasted into other images.
    labelled: the classes that are labelled in it; empty takes what the set says itself.
    inexact: classes whose boxes are drawn otherwise than the network shall draw them: they teach what is there, but
    not its outline.
    """

    dataset: str
    root: str
    split: str | None = None
    share: float = 1.0
    depth: str | None = None
    donates: bool = True
    labelled: list[str] = field(default_factory=list)
    inexact: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class DataConfiguration:
    """Where samples come from.

    batch_size: images per optimiser step, over all processes.  workers: loading processes per training process.
    samples_per_epoch: drawn anew each epoch.  augmentation: "paper" (flip, channel permutation, brightness and
    contrast), "modern" (and scale, crop, colour, copy-paste), or "none".
    """

    training: list[DataSource] = field(default_factory=list)
    validation: list[DataSource] = field(default_factory=list)
    batch_size: int = 8
    workers: int = 2
    samples_per_epoch: int = 1000
    augmentation: Literal["none", "paper", "modern"] = "modern"


@dataclass(frozen=True)
class LossConfiguration:
    """What is minimised.

    depth, classification: names in the registries of `losses`.
    Weights are those of the sum; with `learned` they are found by homoscedastic uncertainty instead.
    object_depth_weight: of the weak target from labelled objects.
    """

    depth: str = "log_l1"
    classification: str = "hard_negatives"
    learned: bool = False
    depth_weight: float = 2.0
    classification_weight: float = 1.0
    localisation_weight: float = 1.0
    object_depth_weight: float = 0.3


@dataclass(frozen=True)
class OptimisationConfiguration:
    """How it is minimised.

    schedule: "step" (times 0.9 every 500 steps, the paper's) or "cosine" (linear warm-up, then down to zero).
    warm_up: share of the epochs' steps.  gradient_clip: largest norm, 0 for none.
    average_decay: of the weights' exponential moving average, which is what is validated and kept; 0 for none.
    frozen_stride: the backbone's layers up to the map of this stride (2, 4, 8, ...) stay as they are; 0 trains all.
    freeze_batch_norm: the whole backbone keeps its running statistics.  precision: as Lightning names it;
    bf16 on a processor without it becomes fp32.
    activation_checkpointing: compute the backbone's activations again in the backward pass, which saves memory.
    images_per_update: task ("depth", "detection") -> labelled images after which the parameters of its own are
    updated (UberNet's asynchronous updates); empty updates all of them at every step.
    """

    optimiser: Literal["adam", "adamw"] = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    schedule: Literal["step", "cosine"] = "cosine"
    warm_up: float = 0.05
    epochs: int = 30
    gradient_clip: float = 10.0
    average_decay: float = 0.998
    frozen_stride: Literal[0, 2, 4, 8, 16, 32] = 0
    freeze_batch_norm: bool = False
    activation_checkpointing: bool = False
    images_per_update: dict[str, int] = field(default_factory=dict)
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"


@dataclass(frozen=True)
class TrainingConfiguration:
    """Everything a training depends on, beside the data themselves.  seed: of weights, samples and transforms."""

    network: NetworkConfiguration = field(default_factory=NetworkConfiguration)
    data: DataConfiguration = field(default_factory=DataConfiguration)
    losses: LossConfiguration = field(default_factory=LossConfiguration)
    optimisation: OptimisationConfiguration = field(default_factory=OptimisationConfiguration)
    seed: int = 1


def read_configuration(path: Path, overrides: Sequence[str] = ()) -> TrainingConfiguration:
    """The configuration in a YAML file.

    overrides: such as "--optimisation.epochs=10".  Raises UserError in one line for a file that is missing or no
    YAML, an unknown name or a value of the wrong type.
    """
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(TrainingConfiguration)
    try:
        values = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path}: expected a YAML file, found: {_one_line(error)}") from error
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            given = parser.parse_object(values or {})
            changed = parser.parse_args(list(overrides), namespace=given)
            built: Namespace = parser.instantiate(changed)
    except Exception as error:
        raise UserError(f"{path}: {_one_line(error)}") from error
    return TrainingConfiguration(**vars(built))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
