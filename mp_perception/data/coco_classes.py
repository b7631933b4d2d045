"""From COCO's classes to ours: a person on a bicycle becomes a Cyclist.

COCO labels a rider as a person and a bicycle; KITTI's Cyclist is both in one box.  The rule, with person and bicycle
as boxes:

1.  A person and a bicycle *touch* if their intersection covers at least TOUCHING_SHARE of the bicycle's box.
2.  A touching person *rides* if the middle of the person's box lies within the bicycle's left and right edges, the
    person's upper edge lies above the bicycle's, and the feet are on the pedals: the person's lower edge lies in the
    lower half of the bicycle's box, and off the ground by at least GROUND_SHARE of its height.
3.  Each bicycle takes the riding person that covers most of it, each person one bicycle; both become one Cyclist
    whose box spans both.
4.  A person who touches a bicycle but does not ride (pushes it, stands behind it) and everyone who touches a
    motorcycle may count as a Pedestrian or a rider: unknown.  All other persons are Pedestrians.
5.  Bicycles and motorcycles without a rider are background.  COCO's car is a Car (vans and minibuses included, which
    is why a set of COCO's does not label Van).  Its truck (lorries, pick-ups, vans) and bus are unknown, because our
    vehicle classes divide them otherwise.  Everything else is background.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from mp_perception.data.object_label import IGNORED_REGION, ObjectLabel
from mp_perception.geometry import box_areas, clip_boxes

#: Share of a bicycle's box that a person must cover to have anything to do with it.
TOUCHING_SHARE = 0.15
#: A rider's feet are above the wheels' lowest point by at least this share of the bicycle's height.
GROUND_SHARE = 0.05


def labelled_in_coco(categories: Collection[str]) -> tuple[str, ...]:
    """Classes of ours that a set with these categories labels: its own names, and those that the rule makes."""
    derived = []
    if "person" in categories:
        derived.append("Pedestrian")
        if "bicycle" in categories:
            derived.append("Cyclist")
    if "car" in categories:
        derived.append("Car")
    return (*categories, *derived)


def from_coco(labels: Sequence[ObjectLabel], class_names: Collection[str] = ()) -> list[ObjectLabel]:
    """The labels with our classes, by the rule above.

    class_names: types that stay what they are, because the network has classes of those names.
    """
    kept = [label for label in labels if label.class_name in class_names]
    others = [label for label in labels if label.class_name not in class_names]
    persons = [label for label in others if label.class_name == "person"]
    bicycles = [label for label in others if label.class_name == "bicycle"]
    motorcycles = [label for label in others if label.class_name == "motorcycle"]
    converted: list[ObjectLabel] = []
    riders = _riders(persons, bicycles)
    for number, person in enumerate(persons):
        if number in riders:
            converted.append(_union(person, bicycles[riders[number]]))
        elif any(_cover(person, vehicle) >= TOUCHING_SHARE for vehicle in (*bicycles, *motorcycles)):
            converted.append(replace(person, class_name=IGNORED_REGION))
        else:
            converted.append(replace(person, class_name="Pedestrian"))
    converted += [replace(label, class_name="Car") for label in others if label.class_name == "car"]
    unclear = [label for label in others if label.class_name in ("truck", "bus", IGNORED_REGION)]
    converted += [replace(label, class_name=IGNORED_REGION) for label in unclear]
    return kept + converted


def _riders(persons: Sequence[ObjectLabel], bicycles: Sequence[ObjectLabel]) -> dict[int, int]:
    """Person's index -> bicycle's index; the pair with the greatest cover first."""
    pairs = sorted(
        (
            (_cover(person, bicycle), p, b)
            for p, person in enumerate(persons)
            for b, bicycle in enumerate(bicycles)
            if _rides(person, bicycle)
        ),
        reverse=True,
    )
    riders: dict[int, int] = {}
    for _, person_index, bicycle_index in pairs:
        if person_index not in riders and bicycle_index not in riders.values():
            riders[person_index] = bicycle_index
    return riders


def _rides(person: ObjectLabel, bicycle: ObjectLabel) -> bool:
    left, top, right, bottom = bicycle.box
    middle = (person.box[0] + person.box[2]) / 2
    lowest = bottom - GROUND_SHARE * (bottom - top)
    return (
        _cover(person, bicycle) >= TOUCHING_SHARE
        and left <= middle <= right
        and person.box[1] < top
        and (top + bottom) / 2 <= person.box[3] <= lowest
    )


def _cover(person: ObjectLabel, vehicle: ObjectLabel) -> float:
    """Share of the vehicle's box that the person's covers."""
    boxes = np.array([person.box, vehicle.box])
    left, top, right, bottom = boxes[1]
    area = box_areas(boxes[1:])[0]
    shared = clip_boxes(boxes[:1] - [left, top, left, top], right - left, bottom - top)
    return float(box_areas(shared)[0] / area) if area > 0 else 0.0


def _union(person: ObjectLabel, bicycle: ObjectLabel) -> ObjectLabel:
    low = np.minimum(person.box[:2], bicycle.box[:2])
    high = np.maximum(person.box[2:], bicycle.box[2:])
    return ObjectLabel("Cyclist", (float(low[0]), float(low[1]), float(high[0]), float(high[1])))
