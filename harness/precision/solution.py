"""What follows from a selection of topk(W x): the shapes that methods and references are compared in.

With y = x Wᵀ, v the selected y and g the gradient of the loss by v: dy = Sᵀ g, dx = dy W, dW = dyᵀ x and
dS = g yᵀ. `linear`: loss = sum of weights[i] y[i] over the selected, g = weights; `square`: loss = sum v², g = 2 v.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Solution:
    """A selection and what follows from it, all float64; the indices ascend in each row.

    indices, values, dy: (rows, k), dy at the selected indices (elsewhere it is zero); y: (rows, n);
    touched: (t,) ascending, the indices that any row selected; dx: (rows, d) and dW: (t, d), the touched rows of it
    (elsewhere it is zero), or None where there are no weights.
    """

    indices: np.ndarray
    y: np.ndarray
    values: np.ndarray
    dy: np.ndarray
    touched: np.ndarray
    dx: np.ndarray | None
    dW: np.ndarray | None


def weight_gradients(places: np.ndarray, dy: np.ndarray, x: np.ndarray, W: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """dx (rows, d) and dW (t, d) in float64, from the touched rows W (t, d); places: (rows, k) into those.

    Sums over the selected only, so that what was not selected cannot spoil them.
    """
    dx, dW = np.empty_like(x), np.zeros_like(W)
    for row, chosen in enumerate(places):
        dx[row] = dy[row] @ W[chosen]
        dW[chosen] += np.outer(dy[row], x[row])
    return dx, dW
