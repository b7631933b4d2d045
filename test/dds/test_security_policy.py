"""config/sros2_policy.xml allows the names that running nodes use, and no others."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from reliability.small_network import write_small_network

NODE = "perception"
#: Namespaces of nodes that together use every name, and their parameters.
NODES = {"/raw": {}, "/compressed": {"image_transport": "compressed", "use_sim_time": "true", "odom_frame": "odom"}}
POLICY = Path(__file__).resolve().parents[2] / "config" / "sros2_policy.xml"
#: How sros2 turns a permission into names of DDS topics that are written and read (its permissions.xsl).
WRITTEN = {"publish": "rt{}", "reply": "rr{}Reply", "request": "rq{}Request"}
READ = {"subscribe": "rt{}", "reply": "rq{}Request", "request": "rr{}Reply"}


@pytest.fixture(scope="module")
def policy() -> ElementTree.Element:
    return ElementTree.parse(POLICY).getroot()


def dds_topics(policy: ElementTree.Element, patterns: dict[str, str], namespace: str) -> set[str]:
    """Names that the policy's one profile allows in a namespace."""
    prefixes = {"~": f"{namespace}/{NODE}", "/": ""}
    allowed = set()
    for permissions in policy.iterfind("enclaves/enclave/profiles/profile/*"):
        for rule in set(permissions.attrib) & set(patterns):
            for name in permissions:
                assert name.text is not None
                full = prefixes.get(name.text[0], f"{namespace}/") + name.text.removeprefix("~")
                allowed.add(patterns[rule].format(full))
    return allowed


def test_it_has_the_form_of_sros2s_schema(policy: ElementTree.Element) -> None:
    assert (policy.tag, policy.attrib) == ("policy", {"version": "0.2.0"})
    assert [(element.tag, element.attrib) for element in policy.iterfind("enclaves/*")] == [
        ("enclave", {"path": f"/{NODE}"})
    ]
    (profile,) = policy.iterfind("enclaves/enclave/profiles/profile")
    assert profile.attrib == {"ns": "/", "node": NODE}
    rules = [(permissions.tag, permissions.attrib) for permissions in profile]
    assert rules == [
        ("topics", {"subscribe": "ALLOW"}),
        ("topics", {"publish": "ALLOW"}),
        ("services", {"reply": "ALLOW"}),
    ]
    for permissions in profile:
        names = [name.text for name in permissions]
        assert {name.tag for name in permissions} == {permissions.tag.removesuffix("s")}
        assert len(names) == len(set(names)) > 0


@pytest.mark.dds
@pytest.mark.slow
@pytest.mark.timeout(280)
def test_nothing_is_missing_and_nothing_superfluous(
    policy: ElementTree.Element, start_node: Any, tmp_path: Path
) -> None:
    weights = write_small_network(tmp_path)
    pairs = [start_node(namespace, weights=weights, **parameters) for namespace, parameters in NODES.items()]
    observer = pairs[0][1]
    observer.spin(3)  # the graph arrives a little later than the log
    unused_reads = []
    for namespace in NODES:
        written = {name for name, _ in observer.node.get_publisher_names_and_types_by_node(NODE, namespace, True)}
        read = {name for name, _ in observer.node.get_subscriber_names_and_types_by_node(NODE, namespace, True)}
        assert written == dds_topics(policy, WRITTEN, namespace)
        allowed = dds_topics(policy, READ, namespace)
        assert read <= allowed
        unused_reads.append({name.replace(namespace, "", 1) for name in allowed - read})
    # Each node subscribes to one kind of image, and one of them to the time and to tf.
    assert set.intersection(*unused_reads) == set()
    assert set.union(*unused_reads) == {"rt/image", "rt/image/compressed", "rt/clock", "rt/tf", "rt/tf_static"}
