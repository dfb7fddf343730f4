"""What follows from a selection of topk(W x): the shapes in which methods and references are compared.

With y = x Wᵀ, v the selected y and g the gradient of the loss with respect to v: dy = Sᵀ g, dx = dy W, dW = dyᵀ x and
dS = g yᵀ. `linear`: loss = sum of weights[i] y[i] over the selected i, g = weights; `square`: loss = sum v², g = 2 v.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from harness.precision import slabs

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Solution:
    """A selection and the tensors that follow from it, all float64; the indices ascend in each row.

    indices, values, dy: (rows, k), dy at the selected indices (elsewhere it is zero); y: (rows, n);
    touched: (t,) ascending, the indices that any row selected; dx: (rows, d) and dW: (t, d), the touched rows of dW
    (the others are zero), or None where there are no weights.
    """

    indices: np.ndarray
    y: np.ndarray
    values: np.ndarray
    dy: np.ndarray
    touched: np.ndarray
    dx: np.ndarray | None
    dW: np.ndarray | None

    @cached_property
    def places(self) -> np.ndarray:
        """(rows, k): the place of each index in `touched`."""
        return np.searchsorted(self.touched, self.indices)


@dataclass(frozen=True)
class Factors:
    """The factors of the products in a solution, float64.

    weights: (rows, k), those of the loss at the selected indices. x: (rows, d) and W: (t, d), the touched rows, or None
    where y itself was drawn. all_W: returns all rows (n, d), which are converted only when asked for.
    """

    weights: np.ndarray
    x: np.ndarray | None
    W: np.ndarray | None
    all_W: Callable[[], np.ndarray]


def inner_products(places: np.ndarray, x: np.ndarray, W: np.ndarray) -> np.ndarray:
    """(rows, k) in float64: x (rows, d) times the rows of W (t, d) at places (rows, k)."""
    products = np.empty(places.shape)
    step = max(1, slabs.slab_elements(W.size) // (places.shape[-1] * W.shape[-1]))
    for start in range(0, len(places), step):
        some = slice(start, start + step)
        products[some] = (W[places[some]] @ x[some, :, None])[..., 0]
    return products


def input_gradient(places: np.ndarray, dy: np.ndarray, W: np.ndarray) -> np.ndarray:
    """dx (rows, d) in float64, from the touched rows W (t, d), dy (rows, k), and places (rows, k) among those rows.

    Like the functions below, it sums over the selected only, so that an infinity elsewhere does no harm.
    """
    shape = len(places), W.shape[-1]
    return input_gradient_at(np.arange(math.prod(shape)), places, dy, W).reshape(shape)


def input_gradient_at(at: np.ndarray, places: np.ndarray, dy: np.ndarray, W: np.ndarray) -> np.ndarray:
    """The entries of `input_gradient` at ascending flat places (m,); dx as a whole is never held."""
    return _picked(at, slabs.input_gradients(*_tensors(places, dy, W), sized=False))


def weight_gradient(places: np.ndarray, dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """dW (t, d) in float64 at the touched rows, from x (rows, d), dy (rows, k), and places (rows, k) among the rows."""
    shape = int(places.max()) + 1, x.shape[-1]
    return weight_gradient_at(np.arange(math.prod(shape)), places, dy, x).reshape(shape)


def weight_gradient_at(at: np.ndarray, places: np.ndarray, dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The entries of `weight_gradient` at ascending flat places (m,); dW as a whole is never held."""
    return _picked(at, slabs.weight_gradients(*_tensors(places, dy, x), sized=False))


def _picked(at: np.ndarray, sums: Iterator[slabs.Slab]) -> np.ndarray:
    """The entries at ascending flat places of sums that come slab after slab, in order."""
    picked, begin = np.empty(at.size), 0
    for slab in sums:
        end = begin + slab.sums.numel()
        some = slice(*np.searchsorted(at, (begin, end)))
        picked[some] = slab.sums.numpy().ravel()[at[some] - begin]
        begin = end
    return picked


def _tensors(*arrays: np.ndarray) -> Iterator[torch.Tensor]:
    import torch

    return (torch.from_numpy(np.ascontiguousarray(array)) for array in arrays)
