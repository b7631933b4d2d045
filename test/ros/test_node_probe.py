"""The probe of a node: which diagnostics it collects, and how long it waits."""

from __future__ import annotations

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from mp_perception.errors import UserError
from mp_perception.ros.node_probe import probe_node

pytestmark = [pytest.mark.dds, pytest.mark.timeout(60)]


def status(name: str, level: bytes, value: str) -> DiagnosticStatus:
    return DiagnosticStatus(
        level=level, name=name, message=f"{name} is {value}", values=[KeyValue(key="state", value=value)]
    )


def test_only_the_diagnostics_of_the_target_count(ros_domain_id: int) -> None:
    context = rclpy.Context()
    rclpy.init(context=context)
    robot = rclpy.create_node("robot", context=context)
    publisher = robot.create_publisher(DiagnosticArray, "/diagnostics", 5)
    battery = status("battery", DiagnosticStatus.ERROR, "empty")
    with probe_node("front/perception") as probe:
        probe.wait_until(lambda: publisher.get_subscription_count() > 0, "no subscription", 30)
        assert probe.num_subscribers("/diagnostics") == 0
        publisher.publish(DiagnosticArray(status=[battery]))
        publisher.publish(DiagnosticArray(status=[battery, status("front/perception", DiagnosticStatus.OK, "active")]))
        probe.wait_until(lambda: probe.num_received == 1, "no diagnostics", 30)
        assert (probe.values, probe.error) == ({"state": "active"}, "")
        publisher.publish(DiagnosticArray(status=[status("front/perception", DiagnosticStatus.ERROR, "broken")]))
        probe.wait_until(lambda: probe.num_received == 2, "no diagnostics", 30)
        assert probe.error == "front/perception is broken"
        with pytest.raises(UserError, match=r"^no third message after 0.1 s; diagnostics: \{'state': 'broken'\}$"):
            probe.wait_until(lambda: probe.num_received == 3, "no third message", 0.1)
    robot.destroy_node()
    rclpy.shutdown(context=context)
