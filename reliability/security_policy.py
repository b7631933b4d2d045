"""Permissions of a perception node under SROS2: `python -m reliability.security_policy > config/sros2_policy.xml`.

Read from the graph of running nodes, as `ros2 security generate_policy` does, one node for each input that a parameter
selects; names are relative to the namespace and the node where they follow them.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

from rclpy.node import Node

from reliability.small_network import write_small_network
from reliability.soak.stage import Stage

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
    """A node that reads the graph, and the namespaces of the perception nodes in it."""
    with tempfile.TemporaryDirectory() as folder, Stage(Path(folder), write_small_network(Path(folder))) as stage:
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
    """The name as a policy writes it."""
    own = f"{namespace}/{NODE}/"
    return f"~/{name.removeprefix(own)}" if name.startswith(own) else name.removeprefix(f"{namespace}/")


if __name__ == "__main__":
    main()
