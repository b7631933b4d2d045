"""Writing rosbag2 folders without a ROS installation.

The bag grows in a hidden folder beside its target and takes its name when it is complete, so that a bag that can be
seen is a whole one.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, get_args

from rosbags.interfaces import Connection, Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import StoragePlugin, Writer, WriterError

from mp_perception.bags.message_types import type_store
from mp_perception.bags.messages import Message
from mp_perception.errors import UserError

Storage = Literal["mcap", "sqlite3"]

_INFINITE = QosTime(sec=9223372036, nsec=854775807)  # as ros2 bag record writes "no limit"


@dataclass(frozen=True)
class OfferedQos:
    """What the publishers of a topic offered; `ros2 bag play` and our replay_node offer it again.

    reliable: else best effort.  transient_local: late subscribers get the last messages too (as for /tf_static).
    depth: how many.
    """

    reliable: bool = True
    transient_local: bool = False
    depth: int = 10


class BagWriter:
    """A new rosbag2, written as a context manager.

    Leaving it normally completes the bag; leaving it by an exception removes what was written.

    path: the bag's folder, which must not exist.  storage: mcap or sqlite3.
    Raises UserError if the target exists, its parent is no folder, or the disk fails.

    Examples:
        with BagWriter(Path("street")) as bag:
            bag.add_topic("/image", "sensor_msgs/msg/Image")
            bag.write("/image", stamp_ns, image_message(image, "rgb8", "camera", stamp_ns))
    """

    def __init__(self, path: Path, storage: Storage = "mcap") -> None:
        self.path = Path(path)
        if storage not in get_args(Storage):
            raise UserError(f"storage {storage!r}: expected {' or '.join(get_args(Storage))}")
        if self.path.exists():
            raise UserError(f"{self.path}: exists already, expected the name of a new bag")
        if not self.path.resolve().parent.is_dir():
            raise UserError(f"{self.path}: expected an existing folder to write into, {self.path.parent} is none")
        self._plugin = StoragePlugin.MCAP if storage == "mcap" else StoragePlugin.SQLITE3
        self._connections: dict[str, Connection] = {}

    def __enter__(self) -> Self:
        try:
            self._workspace = Path(tempfile.mkdtemp(prefix=f".{self.path.name}.", dir=self.path.resolve().parent))
        except OSError as error:
            raise self._disk_error(error) from error
        try:
            # The files inside a bag carry its name, hence a folder of that name in the hidden one.
            self._writer = Writer(self._workspace / self.path.name, version=9, storage_plugin=self._plugin)
            self._writer.open()
        except (OSError, sqlite3.Error) as error:
            shutil.rmtree(self._workspace, ignore_errors=True)
            raise self._disk_error(error) from error
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if exc_type is not None:
                # Closing fails again on a full disk; what ended the recording is the news.
                with suppress(OSError, sqlite3.Error):
                    self._writer.abort()
                return
            self._writer.close()
            (self._workspace / self.path.name).rename(self.path)
        except (OSError, sqlite3.Error) as error:
            raise self._disk_error(error) from error
        finally:
            shutil.rmtree(self._workspace, ignore_errors=True)

    def add_topic(self, topic: str, type_name: str, qos: OfferedQos | None = None) -> None:
        """Announce a topic before its first message.

        type_name: e.g. sensor_msgs/msg/Image.  Raises UserError for a type that is neither ROS 2's nor vision_msgs'.
        """
        if type_name not in type_store().fielddefs:
            raise UserError(f"{self.path}: topic {topic} has the type {type_name}, whose definition is not known here")
        try:
            self._connections[topic] = self._writer.add_connection(
                topic, type_name, typestore=type_store(), offered_qos_profiles=[_qos_profile(qos or OfferedQos())]
            )
        except WriterError as error:
            raise ValueError(f"topic {topic} was added twice") from error

    def write(self, topic: str, time_ns: int, message: Message) -> None:
        """Append a message of rosbags' classes.  time_ns: the bag's time, nanoseconds since 1970."""
        self.write_serialized(topic, time_ns, type_store().serialize_cdr(message, self._connections[topic].msgtype))

    def write_serialized(self, topic: str, time_ns: int, data: bytes | memoryview) -> None:
        """Append a message that is serialised already (CDR, as it came from the middleware or another bag)."""
        try:
            self._writer.write(self._connections[topic], time_ns, data)
        except (OSError, sqlite3.Error) as error:
            raise self._disk_error(error) from error

    def _disk_error(self, error: Exception) -> UserError:
        return UserError(f"{self.path}: cannot be written ({getattr(error, 'strerror', None) or error})")


def _qos_profile(qos: OfferedQos) -> Qos:
    return Qos(
        history=QosHistory.KEEP_LAST,
        depth=qos.depth,
        reliability=QosReliability.RELIABLE if qos.reliable else QosReliability.BEST_EFFORT,
        durability=QosDurability.TRANSIENT_LOCAL if qos.transient_local else QosDurability.VOLATILE,
        deadline=_INFINITE,
        lifespan=_INFINITE,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=_INFINITE,
        avoid_ros_namespace_conventions=False,
    )
