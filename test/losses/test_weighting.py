"""Weighting of tasks: Kendall's equations by hand, and missing tasks."""

import math

import pytest
import torch

from mp_perception.losses.weighting import FixedWeights, UncertaintyWeights


def test_fixed_weights_by_hand():
    total = FixedWeights({"depth": 0.5, "classes": 2.0, "boxes": 1.0})
    losses = {"depth": torch.tensor(4.0), "classes": torch.tensor(3.0), "boxes": None}
    assert float(total(losses)) == 8
    assert float(total({"boxes": torch.tensor(7.0)})) == 7


def test_uncertainty_by_hand():
    weights = UncertaintyWeights(regressions=["depth"], classifications=["classes"])
    weights.log_variances["depth"].data.fill_(math.log(4.0))  # sigma 2
    weights.log_variances["classes"].data.fill_(math.log(9.0))  # sigma 3
    total = weights({"depth": torch.tensor(16.0), "classes": torch.tensor(18.0)}).item()
    expected = 16 / (2 * 4) + math.log(2) + 18 / 9 + math.log(3)
    assert total == pytest.approx(expected, rel=1e-6)


def test_learned_variance_converges_to_the_loss():
    """The minimum over s of L exp(-s) / 2 + s / 2 is sigma^2 = L; of L exp(-s) + s / 2 it is 2 L."""
    weights = UncertaintyWeights(regressions=["depth"], classifications=["classes"])
    optimiser = torch.optim.Adam(weights.parameters(), lr=0.05)
    for _ in range(500):
        optimiser.zero_grad()
        weights({"depth": torch.tensor(0.25), "classes": torch.tensor(3.0)}).backward()
        optimiser.step()
    assert math.exp(weights.log_variances["depth"].item()) == pytest.approx(0.25, rel=0.01)
    assert math.exp(weights.log_variances["classes"].item()) == pytest.approx(6.0, rel=0.01)


def test_a_missing_task_is_not_updated_despite_momentum_and_decay():
    weights = UncertaintyWeights(regressions=["depth"], classifications=["classes"])
    optimiser = torch.optim.AdamW(weights.parameters(), lr=0.1, weight_decay=0.1)
    for depth in (torch.tensor(9.0), torch.tensor(9.0), None, None):
        before = weights.log_variances["depth"].item()
        optimiser.zero_grad()
        weights({"depth": depth, "classes": torch.tensor(1.0)}).backward()
        optimiser.step()
        if depth is None:
            assert weights.log_variances["depth"].grad is None
            assert weights.log_variances["depth"].item() == before
        else:
            assert weights.log_variances["depth"].item() > before


@pytest.mark.parametrize(
    "weights", [FixedWeights({"depth": 0.5, "classes": 2.0}), UncertaintyWeights(["depth"], ["classes"])]
)
def test_gradients_reach_the_losses_that_are_present(weights):
    depth = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda loss: weights({"depth": loss, "classes": None}), [depth])
    weights({"depth": depth, "classes": None}).backward()
    assert float(depth.grad) == pytest.approx(0.5)


@pytest.mark.parametrize("weights", [FixedWeights({"depth": 1.0}), UncertaintyWeights(["depth"], [])])
def test_unknown_tasks_and_batches_without_losses_are_refused(weights):
    with pytest.raises(ValueError, match="expected losses of depth, found dpeth"):
        weights({"dpeth": torch.tensor(1.0)})
    with pytest.raises(ValueError, match="at least one of depth"):
        weights({"depth": None})


def test_invalid_weights_are_refused():
    with pytest.raises(ValueError, match="for depth, found -1"):
        FixedWeights({"depth": -1.0})
    with pytest.raises(ValueError, match="every task once"):
        UncertaintyWeights(["depth"], ["depth"])
