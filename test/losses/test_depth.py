"""Depth losses: by hand, against loops over pixels, against automatic differentiation, and with few targets."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mp_perception.errors import UserError
from mp_perception.losses.depth import (
    DEPTH_LOSSES,
    dense_depth_loss,
    find_depth_loss,
    gradient_loss,
    l1_loss,
    log_l1_loss,
    paper_loss,
    scale_invariant_log_loss,
)

ALL_LOSSES = [*DEPTH_LOSSES.values(), gradient_loss]
NAN = math.nan


def random_maps(seed: int, shape: tuple[int, ...], invalid: float = 0.1) -> tuple[Tensor, Tensor]:
    """Prediction and target in double precision, 1..80 m, a fraction of the target unknown."""
    generator = torch.Generator().manual_seed(seed)
    prediction = 1 + 79 * torch.rand(shape, generator=generator, dtype=torch.float64)
    target = 1 + 79 * torch.rand(shape, generator=generator, dtype=torch.float64)
    target[torch.rand(shape, generator=generator) < invalid] = NAN
    return prediction, target


def loop_gradient(prediction: np.ndarray, target: np.ndarray) -> float:
    """Equation (2) written out, maps (B, H, W)."""
    sobel = [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]

    def magnitude(depth: np.ndarray, y: int, x: int) -> float | None:
        gx = gy = 0.0
        for i in range(3):
            for j in range(3):
                row, column = y + i - 1, x + j - 1
                if 0 <= row < depth.shape[0] and 0 <= column < depth.shape[1]:
                    gx += sobel[i][j] * depth[row, column]
                    gy += sobel[j][i] * depth[row, column]
        return math.sqrt(gx**2 + gy**2 + 1e-6)

    errors = []
    for p, d in zip(prediction, target, strict=True):
        for y in range(d.shape[0]):
            for x in range(d.shape[1]):
                if not np.isnan(d[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]).any():
                    errors.append((magnitude(d, y, x) - magnitude(p, y, x)) ** 2)
    return float(np.mean(errors)) if errors else 0.0


def loop_similarity(first: np.ndarray, second: np.ndarray, y: int, x: int, valid: np.ndarray, top: float) -> float:
    """SSIM of one window of maps (H, W), statistics about the mean (Wang et al. 2004, equations 13 to 16)."""
    values = [
        (math.exp(-(i**2 + j**2) / (2 * 1.5**2)), first[y + i, x + j], second[y + i, x + j])
        for i in range(-5, 6)
        for j in range(-5, 6)
        if 0 <= y + i < valid.shape[0] and 0 <= x + j < valid.shape[1] and valid[y + i, x + j]
    ]
    weights, a, b = (np.array(column) for column in zip(*values, strict=True))
    weights /= weights.sum()
    mean_a, mean_b = (weights * a).sum(), (weights * b).sum()
    var_a, var_b = (weights * (a - mean_a) ** 2).sum(), (weights * (b - mean_b) ** 2).sum()
    covariance = (weights * (a - mean_a) * (b - mean_b)).sum()
    c1, c2 = (0.01 * top) ** 2, (0.03 * top) ** 2
    return ((2 * mean_a * mean_b + c1) * (2 * covariance + c2)) / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))


def loop_dense_depth(prediction: np.ndarray, target: np.ndarray) -> float:
    """DenseDepth's loss over maps (B, H, W) for depths of 1..80 m."""
    absolute, across, down, dissimilar = [], [], [], []
    for p, d in zip(80 / prediction, 80 / target, strict=True):
        valid = np.isfinite(d)
        for y, x in np.argwhere(valid):
            absolute.append(abs(p[y, x] - d[y, x]))
            dissimilar.append((1 - loop_similarity(p, d, y, x, valid, 80)) / 2)
            if x + 1 < d.shape[1] and valid[y, x + 1]:
                across.append(abs((p[y, x + 1] - p[y, x]) - (d[y, x + 1] - d[y, x])))
            if y + 1 < d.shape[0] and valid[y + 1, x]:
                down.append(abs((p[y + 1, x] - p[y, x]) - (d[y + 1, x] - d[y, x])))
    return 0.1 * np.mean(absolute) + np.mean(across) + np.mean(down) + np.mean(dissimilar)


