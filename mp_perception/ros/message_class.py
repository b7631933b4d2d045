"""The Python class of a message type that is only known by name."""

from __future__ import annotations

import importlib
import re
from typing import Any

from mp_perception.errors import UserError

_NAME = re.compile(r"([a-z][a-z0-9_]*)/msg/([A-Z][A-Za-z0-9]*)")


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
