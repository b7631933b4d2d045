"""Which network a user asks for, and what runs it: the options that all commands with a network share."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from mp_perception.inference.predictor import Predictor
from mp_perception.progress import warn


@dataclass(frozen=True)
class NetworkChoice:
    """Arguments of Predictor.load; plain data that can be sent to other processes."""

    backbone: str | None
    weights: Path | None
    device: str = "auto"
    runtime: str = "auto"
    precision: str = "auto"
    num_threads: int = 0
    input_size: tuple[int, int] | None = None
    input_pixels: int | None = None

    def load(self) -> Predictor:
        """The network.  Raises UserError as Predictor.load does."""
        return Predictor.load(**asdict(self))

    def load_with_warning(self) -> Predictor:
        """As `load`; warns on standard error if the network is untrained."""
        predictor = self.load()
        if predictor.untrained:
            warn(
                f"no trained weights for {predictor.description.backbone}: the network is untrained and its figures "
                "are meaningless"
            )
        return predictor