def test_l1_by_hand():
    prediction = torch.tensor([[[[1.0, 5, 9]]], [[[2, 2, 2]]]])
    target = torch.tensor([[[[3.0, NAN, 8]]], [[[NAN, NAN, 8]]]])
    assert float(l1_loss(prediction, target)) == pytest.approx((2 + 1 + 6) / 3)


def test_gradient_by_hand():
    """A ramp of 1 m per pixel against a plane: |grad| is 8 inside, and zero padding shows at the border."""
    ramp = torch.arange(5.0, dtype=torch.float64).expand(1, 1, 5, 5).clone() + 1
    plane = torch.full_like(ramp, 3.0)
    target = ramp.clone()
    target[..., 0, :] = target[..., -1, :] = target[..., 0] = target[..., -1] = NAN  # leaves the middle pixel only
    assert float(gradient_loss(plane, target)) == pytest.approx((8 - 1e-3) ** 2, rel=1e-6)
    corner = torch.full((1, 1, 1, 1), 2.0)
    assert float(gradient_loss(corner, corner + 5)) == 0  # alone in its padding, a pixel has no gradient
    # 1x2 maps, padded: gx of the left pixel is 2 * right, gy is 0.
    two, other = torch.tensor([[[[1.0, 2.0]]]]), torch.tensor([[[[4.0, 6.0]]]])
    assert float(gradient_loss(two, other)) == pytest.approx(((12 - 4) ** 2 + (8 - 2) ** 2) / 2, rel=1e-5)


@pytest.mark.parametrize("invalid", [0.0, 0.05, 0.4])
def test_the_papers_loss_agrees_with_loops(invalid):
    prediction, target = random_maps(0, (2, 1, 9, 12), invalid)
    expected = loop_gradient(prediction[:, 0].numpy(), target[:, 0].numpy())
    assert float(gradient_loss(prediction, target)) == pytest.approx(expected, rel=1e-9)
    absolute = np.nanmean(np.abs(target.numpy() - prediction.numpy()))
    assert float(paper_loss(prediction, target)) == pytest.approx(absolute + expected, rel=1e-9)


def test_scale_invariant_log_agrees_with_pairs_of_pixels():
    """Eigen's equation 3: the same as the squared differences of all pairs of log errors / (2 n^2), for weight 1."""
    prediction, target = random_maps(1, (2, 1, 4, 5))
    per_image, full = [], []
    for p, d in zip(prediction.flatten(1).tolist(), target.flatten(1).tolist(), strict=True):
        errors = [math.log(a) - math.log(b) for a, b in zip(p, d, strict=True) if not math.isnan(b)]
        pairs = sum((a - b) ** 2 for a in errors for b in errors) / (2 * len(errors) ** 2)
        per_image.append(pairs)
        full.append(pairs + 0.15 * (sum(errors) / len(errors)) ** 2)
    loss = scale_invariant_log_loss
    assert float(loss(prediction, target, weight=1.0)) == pytest.approx(np.mean(per_image), rel=1e-9)
    assert float(loss(prediction, target)) == pytest.approx(np.mean(full), rel=1e-9)
    # Each image forgives its own scale; an image without targets does not count.
    scaled = target.nan_to_num(5) * torch.tensor([2.0, 0.25]).view(2, 1, 1, 1)
    assert float(loss(scaled, target, weight=1.0)) == pytest.approx(0, abs=1e-12)
    assert float(loss(scaled, target, weight=0.0)) == pytest.approx((math.log(2) ** 2 + math.log(4) ** 2) / 2)
    target[1] = NAN
    assert float(loss(prediction, target)) == pytest.approx(full[0], rel=1e-9)


def test_log_l1_by_hand():
    target = torch.tensor([[[[10.0, NAN, 40.0]]]])
    assert float(log_l1_loss(torch.tensor([[[[20.0, 1, 10]]]]), target)) == pytest.approx(math.log(8) / 2)


def test_log_l1_weighs_images_equally_at_any_number_of_valid_pixels():
    dense, sparse, unknown = [20.0] * 4, [10.0, NAN, NAN, NAN], [NAN] * 4
    target = torch.tensor([dense, sparse, unknown])[:, None, None]
    prediction = torch.tensor([[20.0] * 4, [80.0, 1, 1, 1], [5.0] * 4])[:, None, None]
    assert float(log_l1_loss(prediction, target)) == pytest.approx(math.log(8) / 2)


