"""PyTorch: the reference runtime, on the CPU or a CUDA device."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from mp_perception.errors import UserError
from mp_perception.inference.runtimes.base import NetworkSource, Runtime, RuntimeOutputs, cuda_index
from mp_perception.network.checkpoint import Network, read_checkpoint
from mp_perception.network.faster_rcnn import FasterRcnnNetwork
from mp_perception.network.multitask import MultiTaskNetwork, describe_network

#: Seed of an untrained network: its outputs are the same in every process.
_UNTRAINED_SEED = 0


class TorchRuntime(Runtime):
    """See Runtime.  The memory layout is channels-last, that of camera images."""

    name = "torch"

    def __init__(self, source: NetworkSource, device: str, precision: str, num_threads: int) -> None:
        if precision not in ("auto", "fp32", "fp16"):
            raise UserError(f"precision '{precision}' is not supported by runtime 'torch': expected auto, fp32 or fp16")
        chosen = _find_device(device)
        self.device = str(chosen)
        self.precision = "fp32" if precision == "auto" else precision
        if self.precision == "fp16" and chosen.type == "cpu":
            raise UserError("precision 'fp16' needs a CUDA device with runtime 'torch': expected fp32 on the CPU")
        torch.set_num_threads(num_threads)
        network = _load_network(source)
        self._take(network)
        dtype = torch.float16 if self.precision == "fp16" else torch.float32
        self._device = chosen
        self._network: Network | None = network.to(chosen, dtype).to(memory_format=torch.channels_last).eval()

    @classmethod
    def around(cls, network: Network) -> TorchRuntime:
        """A runtime for an existing network, such as one in training; the network is neither copied nor moved."""
        runtime = cls.__new__(cls)
        first = next(network.parameters())
        runtime.device, runtime.precision = str(first.device), "fp32"
        runtime._take(network)
        runtime._device, runtime._network = first.device, network
        return runtime

    def _take(self, network: Network) -> None:
        self.description, self.num_parameters = network.description, count_parameters(network)
        if isinstance(network, FasterRcnnNetwork):
            self.fixed_input_size = network.description.input_size

    @torch.inference_mode()
    def run(self, images: NDArray[np.uint8]) -> RuntimeOutputs:
        """See Runtime.run."""
        if self._network is None:
            raise RuntimeError("the runtime is closed")
        pixels = torch.from_numpy(images).to(self._device).permute(0, 3, 1, 2)
        outputs = self._network(pixels)
        return RuntimeOutputs(
            class_logits=outputs.class_logits.float().cpu().numpy(),
            box_offsets=outputs.box_offsets.float().cpu().numpy(),
            depth=outputs.depth[:, 0].float().cpu().numpy(),
        )

    def close(self) -> None:
        """See Runtime.close."""
        self._network = None
        if self._device.type == "cuda":
            torch.cuda.empty_cache()


def count_parameters(network: Network) -> int | None:
    """See Runtime.num_parameters; None for a network without these parts."""
    own = (value.numel() for name, value in network.named_parameters() if name.startswith(("backbone.", "decoder.")))
    return sum(own) or None


def has_cuda() -> bool:
    """Whether PyTorch can run on a CUDA device."""
    return torch.cuda.is_available()


def _load_network(source: NetworkSource) -> Network:
    if source.weights is not None:
        return read_checkpoint(source.weights)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_UNTRAINED_SEED)
        return MultiTaskNetwork(describe_network(source.backbone))


def _find_device(name: str) -> torch.device:
    """auto, cpu, cuda or cuda:N; raises UserError for an explicit CUDA device that is not available."""
    index = cuda_index(name)
    if index is None:
        return torch.device("cuda" if name == "auto" and torch.cuda.is_available() else "cpu")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if index >= count:
        raise UserError(f"device '{name}' is not available: expected auto or cpu, found {count} CUDA devices")
    return torch.device("cuda", index)
