"""From raw outputs to boxes: filter by score first, then decode, suppress and average the remaining boxes.

Of some ten thousand default boxes a few hundred pass the threshold; decoding all of them would cost ten times as much.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from mp_perception.geometry import box_iou
from mp_perception.model.default_boxes import decode_offsets

#: Maximum number of boxes, the best by score, that enter the suppression (SSD keeps 400): it bounds the time.
MAX_CANDIDATES = 1000
#: Minimum overlap of the boxes that a kept box is averaged with.
VOTING_IOU = 0.65


def select_detections(
    class_logits: NDArray[np.float32],
    box_offsets: NDArray[np.float32],
    default_boxes: NDArray[np.float32],
    *,
    score_threshold: float,
    nms_iou_threshold: float,
    max_detections: int,
    wanted_classes: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    """The detections of one image, highest score first.

    Args:
        class_logits: (N, 1 + C), logit 0 is the background.
        box_offsets, default_boxes: (N, 4).
        score_threshold: minimum softmax score of a default box's best class.
        nms_iou_threshold: of two boxes of one class that overlap more, the one with the higher score is kept, averaged
            with those that overlap it closely (`average_close_boxes`).
        max_detections: maximum number of boxes.
        wanted_classes: (C,) mask; boxes whose best class is not wanted are removed.

    Returns:
        Boxes (n, 4) in network pixels, scores (n,) and labels (n,).
    """
    objects = class_logits[:, 1:]
    candidates: NDArray[np.int64] = np.arange(len(class_logits))
    if 0 < score_threshold < 1:
        # softmax_c >= t implies logit_c - logit_background >= log(t / (1 - t)); much cheaper than the softmax itself.
        margin = math.log(score_threshold / (1 - score_threshold)) - 1e-4
        # Column by column: eight times as fast as a maximum along this short axis.
        best = np.maximum.reduce([objects[:, label] for label in range(objects.shape[1])])
        candidates = np.flatnonzero(best - class_logits[:, 0] >= margin)
    logits = class_logits[candidates].astype(np.float64)
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = exponentials[:, 1:] / exponentials.sum(axis=1, keepdims=True)
    labels = probabilities.argmax(axis=1)
    scores = probabilities[np.arange(len(labels)), labels]
    keep = scores >= score_threshold
    if wanted_classes is not None:
        keep &= wanted_classes[labels]
    order = np.flatnonzero(keep)
    order = order[np.argsort(-scores[order], kind="stable")][:MAX_CANDIDATES]
    chosen = candidates[order]
    boxes = decode_offsets(box_offsets[chosen], default_boxes[chosen])
    finite = np.isfinite(boxes).all(axis=1)
    boxes, scores, labels = boxes[finite], scores[order][finite], labels[order][finite]
    kept = suppress_overlaps(boxes, scores, labels, nms_iou_threshold)[:max_detections]
    averaged = average_close_boxes(boxes, scores, labels, kept)
    return averaged, scores[kept].astype(np.float32), labels[kept].astype(np.int64)


def average_close_boxes(
    boxes: NDArray[np.float32], scores: NDArray[np.float64], labels: NDArray[np.int64], kept: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Box voting (Gidaris and Komodakis 2015): the boxes with indices `kept`, (k, 4).

    Each is the average, weighted by scores, of itself and all boxes of its class that overlap it more than VOTING_IOU.
    The average is more accurate than the single box with the highest score.
    """
    votes = (box_iou(boxes[kept], boxes) > VOTING_IOU) & (labels[kept][:, None] == labels)
    # A box without area does not overlap itself.
    votes[np.arange(len(kept)), kept] = True
    weights = votes * np.maximum(scores, np.finfo(np.float64).tiny)
    return np.asarray(weights @ boxes / weights.sum(axis=1, keepdims=True), dtype=np.float32)


def suppress_overlaps(
    boxes: NDArray[np.float32], scores: NDArray[np.float64], labels: NDArray[np.int64], iou_threshold: float
) -> NDArray[np.int64]:
    """Non-maximum suppression within each class: indices of the kept boxes, highest score first."""
    if len(boxes) == 0:
        return np.zeros(0, dtype=np.int64)
    # Classes are moved apart, because OpenCV suppresses within classes only since version 4.7.
    left_top = boxes[:, :2] + (labels * (max(float(boxes.max()), 0.0) + 1))[:, None]
    left_top_size = np.concatenate([left_top, boxes[:, 2:] - boxes[:, :2]], axis=1)
    above_zero = np.maximum(scores, np.finfo(np.float32).tiny)
    indices = cv2.dnn.NMSBoxes(left_top_size.tolist(), above_zero.tolist(), 0.0, iou_threshold)
    kept: NDArray[np.int64] = np.asarray(indices, dtype=np.int64).reshape(-1)
    return np.asarray(kept[np.argsort(-scores[kept], kind="stable")])
