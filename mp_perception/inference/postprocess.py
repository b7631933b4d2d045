"""From raw outputs to boxes: filter by score first, then decode, suppress and average only what is left.

A street gives some ten thousand default boxes, of which a few hundred pass the threshold; decoding them all first
would cost ten times as much.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from mp_perception.geometry import box_iou
from mp_perception.model.default_boxes import decode_offsets

#: At most this many boxes enter the suppression, the best by score (SSD keeps 400), so that its time is bounded.
MAX_CANDIDATES = 1000
#: Boxes that overlap one that stays more than this have a vote on where it lies.
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
    """Boxes (n, 4) in network pixels, scores (n,) and labels (n,) of one image, highest score first.

    class_logits: (N, 1 + C), logit 0 the background.  box_offsets, default_boxes: (N, 4).
    A default box stands for its best class, if the softmax score of that class is at least score_threshold.
    nms_iou_threshold: of two boxes of one class that overlap more, the better stays; its sides are then the averages
    of those that overlap it closely (average_close_boxes).
    wanted_classes: (C,) mask; a box whose best class is not wanted is left out.
    """
    objects = class_logits[:, 1:]
    candidates: NDArray[np.int64] = np.arange(len(class_logits))
    if 0 < score_threshold < 1:
        # softmax_c >= t implies logit_c - logit_background >= log(t / (1 - t)); much cheaper than the softmax itself.
        margin = math.log(score_threshold / (1 - score_threshold)) - 1e-4
        # Column by column: eight times as fast as a maximum along so short an axis.
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
    """Box voting (Gidaris and Komodakis 2015): boxes (k, 4) of `kept`, each the average of all boxes of its class that
    overlap it more than VOTING_IOU, itself included, weighted by their scores.

    Several default boxes look at an object from their own places; the average is nearer than the surest of them.
    """
    votes = (box_iou(boxes[kept], boxes) > VOTING_IOU) & (labels[kept][:, None] == labels)
    # A box without area overlaps nothing, not even itself.
    votes[np.arange(len(kept)), kept] = True
    weights = votes * np.maximum(scores, np.finfo(np.float64).tiny)
    return np.asarray(weights @ boxes / weights.sum(axis=1, keepdims=True), dtype=np.float32)


def suppress_overlaps(
    boxes: NDArray[np.float32], scores: NDArray[np.float64], labels: NDArray[np.int64], iou_threshold: float
) -> NDArray[np.int64]:
    """Non-maximum suppression within each class: indices of the boxes that stay, highest score first."""
    if len(boxes) == 0:
        return np.zeros(0, dtype=np.int64)
    left_top_size = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    indices = cv2.dnn.NMSBoxesBatched(
        left_top_size.astype(np.float64).tolist(), scores.tolist(), labels.tolist(), -1.0, iou_threshold
    )
    kept: NDArray[np.int64] = np.asarray(indices, dtype=np.int64).reshape(-1)
    return np.asarray(kept[np.argsort(-scores[kept], kind="stable")])
