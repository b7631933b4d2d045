"""A labelled object of one image: what every data set gives, whatever its files look like.

What a data set does not label is None.  Geometry of the 3D boxes is in boxes_3d.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Class name of a region whose objects are unknown: a detection in it is neither right nor wrong.
IGNORED_REGION = "DontCare"

#: Neighbour -> class that it is easily taken for.  If a neighbour is not a class of the network, detecting it as the
#: other is neither right nor wrong (KITTI's rules of average precision).
NEIGHBOURS = {"Van": "Car", "Person_sitting": "Pedestrian"}


@dataclass(frozen=True)
class Box3D:
    """An upright box in the label frame: x right, y down, z forward, metres.

    Attributes:
        bottom_centre: (x, y, z) of the centre of its bottom face.
        dimensions: (height, width, length), > 0.
        rotation_y: angle about the y axis, radians; 0 if the length lies along x, -pi / 2 if the front points along z.
    """

    bottom_centre: tuple[float, float, float]
    dimensions: tuple[float, float, float]
    rotation_y: float


@dataclass(frozen=True)
class ObjectLabel:
    """One object of one image.

    Attributes:
        class_name: as the data set spells it, or IGNORED_REGION.
        box: (x1, y1, x2, y2), pixels.
        truncation: fraction of the object outside the image, 0..1.
        occlusion: 0 fully visible, 1 partly occluded, 2 largely occluded, 3 if the annotator could not tell.
        box_3d: its 3D box.
        identity: number of the object, the same in all frames of a sequence in which it is labelled.
    """

    class_name: str
    box: tuple[float, float, float, float]
    truncation: float | None = None
    occlusion: int | None = None
    box_3d: Box3D | None = None
    identity: int | None = None
