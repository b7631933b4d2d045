"""The sum of the losses of several tasks, with fixed weights or weights learned from each task's uncertainty.

Losses are dictionaries by task.  A task without labels in a batch is None or absent and does not contribute.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import Tensor, nn


class FixedWeights(nn.Module):
    """Sum of weight * loss.

    weights: by task, >= 0.  Raises ValueError for a negative weight.
    """

    def __init__(self, weights: Mapping[str, float]) -> None:
        super().__init__()
        for name, weight in weights.items():
            if not 0 <= weight < float("inf"):
                raise ValueError(f"expected a finite weight >= 0 for {name}, found {weight}")
        self.weights = dict(weights)

    def forward(self, losses: Mapping[str, Tensor | None]) -> Tensor:
        """Scalars by task -> a scalar.  Raises ValueError for a task without a weight, or if no task has a loss."""
        present = _present(losses, self.weights)
        return torch.stack([self.weights[name] * loss for name, loss in present.items()]).sum()


class UncertaintyWeights(nn.Module):
    """Weights learned from homoscedastic uncertainty (Kendall et al. 2018, section 3).

    With s = log sigma^2 of a task, initially 0, its loss L contributes exp(-s) L / 2 + s / 2 for a regression (eq. 7)
    and exp(-s) L + s / 2 for a classification (eq. 10).  The total can be negative.
    regressions, classifications: names of the tasks.
    Raises ValueError for a task named twice.
    """

    def __init__(self, regressions: Collection[str], classifications: Collection[str]) -> None:
        super().__init__()
        names = [*regressions, *classifications]
        if len(set(names)) != len(names):
            raise ValueError(f"expected every task once, found {names}")
        self.factors = dict.fromkeys(regressions, 0.5) | dict.fromkeys(classifications, 1.0)
        # One parameter per task: the optimiser skips a parameter without a gradient, its momentum and weight decay
        # included, but not one with a gradient of 0.
        self.log_variances = nn.ParameterDict({name: nn.Parameter(torch.zeros(())) for name in names})

    def forward(self, losses: Mapping[str, Tensor | None]) -> Tensor:
        """Scalars by task -> a scalar.  Raises ValueError for an unknown task, or if no task has a loss."""
        parts = []
        for name, loss in _present(losses, self.factors).items():
            log_variance = self.log_variances[name]
            parts.append(self.factors[name] * torch.exp(-log_variance) * loss + log_variance / 2)
        return torch.stack(parts).sum()


def _present(losses: Mapping[str, Tensor | None], known: Collection[str]) -> dict[str, Tensor]:
    """The losses that are not None; raises ValueError for unknown names, or if all are None."""
    unknown = sorted(set(losses) - set(known))
    if unknown:
        raise ValueError(f"expected losses of {', '.join(sorted(known))}, found {', '.join(unknown)}")
    present = {name: loss for name, loss in losses.items() if loss is not None}
    if not present:
        raise ValueError(f"expected a loss of at least one of {', '.join(sorted(known))}, found none")
    return present
