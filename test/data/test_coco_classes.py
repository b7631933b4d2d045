"""COCO's person on a bicycle becomes a Cyclist, and only then."""

from __future__ import annotations

import pytest

from mp_perception.data.coco_classes import from_coco, labelled_in_coco
from mp_perception.data.object_label import IGNORED_REGION, ObjectLabel

BICYCLE = ObjectLabel("bicycle", (100, 50, 180, 100))
# Astride: above the bicycle, its middle within the wheels, feet on the pedals (lower half, off the ground).
RIDER = ObjectLabel("person", (120, 0, 150, 92))


def converted(*labels: object) -> list[tuple[str, tuple[float, ...]]]:
    return sorted((label.class_name, label.box) for label in from_coco(labels))


def test_a_rider_and_the_bicycle_become_one_cyclist() -> None:
    assert converted(RIDER, BICYCLE) == [("Cyclist", (100, 0, 180, 100))]


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((120, 0, 150, 99), IGNORED_REGION),  # feet on the ground: stands beside it or behind it
        ((120, 0, 150, 110), IGNORED_REGION),
        ((175, 0, 215, 92), "Pedestrian"),  # covers too little of it
        ((165, 0, 215, 92), IGNORED_REGION),  # middle beside the bicycle
        ((120, 55, 150, 92), IGNORED_REGION),  # nothing above it
        ((300, 0, 330, 92), "Pedestrian"),
    ],
)
def test_a_person_who_does_not_ride(box: tuple[float, float, float, float], expected: str) -> None:
    assert converted(ObjectLabel("person", box), BICYCLE) == [(expected, box)]


def test_a_bicycle_has_one_rider_and_a_rider_one_bicycle() -> None:
    second = ObjectLabel("person", (130, 0, 148, 92))  # covers less of it: who only stands behind may look like a rider
    assert converted(RIDER, second, BICYCLE) == [("Cyclist", (100, 0, 180, 100)), (IGNORED_REGION, second.box)]
    other = ObjectLabel("bicycle", (104, 52, 178, 100))
    assert [name for name, _ in converted(RIDER, BICYCLE, other)] == ["Cyclist"]


def test_other_classes() -> None:
    box = (0, 0, 50, 40)
    for name, expected in (
        ("car", ["Car"]),
        ("truck", [IGNORED_REGION]),
        ("bus", [IGNORED_REGION]),
        (IGNORED_REGION, [IGNORED_REGION]),
        ("bicycle", []),
        ("dog", ["dog"]),
        ("Person_sitting", ["Person_sitting"]),
    ):
        assert [label for label, _ in converted(ObjectLabel(name, box))] == expected
    motorcyclist = ObjectLabel("person", (10, 0, 40, 30))
    assert converted(motorcyclist, ObjectLabel("motorcycle", (0, 10, 50, 40))) == [(IGNORED_REGION, motorcyclist.box)]


def test_names_of_the_networks_own_classes_stay() -> None:
    assert [label.class_name for label in from_coco([ObjectLabel("dog", (0, 0, 1, 1)), RIDER], ("dog",))] == [
        "dog",
        "Pedestrian",
    ]


def test_without_bicycles_cyclists_are_unknown() -> None:
    assert labelled_in_coco(["person", "car"]) == ("person", "car", "Pedestrian", "Car")
    assert "Cyclist" in labelled_in_coco(["person", "bicycle"])
