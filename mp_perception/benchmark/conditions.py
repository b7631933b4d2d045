"""What all sections share: the network under test, its models, and how much is measured."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mp_perception.model.checkpoint_description import CheckpointDescription


@dataclass(frozen=True)
class Conditions:
    """checkpoint: of the network.  folder: for models, gone after the run.

    rounds: of each comparison.  threads: numbers of threads to compare with; the first is used where one is enough.
    with_compile: whether torch.compile takes part, which takes a minute to start.
    seconds: of each phase of the node, rate: of its camera, Hz, node_precision: its parameter `precision`.
    """

    checkpoint: Path
    folder: Path
    rounds: int
    threads: tuple[int, ...]
    with_compile: bool
    seconds: float
    rate: float
    node_precision: str

    @cached_property
    def description(self) -> CheckpointDescription:
        """The network's."""
        from mp_perception.network.checkpoint import read_description

        return read_description(self.checkpoint)

    @cached_property
    def gflop(self) -> float:
        """10^9 operations for one image."""
        from mp_perception.benchmark.networks.flops import count_gflop
        from mp_perception.network.checkpoint import read_checkpoint

        return count_gflop(read_checkpoint(self.checkpoint), self.description.input_size)[""]

    @cached_property
    def exported(self) -> Path:
        """The network as an ONNX model in float32."""
        from mp_perception.benchmark.networks.exporting import export_checkpoint

        return export_checkpoint(self.checkpoint, self.folder / "network.onnx")

    @cached_property
    def branches(self) -> tuple[Path, Path]:
        """Its detection and its depth branch, each as a model with a backbone of its own."""
        from mp_perception.benchmark.networks.exporting import split_model

        return split_model(self.exported, self.folder / "detection.onnx", self.folder / "depth.onnx")

    @cached_property
    def quantised(self) -> Path:
        """The same in eight bits, good for its speed only."""
        from mp_perception.benchmark.networks.exporting import quantise_model

        return quantise_model(self.exported, self.folder / "network_int8.onnx")
