"""Writing rosbag2 without a ROS installation; a bag appears under its name when it is complete."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Literal, Self

from rosbags.interfaces import Connection, Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import StoragePlugin, Writer, WriterError

from mp_perception.bags.message_types import type_store
from mp_perception.errors import UserError
from mp_perception.files import check_can_be_written, check_new_folder, complete_file, complete_folder
from mp_perception.messages.header import Message

Storage = Literal["mcap", "sqlite3"]

_INFINITE = QosTime(sec=9223372036, nsec=854775807)  # as ros2 bag record writes "no limit"


def offered_qos(reliable: bool = True, transient_local: bool = False, depth: int = 10) -> Qos:
    """What the publishers of a topic offered; `ros2 bag play` and our replay_node offer it again.

    Args:
        reliable: otherwise best effort.
        transient_local: whether late subscribers get the last messages too (as for /tf_static).
        depth: how many messages.
    """
    return Qos(
        history=QosHistory.KEEP_LAST,
        depth=depth,
        reliability=QosReliability.RELIABLE if reliable else QosReliability.BEST_EFFORT,
        durability=QosDurability.TRANSIENT_LOCAL if transient_local else QosDurability.VOLATILE,
        deadline=_INFINITE,
        lifespan=_INFINITE,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=_INFINITE,
        avoid_ros_namespace_conventions=False,
    )


#: For topics with one message that stays valid, such as /tf_static.
LATCHED = offered_qos(transient_local=True, depth=1)


class BagWriter:
    """A new rosbag2, written as a context manager.

    Leaving it normally completes the bag; leaving it by an exception removes what was written.

    path: a new or empty folder, or a file that ends in .mcap, which is replaced.  storage: mcap or sqlite3.
    Raises UserError if the bag cannot be written or the disk fails.

    Examples:
        with BagWriter(Path("street")) as bag:
            bag.write("/note", stamp_ns, new_message("std_msgs/msg/String", data="green light"))
    """

    def __init__(self, path: Path, storage: Storage = "mcap") -> None:
        self.path = Path(path)
        if _is_single_file(self.path):
            if storage != "mcap":
                raise UserError(f"{self.path}: expected a folder for {storage}, found the name of an MCAP file")
            check_can_be_written(self.path)
        else:
            check_new_folder(self.path)
        plugin = {"mcap": StoragePlugin.MCAP, "sqlite3": StoragePlugin.SQLITE3}[storage]
        self._bag = _complete_bag(self.path, plugin)
        self._connections: dict[str, Connection] = {}

    def __enter__(self) -> Self:
        self._writer = self._bag.__enter__()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bag.__exit__(exc_type, exc, traceback)

    def add_topic(self, topic: str, type_name: str, qos: Qos | None = None) -> None:
        """Announce a topic, if it has no messages, its messages are serialised, or its QoS is not the default.

        type_name: e.g. sensor_msgs/msg/Image.  qos: of `offered_qos`.
        Raises UserError for a type that is neither ROS 2's nor vision_msgs'.
        """
        if type_name not in type_store().fielddefs:
            raise UserError(f"{self.path}: topic {topic} has the type {type_name}, whose definition is not known here")
        try:
            self._connections[topic] = self._writer.add_connection(
                topic, type_name, typestore=type_store(), offered_qos_profiles=[qos or offered_qos()]
            )
        except WriterError as error:
            raise ValueError(f"topic {topic} was added twice") from error

    def write(self, topic: str, time_ns: int, message: Message) -> None:
        """Append a message of rosbags' classes.  time_ns: the bag's time, nanoseconds since 1970."""
        type_name = message.__msgtype__
        if topic not in self._connections:
            self.add_topic(topic, type_name)
        self.write_serialized(topic, time_ns, type_store().serialize_cdr(message, type_name))

    def write_serialized(self, topic: str, time_ns: int, data: bytes | memoryview) -> None:
        """Append a message that is serialised already (CDR, as it came from the middleware or another bag)."""
        try:
            self._writer.write(self._connections[topic], time_ns, data)
        except (OSError, sqlite3.Error) as error:
            raise _disk_error(self.path, error) from error


@contextmanager
def _complete_bag(path: Path, plugin: StoragePlugin) -> Iterator[Writer]:
    complete = complete_file if _is_single_file(path) else complete_folder
    with complete(path) as target, TemporaryDirectory(prefix=f".{path.name}.", dir=target.parent) as workspace:
        # The files inside a bag carry the name of their folder.
        folder = Path(workspace) / path.name
        try:
            with Writer(folder, version=9, storage_plugin=plugin) as writer:
                yield writer
        except (OSError, sqlite3.Error) as error:
            raise _disk_error(path, error) from error
        if _is_single_file(path):
            next(folder.glob("*.mcap")).replace(target)
            return
        for file in folder.iterdir():
            file.rename(target / file.name)


def _is_single_file(path: Path) -> bool:
    return path.suffix == ".mcap"


def _disk_error(path: Path, error: Exception) -> UserError:
    return UserError(f"{path}: cannot be written: {getattr(error, 'strerror', None) or error}")
