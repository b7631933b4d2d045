"""rclpy's message classes by type name: a class, and new messages for the builders of `messages`."""

from __future__ import annotations

import array
import importlib
import re
from functools import cache
from typing import Any

import numpy as np

from mp_perception.errors import UserError

_NAME = re.compile(r"([a-z][a-z0-9_]*)/msg/([A-Z][A-Za-z0-9]*)")


@cache
def message_class(type_name: str) -> type[Any]:
    """The class of e.g. sensor_msgs/msg/Image.  Raises UserError if its package is not installed or lacks it."""
    match = _NAME.fullmatch(type_name)
    if not match:
        raise UserError(f"type {type_name!r}: expected <package>/msg/<Name>")
    package, name = match.groups()
    try:
        found: type[Any] = getattr(importlib.import_module(f"{package}.msg"), name)
    except (ImportError, AttributeError):
        raise UserError(f"type {type_name}: not installed here (package {package})") from None
    return found


def new_message(type_name: str, **fields: Any) -> Any:
    """A message of e.g. sensor_msgs/msg/Image.  data: bytes as an array of uint8; other fields as rclpy takes them."""
    data = fields.pop("data", None)
    if not isinstance(data, np.ndarray):
        return message_class(type_name)(**fields, **({} if data is None else {"data": data}))
    # Of the ways to fill a message this one copies once: an array given to the constructor is copied twice more, and
    # so is one given to a message that does not check its fields.
    message = message_class(type_name)(**fields, check_fields=True)
    message.data = array.array("B")
    message.data.frombytes(data.data)
    return message
