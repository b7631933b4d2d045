"""The picture of the synthetic street in the documentation: image, depth, labelled boxes, one below the other.

Made again with `python -c "from mp_perception.synthetic.figure import write_figure; write_figure('street.png')"`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mp_perception.classes import class_color
from mp_perception.data.object_label import IGNORED_REGION
from mp_perception.synthetic.drive import label_of
from mp_perception.synthetic.render import KITTI_CAMERA, RenderedFrame, render
from mp_perception.synthetic.streets import random_scene

#: A street with all that a street can hold, and the width of the figure in pixels.
_SEED = 52
_WIDTH = 800


def write_figure(path: str | Path, seed: int = _SEED) -> None:
    """Writes the figure of one street as PNG; 800 pixels wide, some 550 kB."""
    scene = random_scene(seed)
    # Noise would only make the file large.
    frame = render(replace(scene, look=replace(scene.look, noise=0.0, blur=0.0, jpeg_quality=0)))
    panels = [_shrink(frame.image), _shrink(_colored_depth(frame)), _draw_boxes(frame)]
    gap = np.full((6, _WIDTH, 3), 255, dtype=np.uint8)
    figure = np.concatenate([panels[0], gap, panels[1], gap, panels[2]])
    done, encoded = cv2.imencode(".png", figure[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])
    assert done
    Path(path).write_bytes(encoded.tobytes())


def _shrink(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height = round(image.shape[0] * _WIDTH / image.shape[1])
    return np.asarray(cv2.resize(image, (_WIDTH, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _colored_depth(frame: RenderedFrame) -> NDArray[np.uint8]:
    """Turbo colours, red near, blue at 80 m and beyond, logarithmic; the sky black."""
    known = np.isfinite(frame.depth)
    nearness = 1 - np.log(np.clip(np.where(known, frame.depth, 80), 2, 80) / 2) / np.log(40)
    colors = cv2.applyColorMap(np.round(255 * nearness).astype(np.uint8), cv2.COLORMAP_TURBO)[..., ::-1]
    return np.where(known[..., None], colors, 0).astype(np.uint8)


def _draw_boxes(frame: RenderedFrame) -> NDArray[np.uint8]:
    """The small image with the boxes of all labels; near ones are drawn last, with their names."""
    picture = np.ascontiguousarray(_shrink(frame.image))
    scale = _WIDTH / frame.image.shape[1]
    for seen in sorted(frame.objects, key=lambda item: -item.location[2]):
        label = label_of(seen, KITTI_CAMERA)
        if label.class_name == IGNORED_REGION:
            continue
        color = class_color(seen.label)
        x1, y1, x2, y2 = (round(edge * scale) for edge in label.box)
        cv2.rectangle(picture, (x1, y1), (x2, y2), color, 1, cv2.LINE_AA)
        if seen.occlusion < 2 and seen.location[2] < 35:
            (width, height), _ = cv2.getTextSize(seen.label, cv2.FONT_HERSHEY_SIMPLEX, 0.36, 1)
            cv2.rectangle(picture, (x1, y1 - height - 5), (x1 + width + 3, y1), color, cv2.FILLED)
            cv2.putText(
                picture, seen.label, (x1 + 2, y1 - 3), cv2.FONT_HERSHEY_SIMPLEX, 0.36, (20, 20, 20), 1, cv2.LINE_AA
            )
    return picture
