"""Reading any rosbag2: a folder or a single .mcap or .db3 file, MCAP or sqlite3, compressed or not.

Messages are given as they were recorded (CDR bytes), in the order of the bag's time, one at a time; `BagReader.decode`
turns those of known types into objects.  Any fault of a bag is a UserError of one line.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING, Self, cast

from rosbags.interfaces import Connection, ConnectionExtRosbag2, QosDurability
from rosbags.rosbag2 import Reader
from rosbags.rosbag2.reader import DirectoryReader

from mp_perception.bags.decompression import check_compressed_file, decompress
from mp_perception.bags.message_types import type_store
from mp_perception.errors import UserError, one_line
from mp_perception.messages.header import Message

if TYPE_CHECKING:
    from rosbags.rosbag2.reader import ReaderProtocol

#: What to do about a bag that cannot be read here.
ADVICE = "try `mcap recover` (MCAP), `.recover` of the sqlite3 shell, `zstd -d` (.zstd files), then `ros2 bag reindex`"


class DamagedBagError(UserError):
    """A bag that was not finished or was cut off: salvage.py may read parts of it."""


@dataclass(frozen=True)
class BagTopic:
    """A topic of a bag.

    type: e.g. sensor_msgs/msg/Image.  count: number of messages in the bag's index.
    transient_local: whether late subscribers were offered the last messages (as for /tf_static).
    """

    name: str
    type: str
    count: int
    transient_local: bool


@dataclass(frozen=True)
class BagMessage:
    """A message of a bag.  time_ns: the bag's time (when it was recorded), nanoseconds since 1970.  data: CDR."""

    topic: str
    type: str
    time_ns: int
    data: bytes


class BagReader:
    """An existing bag, opened as a context manager.

    path: folder or file.  source: name of the bag in error messages, by default its path.
    topics: name -> BagTopic, sorted by name.  start_ns, end_ns: time of the first and last message (both 0 in a bag
    without messages).
    Raises UserError if path is not a bag, and DamagedBagError if it was not finished (no metadata.yaml) or was
    cut off.
    """

    def __init__(self, path: Path, source: Path | None = None) -> None:
        self.path = Path(path)
        self.source = source or self.path
        if not self.path.exists():
            raise UserError(f"{self.path}: no such bag")
        if self.path.is_dir() and not (self.path / "metadata.yaml").is_file():
            raise DamagedBagError(
                f"{self.path}: expected a rosbag2 with metadata.yaml, found none (recording not finished?)"
            )
        if not self.path.is_dir() and not (self.path.is_file() and self.path.suffix in (".mcap", ".db3")):
            raise UserError(f"{self.path}: expected a rosbag2 folder or a .mcap or .db3 file")

    def __enter__(self) -> Self:
        try:
            for file in sorted(self.path.glob("*.zstd")):
                check_compressed_file(file)
            self._reader = Reader(self.path)
            self._reader.open()
        except UserError:
            raise
        # rosbags does not check what it parses: damaged bytes raise errors of many types.
        except Exception as error:
            raise DamagedBagError(self._damage(error)) from error
        self._compression = ""
        storage = self._reader.storage
        if isinstance(storage, DirectoryReader) and storage.metadata.compression_mode == "message":
            # rosbags decompresses messages without a limit: `messages` does it instead.
            self._compression = "zstd"
            storage.metadata = storage.metadata._replace(compression_mode=None)
        files = _read_topics_from_files(storage)
        self.topics = {
            name: BagTopic(name, info.connections[0].msgtype, info.msgcount, _is_transient_local(info.connections))
            for name, info in sorted(self._reader.topics.items())
        }
        times = [file.metadata for file in files if file.metadata.message_count > 0]
        self.start_ns = min((time.start_time for time in times), default=0)
        self.end_ns = max((time.end_time for time in times), default=1) - 1  # rosbags counts to after the last
        return self

    def __exit__(self, *exception: object) -> None:
        self._reader.close()

    @property
    def message_count(self) -> int:
        """Messages of all topics."""
        return sum(topic.count for topic in self.topics.values())

    def messages(
        self, topics: Collection[str] | None = None, start_ns: int | None = None, stop_ns: int | None = None
    ) -> Iterator[BagMessage]:
        """Messages in the order of the bag's time.

        topics: only these (UserError if the bag lacks one); None for all.  start_ns, stop_ns: only from the first time
        on, and before the second.  Raises UserError if the bag is damaged there.
        """
        connections = self._connections(topics)
        if not connections:
            return
        try:
            for connection, time_ns, data in self._reader.messages(connections, start=start_ns, stop=stop_ns):
                content = decompress(self._compression, bytes(data))
                yield BagMessage(connection.topic, connection.msgtype, time_ns, content)
        except Exception as error:
            raise UserError(f"{self._damage(error)}: {ADVICE}") from error

    def decode(self, message: BagMessage) -> Message:
        """The message as an object with ROS's field names; arrays are NumPy arrays.

        Raises UserError if the type is not known here or the bytes do not fit it.
        """
        if message.type not in type_store().fielddefs:
            raise UserError(f"{self.source}: topic {message.topic} has the unknown type {message.type}")
        try:
            return type_store().deserialize_cdr(message.data, message.type)
        except Exception as error:
            raise UserError(
                f"{self.source}: a message of {message.topic} at {message.time_ns} ns is not a {message.type} ({error})"
            ) from error

    def _connections(self, topics: Collection[str] | None) -> list[Connection]:
        if topics is None:
            return list(self._reader.connections)
        missing = [topic for topic in topics if topic not in self.topics]
        if missing:
            raise UserError(f"{self.source}: no topic {', '.join(missing)}; it has {', '.join(self.topics) or 'none'}")
        return [connection for connection in self._reader.connections if connection.topic in topics]

    def _damage(self, error: Exception) -> str:
        # rosbags decompresses files to a folder of its own, whose name the user does not know.
        reason = re.sub(rf"{re.escape(gettempdir())}/tmp[^/]*/", "", one_line(error))
        return f"{self.source}: expected a complete rosbag2, found it unreadable ({reason})"


