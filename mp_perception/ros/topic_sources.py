"""Why nothing arrives on a topic: who publishes on it, and which other topics have its type."""

from __future__ import annotations

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy

#: Other topics that a line names; a robot may have hundreds.
_MAX_NAMED = 5


def describe_source(node: Node, topic: str, type_name: str) -> str:
    """One line for the user about a topic from which `node` receives nothing.

    Args:
        node: the subscriber; topics that only nodes of its name publish, in any namespace, are not named.
        topic: resolved name.
        type_name: the expected type, such as "sensor_msgs/msg/Image".
    """
    publishers = node.get_publishers_info_by_topic(topic)
    types = {info.topic_type for info in publishers}
    if not publishers:
        return f"{topic} has no publisher; {_other_topics(node, topic, type_name)}"
    if type_name not in types:
        return f"{topic} has a publisher of {', '.join(sorted(types))}, expected {type_name}"
    number = f"{len(publishers)} publisher{'s' if len(publishers) > 1 else ''}"
    if all(info.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL for info in publishers):
        overrides = f"qos_overrides.{topic}.subscription"
        return (
            f"{topic} has {number} (latched: to receive earlier messages set {overrides}.durability to transient_local"
            f" and {overrides}.reliability to reliable)"
        )
    return f"{topic} has {number} (docs/troubleshooting.md: quality of service, large images)"


def _other_topics(node: Node, topic: str, type_name: str) -> str:
    found = sorted(
        name
        for name, types in node.get_topic_names_and_types()
        if type_name in types
        and name != topic
        and any(info.node_name != node.get_name() for info in node.get_publishers_info_by_topic(name))
    )
    if not found:
        return f"no topic has messages of {type_name}"
    more = f" and {len(found) - _MAX_NAMED} more" if len(found) > _MAX_NAMED else ""
    return f"topics of {type_name}: {', '.join(found[:_MAX_NAMED])}{more}"
