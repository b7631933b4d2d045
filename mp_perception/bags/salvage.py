"""What can still be read of a damaged bag, written as a whole one.

Of MCAP files all records before the place where the file was cut off, and the chunks beside damaged ones; of sqlite3
files all messages on pages that are there.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from urllib.parse import quote

from mp_perception.bags.message_types import type_store
from mp_perception.bags.writing import BagWriter
from mp_perception.errors import UserError

#: A record of a bag is never larger; a damaged length would take the memory.
MAX_RECORD_BYTES = 1 << 30

#: Rows are numbered without gaps: after so many that cannot be read there are no more.
_MAX_MISSING_ROWS = 10_000


@dataclass(frozen=True)
class _Salvaged:
    topic: str
    type: str
    time_ns: int
    data: bytes


def salvage(path: Path, target: Path) -> int:
    """Write the messages that can be read of a bag, a folder or a file, to a new bag; gives their number.

    Messages of types that are not known here are left out, for nobody could use them.  Nothing is written if there
    are none.  Raises UserError if the copy cannot be written.
    """
    files = sorted(file for file in path.iterdir() if file.suffix in (".mcap", ".db3")) if path.is_dir() else [path]
    messages = (message for file in files for message in _messages(file) if message.type in type_store().fielddefs)
    first = next(messages, None)
    if first is None:
        return 0
    count = 0
    topics: dict[str, str] = {}
    with BagWriter(target) as bag:
        for message in chain([first], messages):
            if message.topic not in topics:
                topics[message.topic] = message.type
                bag.add_topic(message.topic, message.type)
            if topics[message.topic] == message.type:
                bag.write_serialized(message.topic, message.time_ns, message.data)
                count += 1
    return count


def _messages(file: Path) -> Iterator[_Salvaged]:
    yield from _from_mcap(file) if file.suffix == ".mcap" else _from_sqlite(file)


def _from_mcap(file: Path) -> Iterator[_Salvaged]:
    try:
        from mcap.records import Channel, Message, Schema  # only here: whole bags need no mcap
        from mcap.stream_reader import StreamReader
    except ModuleNotFoundError as error:
        raise UserError(f"{file}: damaged, and reading what is left needs {error.name}: pip install mcap") from error
    schemas: dict[int, Schema] = {}
    channels: dict[int, Channel] = {}
    try:
        with file.open("rb") as stream:
            for record in StreamReader(stream, record_size_limit=MAX_RECORD_BYTES).records:
                if isinstance(record, Schema):
                    schemas[record.id] = record
                elif isinstance(record, Channel):
                    channels[record.id] = record
                elif isinstance(record, Message) and record.channel_id in channels:
                    channel = channels[record.channel_id]
                    if channel.schema_id in schemas:
                        type_name = schemas[channel.schema_id].name
                        yield _Salvaged(channel.topic, type_name, record.log_time, bytes(record.data))
    # Damaged bytes surface as whatever error they happen to cause; what came before is good.
    except Exception:
        return


def _from_sqlite(file: Path) -> Iterator[_Salvaged]:
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
                yield _Salvaged(name, type_name, row[1], row[2])
