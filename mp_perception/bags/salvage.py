"""What can still be read of a damaged bag, written as a whole one.

Of MCAP files all records before the place where the file was cut off, and the chunks beside damaged ones; of sqlite3
files all messages on pages that are there.  A file that is compressed as a whole is decompressed as far as it goes, and
then read so.
"""

from __future__ import annotations

import io
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import yaml

from mp_perception.bags.message_types import type_store
from mp_perception.bags.writing import BagWriter
from mp_perception.errors import UserError

if TYPE_CHECKING:
    from mcap.records import McapRecord

#: Rows are numbered without gaps: after so many that cannot be read there are no more.
_MAX_MISSING_ROWS = 10_000
#: No record, chunk or message of a bag is larger.
MAX_BYTES = 1 << 28

_STORAGE_SUFFIXES = (".mcap", ".db3")
_COMPRESSED_SUFFIX = ".zstd"
#: Every message of ROS 2 begins so, and no compressed one does.
_CDR = b"\0"


@dataclass
class Salvage:
    """What a salvage found.

    num_messages: read and written.  num_recorded: how many the bag had, as its metadata say; None if they do not.
    losses: what could not be read, in words.
    """

    num_messages: int = 0
    num_recorded: int | None = None
    losses: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        known = self.num_recorded is not None and self.num_recorded >= self.num_messages
        total = f" of {self.num_recorded}" if known else ""
        losses = f" ({'; '.join(self.losses)})" if self.losses else ""
        return f"{self.num_messages}{total} messages can be read, these are taken{losses}"


@dataclass(frozen=True)
class _Message:
    topic: str
    type: str
    time_ns: int
    data: bytes


def salvage(path: Path, target: Path) -> Salvage:
    """Write the messages that can be read of a bag, a folder or a file, to a new bag.

    Messages of types that are not known here are left out, for nobody could use them.  Nothing is written if there
    are none.  Raises UserError if the copy cannot be written, or a library is needed that is not installed.
    """
    found = Salvage(num_recorded=_recorded_messages(path))
    try:
        _write(_usable(_data_files(path), target.parent, found), target, found)
    except ModuleNotFoundError as error:
        raise UserError(f"{path}: damaged, and reading what is left needs {error.name}: pip install mcap") from error
    return found


def _write(messages: Iterator[_Message], target: Path, found: Salvage) -> None:
    first = next(messages, None)
    if first is None:
        return
    topics: dict[str, str] = {}
    with BagWriter(target) as bag:
        for message in chain([first], messages):
            if message.topic not in topics:
                topics[message.topic] = message.type
                bag.add_topic(message.topic, message.type)
            if topics[message.topic] == message.type:
                bag.write_serialized(message.topic, message.time_ns, message.data)
                found.num_messages += 1


def _data_files(path: Path) -> list[Path]:
    """The files of a bag's messages; not the compressed one beside its original, which was left half-written."""
    if path.is_file():
        return [path]
    plain = [file for file in path.iterdir() if file.suffix in _STORAGE_SUFFIXES]
    compressed = [
        file
        for file in path.iterdir()
        if file.suffix == _COMPRESSED_SUFFIX
        and Path(file.stem).suffix in _STORAGE_SUFFIXES
        and file.with_suffix("") not in plain
    ]
    return sorted(plain + compressed)


def _recorded_messages(path: Path) -> int | None:
    try:
        metadata = yaml.safe_load((path / "metadata.yaml").read_bytes())
        return int(metadata["rosbag2_bagfile_information"]["message_count"])
    # There is none, or it is damaged and may hold anything.
    except Exception:
        return None


def _usable(files: list[Path], workspace: Path, found: Salvage) -> Iterator[_Message]:
    """The messages of known types, decompressed where they are compressed each for itself."""
    unknown = damaged = 0
    for message in (message for file in files for message in _messages(file, workspace, found)):
        data = message.data if message.data.startswith(_CDR) else _decompressed(message.data)
        if message.type not in type_store().fielddefs:
            unknown += 1
        elif data is None:
            damaged += 1
        else:
            yield replace(message, data=data)
    if unknown:
        found.losses.append(f"messages of types that are not known here: {unknown}")
    if damaged:
        found.losses.append(f"damaged messages: {damaged}")


