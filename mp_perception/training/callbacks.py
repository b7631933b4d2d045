"""What happens beside the training steps: validation by the evaluation's own figures, weights files, task updates."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, WeightAveraging
from torch import Tensor, nn

from mp_perception.network.checkpoint import Network, write_checkpoint
from mp_perception.training.batch import Batch
from mp_perception.training.curve import draw_curve
from mp_perception.training.update_schedule import UpdateSchedule


class AsynchronousUpdates(Callback):
    """Updates the parameters that belong to one task once enough images with its labels were seen (UberNet).

    The depth decoder belongs to "depth", heads and extra maps to "detection"; the backbone is updated at every step.
    images_per_update: task -> labelled images.
    """

    def __init__(self, images_per_update: Mapping[str, int]) -> None:
        self._schedule = UpdateSchedule(images_per_update)
        self._due: dict[str, int] = {}
        self._gathered: dict[str, dict[str, Tensor]] = {task: {} for task in images_per_update}

    def on_train_batch_start(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, batch: Batch, batch_index: int
    ) -> None:
        """Count the batch's labels."""
        labelled = {
            "depth": int(batch.depth.isfinite().flatten(1).any(dim=1).sum()),
            "detection": int(batch.labelled_classes.any(dim=1).sum()),
        }
        self._images = labelled
        self._due = self._schedule.step({task: labelled[task] for task in self._gathered})

    def on_before_optimizer_step(
        self, trainer: lightning.Trainer, module: Any, optimizer: torch.optim.Optimizer
    ) -> None:
        """Keep back the gradients of tasks that are not due; average those of tasks that are."""
        for task, gathered in self._gathered.items():
            for name, parameter in _own_parameters(module.network, task):
                if parameter.grad is not None:
                    weighted = parameter.grad * self._images[task]
                    gathered[name] = gathered[name] + weighted if name in gathered else weighted
                parameter.grad = gathered.pop(name, None) if task in self._due else None
                if parameter.grad is not None:
                    parameter.grad /= self._due[task]

    def state_dict(self) -> dict[str, Any]:
        """For resuming: the counts and the gradients gathered so far."""
        return {"seen": self._schedule.state(), "gathered": self._gathered}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from `state_dict`."""
        self._schedule.restore(state_dict["seen"])
        self._gathered = state_dict["gathered"]


def _own_parameters(network: Network, task: str) -> list[tuple[str, nn.Parameter]]:
    """Names and parameters that only one task uses."""
    prefixes = ("decoder.",) if task == "depth" else ("heads.", "extra_maps.")
    return [(name, parameter) for name, parameter in network.named_parameters() if name.startswith(prefixes)]


class AveragedWeights(WeightAveraging):
    """Keeps an exponential moving average of the weights, which is what is validated and written.

    decay: share of the average that a step keeps, once enough steps were made: step n keeps at most (1 + n) / (10 + n),
    so that the random start is soon forgotten.
    """

    def __init__(self, decay: float) -> None:
        def average(averaged: Tensor, current: Tensor, num_averaged: Tensor) -> Tensor:
            steps = float(num_averaged)
            return averaged + (current - averaged) * (1 - min(decay, (1 + steps) / (10 + steps)))

        super().__init__(avg_fn=average)


class WeightsFiles(Callback):
    """Writes checkpoints for the node: `last.safetensors` after every epoch, `best.safetensors` by validation.

    Score threshold and depth error in them are those of the first validation set that can tell.
    Beside them validation.jsonl, a line of figures per epoch, and curve.png, the same to look at.  It must come before
    AveragedWeights among the callbacks.

    folder: where to.  monitor: name of the logged figure that decides what is best, greater is better.
    """

    def __init__(self, folder: Path, monitor: str) -> None:
        self._folder = folder
        self._monitor = monitor
        self._best = float("-inf")
        self._validated: Network | None = None

    def on_validation_epoch_end(self, trainer: lightning.Trainer, module: Any) -> None:
        """Keep the network that was validated: with weight averaging the module returns to the other weights now."""
        self._validated = copy.deepcopy(module.network)

    def on_validation_end(self, trainer: lightning.Trainer, module: Any) -> None:
        """Write the network that was just validated, with its figures, which are complete only here."""
        network, self._validated = self._validated, None
        if network is None or not trainer.is_global_zero:
            return
        metrics = {
            name.removeprefix("validation/"): round(float(value), 5)
            for name, value in trainer.callback_metrics.items()
            if name.startswith("validation/")
        }
        measured = {name: value for name, value in asdict(module.calibration).items() if value is not None}
        network.description = replace(
            network.description, metrics={"epoch": trainer.current_epoch + 1, **metrics}, **measured
        )
        write_checkpoint(self._folder / "last.safetensors", network)
        value = float(trainer.callback_metrics.get(self._monitor, float("-inf")))
        if value > self._best:
            self._best = value
            write_checkpoint(self._folder / "best.safetensors", network)
        line = json.dumps({"epoch": trainer.current_epoch + 1, **metrics})
        records = self._folder / "validation.jsonl"
        with records.open("a") as file:
            file.write(line + "\n")
        draw_curve(records, self._folder / "curve.png")

    def state_dict(self) -> dict[str, Any]:
        """For resuming."""
        return {"best": self._best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from `state_dict`."""
        self._best = state_dict["best"]
