"""Every test of a builder runs with the message classes of rclpy and of rosbags."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mp_perception.bags import message_types
from mp_perception.messages.header import NewMessage
from mp_perception.ros import message_class


@pytest.fixture(params=["rclpy", "rosbags"])
def new(request: pytest.FixtureRequest) -> NewMessage:
    """Makes messages of the classes of rclpy or rosbags."""
    return message_class.new_message if request.param == "rclpy" else message_types.new_message


@pytest.fixture
def sent(new: NewMessage) -> Callable[[Any, str], Any]:
    """Serialises a message and reads it again, as when it is published or recorded."""
    if new is message_types.new_message:
        store = message_types.type_store()
        return lambda message, type_name: store.deserialize_cdr(store.serialize_cdr(message, type_name), type_name)
    serialization = pytest.importorskip("rclpy.serialization")
    return lambda message, type_name: serialization.deserialize_message(
        serialization.serialize_message(message), message_class.message_class(type_name)
    )
