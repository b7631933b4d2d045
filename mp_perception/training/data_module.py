"""Loaders for training.  Samples depend on (epoch, position) only, not on the number of processes and workers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import lightning
import torch
from torch.utils.data import DataLoader, Sampler

from mp_perception.data.augmentation import Transform, camera_recipe, modern_recipe, paper_recipe, plain_recipe
from mp_perception.data.cutouts import Cutouts
from mp_perception.data.data_sets import open_data_set
from mp_perception.data.frame_sets import FrameSet
from mp_perception.data.mixing import MixedSamples, Source
from mp_perception.errors import UserError
from mp_perception.training.batch import Batch, collate
from mp_perception.training.configuration import DataSource, TrainingConfiguration
from mp_perception.training.processes import num_processes, process_number


class EpochPositions(Sampler[tuple[int, int]]):
    """The (epoch, position) keys of one process: its part of every batch.

    batch_size: over all processes, a multiple of their number; an incomplete last batch is dropped.  epoch: the first.
    """

    def __init__(self, num_samples: int, batch_size: int, epoch: int = 0) -> None:
        self.epoch = epoch
        self.per_process = batch_size // num_processes()
        self._num_batches = num_samples // batch_size
        self._batch_size = batch_size

    def set_epoch(self, epoch: int) -> None:
        """Select the epoch (Lightning calls this)."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self._num_batches * self.per_process

    def __iter__(self) -> Iterator[tuple[int, int]]:
        for batch in range(self._num_batches):
            start = batch * self._batch_size + process_number() * self.per_process
            yield from ((self.epoch, position) for position in range(start, start + self.per_process))


class TrainingData(lightning.LightningDataModule):
    """The data sets of a configuration.

    root: folder to which relative paths of data sources refer.
    Raises UserError for a data set that is missing or invalid, or if there is none to train on.
    """

    def __init__(self, configuration: TrainingConfiguration, root: Path) -> None:
        super().__init__()
        self._configuration = configuration
        self._root = root
        self._first_epoch = 0
        data = configuration.data
        if not data.training:
            raise UserError("data.training: expected at least one data set")
        if data.samples_per_epoch < data.batch_size:
            raise UserError(f"data.samples_per_epoch {data.samples_per_epoch}: expected at least {data.batch_size}")
        if data.batch_size % num_processes():
            raise UserError(f"data.batch_size {data.batch_size}: expected a multiple of {num_processes()} processes")
        sources = [Source(self.open(source), source.weight) for source in data.training]
        self.samples = MixedSamples(
            sources, self._transforms(), data.samples_per_epoch, configuration.seed, data.batch_size
        )
        self.validation_sets = [self.open(source) for source in data.validation]

    def open(self, source: DataSource) -> FrameSet:
        """The data set of a source."""
        split = source.split
        if split is not None and (self._root / split).is_file():
            split = str(self._root / split)
        class_names = tuple(self._configuration.network.class_names)
        data_set = open_data_set(source.dataset, self._root / source.root, split, class_names)
        if source.depth is not None:
            data_set.use_depth_from(self._root / source.depth)
        data_set.use_sky()
        if source.labelled:
            data_set.use_labelled_classes(source.labelled)
        data_set.mark_inexact(source.inexact)
        return data_set

    def train_dataloader(self) -> DataLoader[Batch]:
        """The batches of this process."""
        data = self._configuration.data
        positions = EpochPositions(len(self.samples), data.batch_size, self._first_epoch)
        return DataLoader(
            self.samples,  # type: ignore[arg-type]  # its index is (epoch, position)
            batch_size=positions.per_process,
            sampler=positions,
            num_workers=data.workers,
            collate_fn=partial(collate, training_focal_length=self._configuration.network.focal_length),
            persistent_workers=data.workers > 0,
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=_one_thread,
            multiprocessing_context="spawn" if data.workers else None,
        )

    def state_dict(self) -> dict[str, Any]:
        """The number of finished epochs, for resuming."""
        assert self.trainer is not None
        epochs = self.trainer.fit_loop.epoch_progress.current
        return {"epochs": epochs.processed}  # type: ignore[attr-defined]  # its declared type lacks it

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Resume from `state_dict`: Lightning selects the epoch after the loading processes have begun with another."""
        self._first_epoch = state_dict["epochs"]

    def val_dataloader(self) -> DataLoader[FrameSet]:
        """Whole data sets, one per step: the validation distributes their images over the processes itself."""
        return DataLoader(self.validation_sets, batch_size=None, collate_fn=lambda data_set: data_set)  # type: ignore[arg-type]

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Batches as usual; a data set stays as it is (Lightning would read all of it as a sequence)."""
        return batch if isinstance(batch, FrameSet) else super().transfer_batch_to_device(batch, device, dataloader_idx)

    def _transforms(self) -> list[Transform]:
        """The augmentation of each input size."""
        data = self._configuration.data
        sizes = data.input_sizes or [self._configuration.network.input_size]
        if data.augmentation != "modern":
            recipe = {"none": plain_recipe, "paper": paper_recipe, "camera": camera_recipe}[data.augmentation]
            return [recipe(size) for size in sizes]
        cutouts = Cutouts(self._root / data.cutouts) if data.cutouts else None
        return [modern_recipe(size, cutouts) for size in sizes]


def _one_thread(worker: int) -> None:
    """Loading processes must not compete with the training for CPU cores."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
