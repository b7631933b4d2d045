"""The training step as a Lightning module: one network, the losses of both branches, optimiser and schedule."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mp_perception.data.frame_sets import FrameSet
from mp_perception.errors import UserError
from mp_perception.evaluation.figures import headline_figures
from mp_perception.evaluation.scoring import evaluate
from mp_perception.inference.predictor import Predictor
from mp_perception.inference.runtimes.torch_runtime import TorchRuntime
from mp_perception.losses.depth import find_depth_loss, object_depth_loss
from mp_perception.losses.detection import find_classification_loss, smooth_l1_loss
from mp_perception.losses.weighting import FixedWeights, UncertaintyWeights
from mp_perception.model.default_boxes import generate_default_boxes
from mp_perception.network.backbones import load_backbone_weights
from mp_perception.network.checkpoint import Network, build_network, read_checkpoint
from mp_perception.network.matching import match_default_boxes
from mp_perception.network.multitask import MultiTaskNetwork, NetworkOutputs, describe_network
from mp_perception.training.batch import Batch
from mp_perception.training.configuration import NetworkConfiguration, TrainingConfiguration
from mp_perception.training.output_calibration import OutputCalibration, calibrate_outputs
from mp_perception.training.processes import gather, indices_of_process

#: The paper's schedule: the learning rate is multiplied by this factor every so many steps.
_STEP_FACTOR, _STEP_LENGTH = 0.9, 500
#: The names of the losses; LossConfiguration has a weight for each.
TASKS = ("depth", "classification", "localisation", "object_depth")


class MultiTaskTraining(lightning.LightningModule):
    """Trains the network of a configuration."""

    calibration: OutputCalibration

    def __init__(self, configuration: TrainingConfiguration) -> None:
        super().__init__()
        self.configuration = configuration
        # Channels last is the faster memory layout for convolutions, on CPUs and GPUs.
        self.network = start_network(configuration.network).to(memory_format=torch.channels_last)
        for layer in self._frozen_layers():
            layer.requires_grad_(False)
        if configuration.optimisation.depth_only:
            self._freeze_all_but_depth()
        self._default_boxes: dict[tuple[int, int], Tensor] = {}
        losses = configuration.losses
        self._depth_loss = find_depth_loss(losses.depth)
        self._classification_loss = find_classification_loss(losses.classification)
        self.weighting: nn.Module = (
            UncertaintyWeights([task for task in TASKS if task != "classification"], ["classification"])
            if losses.learned
            else FixedWeights({task: getattr(losses, f"{task}_weight") for task in TASKS})
        )
        # A tuple, so that it is not a part of this module: it is not trained, averaged or stored.
        self._before = (copy.deepcopy(self.network).requires_grad_(False).eval(),) if losses.keep_sky else ()
        if configuration.optimisation.activation_checkpointing:
            _recompute_activations(self.network)

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """The total loss of a batch.  Raises UserError with its parts if it is not finite."""
        return self.total_loss(self.task_losses(self.network(batch.images), batch), batch)

    def total_loss(self, losses: dict[str, Tensor | None], batch: Batch) -> Tensor:
        """The weighted sum of the losses, logged with its parts.  Raises UserError if it is not finite."""
        total: Tensor = self.weighting(losses)
        parts = {name: float(loss.detach()) for name, loss in losses.items() if loss is not None}
        if not math.isfinite(float(total.detach())):
            raise UserError(f"the loss is not finite at step {self.global_step}: {parts}; batch: {batch.origins}")
        self.log_dict({f"loss/{name}": value for name, value in parts.items()}, batch_size=len(batch.images))
        self.log("loss", total.detach(), prog_bar=True, batch_size=len(batch.images))
        return total

    def task_losses(self, outputs: NetworkOutputs, batch: Batch) -> dict[str, Tensor | None]:
        """Loss by task; None where the batch has no labels of the task."""
        losses: dict[str, Tensor | None] = dict.fromkeys(TASKS)
        depth = batch.depth
        for network in self._before:
            with torch.no_grad():
                before = network.to(batch.images.device)(batch.images)
            # No sensor measures the sky.
            is_beyond = before.depth > network.description.valid_depth_range[1]
            depth = torch.where(depth.isnan() & is_beyond, torch.inf, depth)
        if not depth.isnan().all():
            # The sky is infinitely far: the upper end of the range.
            target = depth.clamp(max=self.network.description.depth_range[1])
            losses["depth"] = self._depth_loss(outputs.depth.float(), target)
        if batch.labelled_classes.any() and not self.configuration.optimisation.depth_only:
            default_boxes = self.default_boxes(batch)
            targets = match_default_boxes(default_boxes, batch.boxes, batch.labels, batch.ignored, batch.exact)
            losses["classification"] = self._classification_loss(outputs.class_logits, targets, batch.labelled_classes)
            losses["localisation"] = smooth_l1_loss(outputs.box_offsets, targets)
        wanted = self.configuration.losses.learned or self.configuration.losses.object_depth_weight > 0
        if wanted and any(depths.isfinite().any() for depths in batch.object_depths):
            in_depth_pixels = [boxes / 2 for boxes in batch.boxes]
            losses["object_depth"] = object_depth_loss(outputs.depth, in_depth_pixels, batch.object_depths)
        return losses

    def default_boxes(self, batch: Batch) -> Tensor:
        """The default boxes (N, 4) for the size of a batch's images."""
        size = (batch.images.shape[2], batch.images.shape[3])
        if size not in self._default_boxes:
            boxes = generate_default_boxes(self.network.description.levels, size)
            self._default_boxes[size] = torch.from_numpy(boxes).to(self.device)
        return self._default_boxes[size]

    def validation_step(self, data_set: FrameSet, batch_index: int) -> None:
        """Score one data set as `mp_perception evaluate` does."""
        predictor = Predictor(TorchRuntime.around(self.network))
        evaluation, *others = gather(evaluate(predictor, data_set, indices=indices_of_process(len(data_set))))
        for other in others:
            evaluation.merge(other)
        self.calibration = self.calibration.completed_by(calibrate_outputs(evaluation))
        figures = headline_figures(evaluation)
        self._validated.append(figures)
        name = f"validation/{batch_index}-{data_set.origin}"
        self.log_dict({f"{name}/{figure}": value for figure, value in figures.items()}, batch_size=1)

    def on_validation_epoch_start(self) -> None:
        """Discard the figures of the previous epoch."""
        self._validated: list[dict[str, float]] = []
        self.calibration = OutputCalibration()

    def on_validation_epoch_end(self) -> None:
        """Log the score that selects the best epoch: the mean of d1 and average precisions of all validation sets."""
        values = [value for figures in self._validated for name, value in figures.items() if name != "rmse"]
        self.log("validation/score", sum(values) / max(1, len(values)), prog_bar=True, batch_size=1)

    def on_train_epoch_start(self) -> None:
        """Keep the running statistics of frozen batch norms."""
        for layer in [self.network] if self.configuration.optimisation.freeze_batch_norm else self._frozen_layers():
            for module in layer.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()

    def _frozen_layers(self) -> list[nn.Module]:
        stride = self.configuration.optimisation.frozen_stride
        return self.network.backbone.layers(stride) if stride else []

    def _freeze_all_but_depth(self) -> None:
        layers = self.network.depth_only_layers if isinstance(self.network, MultiTaskNetwork) else None
        if layers is None:
            raise UserError(
                "optimisation.depth_only: expected a network whose detection does not read the depth decoder"
            )
        self.network.requires_grad_(False)
        layers.requires_grad_(True)

    def configure_optimizers(self) -> Any:
        """Optimiser and schedule of the configuration, without weight decay of normalisation and biases."""
        optimisation = self.configuration.optimisation
        decayed = [p for p in self.parameters() if p.requires_grad and p.ndim > 1]
        others = [p for p in self.parameters() if p.requires_grad and p.ndim <= 1]
        optimiser_class = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[optimisation.optimiser]
        optimiser = optimiser_class(
            [{"params": decayed}, {"params": others, "weight_decay": 0.0}],
            lr=optimisation.learning_rate,
            weight_decay=optimisation.weight_decay,
        )
        num_steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: self._rate(step, num_steps))
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _rate(self, step: int, num_steps: int) -> float:
        """Learning rate at a step, as a fraction of the configured one."""
        optimisation = self.configuration.optimisation
        if optimisation.schedule == "step":
            return float(_STEP_FACTOR ** (step // _STEP_LENGTH))
        warm_up = max(1, round(optimisation.warm_up * num_steps))
        if step < warm_up:
            return (step + 1) / warm_up
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm_up) / max(1, num_steps - warm_up))))


