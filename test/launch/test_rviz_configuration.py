"""RViz cannot run here: its configuration is read instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from mp_perception.ros.publishing import OUTPUTS

CONFIGURATION = Path(__file__).resolve().parents[2] / "config" / "rviz" / "perception.rviz"
#: Displays of rviz_default_plugins (its plugins_description.xml) and the message type each shows.
DISPLAYS = {
    "rviz_default_plugins/Image": "Image",
    "rviz_default_plugins/MarkerArray": "MarkerArray",
    "rviz_default_plugins/PointCloud2": "PointCloud2",
    "rviz_default_plugins/Grid": None,
    "rviz_default_plugins/TF": None,
}


@pytest.fixture(scope="module")
def displays() -> list[dict[str, Any]]:
    manager = yaml.safe_load(CONFIGURATION.read_text(encoding="utf-8"))["Visualization Manager"]
    assert manager["Global Options"]["Fixed Frame"]
    return list(manager["Displays"])


def test_every_display_exists_and_shows_a_topic_of_its_type(displays: list[dict[str, Any]]) -> None:
    types = {"image": "Image"} | {output.topic: output.message_type.__name__ for output in OUTPUTS}
    for display in displays:
        shown = DISPLAYS[display["Class"]]
        assert ("Topic" in display) == (shown is not None)
        if shown:
            assert types[display["Topic"]["Value"]] == shown
            assert set(display["Topic"]) == {
                "Value", "Depth", "Durability Policy", "History Policy", "Reliability Policy",
            }  # fmt: skip


def test_image_overlay_depth_objects_tracks_and_points_are_shown(displays: list[dict[str, Any]]) -> None:
    shown = {display["Topic"]["Value"] for display in displays if display["Enabled"] and "Topic" in display}
    assert shown == {"image", "overlay", "depth/image_colored", "markers", "tracks/markers", "points"}
