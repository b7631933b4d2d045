"""Selection of detections against torchvision and a formulation that decodes all boxes first."""

import numpy as np
import pytest
import torch
from torchvision.ops import batched_nms
from torchvision.ops import box_iou as tv_iou

from mp_perception.inference.postprocess import (
    MAX_CANDIDATES,
    VOTING_IOU,
    average_close_boxes,
    select_detections,
    suppress_overlaps,
)
from mp_perception.model.default_boxes import decode_offsets


def random_outputs(seed: int, count: int = 3000, classes: int = 4):
    random = np.random.default_rng(seed)
    centres = random.uniform(0, 600, (count, 2))
    halves = random.uniform(4, 60, (count, 2))
    default_boxes = np.concatenate([centres - halves, centres + halves], axis=1).astype(np.float32)
    logits = random.normal(0, 1.5, (count, 1 + classes)).astype(np.float32)
    logits[:, 0] += 3
    return logits, random.normal(0, 1, (count, 4)).astype(np.float32), default_boxes


def select_after_decoding_all(logits, offsets, default_boxes, threshold, iou, limit, wanted):
    scores, labels = torch.from_numpy(logits).double().softmax(dim=1)[:, 1:].max(dim=1)
    boxes = torch.from_numpy(decode_offsets(offsets, default_boxes)).double()
    keep = scores >= threshold
    if wanted is not None:
        keep &= torch.from_numpy(wanted)[labels]
    boxes, scores, labels = boxes[keep], scores[keep], labels[keep]
    kept = batched_nms(boxes, scores, labels, iou)[:limit]
    votes = (tv_iou(boxes[kept], boxes) > VOTING_IOU) & (labels[kept][:, None] == labels)
    votes |= kept[:, None] == torch.arange(len(boxes))
    averaged = [(scores[row, None] * boxes[row]).sum(dim=0) / scores[row].sum() for row in votes]
    return torch.stack(averaged).numpy(), scores[kept].numpy(), labels[kept].numpy()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("threshold", "wanted"), [(0.3, None), (0.55, None), (0.3, [True, False, False, True])])
def test_equal_to_decoding_all_boxes_first(seed, threshold, wanted):
    logits, offsets, default_boxes = random_outputs(seed)
    mask = None if wanted is None else np.array(wanted)
    boxes, scores, labels = select_detections(
        logits,
        offsets,
        default_boxes,
        score_threshold=threshold,
        nms_iou_threshold=0.45,
        max_detections=60,
        wanted_classes=mask,
    )
    expected = select_after_decoding_all(logits, offsets, default_boxes, threshold, 0.45, 60, mask)
    assert len(boxes) > 10
    np.testing.assert_allclose(boxes, expected[0], rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(scores, expected[1], rtol=1e-5)
    np.testing.assert_array_equal(labels, expected[2])
    assert boxes.dtype == np.float32
    assert scores.dtype == np.float32


def test_no_box_above_the_threshold():
    logits, offsets, default_boxes = random_outputs(0)
    boxes, scores, labels = select_detections(
        logits, offsets, default_boxes, score_threshold=1.0, nms_iou_threshold=0.5, max_detections=100
    )
    assert boxes.shape == (0, 4)
    assert len(scores) == len(labels) == 0


def test_threshold_zero_keeps_the_best_thousand():
    logits, offsets, default_boxes = random_outputs(1)
    boxes, scores, _ = select_detections(
        logits, offsets, default_boxes, score_threshold=0.0, nms_iou_threshold=1.0, max_detections=5000
    )
    assert len(boxes) == MAX_CANDIDATES
    assert (np.diff(scores) <= 0).all()


def test_boxes_of_different_classes_do_not_suppress_each_other():
    boxes = np.array([[0, 0, 10, 10]] * 3, dtype=np.float32)
    kept = suppress_overlaps(boxes, np.array([0.5, 0.9, 0.7]), np.array([0, 1, 0]), 0.5)
    assert kept.tolist() == [1, 2]


def test_close_boxes_of_a_class_are_averaged_by_their_scores():
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [5, 0, 15, 10], [0, 0, 10, 10], [3, 3, 3, 9]], dtype=np.float32)
    scores, labels = np.array([0.6, 0.3, 0.5, 0.9, 0.8]), np.array([0, 0, 0, 1, 0])
    # The second overlaps the first by 9 / 11, the third by a third; the fourth is of another class.
    averaged = average_close_boxes(boxes, scores, labels, np.array([0, 3, 4]))
    np.testing.assert_allclose(averaged, [[1 / 3, 0, 10 + 1 / 3, 10], [0, 0, 10, 10], [3, 3, 3, 9]], rtol=1e-6)


def test_boxes_that_are_not_finite_are_removed():
    logits, offsets, default_boxes = random_outputs(2)
    offsets[:] = np.nan
    boxes, _, _ = select_detections(
        logits, offsets, default_boxes, score_threshold=0.3, nms_iou_threshold=0.5, max_detections=100
    )
    assert len(boxes) == 0