def _decompressed(data: bytes) -> bytes | None:
    from mp_perception.bags.decompression import decompress_message  # only here: other bags need no zstandard

    try:
        return decompress_message(data, MAX_BYTES)
    except ValueError:
        return None


def _messages(file: Path, workspace: Path, found: Salvage) -> Iterator[_Message]:
    if file.suffix == _COMPRESSED_SUFFIX:
        from mp_perception.bags.decompression import decompress_file

        with tempfile.TemporaryDirectory(dir=workspace) as folder:
            content = Path(folder) / file.stem
            decompress_file(file, content)
            yield from _messages(content, workspace, found)
    elif file.suffix == ".mcap":
        yield from _from_mcap(file, found)
    else:
        yield from _from_sqlite(file)


def _from_mcap(file: Path, found: Salvage) -> Iterator[_Message]:
    from mcap.records import Channel, Message, Schema  # only here: whole bags need no mcap

    schemas: dict[int, Schema] = {}
    channels: dict[int, Channel] = {}
    for record in _mcap_records(file, found):
        if isinstance(record, Schema):
            schemas[record.id] = record
        elif isinstance(record, Channel):
            channels[record.id] = record
        elif isinstance(record, Message) and record.channel_id in channels:
            channel = channels[record.channel_id]
            if channel.schema_id in schemas:
                yield _Message(channel.topic, schemas[channel.schema_id].name, record.log_time, bytes(record.data))


def _mcap_records(file: Path, found: Salvage) -> Iterator[McapRecord]:
    """The records of a file up to its end or the damage, and those in its chunks, damaged chunks left out."""
    from mcap.records import Chunk
    from mcap.stream_reader import StreamReader, breakup_chunk

    from mp_perception.bags.decompression import decompress_chunk

    damaged = end = 0
    with _BoundedReader(io.FileIO(file)) as stream:
        records = StreamReader(stream, emit_chunks=True, record_size_limit=MAX_BYTES).records
        # Damaged bytes surface as whatever error they happen to cause; what came before is good.
        try:
            for record in records:
                end = stream.tell()
                if not isinstance(record, Chunk):
                    yield record
                    continue
                try:
                    content = decompress_chunk(record.data, record.compression, record.uncompressed_size, MAX_BYTES)
                    inner = breakup_chunk(replace(record, compression="", data=content), validate_crc=True)
                except Exception:
                    damaged += 1
                    continue
                yield from inner
        except Exception:
            found.losses.append(f"{file.name} ends or is damaged at byte {end}")
    if damaged:
        found.losses.append(f"damaged chunks of {file.name}: {damaged}")


class _BoundedReader(io.BufferedReader):
    """A file for mcap, whose records announce the lengths of their parts: a damaged one would take the memory."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or not 0 <= size <= MAX_BYTES:
            raise ValueError(f"expected a part of a record of at most {MAX_BYTES} bytes, found one of {size}")
        return super().read(size)


def _from_sqlite(file: Path) -> Iterator[_Message]:
    with closing(sqlite3.connect(f"file:{quote(str(file))}?immutable=1", uri=True)) as database:
        try:
            # Nothing is written; without this, sqlite refuses a file that is shorter than its header says.
            database.execute("PRAGMA writable_schema=ON")
            topics = {row[0]: (row[1], row[2]) for row in database.execute("SELECT id, name, type FROM topics")}
        except sqlite3.Error:
            return
        number = failures = 0
        while failures < _MAX_MISSING_ROWS:
            number += 1
            try:
                row = database.execute(
                    "SELECT topic_id, timestamp, data FROM messages WHERE id = ?", (number,)
                ).fetchone()
            except sqlite3.Error:
                row = None
            failures = failures + 1 if row is None else 0
            if row is not None and row[0] in topics and isinstance(row[1], int) and isinstance(row[2], bytes):
                name, type_name = topics[row[0]]
                yield _Message(name, type_name, row[1], row[2])
