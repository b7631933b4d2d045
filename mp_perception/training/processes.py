"""The processes of a training under torchrun: which one this is, and what all of them know.  Without torchrun: one."""

from __future__ import annotations

import os
from typing import TypeVar

import torch.distributed

Part = TypeVar("Part")


def num_processes() -> int:
    """How many processes torchrun started, on all machines; 1 without torchrun."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def process_number() -> int:
    """Number of this process, from 0; 0 without torchrun."""
    return int(os.environ.get("RANK", "0")) if num_processes() > 1 else 0


def is_first() -> bool:
    """Whether this is the process that prints and writes."""
    return process_number() == 0


def indices_of_process(num_frames: int) -> range:
    """The frames of a data set that this process takes: every frame goes to exactly one process."""
    return range(process_number(), num_frames, num_processes())


def gather(part: Part) -> list[Part]:
    """The parts of all processes, in each of them; waits for all.  The trainer has connected the processes."""
    if num_processes() == 1:
        return [part]
    parts = [part] * num_processes()
    torch.distributed.all_gather_object(parts, part)
    return parts
