"""Which default box answers for which labelled object (SSD, Liu et al. 2016, section 2.2), and what it should predict.

Used by the detection losses.  Boxes are x1 y1 x2 y2 in pixels of the network's input, edges continuous; the default
boxes are those of `default_boxes.generate_default_boxes`, as a tensor.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torchvision.ops import box_area, box_iou

from mp_perception.model.default_boxes import CENTRE_VARIANCE, SIZE_VARIANCE

#: A default box that overlaps an object more than this (intersection over union) answers for it.
IOU_THRESHOLD = 0.5
#: A background default box of which more than this share lies in one ignore region is unknown.  Overlaps that would
#: make it answer for an object lie above this share too, because a union is never smaller than the box itself.
IGNORED_SHARE = 0.5


class MatchedTargets(NamedTuple):
    """What N default boxes should predict in B images.

    classes: (B, N) int64, 0 background, 1..C the labels + 1.
    offsets: (B, N, 4) encoded box of the matched object, NaN where that is not exact; 0 where the class is 0.
    unknown: (B, N) bool, neither object nor surely background; never true where the class is above 0.
    """

    classes: Tensor
    offsets: Tensor
    unknown: Tensor


def encode_offsets(boxes: Tensor, default_boxes: Tensor) -> Tensor:
    """Offsets (n, 4) = dx, dy, dw, dh that `default_boxes.decode_offsets` turns back into boxes (n, 4)."""
    default_sizes = default_boxes[:, 2:] - default_boxes[:, :2]
    shifts = (boxes[:, :2] + boxes[:, 2:] - default_boxes[:, :2] - default_boxes[:, 2:]) / 2
    scales = (boxes[:, 2:] - boxes[:, :2]) / default_sizes
    return torch.cat([shifts / default_sizes / CENTRE_VARIANCE, scales.log() / SIZE_VARIANCE], dim=1)


def match_default_boxes(
    default_boxes: Tensor,
    boxes: Sequence[Tensor],
    labels: Sequence[Tensor],
    ignored: Sequence[Tensor],
    exact: Sequence[Tensor] | None = None,
) -> MatchedTargets:
    """Match default boxes (N, 4) with the objects of B images.

    boxes, labels: per image (M, 4) and (M,) integers 0..C-1; M may differ and may be 0.
    ignored: per image (K, 4) regions in which background proves nothing: unknown objects, objects of neighbour classes.
    exact: per image (M,) bool, whose boxes teach offsets; all without.
    Every object gets the default box that overlaps it most, and no two objects the same one: the pair with the
    greatest overlap of all is served first.  (Only an object that overlaps no free default box, such as one outside
    the image, gets none.)  Each other default box answers for the object that it overlaps most, if more than
    IOU_THRESHOLD; the rest is background, or unknown where more than IGNORED_SHARE of it lies in an ignored region.
    Raises ValueError for wrong shapes, boxes that are not finite or have no area, negative labels.
    """
    if default_boxes.ndim != 2 or default_boxes.shape[1] != 4:
        raise ValueError(f"expected default boxes (N, 4), found {tuple(default_boxes.shape)}")
    if not len(boxes) == len(labels) == len(ignored) > 0:
        counts = f"{len(boxes)}, {len(labels)}, {len(ignored)}"
        raise ValueError(f"expected boxes, labels and ignored regions of the same images, found {counts}")
    images = []
    for i, (image_boxes, image_labels, image_ignored) in enumerate(zip(boxes, labels, ignored, strict=True)):
        _check_boxes(image_boxes, f"boxes of image {i}")
        _check_boxes(image_ignored, f"ignored regions of image {i}")
        if image_labels.shape != image_boxes.shape[:1] or (image_labels < 0).any():
            raise ValueError(f"image {i}: expected {len(image_boxes)} labels from 0, found {image_labels.tolist()}")
        # What is not exact is matched as it is, but teaches no offsets.
        wanted_boxes = image_boxes.to(default_boxes)
        if exact is not None:
            wanted_boxes = torch.where(exact[i][:, None].to(wanted_boxes.device), wanted_boxes, torch.nan)
        images.append(
            _match_image(
                default_boxes,
                image_boxes.to(default_boxes),
                wanted_boxes,
                image_labels,
                image_ignored.to(default_boxes),
            )
        )
    classes, offsets, unknown = zip(*images, strict=True)
    return MatchedTargets(torch.stack(classes), torch.stack(offsets), torch.stack(unknown))


def _check_boxes(boxes: Tensor, name: str) -> None:
    """Raises ValueError unless boxes are (n, 4), finite, with positive sides."""
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"{name}: expected (n, 4), found {tuple(boxes.shape)}")
    sound = boxes.isfinite().all(dim=1) & (boxes[:, 2:] > boxes[:, :2]).all(dim=1)
    if not sound.all():
        raise ValueError(f"{name}: expected finite x1 < x2, y1 < y2, found {boxes[~sound][0].tolist()}")


def _match_image(
    default_boxes: Tensor, boxes: Tensor, wanted_boxes: Tensor, labels: Tensor, ignored: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Classes (N,), offsets (N, 4) and unknown (N,) of one image."""
    classes = torch.zeros(len(default_boxes), dtype=torch.int64, device=default_boxes.device)
    offsets = torch.zeros_like(default_boxes)
    if len(boxes):
        overlaps = box_iou(boxes, default_boxes)
        best_overlaps, objects = overlaps.max(dim=0)
        is_positive = best_overlaps > IOU_THRESHOLD
        for matched_object, default_box in _best_pairs(overlaps):
            objects[default_box] = matched_object
            is_positive[default_box] = True
        positives = is_positive.nonzero()[:, 0]
        objects = objects[positives]
        classes[positives] = labels.to(classes)[objects] + 1
        offsets[positives] = encode_offsets(wanted_boxes[objects], default_boxes[positives])
    return classes, offsets, _lies_in(default_boxes, ignored) & (classes == 0)


def _best_pairs(overlaps: Tensor) -> list[tuple[int, int]]:
    """Pairs (object, default box) from overlaps (M, N), each object and each default box at most once.

    SSD's bipartite matching: again and again the greatest overlap among objects and default boxes that are free.  Of
    the default boxes at most M - 1 can be taken by others, so the M best of each object are enough.
    """
    num_objects, num_default_boxes = overlaps.shape
    best = overlaps.topk(min(num_objects, num_default_boxes), dim=1)
    order = best.values.flatten().argsort(descending=True, stable=True)
    order = order[best.values.flatten()[order] > 0]
    objects = order.div(best.values.shape[1], rounding_mode="floor").tolist()
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for matched_object, default_box in zip(objects, best.indices.flatten()[order].tolist(), strict=True):
        if matched_object not in pairs and default_box not in taken:
            pairs[matched_object] = default_box
            taken.add(default_box)
            if len(pairs) == num_objects:
                break
    return list(pairs.items())


def _lies_in(default_boxes: Tensor, regions: Tensor) -> Tensor:
    """(N,) whether more than IGNORED_SHARE of a default box's own area lies in one of regions (K, 4)."""
    left_top = torch.maximum(default_boxes[None, :, :2], regions[:, None, :2])
    right_bottom = torch.minimum(default_boxes[None, :, 2:], regions[:, None, 2:])
    sides = (right_bottom - left_top).clamp(min=0)
    areas: Tensor = box_area(default_boxes)
    return (sides[..., 0] * sides[..., 1] > IGNORED_SHARE * areas).any(dim=0)
