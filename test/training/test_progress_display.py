"""The progress of a training whose output is a file: lines, no bar."""

from __future__ import annotations

import re
from pathlib import Path

import lightning
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from mp_perception.training import progress_display


class Line(lightning.LightningModule):
    """Fits one number."""

    def __init__(self) -> None:
        super().__init__()
        self.number = nn.Parameter(torch.ones(()))

    def training_step(self, batch: list[Tensor]) -> Tensor:
        return (self.number - batch[0].mean()) ** 2

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


@pytest.mark.parametrize(("seconds", "steps"), [(30.0, [3, 6]), (0.0, [1, 2, 3, 3, 4, 5, 6, 6])])
def test_lines_come_after_every_epoch_and_between_if_these_are_long(
    seconds: float, steps: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress_display, "_LINE_SECONDS", seconds)
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=2,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
        callbacks=[progress_display.ProgressDisplay()],
    )
    trainer.fit(Line(), DataLoader(TensorDataset(torch.zeros(3))))
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("epoch")]
    found = [re.fullmatch(r"epoch ([12]) of 2, step (\d) of 6: loss [01]\.\d{3}, 0\.\d minutes left", s) for s in lines]
    assert all(found), lines
    assert [(int(match[1]), int(match[2])) for match in found if match] == [(1 + (n > 3), n) for n in steps]
