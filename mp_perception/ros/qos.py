"""Quality of service of the node's topics, and the description of incompatible publishers.

Inputs accept reliable and best-effort publishers; each subscription gets a new profile, because overrides by parameter
modify it.  Outputs are reliable: a reliable subscriber, such as a display of RViz, receives nothing from a best-effort
publisher, while a reliable publisher serves both.
"""

from __future__ import annotations

from collections.abc import Sequence

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.topic_endpoint_info import TopicEndpointInfo

#: Outputs of image size.
LARGE_OUTPUT = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
#: The other outputs.
OUTPUT = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)
#: Outputs that late subscribers must receive as well.
LATCHED = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)


#: Policies of the subscriptions that parameters may override.
_OVERRIDABLE = (QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH, QoSPolicyKind.RELIABILITY, QoSPolicyKind.DURABILITY)


def override_options() -> QoSOverridingOptions:
    """Lets rclpy read the parameters `override_names`."""
    return QoSOverridingOptions(_OVERRIDABLE)


def override_names(topic: str) -> list[str]:
    """The parameters that override the quality of service of a subscription to a topic, by its resolved name."""
    return [f"qos_overrides.{topic}.subscription.{policy.name.lower()}" for policy in _OVERRIDABLE]


def newest_image() -> QoSProfile:
    """Input images: the newest one only."""
    return QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


def every_image(depth: int) -> QoSProfile:
    """Input images: none is lost while at most `depth` of them wait."""
    return QoSProfile(depth=depth, reliability=ReliabilityPolicy.RELIABLE)


def camera_info() -> QoSProfile:
    """Input camera info: the sensor-data profile."""
    return QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)


def transforms() -> QoSProfile:
    """Input transforms of /tf, as tf2's listener."""
    return QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)


def static_transforms() -> QoSProfile:
    """Input transforms of /tf_static, as tf2's listener."""
    return QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def as_offered(publishers: Sequence[TopicEndpointInfo], depth: int) -> QoSProfile:
    """The best profile that all publishers of a topic offer, so that messages of all of them are received."""
    reliable = all(info.qos_profile.reliability == ReliabilityPolicy.RELIABLE for info in publishers)
    latched = all(info.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL for info in publishers)
    return QoSProfile(
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


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
