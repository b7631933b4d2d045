"""Asynchronous updates of the tasks' own parameters (UberNet, Kokkinos 2017), for training with partial labels.

A batch may hold few or no labels of a task.  An update from those few would be noisy, so gradients are accumulated
until enough images with labels of the task have been seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn

from mp_perception.errors import UserError
from mp_perception.network.checkpoint import Network
from mp_perception.training.batch import Batch


class AsynchronousUpdates(Callback):
    """Updates the parameters of a task after a number of images with its labels, averaged over these images.

    The decoder belongs to "depth", heads and extra maps to "detection"; the backbone is updated at every step.
    images_per_update: task -> images with its labels (> 0).  Raises UserError for other tasks or numbers.
    """

    def __init__(self, images_per_update: Mapping[str, int]) -> None:
        if not images_per_update.keys() <= {"depth", "detection"} or min(images_per_update.values()) < 1:
            raise UserError(
                "optimisation.images_per_update: expected at least 1 for depth and detection, "
                f"found {dict(images_per_update)}"
            )
        self._images_per_update = images_per_update
        self._images_in_batch: dict[str, int] = {}
        self._images_seen = dict.fromkeys(images_per_update, 0)
        self._gradients: dict[str, dict[str, Tensor]] = {task: {} for task in images_per_update}

    def on_train_batch_start(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, batch: Batch, batch_index: int
    ) -> None:
        """Count the images with labels in the batch."""
        self._images_in_batch = {
            "depth": int(batch.depth.isfinite().flatten(1).any(dim=1).sum()),
            "detection": int(batch.labelled_classes.any(dim=1).sum()),
        }
        for task in self._images_seen:
            self._images_seen[task] += self._images_in_batch[task]

    def on_before_optimizer_step(
        self, trainer: lightning.Trainer, module: Any, optimizer: torch.optim.Optimizer
    ) -> None:
        """Accumulate the gradients of every task; pass them on, averaged, once its number of images is reached."""
        for task, gradients in self._gradients.items():
            num_images = self._images_seen[task]
            is_due = num_images >= self._images_per_update[task]
            for name, parameter in _own_parameters(module.network, task):
                if parameter.grad is not None:
                    weighted = parameter.grad * self._images_in_batch[task]
                    gradients[name] = gradients[name] + weighted if name in gradients else weighted
                parameter.grad = gradients.pop(name) / num_images if is_due and name in gradients else None
            if is_due:
                self._images_seen[task] = 0

    def state_dict(self) -> dict[str, Any]:
        """The images and gradients accumulated so far, for resuming."""
        return {"images_seen": self._images_seen, "gradients": self._gradients}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Resume from `state_dict`."""
        self._images_seen = state_dict["images_seen"]
        self._gradients = state_dict["gradients"]


def _own_parameters(network: Network, task: str) -> list[tuple[str, nn.Parameter]]:
    """Names and parameters that only one task uses."""
    prefixes = ("decoder.",) if task == "depth" else ("heads.", "extra_maps.")
    return [(name, parameter) for name, parameter in network.named_parameters() if name.startswith(prefixes)]
