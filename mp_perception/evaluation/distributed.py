"""One evaluation by several processes under torchrun: who takes which images, and how the parts come together.

Without torchrun there is one process, and PyTorch is not needed here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

from mp_perception.machine import available_cores, spare_cores

Part = TypeVar("Part")

#: How long a process that is ready waits for the others; one that dies is noticed at once.
_PATIENCE = timedelta(days=2)


def process_number() -> int:
    """Number of this process, from 0, as torchrun says; 0 without torchrun."""
    return int(os.environ.get("RANK", "0")) if num_processes() > 1 else 0


def num_processes() -> int:
    """How many processes torchrun started, on all machines; 1 without torchrun."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Whether this is the process that prints and writes."""
    return process_number() == 0


def share_of_images(num_images: int) -> range:
    """Indices of the images that this process takes: every image goes to exactly one process."""
    return range(process_number(), num_images, num_processes())


def threads_per_process(wanted: int) -> int:
    """CPU threads of each process: as many as wanted; for 0 an equal part of the cores, or all but one for one process.

    Networks round differently with another number of threads, so runs that must agree to the last bit need the same.
    """
    if wanted:
        return wanted
    if num_processes() == 1:
        return spare_cores()
    return max(1, available_cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def device_of_process(device: str) -> str:
    """The device of this process: of several, "auto" gives each a CUDA device of its own, as far as there are any."""
    if device != "auto" or num_processes() == 1:
        return device
    import torch

    count = torch.cuda.device_count()
    return f"cuda:{int(os.environ.get('LOCAL_RANK', '0')) % count}" if count else "cpu"


@contextmanager
def process_group() -> Iterator[None]:
    """Connects the processes for the time of the block."""
    if num_processes() == 1:
        yield
        return
    import torch.distributed

    torch.distributed.init_process_group("gloo", timeout=_PATIENCE)
    try:
        yield
    finally:
        torch.distributed.destroy_process_group()


def from_first(value: Part) -> Part:
    """The first process's value, in all of them.  Within process_group."""
    if num_processes() == 1:
        return value
    import torch.distributed

    values = [value]
    torch.distributed.broadcast_object_list(values, src=0)
    return values[0]


def gather(part: Part) -> list[Part] | None:
    """The parts of all processes in the first one, None in the others; it waits for all.  Within process_group."""
    if num_processes() == 1:
        return [part]
    import torch.distributed

    parts: list[Part] | None = [part] * num_processes() if is_first() else None
    torch.distributed.gather_object(part, parts, dst=0)
    return parts
