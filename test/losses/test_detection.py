"""Detection losses: the equations written out over single default boxes, partial labels, and extreme inputs."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from mp_perception.errors import UserError
from mp_perception.losses.detection import (
    CLASSIFICATION_LOSSES,
    find_classification_loss,
    focal_loss,
    hard_negatives_loss,
    smooth_l1_loss,
)
from mp_perception.network.matching import MatchedTargets

#: Any five default boxes.
BOXES = torch.tensor([[0.0, 0, 20, 10], [5, 5, 9, 9], [10, 20, 50, 30], [3, 3, 6, 9], [0, 0, 90, 70]])


def make_targets(classes: Tensor, unknown: Tensor | None = None) -> MatchedTargets:
    if unknown is None:
        unknown = torch.zeros_like(classes, dtype=torch.bool)
    return MatchedTargets(classes, torch.zeros(*classes.shape, 4, dtype=torch.float64), unknown)


def random_case(seed: int, shape: tuple[int, int, int]) -> tuple[Tensor, MatchedTargets, Tensor]:
    """Logits in double precision, targets and partly labelled classes of B images, N default boxes, C classes."""
    generator = torch.Generator().manual_seed(seed)
    num_images, num_boxes, num_classes = shape
    logits = 2 * torch.randn(num_images, num_boxes, 1 + num_classes, generator=generator, dtype=torch.float64)
    labelled = torch.rand(num_images, num_classes, generator=generator) < 0.6
    classes = torch.zeros(num_images, num_boxes, dtype=torch.int64)
    for i in range(num_images):
        possible = labelled[i].nonzero()[:, 0] + 1
        for n in range(num_boxes):
            if len(possible) and torch.rand((), generator=generator) < 0.15:
                classes[i, n] = possible[torch.randint(len(possible), (), generator=generator)]
    unknown = (torch.rand(num_images, num_boxes, generator=generator) < 0.2) & (classes == 0)
    return logits, make_targets(classes, unknown), labelled


def probability(logits: list[float], label: int, labelled: list[bool]) -> float:
    """The probability q of one default box's label, from the module's equations."""
    background = math.exp(logits[0])
    known = sum(math.exp(z) for z, is_labelled in zip(logits[1:], labelled, strict=True) if is_labelled)
    hidden = sum(math.exp(z) for z, is_labelled in zip(logits[1:], labelled, strict=True) if not is_labelled)
    if label > 0:
        return math.exp(logits[label]) / (background + known)
    return (background + hidden) / (background + hidden + known)


def loop_losses(logits: Tensor, targets: MatchedTargets, labelled: Tensor) -> tuple[float, float]:
    """Hard negatives and focal loss, default box by default box."""
    hard = focal = 0.0
    num_positives = 0
    for image_logits, classes, unknown, names in zip(
        logits.tolist(), targets.classes.tolist(), targets.unknown.tolist(), labelled.tolist(), strict=True
    ):
        if not any(names):
            continue
        positives = [probability(z, c, names) for z, c in zip(image_logits, classes, strict=True) if c > 0]
        negatives = [
            probability(z, 0, names) for z, c, u in zip(image_logits, classes, unknown, strict=True) if c == 0 and not u
        ]
        hard += sum(-math.log(q) for q in positives)
        hard += sum(-math.log(q) for q in sorted(negatives)[: 3 * len(positives)])
        focal += sum(-0.25 * (1 - q) ** 2 * math.log(q) for q in positives)
        focal += sum(-0.75 * (1 - q) ** 2 * math.log(q) for q in negatives)
        num_positives += len(positives)
    return hard / max(num_positives, 1), focal / max(num_positives, 1)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.tuples(st.integers(1, 4), st.integers(1, 30), st.integers(1, 5)))
def test_classification_agrees_with_loops(seed, shape):
    case = random_case(seed, shape)
    hard, focal = loop_losses(*case)
    assert float(hard_negatives_loss(*case)) == pytest.approx(hard, rel=1e-9, abs=1e-12)
    assert float(focal_loss(*case)) == pytest.approx(focal, rel=1e-9, abs=1e-12)


def test_three_hard_negatives_by_hand():
    """One positive and five background boxes: those with the three highest scores count, the unknown one not."""
    logits = torch.zeros(1, 7, 2)
    logits[0, :, 1] = torch.tensor([1.0, 3.0, -2.0, 2.0, 0.0, -1.0, 9.0])
    targets = make_targets(torch.tensor([[1, 0, 0, 0, 0, 0, 0]]), torch.tensor([[False] * 6 + [True]]))
    expected = math.log(1 + math.exp(-1)) + sum(math.log(1 + math.exp(z)) for z in (3, 2, 0))
    loss = hard_negatives_loss(logits, targets, torch.tensor([[True]]))
    assert float(loss) == pytest.approx(expected, rel=1e-6)


def test_with_all_classes_labelled_it_is_cross_entropy():
    logits, targets, _ = random_case(1, (2, 12, 4))
    classes = torch.tensor([[1, 2, 3, 4, *[0] * 8], [2, 2, 2, *[0] * 9]])  # so few negatives that all are chosen
    targets = make_targets(classes)
    expected = functional.cross_entropy(logits.flatten(end_dim=1), classes.flatten(), reduction="sum") / 7
    torch.testing.assert_close(hard_negatives_loss(logits, targets, torch.ones(2, 4, dtype=torch.bool)), expected)


@pytest.mark.parametrize("loss", CLASSIFICATION_LOSSES.values())
def test_unlabelled_classes_have_no_gradient(loss):
    logits, targets, labelled = random_case(2, (4, 30, 5))
    labelled[3] = False
    targets.classes[3] = 0
    logits.requires_grad_()
    loss(logits, targets, labelled).backward()
    objects = logits.grad[:, :, 1:]
    unlabelled = ~labelled[:, None].expand_as(objects)
    assert (objects[unlabelled] == 0).all()
    assert (objects[~unlabelled] != 0).any()
    assert (logits.grad[3] == 0).all()  # an image without labels for detection
    assert (logits.grad[targets.unknown] == 0).all()


@pytest.mark.parametrize("loss", CLASSIFICATION_LOSSES.values())
def test_an_object_of_an_unlabelled_class_is_not_learned_as_background(loss):
    """Box 1 is classified as a Cyclist: no loss in a set without cyclists, but a loss in a set with cyclists."""
    logits = torch.tensor([[[0.0, 5.0, 0.0], [0.0, 0.0, 12.0]]], requires_grad=True)
    targets = make_targets(torch.tensor([[1, 0]]))
    loss(logits, targets, torch.tensor([[True, False]])).backward()
    assert logits.grad[0, 1].abs().max() < 1e-4
    logits.grad = None
    loss(logits, targets, torch.tensor([[True, True]])).backward()
    assert logits.grad[0, 1, 2] > 0.5


@pytest.mark.parametrize("loss", CLASSIFICATION_LOSSES.values())
def test_gradients(loss):
    """Gradients of the logits that count; those of unlabelled classes are constants."""
    logits, targets, labelled = random_case(3, (2, 10, 4))
    assert (targets.classes > 0).any()
    takes_part = torch.cat([torch.ones(2, 1, dtype=torch.bool), labelled], dim=1)[:, None].expand_as(logits)
    assert not takes_part.all()

    def with_free(free: Tensor) -> Tensor:
        return loss(logits.masked_scatter(takes_part, free), targets, labelled)

    assert torch.autograd.gradcheck(with_free, [logits[takes_part].requires_grad_()])


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**31),
    st.tuples(st.integers(1, 3), st.integers(1, 20), st.integers(1, 4)),
    st.sampled_from([0.0, 1.0, 1e4, 1e30]),
    st.sampled_from(list(CLASSIFICATION_LOSSES.values())),
)
def test_finite_for_extreme_logits(seed, shape, scale, loss):
    logits, targets, labelled = random_case(seed, shape)
    logits = (logits * scale).float().requires_grad_()
    value = loss(logits, targets, labelled)
    value.backward()
    assert value.shape == ()
    assert value.isfinite()
    assert logits.grad.isfinite().all()


def test_images_without_objects():
    """SSD uses no negatives without positives; the focal loss learns from such images too."""
    logits = torch.zeros(2, 6, 3, requires_grad=True)
    targets, labelled = make_targets(torch.zeros(2, 6, dtype=torch.int64)), torch.ones(2, 2, dtype=torch.bool)
    loss = hard_negatives_loss(logits, targets, labelled)
    loss.backward()
    assert loss == 0
    assert (logits.grad == 0).all()
    q = 1 / 3
    focal = focal_loss(logits, targets, labelled).item()
    assert focal == pytest.approx(12 * 0.75 * (1 - q) ** 2 * -math.log(q))


@pytest.mark.parametrize("loss", CLASSIFICATION_LOSSES.values())
def test_mixed_precision_does_not_change_the_loss(loss):
    logits, targets, labelled = random_case(4, (2, 20, 4))
    expected = loss(logits.bfloat16().float(), targets, labelled)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(logits.bfloat16(), targets, labelled)
    torch.testing.assert_close(value, expected)


def test_localisation_by_hand():
    """0.5 x^2 below 1, |x| - 0.5 above, summed over the offsets of positives, divided by their number."""
    wanted = torch.tensor([[[0.0, 0, 0, 0], [1, 1, 1, 1], [9, 9, 9, 9]]])
    targets = MatchedTargets(torch.tensor([[2, 1, 0]]), wanted, torch.zeros(1, 3, dtype=torch.bool))
    offsets = torch.tensor([[[0.5, -0.5, 3.0, 0.0], [1, 1, 1, -1], [0, 0, 0, 0]]])
    expected = (0.125 + 0.125 + 2.5 + 0 + 1.5) / 2
    assert float(smooth_l1_loss(offsets, targets)) == pytest.approx(expected)


def test_inexact_boxes_do_not_count():
    wanted = torch.tensor([[[0.3, 0.2, 0.1, 0.4], [torch.nan] * 4]])
    both = MatchedTargets(torch.tensor([[2, 1]]), wanted, torch.zeros(1, 2, dtype=torch.bool))
    first = both._replace(classes=torch.tensor([[2, 0]]))
    offsets = torch.zeros(1, 2, 4, requires_grad=True)
    value = smooth_l1_loss(offsets, both)
    value.backward()
    assert value == smooth_l1_loss(offsets, first)
    assert value > 0
    assert (offsets.grad[0, 1] == 0).all()


def test_localisation_gradients_and_no_positives():
    generator = torch.Generator().manual_seed(0)
    wanted = 2 * torch.randn(2, 5, 4, generator=generator, dtype=torch.float64)
    targets = MatchedTargets(torch.tensor([[1, 0, 0, 2, 0], [0] * 5]), wanted, torch.zeros(2, 5, dtype=torch.bool))
    offsets = torch.randn(2, 5, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda o: smooth_l1_loss(o, targets), [offsets])
    value = smooth_l1_loss(offsets, targets._replace(classes=torch.zeros(2, 5, dtype=torch.int64)))
    value.backward()
    assert value == 0
    assert (offsets.grad == 0).all()


@pytest.mark.parametrize("loss", CLASSIFICATION_LOSSES.values())
def test_invalid_inputs_are_refused(loss):
    logits, targets = torch.zeros(1, 2, 4), make_targets(torch.tensor([[3, 0]]))
    with pytest.raises(ValueError, match="an object of a class that its image does not label"):
        loss(logits, targets, torch.tensor([[True, True, False]]))
    with pytest.raises(ValueError, match="an object of a class that its image does not label"):
        loss(logits[..., :3], targets, torch.tensor([[True, True]]))
    with pytest.raises(ValueError, match=r"expected labelled classes \(1, 3\) bool, found \(1, 2\)"):
        loss(logits, targets, torch.tensor([[True, True]]))
    with pytest.raises(ValueError, match="bool, found .* torch.float32"):
        loss(logits, targets, torch.ones(1, 3))
    with pytest.raises(ValueError, match=r"expected class logits \(B, N, 1 \+ C\)"):
        loss(logits[0], targets, torch.tensor([[True, True, True]]))


def test_wrong_offsets_are_refused():
    with pytest.raises(ValueError, match=r"expected box offsets \(1, 2, 4\), found \(1, 3, 4\)"):
        smooth_l1_loss(torch.zeros(1, 3, 4), make_targets(torch.tensor([[1, 0]])))


def test_losses_by_name():
    assert find_classification_loss("focal") is focal_loss
    with pytest.raises(UserError, match="unknown classification loss 'soft': expected one of focal, hard_negatives"):
        find_classification_loss("soft")
