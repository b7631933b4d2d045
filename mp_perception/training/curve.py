"""The curve of a training as a picture: figures of validation over the epochs."""

from __future__ import annotations

import io
import json
from pathlib import Path

from mp_perception.errors import UserError
from mp_perception.files import write_atomically


def draw_curve(records: Path, picture: Path) -> None:
    """Draw a validation.jsonl (a JSON object with "epoch" and figures per line) as a PNG.

    Shares (0..1) stand in the upper plot, the others (metres) in the lower one; an epoch that was run twice, because
    the training was killed after its figures were written, counts once.  Raises UserError for a line that is no JSON.
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
    names = sorted({name for values in by_epoch.values() for name in values})
    figure = Figure(figsize=(8, 7), layout="constrained")
    shares, metres = figure.subplots(2, 1, sharex=True)
    for name in names:
        axes = metres if name.endswith("rmse") else shares
        axes.plot(epochs, [by_epoch[epoch].get(name, float("nan")) for epoch in epochs], marker=".", label=name)
    shares.set_ylabel("share (1 is perfect)")
    shares.set_ylim(0, 1)
    metres.set_ylabel("metres")
    metres.set_xlabel("epoch")
    for axes in (shares, metres):
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend(fontsize="small")
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=100)
    write_atomically(picture, content.getvalue())
