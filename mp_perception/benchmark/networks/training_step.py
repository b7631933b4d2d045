"""What a training does for one image, apart: reading and transforming it, and learning from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from mp_perception.training.batch import Batch, collate
from mp_perception.training.configuration import DataSource, TrainingConfiguration, read_configuration
from mp_perception.training.data_module import TrainingData
from mp_perception.training.module import MultiTaskTraining

#: Images of a step.
BATCH_SIZE = 4


def load_samples(configuration: Path, streets: Path) -> Callable[[], object]:
    """Samples one after the other, as a loading process makes them."""
    torch.set_num_threads(1)
    data = TrainingData(_on_streets(configuration, streets), streets.parent)
    position = 0

    def run() -> None:
        nonlocal position
        data.samples[0, position % len(data.samples)]
        position += 1

    return run


def train_step(configuration: Path, streets: Path, num_threads: int) -> Callable[[], object]:
    """Steps of the optimiser on one batch of BATCH_SIZE images, which is not loaded again."""
    torch.set_num_threads(num_threads)
    settings = _on_streets(configuration, streets)
    data = TrainingData(settings, streets.parent)
    batch: Batch = collate([data.samples[0, i] for i in range(BATCH_SIZE)], settings.network.focal_length)
    module = MultiTaskTraining(settings).train()
    optimiser = torch.optim.AdamW(module.parameters())
    # As Lightning would run it.
    mixed = settings.optimisation.precision == "bf16-mixed"

    def run() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            loss = module.weighting(module.task_losses(module(batch.images), batch))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return run


def _on_streets(configuration: Path, streets: Path) -> TrainingConfiguration:
    """A recipe with synthetic streets as its only data and without pretrained weights."""
    recipe = read_configuration(configuration)
    return replace(
        recipe,
        network=replace(recipe.network, backbone_weights=None, initial_weights=None),
        data=replace(
            recipe.data,
            training=[DataSource("synthetic", streets.name)],
            validation=[],
            batch_size=BATCH_SIZE,
            samples_per_epoch=1000,
            workers=0,
        ),
    )
