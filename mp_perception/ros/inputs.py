"""The node's subscriptions, and what the user is told where nothing arrives: incompatible or missing publishers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSPolicyKind, QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription

from mp_perception.errors import UserError
from mp_perception.ros import qos

#: Other topics that a line names; a robot may have hundreds.
_MAX_NAMED = 5
#: Policy -> its value with which a subscription accepts any publisher.
_LEAST = {"reliability": "best_effort", "durability": "volatile"}


class Inputs:
    """The subscriptions of a node, from activation to deactivation."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._subscriptions: dict[str, Subscription[Any]] = {}

    def subscribe(
        self,
        message_type: type[Any],
        name: str,
        callback: Callable[[Any], None],
        profile: QoSProfile,
        may_be_overridden: bool = True,
    ) -> None:
        """Subscribe to a topic; incompatible publishers are logged with the remedy.

        Raises:
            UserError: a parameter that overrides the quality of service has a wrong value.
        """
        node, topic = self._node, self._node.resolve_topic_name(name)

        def warn(event: Any) -> None:
            kind = event.last_policy_kind
            policy = QoSPolicyKind(kind).name.lower()
            advice = "process_every_frame needs a reliable publisher"
            if may_be_overridden and policy in _LEAST:
                advice = f"set the parameter qos_overrides.{topic}.subscription.{policy} to {_LEAST[policy]}"
            node.get_logger().warning(f"{qos.describe_incompatible_publisher(node, topic, profile, kind)}; {advice}")

        try:
            self._subscriptions[topic] = node.create_subscription(
                message_type,
                name,
                callback,
                profile,
                event_callbacks=SubscriptionEventCallbacks(incompatible_qos=warn),
                qos_overriding_options=QoSOverridingOptions(qos.OVERRIDABLE) if may_be_overridden else None,
            )
        except (RuntimeError, TypeError, ValueError) as error:
            raise UserError(f"qos_overrides of {topic}: {error}") from error

    def destroy(self) -> None:
        """Unsubscribe from all topics."""
        for subscription in self._subscriptions.values():
            self._node.destroy_subscription(subscription)
        self._subscriptions.clear()

    def num_publishers(self) -> dict[str, int]:
        """Number of publishers by topic."""
        return {topic: self._node.count_publishers(topic) for topic in self._subscriptions}

    def describe_source(self, topic: str) -> str:
        """One line for the user about a subscribed topic from which nothing arrives; "" if it is not subscribed to."""
        if topic not in self._subscriptions:
            return ""
        message_type = self._subscriptions[topic].msg_type
        type_name = f"{message_type.__module__.partition('.')[0]}/msg/{message_type.__name__}"
        publishers = self._node.get_publishers_info_by_topic(topic)
        types = {info.topic_type for info in publishers}
        if not publishers:
            return f"{topic} has no publisher; {_other_topics(self._node, topic, type_name)}"
        if type_name not in types:
            return f"{topic} has a publisher of {', '.join(sorted(types))}, expected {type_name}"
        number = f"{len(publishers)} publisher{'s' if len(publishers) > 1 else ''}"
        if all(info.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL for info in publishers):
            overrides = f"qos_overrides.{topic}.subscription"
            return (
                f"{topic} has {number} (latched: to receive earlier messages set {overrides}.durability to"
                f" transient_local and {overrides}.reliability to reliable)"
            )
        return f"{topic} has {number} (docs/troubleshooting.md: quality of service, large images)"


def _other_topics(node: Node, topic: str, type_name: str) -> str:
    """Topics of a type, without those that only nodes of the same name publish, in any namespace."""
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