def network_of(path: Path) -> NetworkConfiguration:
    """The configuration of a checkpoint's network.  Raises UserError if the file cannot be read."""
    found = read_checkpoint(path).description
    return NetworkConfiguration(
        backbone=found.backbone,
        initial_weights=str(path),
        decoder=found.decoder,
        head=found.head,
        levels=list(found.levels),
        class_names=list(found.class_names),
        input_size=found.input_size,
        depth_range=found.depth_range,
        depth_bound="none" if found.depth_bound == "none" else "logarithmic",
        max_depth=found.max_depth,
        focal_length=found.training_focal_length or NetworkConfiguration.focal_length,
    )


def start_network(configuration: NetworkConfiguration) -> Network:
    """The network before training: that of the initial weights, or a new one with its backbone's weights.

    Raises UserError for unknown names or missing files.
    """
    if configuration.initial_weights:
        network = read_checkpoint(Path(configuration.initial_weights)).train()
        network.description = replace(
            network.description,
            metrics={},
            depth_error=0.0,
            camera=None,
            training_focal_length=configuration.focal_length,
        )
        return network
    try:
        description = describe_network(
            configuration.backbone,
            configuration.decoder,
            configuration.head,
            class_names=tuple(configuration.class_names),
            input_size=configuration.input_size,
        )
        description = replace(
            description,
            levels=tuple(configuration.levels) or description.levels,
            depth_range=configuration.depth_range,
            depth_bound=configuration.depth_bound,
            max_depth=configuration.max_depth,
            training_focal_length=configuration.focal_length,
        )
    except ValueError as error:
        raise UserError(f"network: {error}") from error
    network = build_network(description)
    if configuration.backbone_weights:
        normalisation = load_backbone_weights(configuration.backbone, network.backbone, configuration.backbone_weights)
        description = replace(description, pixel_mean=normalisation.mean, pixel_std=normalisation.std)
        trained = network
        network = build_network(description)
        network.load_state_dict(trained.state_dict())
    return network


def _recompute_activations(network: Network) -> None:
    """Save memory at the cost of time: compute the backbone's activations again in the backward pass."""
    forward = network.backbone.forward
    network.backbone.forward = lambda image: checkpoint(forward, image, use_reentrant=False)  # type: ignore[method-assign]
