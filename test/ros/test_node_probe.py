"""The probe of a node: which diagnostics it collects, and how long it waits."""

from __future__ import annotations

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

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