@pytest.mark.parametrize("invalid", [0.0, 0.3])
def test_dense_depth_agrees_with_loops(invalid):
    prediction, target = random_maps(2, (2, 1, 13, 16), invalid)
    expected = loop_dense_depth(prediction[:, 0].numpy(), target[:, 0].numpy())
    assert float(dense_depth_loss(prediction, target)) == pytest.approx(expected, rel=1e-8)
    single = dense_depth_loss(prediction.float(), target.float())
    assert float(single) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("loss", ALL_LOSSES)
def test_the_loss_of_a_perfect_prediction_is_zero(loss):
    _, target = random_maps(3, (2, 1, 12, 14))
    assert float(loss(target.nan_to_num(7), target)) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("loss", ALL_LOSSES)
def test_gradients(loss):
    prediction, target = random_maps(4, (2, 1, 5, 6), invalid=0.08)
    assert torch.autograd.gradcheck(lambda p: loss(p, target), [prediction.requires_grad_()])


@pytest.mark.parametrize("loss", ALL_LOSSES)
def test_unknown_pixels_have_no_influence(loss):
    prediction, target = random_maps(5, (1, 1, 12, 14), invalid=0.3)
    changed = torch.where(target.isnan(), 40.0, prediction)
    if loss in (gradient_loss, paper_loss):
        target[..., :6, :6] = 20.0  # some whole neighbourhoods
        changed = torch.where(target.isnan(), 40.0, prediction)
    assert float(loss(prediction, target)) > 0
    torch.testing.assert_close(loss(changed, target), loss(prediction, target))
    without_zeros = loss(prediction, target)
    torch.testing.assert_close(loss(prediction, target.nan_to_num(0.0)), without_zeros)  # 0 is no measurement
    torch.testing.assert_close(loss(prediction, target.nan_to_num(math.inf)), without_zeros)


@settings(max_examples=25, deadline=None)
@given(
    st.tuples(st.integers(1, 3), st.just(1), st.integers(1, 14), st.integers(1, 14)),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.sampled_from([1e-30, 1.0, 80.0, 1e6]),
    st.sampled_from(ALL_LOSSES),
)
def test_loss_and_gradient_are_finite_for_any_shape_and_depth(shape, invalid, scale, loss):
    prediction, target = (values.float() for values in random_maps(6, shape, invalid))
    prediction = (prediction / 80 * scale).requires_grad_()
    value = loss(prediction, target)
    value.backward()
    assert value.shape == ()
    assert value.isfinite()
    assert prediction.grad.isfinite().all()
    if invalid == 1:
        assert value == 0
        assert (prediction.grad == 0).all()


@pytest.mark.parametrize("loss", ALL_LOSSES)
def test_predictions_that_are_not_positive_stay_finite(loss):
    """The paper's network can predict them."""
    prediction = torch.tensor([[[[-3.0, 0.0], [2.0, -1e9]]]], requires_grad=True)
    value = loss(prediction, torch.full((1, 1, 2, 2), 5.0))
    value.backward()
    assert value.isfinite()
    assert prediction.grad.isfinite().all()


@pytest.mark.parametrize("loss", ALL_LOSSES)
def test_mixed_precision_does_not_change_the_loss(loss):
    prediction, target = (values.float() for values in random_maps(7, (1, 1, 12, 14)))
    expected = loss(prediction.bfloat16().float(), target)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(prediction.bfloat16(), target)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, expected)


@pytest.mark.parametrize("loss", ALL_LOSSES)
def test_wrong_shapes_are_refused(loss):
    with pytest.raises(ValueError, match=r"expected a target \(2, 1, 4, 4\), found \(2, 1, 4, 5\)"):
        loss(torch.ones(2, 1, 4, 4), torch.ones(2, 1, 4, 5))
    with pytest.raises(ValueError, match=r"\(B, 1, H, W\), found \(2, 4, 4\)"):
        loss(torch.ones(2, 4, 4), torch.ones(2, 4, 4))


def test_losses_by_name():
    assert find_depth_loss("paper") is paper_loss
    with pytest.raises(UserError, match="unknown depth loss 'l3': expected one of dense_depth, l1, log_l1, paper"):
        find_depth_loss("l3")
