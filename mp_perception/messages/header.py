"""Message headers, and the types that all modules of this package use.

This package builds and reads ROS messages of any Python classes that have ROS's field names.  Its builders take
`new`, which makes a message from a type name and fields: `ros/message_class.py` gives rclpy's classes,
`bags/message_types.py` those of rosbags.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

#: A ROS message.  Message classes are generated, so a static type is not available.
Message = Any
#: new("std_msgs/msg/Header", frame_id="camera") makes a message; fields that are not given are zero or empty.
NewMessage = Callable[..., Message]

_NANOSECONDS = 1_000_000_000


def new_header(new: NewMessage, frame_id: str, stamp_ns: int) -> Message:
    """std_msgs/Header.  stamp_ns: nanoseconds since 1970."""
    seconds, nanoseconds = divmod(stamp_ns, _NANOSECONDS)
    stamp = new("builtin_interfaces/msg/Time", sec=seconds, nanosec=nanoseconds)
    return new("std_msgs/msg/Header", stamp=stamp, frame_id=frame_id)


def stamp_of(header: Message) -> int:
    """Stamp of a std_msgs/Header, nanoseconds."""
    return int(header.stamp.sec) * _NANOSECONDS + int(header.stamp.nanosec)


def read_serialized_header(data: bytes) -> tuple[int, str] | None:
    """(stamp in nanoseconds, frame) of a serialised message (CDR) whose first field is a std_msgs/Header.

    The rest of the message is not read.  Returns None if the data do not begin with a header.
    """
    if len(data) < 16 or data[0] != 0 or data[1] not in (0, 1):
        return None
    seconds, nanoseconds, length = struct.unpack_from("<iII" if data[1] else ">iII", data, 4)
    if length == 0 or 16 + length > len(data):
        return None
    return seconds * _NANOSECONDS + nanoseconds, data[16 : 15 + length].decode(errors="replace")
