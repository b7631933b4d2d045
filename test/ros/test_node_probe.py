"""The probe of a node: which diagnostics and messages it collects, and how long it waits."""

from __future__ import annotations

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from std_msgs.msg import Header

from mp_perception.errors import UserError
from mp_perception.ros.node_probe import NodeProbe

pytestmark = [pytest.mark.dds, pytest.mark.timeout(60)]


def status(name: str, level: bytes, value: str) -> DiagnosticStatus:
    return DiagnosticStatus(
        level=level, name=name, message=f"{name} is {value}", values=[KeyValue(key="state", value=value)]
    )


def test_only_the_diagnostics_of_the_target_count(ros_domain_id: int) -> None:
    battery = status("battery", DiagnosticStatus.ERROR, "empty")
    with NodeProbe("/front") as probe, NodeProbe() as robot:
        publisher = robot.node.create_publisher(DiagnosticArray, "/diagnostics", 5)
        probe.wait_until(lambda: publisher.get_subscription_count() == 2, "no subscriptions", 30)
        assert probe.num_subscribers("/diagnostics") == 1
        publisher.publish(DiagnosticArray(status=[battery]))
        publisher.publish(DiagnosticArray(status=[battery, status("front/perception", DiagnosticStatus.OK, "active")]))
        expected = {"state": "active", "level": "0", "message": "front/perception is active"}
        assert probe.diagnostics() == expected
        assert probe.error == ""
        publisher.publish(DiagnosticArray(status=[status("front/perception", DiagnosticStatus.ERROR, "broken")]))
        assert probe.diagnostics(lambda values: values["level"] == "2")["state"] == "broken"
        assert probe.error == "front/perception is broken"
        with pytest.raises(UserError, match=r"^front/perception: no such diagnostics after 0.1 s; .*'broken'"):
            probe.diagnostics(limit=0.1)
        assert robot.values == {}


def test_messages_of_a_topic_are_collected_in_order(ros_domain_id: int) -> None:
    with NodeProbe("/front") as probe, NodeProbe("/front") as robot:
        probe.collect(Header, "header")
        publisher = robot.node.create_publisher(Header, "header", 5)
        robot.wait_until(lambda: publisher.get_subscription_count() > 0, "no subscription", 30)
        for name in ("left", "right"):
            publisher.publish(Header(frame_id=name))
        probe.wait_until(lambda: len(probe.received["header"]) == 2, "not two messages", 30)
        assert [header.frame_id for header in probe.received["header"]] == ["left", "right"]
