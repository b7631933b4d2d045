"""Which detection belongs to which track."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

#: Cost of a pair that cannot belong together.
IMPOSSIBLE = 1e3


def assign(costs: Array, highest: float) -> tuple[Indices, Indices]:
    """The pairs (rows, columns) of the smallest total cost, each at most `highest`.  costs: (N, M)."""
    # A pair above the limit costs the same as no pair, so that it does not displace others.
    rows, columns = linear_sum_assignment(np.minimum(costs, highest + 1e-6))
    kept = costs[rows, columns] <= highest
    return rows[kept].astype(np.int64), columns[kept].astype(np.int64)
