"""topk(W x), its loss and all its gradients, evaluated in float64: what a method is compared with.

With y = x Wᵀ, v the selected y and g the gradient of the loss by v: dy = Sᵀ g, dx = dy W, dW = dyᵀ x and
dS = g yᵀ. `linear`: loss = sum of weights[i] y[i] over the selected, g = weights; `square`: loss = sum v², g = 2 v.
"""

from __future__ import annotations

from collections.abc import Mapping
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


def solve(inputs: Mapping[str, np.ndarray], preferred: np.ndarray, loss: str) -> Solution:
    """The solution for float64 inputs: `weights` (rows, n) and either `y` (rows, n) or `x` (rows, d), `W` (n, d).

    preferred: (rows, k) indices. Of values that tie at the threshold these are selected first, since any choice
    among equals is right. NaN ranks greatest.
    """
    x, W = inputs.get("x"), inputs.get("W")
    with np.errstate(invalid="ignore", over="ignore"):
        y = inputs["y"] if x is None or W is None else x @ W.T
        indices = _largest(y, preferred)
        values = np.take_along_axis(y, indices, -1)
        dy = np.take_along_axis(inputs["weights"], indices, -1) if loss == "linear" else 2 * values
        touched = np.unique(indices)
        if x is None or W is None:
            return Solution(indices, y, values, dy, touched, None, None)
        dx, dW = weight_gradients(np.searchsorted(touched, indices), dy, x, W[touched])
        return Solution(indices, y, values, dy, touched, dx, dW)


def weight_gradients(places: np.ndarray, dy: np.ndarray, x: np.ndarray, W: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """dx (rows, d) and dW (t, d) from the touched rows W (t, d); places: (rows, k) into those.

    Sums over the selected only, so that what was not selected cannot spoil them.
    """
    dx, dW = np.empty_like(x), np.zeros_like(W)
    for row, chosen in enumerate(places):
        dx[row] = dy[row] @ W[chosen]
        dW[chosen] += np.outer(dy[row], x[row])
    return dx, dW


def _largest(y: np.ndarray, preferred: np.ndarray) -> np.ndarray:
    favoured = np.zeros(y.shape, dtype=bool)
    np.put_along_axis(favoured, preferred, True, -1)
    order = np.lexsort((favoured, y), axis=-1)
    return np.sort(order[:, -preferred.shape[-1] :], axis=-1)
