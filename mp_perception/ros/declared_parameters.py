"""The parameter table as parameters of a ROS node: their declaration, names, descriptions and values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node

from mp_perception.errors import unknown_name
from mp_perception.ros.parameters import PARAMETERS, NodeParameters, constraint_text, ros_value
from mp_perception.ros.qos import override_names


def declare_parameters(node: Node) -> None:
    """Declare all parameters on a node.

    They have dynamic types: with a static type `max_age: 1` would be refused for a double, and a wrong value in a YAML
    file would end the process at start, where now the configuration fails with a reason.
    """
    for row in PARAMETERS.values():
        descriptor = ParameterDescriptor(
            description=row.metadata["description"],
            additional_constraints=constraint_text(row),
            dynamic_typing=True,
        )
        node.declare_parameter(row.name, ros_value(row.default), descriptor)


def check_names(node: Node, names: Iterable[str], inputs: Sequence[str]) -> None:
    """Raises UserError for a name that is not a parameter of the node, such as a misspelt one in a YAML file.

    inputs: the resolved topics whose quality of service may be overridden; those parameters are declared later.
    """
    overrides = [name for topic in inputs for name in override_names(topic)]
    for name in names:
        if not node.has_parameter(name) and name not in overrides:
            known = overrides if name.startswith("qos_overrides.") else sorted(PARAMETERS)
            raise unknown_name("parameter", name, known)


def with_limits(name: str, descriptor: ParameterDescriptor) -> ParameterDescriptor:
    """The descriptor of a parameter with the limits of its number, from which rqt makes a slider.

    They are not declared, because rclpy would then refuse values before we do, for numbers of one type only, and end
    the process on a value in a YAML file.
    """
    row = PARAMETERS.get(name)
    if row is None or row.metadata["range"].limits is None:
        return descriptor
    low, high = row.metadata["range"].limits
    limited = copy(descriptor)
    if isinstance(row.default, float):
        limited.floating_point_range = [FloatingPointRange(from_value=float(low), to_value=float(high))]
    else:
        limited.integer_range = [IntegerRange(from_value=low, to_value=high)]
    return limited


def read_parameters(node: Node, changes: Mapping[str, Any] | None = None) -> NodeParameters:
    """The node's parameters with `changes` applied.  Raises UserError as `NodeParameters.checked`."""
    values = {name: node.get_parameter(name).value for name in PARAMETERS}
    return NodeParameters.checked(values | dict(changes or {}))
