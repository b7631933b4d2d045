"""Matching: SSD's rules against loops in plain Python, ties, ignore regions, and encoding against decoding."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mp_perception.model.default_boxes import decode_offsets, generate_default_boxes
from mp_perception.network.matching import MatchedTargets, encode_offsets, match_default_boxes
from mp_perception.network.multitask import describe_network

NO_BOXES = torch.zeros(0, 4)
NO_LABELS = torch.zeros(0, dtype=torch.int64)


def match_one(default_boxes: Tensor, boxes: Tensor, labels: Tensor, ignored: Tensor = NO_BOXES) -> MatchedTargets:
    """The targets of one image, without the batch dimension."""
    targets = match_default_boxes(default_boxes, [boxes], [labels], [ignored])
    return MatchedTargets(*(values[0] for values in targets))


def random_boxes(generator: torch.Generator, count: int, smallest: float = 4, largest: float = 60) -> Tensor:
    centres = torch.rand(count, 2, generator=generator, dtype=torch.float64) * torch.tensor([160.0, 96.0])
    sizes = smallest + torch.rand(count, 2, generator=generator, dtype=torch.float64) * (largest - smallest)
    return torch.cat([centres - sizes / 2, centres + sizes / 2], dim=1)


def intersection(first: list[float], second: list[float]) -> float:
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    return max(width, 0) * max(height, 0)


def area(box: list[float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def iou(first: list[float], second: list[float]) -> float:
    common = intersection(first, second)
    return common / (area(first) + area(second) - common)


def match_by_loops(
    defaults: list[list[float]], boxes: list[list[float]], labels: list[int], ignored: list[list[float]]
) -> tuple[list[int], list[int], list[bool]]:
    """Matched object (-1: none), class and unknown of every default box, written out from the rules."""
    owner = [-1] * len(defaults)
    free = set(range(len(boxes)))
    while free:
        best = (0.0, -1, -1)
        for o in free:
            for d in range(len(defaults)):
                if owner[d] == -1 and iou(boxes[o], defaults[d]) > best[0]:
                    best = (iou(boxes[o], defaults[d]), o, d)
        if best[0] == 0:
            break
        owner[best[2]] = best[1]
        free.remove(best[1])
    for d in range(len(defaults)):
        if owner[d] == -1 and boxes:
            overlaps = [iou(box, defaults[d]) for box in boxes]
            if max(overlaps) > 0.5:
                owner[d] = overlaps.index(max(overlaps))
    unknown = [
        owner[d] == -1 and any(intersection(region, defaults[d]) / area(defaults[d]) > 0.5 for region in ignored)
        for d in range(len(defaults))
    ]
    return owner, [labels[o] + 1 if o >= 0 else 0 for o in owner], unknown


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(0, 8), st.integers(1, 60), st.integers(0, 3))
def test_agrees_with_loops(seed, num_objects, num_defaults, num_ignored):
    generator = torch.Generator().manual_seed(seed)
    defaults = random_boxes(generator, num_defaults)
    boxes = random_boxes(generator, num_objects)
    labels = torch.randint(0, 5, (num_objects,), generator=generator)
    ignored = random_boxes(generator, num_ignored, largest=120)
    targets = match_one(defaults, boxes, labels, ignored)
    owner, classes, unknown = match_by_loops(defaults.tolist(), boxes.tolist(), labels.tolist(), ignored.tolist())
    assert targets.classes.tolist() == classes
    assert targets.unknown.tolist() == unknown
    for d, o in enumerate(owner):
        if o == -1:
            assert targets.offsets[d].tolist() == [0, 0, 0, 0]
            continue
        (x1, y1, x2, y2), (tx1, ty1, tx2, ty2) = defaults[d].tolist(), boxes[o].tolist()
        assert targets.offsets[d].tolist() == pytest.approx(
            [
                ((tx1 + tx2) - (x1 + x2)) / 2 / (x2 - x1) / 0.1,
                ((ty1 + ty2) - (y1 + y2)) / 2 / (y2 - y1) / 0.1,
                math.log((tx2 - tx1) / (x2 - x1)) / 0.2,
                math.log((ty2 - ty1) / (y2 - y1)) / 0.2,
            ],
            abs=1e-9,
        )


@given(st.integers(0, 2**31))
@settings(max_examples=30, deadline=None)
def test_decoding_inverts_encoding(seed):
    generator = torch.Generator().manual_seed(seed)
    boxes, defaults = random_boxes(generator, 20).float(), random_boxes(generator, 20).float()
    offsets = encode_offsets(boxes, defaults)
    decoded = decode_offsets(offsets.numpy(), defaults.numpy())
    torch.testing.assert_close(torch.from_numpy(decoded), boxes, rtol=1e-4, atol=1e-3)


def test_inexact_boxes_are_matched_but_their_offsets_are_not_targets():
    defaults = torch.tensor([[0.0, 0, 10, 10], [50, 50, 60, 60], [90, 90, 99, 99]])
    boxes, labels = torch.tensor([[1.0, 0, 11, 10], [51, 50, 61, 60]]), torch.tensor([0, 1])
    targets = match_default_boxes(defaults, [boxes], [labels], [NO_BOXES], [torch.tensor([True, False])])
    assert targets.classes.tolist() == [[1, 2, 0]]
    assert targets.offsets[0, 0].tolist() == pytest.approx([1, 0, 0, 0], abs=1e-5)
    assert targets.offsets[0, 1].isnan().all()
    assert (targets.offsets[0, 2] == 0).all()


def test_an_object_is_matched_with_its_best_default_box_at_any_overlap():
    defaults = torch.tensor([[0.0, 0, 10, 10], [100, 0, 110, 10]])
    targets = match_one(defaults, torch.tensor([[8.0, 8, 12, 12]]), torch.tensor([2]))
    assert targets.classes.tolist() == [3, 0]


def test_the_second_of_two_objects_on_one_default_box_is_matched_with_the_next():
    """Default box 0 is the best of both objects; the second fits exactly, so the first is matched with another."""
    defaults = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 30], [50, 50, 60, 60]])
    targets = match_one(defaults, torch.tensor([[0.0, 0, 10, 12], [0, 0, 10, 10]]), torch.tensor([0, 1]))
    assert targets.classes.tolist() == [2, 1, 0]
    assert targets.offsets[0].tolist() == [0, 0, 0, 0]


def test_equal_objects_are_matched_with_different_default_boxes():
    defaults = torch.tensor([[0.0, 0, 10, 10], [1, 0, 11, 10], [2, 0, 12, 10], [80, 0, 90, 10]])
    targets = match_one(defaults, torch.tensor([[0.0, 0, 10, 10]] * 3), torch.tensor([0, 1, 2]))
    assert sorted(targets.classes.tolist()) == [0, 1, 2, 3]
    assert targets.classes[3] == 0


def test_more_objects_than_default_boxes():
    targets = match_one(
        torch.tensor([[0.0, 0, 10, 10]]), torch.tensor([[0.0, 0, 10, 5], [0, 0, 9, 10]]), NO_LABELS.new_tensor([0, 1])
    )
    assert targets.classes.tolist() == [2]


def test_an_overlap_of_exactly_one_half_is_background():
    """The object has another best default box; 10x10 against 10x20 overlaps exactly 1/2."""
    defaults = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 20], [0, 0, 10, 19]])
    targets = match_one(defaults, torch.tensor([[0.0, 0, 10, 10]]), torch.tensor([0]))
    assert targets.classes.tolist() == [1, 0, 1]


def test_an_object_outside_of_every_default_box_is_not_matched():
    targets = match_one(torch.tensor([[0.0, 0, 10, 10]]), torch.tensor([[50.0, 50, 60, 60]]), torch.tensor([0]))
    assert targets.classes.tolist() == [0]
    assert torch.isfinite(targets.offsets).all()


def test_ignored_regions_make_background_unknown_but_not_objects():
    defaults = torch.tensor([[0.0, 0, 10, 10], [20, 0, 30, 10], [24, 0, 34, 10], [25, 0, 35, 10], [0, 0, 100, 100]])
    ignored = torch.tensor([[0.0, 0, 30, 10]])
    targets = match_one(defaults, torch.tensor([[0.0, 0, 10, 10]]), torch.tensor([4]), ignored)
    assert targets.classes.tolist() == [5, 0, 0, 0, 0]
    assert targets.unknown.tolist() == [False, True, True, False, False]  # 60 % inside; exactly 50 %; 3 %


def test_a_batch_equals_its_images_one_by_one_and_images_may_be_empty():
    generator = torch.Generator().manual_seed(3)
    defaults = random_boxes(generator, 50).float()
    boxes = [random_boxes(generator, count) for count in (5, 0, 2)]
    labels = [torch.arange(len(image)) for image in boxes]
    ignored = [random_boxes(generator, count) for count in (0, 0, 3)]
    batch = match_default_boxes(defaults, boxes, labels, ignored)
    for i in range(3):
        single = match_one(defaults, boxes[i], labels[i], ignored[i])
        for values, expected in zip(batch, single, strict=True):
            torch.testing.assert_close(values[i], expected, rtol=0, atol=0)
    assert (batch.classes[1] == 0).all()
    assert not batch.unknown[1].any()
    assert batch.offsets.dtype == torch.float32
    assert batch.classes.dtype == torch.int64


def test_every_object_of_a_crowded_street_has_a_default_box_of_our_network():
    description = describe_network("mobilenet_v2")
    defaults = torch.from_numpy(generate_default_boxes(description.levels, description.input_size))
    generator = torch.Generator().manual_seed(0)
    centres = torch.rand(100, 2, generator=generator) * torch.tensor([640.0, 192.0])
    sizes = torch.tensor([6.0, 14.0])
    boxes = torch.cat([centres - sizes / 2, centres + sizes / 2], dim=1)
    targets = match_one(defaults, boxes, torch.arange(100))
    assert set(targets.classes.tolist()) == set(range(101))


@pytest.mark.parametrize(
    ("boxes", "labels", "ignored", "message"),
    [
        (torch.zeros(1, 5), torch.tensor([0]), NO_BOXES, r"boxes of image 0: expected \(n, 4\)"),
        (torch.tensor([[5.0, 0, 5, 9]]), torch.tensor([0]), NO_BOXES, "boxes of image 0: expected finite x1 < x2"),
        (torch.tensor([[0.0, 0, math.nan, 9]]), torch.tensor([0]), NO_BOXES, "expected finite"),
        (torch.tensor([[0.0, 0, 5, 9]]), torch.tensor([0, 1]), NO_BOXES, "expected 1 labels from 0"),
        (torch.tensor([[0.0, 0, 5, 9]]), torch.tensor([-1]), NO_BOXES, "expected 1 labels from 0"),
        (NO_BOXES, NO_LABELS, torch.tensor([[0.0, 9, 5, 3]]), "ignored regions of image 0: expected finite"),
    ],
)
def test_wrong_labels_are_refused(boxes, labels, ignored, message):
    with pytest.raises(ValueError, match=message):
        match_default_boxes(torch.tensor([[0.0, 0, 10, 10]]), [boxes], [labels], [ignored])


def test_lists_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="of the same images"):
        match_default_boxes(torch.zeros(1, 4), [NO_BOXES], [NO_LABELS, NO_LABELS], [NO_BOXES])
    with pytest.raises(ValueError, match=r"default boxes \(N, 4\)"):
        match_default_boxes(torch.zeros(4), [NO_BOXES], [NO_LABELS], [NO_BOXES])
