"""The progress of a training: steps of all epochs, with the time that is left."""

from __future__ import annotations

import time
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from mp_perception.progress import error_console

#: Without a terminal: minimum time between two lines within an epoch.
_LINE_SECONDS = 30.0


class ProgressDisplay(Callback):
    """A bar on a terminal, otherwise a line every half minute and after every epoch; both on standard error."""

    def on_train_start(self, trainer: lightning.Trainer, module: Any) -> None:
        """Begin with the steps that an earlier run did."""
        self._start = self._last_line = time.monotonic()
        self._first_step = trainer.global_step
        self._loss = float("nan")
        columns = (
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("loss {task.fields[loss]:.3f}"),
        )
        self._bar = Progress(*columns, console=error_console, disable=not error_console.is_terminal)
        total = int(trainer.estimated_stepping_batches)
        self._task = self._bar.add_task("", total=total, completed=trainer.global_step, loss=self._loss)
        if trainer.is_global_zero:
            self._bar.start()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Advance; without a terminal a line from time to time."""
        self._loss = float(outputs["loss"])
        self._bar.update(self._task, completed=trainer.global_step, loss=self._loss)
        if time.monotonic() - self._last_line >= _LINE_SECONDS:
            self._print_line(trainer)

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: Any) -> None:
        """Without a terminal: a line."""
        self._print_line(trainer)

    def on_train_end(self, trainer: lightning.Trainer, module: Any) -> None:
        """Leave the bar as it is."""
        self._bar.stop()

    def on_exception(self, trainer: lightning.Trainer, module: Any, exception: BaseException) -> None:
        """Give the terminal back."""
        if hasattr(self, "_bar"):
            self._bar.stop()

    def _print_line(self, trainer: lightning.Trainer) -> None:
        if error_console.is_terminal or not trainer.is_global_zero:
            return
        self._last_line, step, total = time.monotonic(), trainer.global_step, int(trainer.estimated_stepping_batches)
        left = (self._last_line - self._start) / max(1, step - self._first_step) * (total - step)
        place = f"epoch {trainer.current_epoch + 1} of {trainer.max_epochs}, step {step} of {total}"
        error_console.print(f"{place}: loss {self._loss:.3f}, {left / 60:.1f} minutes left", soft_wrap=True)
