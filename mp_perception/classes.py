"""The object classes of the street: their names, colours and categories.

A network's own classes stand in its checkpoint; the names below are those of our weights and of KITTI's labels.
"""

from __future__ import annotations

import colorsys
import zlib

#: The classes our own weights detect.  The others of KITTI are neighbours of these or too rare to learn.
DEFAULT_CLASSES = ("Car", "Van", "Truck", "Pedestrian", "Cyclist")

#: All types a KITTI label line can name (KITTI object devkit, readme.txt).
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


def class_color(name: str) -> tuple[int, int, int]:
    """RGB colour 0..255 of a class; a class we do not know gets one of its own, the same in every process."""
    if name in _COLORS:
        return _COLORS[name]
    # A message's bytes that are no UTF-8 arrive as lone surrogates, which have no encoding of their own.
    hue = zlib.crc32(name.encode(errors="surrogatepass")) % 360 / 360
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.65, 0.95)
    return round(red * 255), round(green * 255), round(blue * 255)
