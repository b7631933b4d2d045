"""What a perception node may do under SROS2: `python -m reliability.security_policy > config/sros2_policy.xml`.

Read off the graph of running nodes, one for each input that a parameter chooses, as `ros2 security generate_policy`
does; names are written relative to namespace and node where they follow them.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

from rclpy.node import Node

from reliability.day.stage import Stage
from reliability.fuzzing.seeds import SEEDS

NODE = "perception"
#: Namespaces of nodes that together use every name, and their parameters.
_NODES = {"/raw": (), "/compressed": ("image_transport:=compressed", "use_sim_time:=true")}
_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<!-- What a perception node may do, for `ros2 security create_permission` (docs/on_a_robot.md): nothing else.
     Another namespace: change ns.  Remapped topics: their own names, with a slash in front. -->
"""
#: (element, attribute, method of rclpy's Node that lists the names)
_RULES = (
    ("topic", "subscribe", Node.get_subscriber_names_and_types_by_node),
    ("topic", "publish", Node.get_publisher_names_and_types_by_node),
    ("service", "reply", Node.get_service_names_and_types_by_node),
    ("service", "request", Node.get_client_names_and_types_by_node),
)


@contextmanager
def running_nodes() -> Iterator[tuple[Node, tuple[str, ...]]]:
    """Somebody who sees the graph, and the namespaces of the nodes in it."""
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "small.onnx"
        weights.write_bytes(SEEDS["onnx_model"]()[0])
        with Stage(Path(folder), weights) as stage:
            robots = [stage.active_node(namespace, *parameters)[1] for namespace, parameters in _NODES.items()]
            robots[0].spin(3)  # the graph arrives a little later than the log
            yield robots[0].node, tuple(_NODES)


def main() -> None:
    """Print the policy."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    with running_nodes() as (observer, namespaces):
        for element, rule, names_of in _RULES:
            for namespace in namespaces:
                found[element, rule] |= {_relative(name, namespace) for name, _ in names_of(observer, NODE, namespace)}
    policy = ElementTree.Element("policy", version="0.2.0")
    enclave = ElementTree.SubElement(ElementTree.SubElement(policy, "enclaves"), "enclave", path=f"/{NODE}")
    profile = ElementTree.SubElement(ElementTree.SubElement(enclave, "profiles"), "profile", ns="/", node=NODE)
    for (element, rule), names in found.items():
        if names:
            permissions = ElementTree.SubElement(profile, f"{element}s", {rule: "ALLOW"})
            for name in sorted(names):
                ElementTree.SubElement(permissions, element).text = name
    ElementTree.indent(policy)
    print(_HEAD + ElementTree.tostring(policy, encoding="unicode"))


def _relative(name: str, namespace: str) -> str:
    """As a policy writes it."""
    own = f"{namespace}/{NODE}/"
    return f"~/{name.removeprefix(own)}" if name.startswith(own) else name.removeprefix(f"{namespace}/")


if __name__ == "__main__":
    main()
