"""Loaders for training: mixed samples by (epoch, position), the same whatever the number of processes and workers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import lightning
import torch
from torch.utils.data import DataLoader, Sampler

from mp_perception.data.augmentation import Transform, modern_recipe, paper_recipe, plain_recipe
from mp_perception.data.copy_paste import ObjectDonors
from mp_perception.data.data_sets import open_data_set
from mp_perception.data.frame_sets import FrameSet
from mp_perception.data.mixing import MixedSamples, Source
from mp_perception.errors import UserError
from mp_perception.training.batch import Batch, collate
from mp_perception.training.configuration import DataSource, TrainingConfiguration
from mp_perception.training.processes import num_processes, process_number

#: Classes that copy-paste multiplies, because KITTI's drives hold few of them.
RARE_CLASSES = ("Pedestrian", "Cyclist")


class EpochPositions(Sampler[tuple[int, int]]):
    """(epoch, position) keys of one process: of each batch of all processes it takes a part of its own.

    batch_size: over all processes, a multiple of their number; batches that would not be full are left out.
    """

    def __init__(self, num_samples: int, batch_size: int) -> None:
        self.epoch = 0
        self._per_process = batch_size // num_processes()
        self._num_batches = num_samples // batch_size
        self._batch_size = batch_size

    @property
    def per_process(self) -> int:
        """Samples of a batch in this process."""
        return self._per_process

    def set_epoch(self, epoch: int) -> None:
        """Lightning says which epoch comes."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self._num_batches * self._per_process

    def __iter__(self) -> Iterator[tuple[int, int]]:
        for batch in range(self._num_batches):
            start = batch * self._batch_size + process_number() * self._per_process
            yield from ((self.epoch, position) for position in range(start, start + self._per_process))


class TrainingData(lightning.LightningDataModule):
    """Opens the data sets of a configuration.

    root: folder that relative roots of data sources start from.
    Raises UserError for a data set that is missing or wrong, or without any to train on.
    """

    def __init__(self, configuration: TrainingConfiguration, root: Path) -> None:
        super().__init__()
        self._configuration = configuration
        self._root = root
        data = configuration.data
        if not data.training:
            raise UserError("data.training: expected at least one data set")
        if data.samples_per_epoch < data.batch_size:
            raise UserError(f"data.samples_per_epoch {data.samples_per_epoch}: expected at least {data.batch_size}")
        if data.batch_size % num_processes():
            raise UserError(f"data.batch_size {data.batch_size}: expected a multiple of {num_processes()} processes")
        sources = [Source(self.open(source), source.share) for source in data.training]
        donating = [source.data_set for source, given in zip(sources, data.training, strict=True) if given.donates]
        transform = self._transform(donating)
        self.samples = MixedSamples(sources, transform, data.samples_per_epoch, configuration.seed)
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
        if source.labelled:
            data_set.use_labelled_classes(source.labelled)
        data_set.mark_inexact(source.inexact)
        return data_set

    def train_dataloader(self) -> DataLoader[Batch]:
        """Batches of this process."""
        data = self._configuration.data
        positions = EpochPositions(len(self.samples), data.batch_size)
        return DataLoader(
            self.samples,  # type: ignore[arg-type]  # indexed by (epoch, position)
            batch_size=positions.per_process,
            sampler=positions,
            num_workers=data.workers,
            collate_fn=partial(collate, training_focal_length=self._configuration.network.focal_length),
            persistent_workers=data.workers > 0,
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=_one_thread,
            multiprocessing_context="spawn" if data.workers else None,
        )

    def val_dataloader(self) -> DataLoader[FrameSet]:
        """Whole data sets, one per step: the evaluation divides their images over the processes itself."""
        return DataLoader(self.validation_sets, batch_size=None, collate_fn=lambda data_set: data_set)  # type: ignore[arg-type]

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """A batch moves as a whole; a data set stays."""
        return batch.to(device) if isinstance(batch, Batch) else batch

    def _transform(self, donating: list[FrameSet]) -> Transform:
        input_size = self._configuration.network.input_size
        augmentation = self._configuration.data.augmentation
        if augmentation == "none":
            return plain_recipe(input_size)
        if augmentation == "paper":
            return paper_recipe(input_size)
        rare = [name for name in RARE_CLASSES if name in self._configuration.network.class_names]
        return modern_recipe(input_size, ObjectDonors(donating, rare) if rare else None)


def _one_thread(worker: int) -> None:
    """Loading processes must not compete with the training for the cores."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
