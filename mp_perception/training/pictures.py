"""Pictures of validation images in TensorBoard: overlay above depth, so that one sees what the figures do not say."""

from __future__ import annotations

from typing import Any

import lightning
import numpy as np
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger

from mp_perception.inference.predictor import Predictor
from mp_perception.inference.runtimes.torch_runtime import TorchRuntime
from mp_perception.visualization.depth_colors import color_depth
from mp_perception.visualization.overlay import draw_overlay

_PICTURES_PER_SET = 3


class ValidationPictures(Callback):
    """After each validation the same few images of every validation set."""

    def on_validation_epoch_end(self, trainer: lightning.Trainer, module: Any) -> None:
        """Draw and log, in the first process."""
        logger = trainer.logger
        if trainer.sanity_checking or not trainer.is_global_zero or not isinstance(logger, TensorBoardLogger):
            return
        predictor = Predictor(TorchRuntime.around(module.network))
        for data_set in trainer.datamodule.validation_sets:  # type: ignore[attr-defined]
            for index in np.linspace(0, len(data_set) - 1, _PICTURES_PER_SET).astype(int):
                sample = data_set[int(index)]
                prediction = predictor.predict(sample.image, sample.intrinsics)
                picture = np.concatenate([draw_overlay(sample.image, prediction), color_depth(prediction.depth)])
                name = f"{data_set.origin}/{sample.name}"
                logger.experiment.add_image(name, picture, trainer.current_epoch, dataformats="HWC")
