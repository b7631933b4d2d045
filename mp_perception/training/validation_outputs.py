"""What a training writes after each validation: weights files, figures, a curve, and pictures in TensorBoard."""

from __future__ import annotations

import copy
import io
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import lightning
import numpy as np
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger

from mp_perception.errors import UserError
from mp_perception.files import write_atomically
from mp_perception.inference.predictor import Predictor
from mp_perception.inference.runtimes.torch_runtime import TorchRuntime
from mp_perception.network.checkpoint import Network, write_checkpoint
from mp_perception.visualization.depth_colors import color_depth
from mp_perception.visualization.overlay import draw_overlay

_PICTURES_PER_SET = 3


class WeightsFiles(Callback):
    """Writes last.safetensors and, if it is the best so far, best.safetensors, validation.jsonl and curve.png.

    The weights files hold the figures, and the score threshold and depth error of the first validation set that
    determines them.  Without validation sets, last.safetensors is written at the end of the training.
    Must precede weight averaging among the callbacks.
    folder: of the files.  monitor: logged figure that decides which epoch is best; higher is better.
    """

    def __init__(self, folder: Path, monitor: str) -> None:
        self._folder = folder
        self._monitor = monitor
        self._best = float("-inf")
        self._validated: Network | None = None

    def on_validation_epoch_end(self, trainer: lightning.Trainer, module: Any) -> None:
        """Keep the validated network: with weight averaging the module now returns to the weights in training."""
        self._validated = copy.deepcopy(module.network)

    def on_validation_end(self, trainer: lightning.Trainer, module: Any) -> None:
        """Write the validated network with its figures, which are complete only now."""
        network, self._validated = self._validated, None
        if network is None or not trainer.is_global_zero:
            return
        figures = {
            name.removeprefix("validation/"): round(float(value), 5)
            for name, value in trainer.callback_metrics.items()
            if name.startswith("validation/")
        }
        metrics = {"epoch": trainer.current_epoch + 1, **figures}
        measured = {name: value for name, value in asdict(module.calibration).items() if value is not None}
        network.description = replace(network.description, metrics=metrics, **measured)
        write_checkpoint(self._folder / "last.safetensors", network)
        value = float(trainer.callback_metrics.get(self._monitor, float("-inf")))
        if value > self._best:
            self._best = value
            write_checkpoint(self._folder / "best.safetensors", network)
        records = self._folder / "validation.jsonl"
        with records.open("a") as file:
            file.write(json.dumps(metrics) + "\n")
        draw_curve(records, self._folder / "curve.png")

    def on_fit_end(self, trainer: lightning.Trainer, module: Any) -> None:
        """Without validation: write the network, which by now has the averaged weights."""
        if trainer.is_global_zero and not trainer.datamodule.validation_sets:  # type: ignore[attr-defined]
            write_checkpoint(self._folder / "last.safetensors", module.network)

    def state_dict(self) -> dict[str, Any]:
        """The best figure so far, for resuming."""
        return {"best": self._best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Resume from `state_dict`."""
        self._best = state_dict["best"]


def draw_curve(records: Path, picture: Path) -> None:
    """Draw a validation.jsonl (a JSON object with "epoch" and figures per line) as a PNG.

    The upper plot shows fractions (0..1), the lower one metres.  An epoch that occurs twice, because the training was
    killed after writing its figures, is drawn once.  Raises UserError for a line that is not such an object.
    """
    from matplotlib.figure import Figure

    by_epoch: dict[int, dict[str, float]] = {}
    for number, line in enumerate(records.read_text().splitlines(), start=1):
        try:
            values = json.loads(line)
            by_epoch[int(values.pop("epoch"))] = values
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{records}:{number}: expected a JSON object with an epoch, found {line[:60]!r}") from error
    epochs = sorted(by_epoch)
    figure = Figure(figsize=(8, 7), layout="constrained")
    fractions, metres = figure.subplots(2, 1, sharex=True)
    for name in sorted({name for values in by_epoch.values() for name in values}):
        axes = metres if name.endswith("rmse") else fractions
        axes.plot(epochs, [by_epoch[epoch].get(name, float("nan")) for epoch in epochs], marker=".", label=name)
    fractions.set(ylabel="fraction (1 is perfect)", ylim=(0, 1))
    metres.set(ylabel="metres", xlabel="epoch")
    for axes in (fractions, metres):
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend(fontsize="small")
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=100)
    write_atomically(picture, content.getvalue())


class ValidationPictures(Callback):
    """Logs the overlay above the coloured depth of the same few images of every validation set to TensorBoard."""

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
