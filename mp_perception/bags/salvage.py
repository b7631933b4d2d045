"""What is left of a recording that was cut off, as when a robot loses power, written as a complete bag.

From an MCAP file come all records before the cut, from a sqlite3 file all messages whose pages are in the file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from mp_perception.bags.decompression import GENERATED_COLUMNS, MAX_BYTES, decompress, usable_disk
from mp_perception.bags.message_types import type_store
from mp_perception.bags.reading import BagMessage
from mp_perception.bags.writing import BagWriter
from mp_perception.errors import UserError

#: Rows are numbered without gaps: after so many that cannot be read the rest of the file is missing.
_MAX_MISSING_ROWS = 10_000
#: First byte of every serialised message (CDR), and not of a compressed one.
_CDR = b"\0"


def salvage(path: Path, target: Path) -> int:
    """Write the messages that can be read of a bag, a folder or a file, to a new bag.

    Messages of unknown types, and messages that were compressed one by one, are left out.

    Returns:
        How many messages were written.

    Raises:
        UserError: the copy cannot be written or would take too much of the disk, or the library `mcap` is missing.
    """
    files = (
        [path]
        if path.is_file()
        else sorted(file for file in path.iterdir() if file.suffix in _READERS and file.is_file())
    )
    topics: dict[str, str] = {}
    count = size = 0
    limit = usable_disk(target.parent)
    with BagWriter(target) as bag:
        for message in (message for file in files for message in _READERS[file.suffix](file)):
            if message.type not in type_store().fielddefs or not message.data.startswith(_CDR):
                continue
            if message.topic not in topics:
                topics[message.topic] = message.type
                bag.add_topic(message.topic, message.type)
            size += len(message.data)
            if size > limit:
                raise UserError(f"{path}: expected messages of at most {limit / 1e9:.3g} GB, half of the free disk")
            if topics[message.topic] == message.type:
                bag.write_serialized(message.topic, message.time_ns, message.data)
                count += 1
    return count


def _read_mcap(file: Path) -> Iterator[BagMessage]:
    try:
        from mcap.records import Channel, Chunk, Message, Schema  # only here: complete bags do not need mcap
        from mcap.stream_reader import StreamReader, breakup_chunk
    except ModuleNotFoundError as error:
        raise UserError(f"{file}: the bag is damaged, and reading the rest needs mcap: pip install mcap") from error

    schemas: dict[int, Schema] = {}
    channels: dict[int, Channel] = {}
    with file.open("rb") as stream:
        # Cut or damaged bytes raise errors of many types; what came before is good.
        try:
            for record in StreamReader(stream, emit_chunks=True, record_size_limit=MAX_BYTES).records:
                inner = [record]
                if isinstance(record, Chunk):
                    content = decompress(record.compression, record.data, record.uncompressed_size)
                    inner = breakup_chunk(replace(record, compression="", data=content), validate_crc=True)
                for item in inner:
                    if isinstance(item, Schema):
                        schemas[item.id] = item
                    elif isinstance(item, Channel):
                        channels[item.id] = item
                    elif isinstance(item, Message):
                        channel = channels[item.channel_id]
                        type_name = schemas[channel.schema_id].name
                        yield BagMessage(channel.topic, type_name, item.log_time, bytes(item.data))
        except Exception:
            return


def _read_sqlite3(file: Path) -> Iterator[BagMessage]:
    with closing(sqlite3.connect(f"file:{quote(str(file))}?immutable=1", uri=True)) as database:
        database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_BYTES)
        try:
            # Nothing is written; without this, sqlite refuses a file that is shorter than its header declares.
            database.execute("PRAGMA writable_schema=ON")
            # A view could produce rows without end.
            tables = {row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if not {"topics", "messages"} <= tables or database.execute(GENERATED_COLUMNS).fetchone():
                return
            topics = {row[0]: (row[1], row[2]) for row in database.execute("SELECT id, name, type FROM topics")}
        except sqlite3.Error:
            return
        number = failures = 0
        while failures < _MAX_MISSING_ROWS:
            number += 1
            try:
                query = "SELECT topic_id, timestamp, data FROM messages WHERE id = ?"
                row = database.execute(query, (number,)).fetchone()
            except sqlite3.Error:
                row = None
            failures = failures + 1 if row is None else 0
            if row is not None and row[0] in topics and isinstance(row[1], int) and isinstance(row[2], bytes):
                yield BagMessage(*topics[row[0]], row[1], row[2])


_READERS = {".mcap": _read_mcap, ".db3": _read_sqlite3}
