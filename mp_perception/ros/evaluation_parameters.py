"""The parameters of evaluation_node; docs/bags.md says what they mean."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node

from mp_perception.errors import UserError
from mp_perception.evaluation.run import Outputs


@dataclass(frozen=True)
class EvaluationParameters:
    """bag: what is replayed.  outputs: files.  score_threshold: None takes the one that the node publishes with.

    output_timeout: seconds.  max_pending_bytes: of messages that wait for the rest of their frame.
    """

    bag: Path
    outputs: Outputs
    score_threshold: float | None
    output_timeout: float
    max_pending_bytes: int


def read_parameters(node: Node) -> EvaluationParameters:
    """Declare the node's parameters and read them.  Raises UserError for a value that cannot be used."""
    # Whole numbers are welcome where parameters are numbers, which ROS alone would refuse.
    anything = ParameterDescriptor(dynamic_typing=True)
    names = {name: str(node.declare_parameter(name, "", anything).value) for name in ("bag", "report", "json", "plots")}
    threshold = _number(node, "score_threshold", -1.0, anything)
    timeout = _number(node, "output_timeout", 5.0, anything)
    megabytes = int(_number(node, "max_pending_megabytes", 512, anything))
    if not names["bag"]:
        raise UserError("parameter bag: expected the bag that is replayed, found none")
    if not (threshold == -1 or 0 <= threshold <= 1):
        raise UserError(f"parameter score_threshold: expected -1 or 0..1, found {threshold:g}")
    if not 0 < timeout <= 3600:
        raise UserError(f"parameter output_timeout: expected seconds above 0, 3600 at most, found {timeout:g}")
    if not 1 <= megabytes <= 1_000_000:
        raise UserError(f"parameter max_pending_megabytes: expected 1..1000000, found {megabytes}")
    json, report, plots = (Path(names[name]) if names[name] else None for name in ("json", "report", "plots"))
    return EvaluationParameters(
        bag=Path(names["bag"]),
        outputs=Outputs(json, report, plots, command=shlex.join(["evaluation_node", *sys.argv[1:]])),
        score_threshold=None if threshold == -1 else threshold,
        output_timeout=timeout,
        max_pending_bytes=megabytes * 1_000_000,
    )


def _number(node: Node, name: str, default: float, descriptor: ParameterDescriptor) -> float:
    value: object = node.declare_parameter(name, default, descriptor).value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UserError(f"parameter {name}: expected a number, found {value!r}")
    return float(value)
