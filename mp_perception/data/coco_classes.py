"""From COCO's classes to ours: a person on a bicycle becomes a Cyclist.

COCO labels a rider as a person and a bicycle; KITTI's Cyclist is both in one box.  The rule, with person and bicycle
as boxes:

1.  A person and a bicycle *touch* if their intersection covers at least TOUCHING_FRACTION of the bicycle's box.
2.  A touching person *rides* if the centre of the person's box is between the bicycle's left and right edges, the
    person's upper edge is above the bicycle's, and the feet are on the pedals: the person's lower edge is in the
    lower half of the bicycle's box, and above the ground by at least GROUND_FRACTION of its height.
3.  Each bicycle takes the riding person that covers most of it, each person one bicycle; both become one Cyclist
    whose box encloses both.
4.  A person who touches a bicycle but does not ride (pushes it, stands behind it) and every person who touches a
    motorcycle may count as a Pedestrian or a rider: ignored.  All other persons are Pedestrians.
5.  Bicycles and motorcycles without a rider are background.  COCO's car is a Car (including vans and minibuses, so a
    set with COCO's classes does not label Van).  Its truck (lorries, pick-ups, vans) and bus are ignored, because our
    vehicle classes divide them differently.  All other labels stay as they are.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from mp_perception.data.object_label import IGNORED_REGION, ObjectLabel
from mp_perception.geometry import box_areas, box_intersections

#: Fraction of a bicycle's box that a person must cover to touch it.
TOUCHING_FRACTION = 0.15
#: A rider's feet are above the wheels' lowest point by at least this fraction of the bicycle's height.
GROUND_FRACTION = 0.05

#: COCO's name -> ours, of classes that need no second label to decide.
_RENAMED = {"car": "Car", "truck": IGNORED_REGION, "bus": IGNORED_REGION}


def labelled_in_coco(categories: Collection[str]) -> tuple[str, ...]:
    """The classes that a set with these categories labels: the categories themselves, and those that the rule makes."""
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

    class_names: classes of the network; COCO's classes of the same name stay as they are.
    """
    kept = [label for label in labels if label.class_name in class_names]
    others = [label for label in labels if label.class_name not in class_names]
    persons, bicycles, motorcycles = (
        [label for label in others if label.class_name == name] for name in ("person", "bicycle", "motorcycle")
    )
    converted: list[ObjectLabel] = []
    riders = _riders(persons, bicycles)
    for number, person in enumerate(persons):
        if number in riders:
            converted.append(_union(person, bicycles[riders[number]]))
        elif any(_cover(person, vehicle) >= TOUCHING_FRACTION for vehicle in (*bicycles, *motorcycles)):
            converted.append(replace(person, class_name=IGNORED_REGION))
        else:
            converted.append(replace(person, class_name="Pedestrian"))
    decided = ("person", "bicycle", "motorcycle")
    converted += [
        replace(label, class_name=_RENAMED.get(label.class_name, label.class_name))
        for label in others
        if label.class_name not in decided
    ]
    return kept + converted


def _riders(persons: Sequence[ObjectLabel], bicycles: Sequence[ObjectLabel]) -> dict[int, int]:
    """Person's index -> bicycle's index; the pair with the maximum cover first."""
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
    centre = (person.box[0] + person.box[2]) / 2
    lowest = bottom - GROUND_FRACTION * (bottom - top)
    return (
        _cover(person, bicycle) >= TOUCHING_FRACTION
        and left <= centre <= right
        and person.box[1] < top
        and (top + bottom) / 2 <= person.box[3] <= lowest
    )


def _cover(person: ObjectLabel, vehicle: ObjectLabel) -> float:
    """Fraction of the vehicle's box that the person's covers."""
    person_box, vehicle_box = np.array([person.box]), np.array([vehicle.box])
    area = box_areas(vehicle_box)[0]
    return float(box_intersections(person_box, vehicle_box)[0, 0] / area) if area > 0 else 0.0


def _union(person: ObjectLabel, bicycle: ObjectLabel) -> ObjectLabel:
    x1, y1 = map(min, person.box[:2], bicycle.box[:2])
    x2, y2 = map(max, person.box[2:], bicycle.box[2:])
    return ObjectLabel("Cyclist", (x1, y1, x2, y2))
