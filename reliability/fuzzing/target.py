"""A fuzzing target and the registry of all targets; the modules named *_targets register theirs when imported.

A target reads an input and returns, or raises UserError: anything else is a finding (judging.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mp_perception.bags.message_types import type_store
from mp_perception.messages.header import read_serialized_header
from reliability.fuzzing.seed_files import recorded_messages

Seeds = Callable[[], list[bytes]]
Parser = Callable[[Any], object]


@dataclass(frozen=True)
class Target:
    """A parser under test.

    parse: reads one input.  seeds: creates the valid inputs that mutations start from; the first is read without error.
    max_megabytes: memory that one input may take.
    """

    parse: Callable[[bytes], object]
    seeds: Seeds
    max_megabytes: int = 128


#: Name -> target.
TARGETS: dict[str, Target] = {}


def fuzz_bytes(seeds: Seeds, max_megabytes: int = 128) -> Callable[[Parser], Parser]:
    """Register a function of bytes as a target under its own name."""

    def register(parse: Parser) -> Parser:
        TARGETS[parse.__name__] = Target(parse, seeds, max_megabytes)
        return parse

    return register


def fuzz_file(file_name: str, seeds: Seeds, max_megabytes: int = 128) -> Callable[[Parser], Parser]:
    """Register a function of a path; each input is a file of this name in a folder of its own."""

    def register(read: Parser) -> Parser:
        def parse(data: bytes) -> None:
            with TemporaryDirectory() as folder:
                path = Path(folder) / file_name
                path.write_bytes(data)
                read(path)

        TARGETS[read.__name__] = Target(parse, seeds, max_megabytes)
        return read

    return register


def fuzz_message(type_name: str, seeds: Seeds | None = None) -> Callable[[Parser], Parser]:
    """Register a function of a ROS message; each input is the serialised form (CDR) of a message of this type.

    seeds: by default the messages of this type in a bag.
    """

    def register(read: Parser) -> Parser:
        def parse(data: bytes) -> None:
            read_serialized_header(data)
            try:
                message = type_store().deserialize_cdr(data, type_name)
            except Exception:  # bytes that are not such a message; what bags do then is the target mcap_bag's
                return
            read(message)

        TARGETS[read.__name__] = Target(parse, seeds or (lambda: recorded_messages(type_name)))
        return read

    return register
