"""The weak depth target of labelled objects: its core, its robustness, its gradient."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mp_perception.losses.depth import object_depth_loss

NO_BOXES, NO_DEPTHS = torch.zeros(0, 4), torch.zeros(0)


def test_constant_depths_by_hand():
    prediction = torch.full((2, 1, 20, 30), 10.0)
    prediction[1] = 40.0
    boxes = [torch.tensor([[2.0, 2, 12, 18], [15, 2, 25, 10]]), torch.tensor([[2.0, 2, 12, 18]])]
    depths = [torch.tensor([20.0, math.nan]), torch.tensor([10.0])]
    expected = (math.log(2) + math.log(4)) / 2
    assert float(object_depth_loss(prediction, boxes, depths)) == pytest.approx(expected, rel=1e-6)


def test_only_the_core_counts():
    prediction = torch.full((1, 1, 40, 40), 70.0)
    prediction[..., 12:28, 12:28] = 10.0  # the core of a box of 8..32 is 14..26
    box = [torch.tensor([[8.0, 8, 32, 32]])]
    assert float(object_depth_loss(prediction, box, [torch.tensor([10.0])])) == pytest.approx(0, abs=1e-6)


def test_a_quarter_of_the_core_may_be_something_else():
    prediction = torch.full((1, 1, 40, 40), 10.0)
    prediction[..., :40, :17] = 3.0  # a post in front covers 3 of 12 columns of the core
    box = [torch.tensor([[8.0, 8, 32, 32]])]
    assert float(object_depth_loss(prediction, box, [torch.tensor([10.0])])) == pytest.approx(0, abs=1e-6)
    prediction[..., :40, :23] = 3.0
    assert float(object_depth_loss(prediction, box, [torch.tensor([10.0])])) == pytest.approx(
        math.log(10 / 3), rel=1e-5
    )


def test_a_slope_is_measured_at_its_centre():
    """log depth linear in x: its centre is the value at the middle of the box, in continuous pixels."""
    columns = torch.arange(40.0, dtype=torch.float64) + 0.5
    prediction = torch.exp(1 + 0.05 * columns).expand(1, 1, 30, 40)
    box = [torch.tensor([[7.0, 5, 28, 22]], dtype=torch.float64)]
    middle = [torch.tensor([math.exp(1 + 0.05 * 17.5)], dtype=torch.float64)]
    assert float(object_depth_loss(prediction, box, middle)) == pytest.approx(0, abs=1e-9)


def test_gradients():
    generator = torch.Generator().manual_seed(1)
    prediction = 5 + 20 * torch.rand(2, 1, 6, 7, generator=generator, dtype=torch.float64)
    boxes = [torch.tensor([[1.0, 1, 7, 5]]), torch.tensor([[0.0, 2, 6, 9], [5, 5, 6, 6]])]
    depths = [torch.tensor([30.0]), torch.tensor([4.0, 12.0])]
    assert torch.autograd.gradcheck(lambda p: object_depth_loss(p, boxes, depths), [prediction.requires_grad_()])


def test_only_the_core_has_a_gradient():
    generator = torch.Generator().manual_seed(0)
    prediction = 5 + 20 * torch.rand(1, 1, 12, 14, generator=generator, dtype=torch.float64)
    prediction.requires_grad_()
    object_depth_loss(prediction, [torch.tensor([[1.0, 1, 13, 11]])], [torch.tensor([30.0])]).backward()
    gradient = prediction.grad[0, 0]
    assert (gradient <= 0).all()  # too near everywhere: more depth costs less
    assert (gradient[:3] == 0).all()  # the core's rows are 3.5..8.5
    assert (gradient < 0).sum() > 10


def test_boxes_over_the_border_and_outside():
    prediction = torch.full((1, 1, 20, 20), 10.0)
    boxes = [torch.tensor([[-12.0, -8, 12, 8], [30, 30, 40, 40], [-50, 2, -20, 10]])]
    depths = [torch.tensor([20.0, 99.0, 99.0])]
    assert float(object_depth_loss(prediction, boxes, depths)) == pytest.approx(math.log(2), rel=1e-6)


@pytest.mark.parametrize(
    ("boxes", "depths"),
    [
        (NO_BOXES, NO_DEPTHS),
        (torch.tensor([[1.0, 1, 5, 5]]), torch.tensor([math.nan])),
        (torch.tensor([[1.0, 1, 5, 5]]), torch.tensor([-1.0])),
        (torch.tensor([[1.0, 1, math.nan, 5]]), torch.tensor([9.0])),
    ],
)
def test_without_known_depths_the_loss_is_zero_and_differentiable(boxes, depths):
    prediction = torch.full((1, 1, 8, 8), 10.0, requires_grad=True)
    loss = object_depth_loss(prediction, [boxes], [depths])
    loss.backward()
    assert loss == 0
    assert (prediction.grad == 0).all()


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(*[st.floats(-50, 50)] * 4, st.floats(0.1, 100)), max_size=5),
    st.sampled_from([1e-20, 1.0, 1e6]),
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
)
def test_finite_for_any_box(objects, scale, size):
    prediction = torch.full((1, 1, *size), scale, requires_grad=True)
    values = torch.tensor(objects).view(-1, 5)
    loss = object_depth_loss(prediction, [values[:, :4]], [values[:, 4]])
    loss.backward()
    assert loss.isfinite()
    assert prediction.grad.isfinite().all()


def test_half_precision_is_measured_in_single_precision():
    prediction = torch.full((1, 1, 20, 20), 10.0, dtype=torch.bfloat16)
    loss = object_depth_loss(prediction, [torch.tensor([[2.0, 2, 12, 18]])], [torch.tensor([20.0])])
    assert loss.dtype == torch.float32
    assert float(loss) == pytest.approx(math.log(2), rel=1e-6)


def test_wrong_shapes_are_refused():
    prediction = torch.ones(1, 1, 8, 8)
    with pytest.raises(ValueError, match="of 1 images, found 2, 1"):
        object_depth_loss(prediction, [NO_BOXES, NO_BOXES], [NO_DEPTHS])
    with pytest.raises(ValueError, match=r"image 0: expected boxes \(M, 4\)"):
        object_depth_loss(prediction, [NO_BOXES], [torch.ones(1)])
    with pytest.raises(ValueError, match=r"\(B, 1, H, W\)"):
        object_depth_loss(torch.ones(8, 8), [NO_BOXES], [NO_DEPTHS])
