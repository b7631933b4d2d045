"""Quality of service of the node's topics, and the description of incompatible publishers.

Inputs accept reliable and best-effort publishers; each subscription gets a new profile, because overrides by parameter
modify it.  Outputs are reliable: a reliable subscriber, such as a display of RViz, receives nothing from a best-effort
publisher, while a reliable publisher serves both.
"""

from __future__ import annotations

from collections.abc import Sequence

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.topic_endpoint_info import TopicEndpointInfo


def profile(depth: int, *, reliable: bool = True, latched: bool = False) -> QoSProfile:
    """Keeps the last `depth` messages; latched: late subscribers receive them as well."""
    return QoSProfile(
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


#: Outputs of image size.
LARGE_OUTPUT = profile(1)
#: The other outputs.
OUTPUT = profile(5)
#: Outputs that late subscribers must receive as well.
LATCHED = profile(1, latched=True)

#: Policies of the subscriptions that parameters may override.
OVERRIDABLE = (QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH, QoSPolicyKind.RELIABILITY, QoSPolicyKind.DURABILITY)


def override_names(topic: str) -> list[str]:
    """The parameters that override the quality of service of a subscription to a topic, by its resolved name."""
    return [f"qos_overrides.{topic}.subscription.{policy.name.lower()}" for policy in OVERRIDABLE]


def as_offered(publishers: Sequence[TopicEndpointInfo], depth: int) -> QoSProfile:
    """The best profile that all publishers of a topic offer, so that messages of all of them are received."""
    reliable = all(info.qos_profile.reliability == ReliabilityPolicy.RELIABLE for info in publishers)
    latched = all(info.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL for info in publishers)
    return profile(depth, reliable=reliable, latched=latched)


def describe_incompatible_publisher(node: Node, topic: str, profile: QoSProfile, kind: QoSPolicyKind) -> str:
    """One line for the user: which offered policy of a publisher does not match our subscription.

    profile: of our subscription.  kind: the incompatible policy as the middleware reports it.
    """
    policy = QoSPolicyKind(kind).name.lower()
    ours = getattr(profile, policy, None)
    offers = (getattr(info.qos_profile, policy, None) for info in node.get_publishers_info_by_topic(topic))
    others = sorted({_words(offer) for offer in offers if offer != ours})
    return (
        f"{topic}: a publisher offers {' or '.join(others) or 'less'}, this node asks for {_words(ours)} ({policy}) and"
        " receives nothing from it"
    )


def _words(policy: object) -> str:
    return getattr(policy, "name", str(policy)).lower().replace("_", " ")
