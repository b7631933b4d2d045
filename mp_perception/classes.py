"""Object classes of street scenes: names, colours and categories.

A checkpoint lists the classes of its network; the names below are those of the default weights and of KITTI's labels.
"""

from __future__ import annotations

import colorsys
import zlib

#: The classes of the default weights.  KITTI's other classes are similar to these or too rare to learn.
DEFAULT_CLASSES = ("Car", "Van", "Truck", "Pedestrian", "Cyclist")

#: All types of KITTI's label files (KITTI object devkit, readme.txt).
KITTI_TYPES = ("Car", "Van", "Truck", "Pedestrian", "Person_sitting", "Cyclist", "Tram", "Misc", "DontCare")

#: The paper's categories (Table 3): category -> classes.
CATEGORIES = {"People": ("Pedestrian",), "Vehicle": ("Car", "Van", "Truck")}

_COLORS = {
    "Car": (66, 165, 245),
    "Van": (38, 198, 218),
    "Truck": (126, 87, 194),
    "Tram": (141, 110, 99),
    "Pedestrian": (255, 112, 67),
    "Person_sitting": (255, 171, 145),
    "Cyclist": (255, 202, 40),
}


#: Class -> length, and distance from the surface in the middle of a box to the object's centre along z, metres.
#: Means over KITTI's labels: lengths of all; distances of 651 Car, 21 Van, 10 Truck, 30 Pedestrian and 41 Cyclist, seen
#: from all sides, against the median of the lidar points on the object.
_EXTENTS = {
    "Car": (3.9, 1.3),
    "Van": (5.1, 1.0),
    "Truck": (10.1, 4.0),
    "Pedestrian": (0.8, 0.1),
    "Cyclist": (1.8, 0.2),
}


def typical_extent(name: str) -> tuple[float, float] | None:
    """Length, and distance from the visible surface to the centre, metres, of a class; None for other classes."""
    return _EXTENTS.get(name)


#: Class -> geometric mean of height, metres, of the default weights' boxes at the labelled distance, in KITTI's
#: training frames: 903 Car, 45 Van, 19 Truck, 335 Pedestrian and 208 Cyclist.
_HEIGHTS = {"Car": 1.58, "Van": 2.55, "Truck": 3.05, "Pedestrian": 1.78, "Cyclist": 1.78}


def typical_height(name: str) -> float | None:
    """Height, metres, of a class as its boxes show it; None for other classes."""
    return _HEIGHTS.get(name)


def class_color(name: str) -> tuple[int, int, int]:
    """RGB colour 0..255 of a class; for other classes a colour computed from the name.

    Examples:
        >>> class_color("Car")
        (66, 165, 245)
    """
    if name in _COLORS:
        return _COLORS[name]
    # Bytes of a message that are not UTF-8 arrive as lone surrogates, which cannot be encoded otherwise.
    hue = zlib.crc32(name.encode(errors="surrogatepass")) % 360 / 360
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.65, 0.95)
    return round(red * 255), round(green * 255), round(blue * 255)
