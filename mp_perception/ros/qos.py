"""Quality of service of the node's topics, and what to say when two sides do not fit.

Inputs take from reliable and best-effort publishers alike; their profiles are made anew for each subscription, because
overrides by parameter change them.  Outputs are reliable: a best-effort publisher is invisible to reliable
subscribers, such as RViz's displays, while a reliable one serves both.
"""

from __future__ import annotations

from collections.abc import Sequence

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.topic_endpoint_info import TopicEndpointInfo

#: Outputs of image size.
LARGE_OUTPUT = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
#: The other outputs.
OUTPUT = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)
#: What late subscribers must get too.
LATCHED = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def newest_image() -> QoSProfile:
    """Images in: the newest one only."""
    return QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


def every_image(depth: int) -> QoSProfile:
    """Images in: none lost as long as at most `depth` of them wait."""
    return QoSProfile(depth=depth, reliability=ReliabilityPolicy.RELIABLE)


def camera_info() -> QoSProfile:
    """Camera info in: the sensor-data profile."""
    return QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)


def as_offered(publishers: Sequence[TopicEndpointInfo], depth: int) -> QoSProfile:
    """What all publishers of a topic offer: asking for more than one of them has would lose that one."""
    reliable = all(info.qos_profile.reliability == ReliabilityPolicy.RELIABLE for info in publishers)
    latched = all(info.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL for info in publishers)
    return QoSProfile(
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


def describe_incompatible_publisher(node: Node, topic: str, profile: QoSProfile, kind: QoSPolicyKind) -> str:
    """What publishers of `topic` offer that does not serve our subscription `profile`, for the user.

    kind: the policy that the middleware names as incompatible.
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