def _read_topics_from_files(storage: ReaderProtocol) -> list[ReaderProtocol]:
    """Give a bag the topics and counts of its files; returns the readers of the files.

    rosbags takes both from metadata.yaml, and finds no message of a topic whose QoS or type hash is written there in
    another way than in the files.
    """
    files: list[ReaderProtocol] = storage.storages if isinstance(storage, DirectoryReader) else [storage]
    joined: dict[tuple[str, str], Connection] = {}
    for reader in (storage, *files):
        reader.connections = [_with_full_type(connection) for connection in reader.connections]
    for connection in storage.connections:
        joined.setdefault((connection.topic, connection.msgtype), connection._replace(msgcount=0))
    for file in files:
        for i, connection in enumerate(file.connections):
            key = connection.topic, connection.msgtype
            known = joined.setdefault(key, connection._replace(id=len(joined) + 1, msgcount=0))
            joined[key] = known._replace(msgcount=known.msgcount + connection.msgcount)
            if file is not storage:
                file.connections[i] = connection._replace(ext=known.ext, digest=known.digest)
    if storage not in files:
        storage.connections = list(joined.values())
    return files


def _with_full_type(connection: Connection) -> Connection:
    """With its message type as sensor_msgs/msg/Image where a program wrote sensor_msgs/Image."""
    package, _, name = connection.msgtype.partition("/")
    return connection if "/" in name else connection._replace(msgtype=f"{package}/msg/{name}")


def _is_transient_local(connections: list[Connection]) -> bool:
    profiles = [
        profile
        for connection in connections
        for profile in cast(ConnectionExtRosbag2, connection.ext).offered_qos_profiles
    ]
    return any(profile.durability is QosDurability.TRANSIENT_LOCAL for profile in profiles)
