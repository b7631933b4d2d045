"""The configuration of a training: a YAML file whose values can be overridden on the command line.

Every field has a usable default, so a file contains only what differs.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml
from jsonargparse import ArgumentParser, Namespace

from mp_perception.classes import DEFAULT_CLASSES
from mp_perception.errors import UserError, one_line
from mp_perception.model.checkpoint_description import DetectionLevel, check_input_size

#: Limits of numbers by the last part of their names; those of others are 0 and 1e9.
_LIMITS: dict[str, tuple[float, float]] = {
    "focal_length": (1, 1e6),
    "batch_size": (1, 65_536),
    "workers": (0, 1024),
    "weight": (1e-6, 1e6),
    "samples_per_epoch": (1, 1e9),
    "learning_rate": (0, 100),
    "warm_up": (0, 1),
    "average_decay": (0, 1),
    "epochs": (1, 1e6),
    "seed": (0, 2**32 - 1),
}


@dataclass(frozen=True)
class NetworkConfiguration:
    """The network to train.

    backbone, decoder, head: names in the registries of `network`.
    backbone_weights: "torchvision", a safetensors file (absolute or relative to the data root), or None for random
    weights.
    initial_weights: a checkpoint from which to continue with other data, or None.  The network is then that of the
    checkpoint and all other values here are ignored.
    levels: feature maps with detection heads and their default boxes; empty for those of describe_network.
    input_size: (height, width), pixels.  depth_range: (minimum, maximum), metres.
    max_depth: metres; larger depth means "beyond"; None for the maximum of depth_range.
    focal_length: pixels of the network's input.  Depth is learned for a camera of this focal length and scaled to
    other cameras at inference.  The default is KITTI's at an input of 640x192.
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
    max_depth: float | None = None
    focal_length: float = 369.4


@dataclass(frozen=True)
class DataSource:
    """One data set.

    dataset: a name as for `mp_perception evaluate --dataset`.  root: its folder.  split: a split file or name.
    weight: relative frequency of its samples.
    depth: folder with other depth maps, named like the frames, such as those of `mp_perception data teach`; a frame
    without a map there keeps its own.
    labelled: the classes that are labelled in it; empty for those that the set itself names.
    inexact: classes whose boxes follow other conventions: they are targets of classification, but not of the offsets.
    """

    dataset: str
    root: str
    split: str | None = None
    weight: float = 1.0
    depth: str | None = None
    labelled: list[str] = field(default_factory=list)
    inexact: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class DataConfiguration:
    """The samples.

    batch_size: images per optimiser step, over all processes.  workers: loading processes per training process.
    samples_per_epoch: drawn anew in each epoch.  augmentation: "paper" (flip, channel permutation, brightness and
    contrast), "modern" (also scale, crop, colour, pasted people), "camera" (for one camera that stays where it is on
    its robot: flip, colour, a slight zoom), or "none".
    input_sizes: (height, width) of the network's input, one drawn for each batch; empty for the network's.
    cutouts: folder of people to paste (see data/cutouts.py), or None.
    """

    training: list[DataSource] = field(default_factory=list)
    validation: list[DataSource] = field(default_factory=list)
    batch_size: int = 8
    workers: int = 2
    samples_per_epoch: int = 1000
    augmentation: Literal["none", "paper", "modern", "camera"] = "modern"
    input_sizes: list[tuple[int, int]] = field(default_factory=list)
    cutouts: str | None = None


@dataclass(frozen=True)
class LossConfiguration:
    """The loss.

    depth, classification: names in the registries of `losses`.
    learned: whether the tasks' weights are learned from homoscedastic uncertainty; the fixed weights are then ignored.
    object_depth_weight: of the weak depth target from labelled objects.
    keep_sky: what network.initial_weights take for the sky is learned as such where depth is unknown.
    """

    depth: str = "log_l1"
    classification: str = "hard_negatives"
    learned: bool = False
    depth_weight: float = 2.0
    classification_weight: float = 1.0
    localisation_weight: float = 1.0
    object_depth_weight: float = 0.3
    keep_sky: bool = False


@dataclass(frozen=True)
class OptimisationConfiguration:
    """The optimiser.

    schedule: "step" (times 0.9 every 500 steps, as in the paper) or "cosine" (linear warm-up, then down to zero).
    warm_up: fraction of all steps.  gradient_clip: maximum norm, 0 for none.
    average_decay: of the exponential moving average of the weights, which is validated and written; 0 for none.
    frozen_stride: the backbone's layers up to the map of this stride are not trained; 0 trains all.
    depth_only: only the depth decoder is trained, and detection stays exactly as it is.
    freeze_batch_norm: the network keeps its running statistics.
    activation_checkpointing: saves memory by computing the backbone's activations again in the backward pass.
    images_per_update: task ("depth", "detection") -> labelled images per update of the task's own parameters
    (UberNet's asynchronous updates); empty updates them at every step.
    precision: by Lightning's names; on a processor without bf16 arithmetic bf16-mixed becomes 32-true.
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
    depth_only: bool = False
    freeze_batch_norm: bool = False
    activation_checkpointing: bool = False
    images_per_update: dict[str, int] = field(default_factory=dict)
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"


@dataclass(frozen=True)
class TrainingConfiguration:
    """Everything that a training depends on except the data.  seed: of weights, samples and transforms."""

    network: NetworkConfiguration = field(default_factory=NetworkConfiguration)
    data: DataConfiguration = field(default_factory=DataConfiguration)
    losses: LossConfiguration = field(default_factory=LossConfiguration)
    optimisation: OptimisationConfiguration = field(default_factory=OptimisationConfiguration)
    seed: int = 1


def read_configuration(path: Path, overrides: Sequence[str] = ()) -> TrainingConfiguration:
    """The configuration in a YAML file.

    overrides: such as "--optimisation.epochs=10".  Raises UserError for a missing or invalid file, an unknown name or
    a value of the wrong type or out of its limits.
    """
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(TrainingConfiguration)
    try:
        text = path.read_text()
        # A few lines of them can stand for billions of values.
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text)):
            raise UserError(f"{path}: expected a YAML file without aliases (*NAME), found one")
        values = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, RecursionError, yaml.YAMLError) as error:
        raise UserError(f"{path}: expected a YAML file, found: {one_line(error)}") from error
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            given = parser.parse_object(values or {})
            changed = parser.parse_args(list(overrides), namespace=given)
            built: Namespace = parser.instantiate(changed)
    except Exception as error:
        raise UserError(f"{path}: {one_line(error)}") from error
    configuration = TrainingConfiguration(**vars(built))
    for name, value in _numbers("", asdict(configuration)):
        low, high = _LIMITS.get(name.rpartition(".")[2], (0, 1e9))
        if not low <= value <= high:
            raise UserError(f"{path}: {name}: expected a number of {low:g} to {high:g}, found {value:g}")
    try:
        for size in (configuration.network.input_size, *configuration.data.input_sizes):
            check_input_size(size)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error
    return configuration


def _numbers(name: str, values: Any) -> Iterator[tuple[str, float]]:
    """(name as on the command line, value) of all numbers in nested settings."""
    if isinstance(values, int | float) and not isinstance(values, bool):
        yield name, values
    if isinstance(values, list | tuple):
        values = dict(enumerate(values))
    if isinstance(values, dict):
        for key, value in values.items():
            yield from _numbers(f"{name}.{key}".lstrip("."), value)
