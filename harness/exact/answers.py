"""topk(W x), its loss and all its gradients on given inputs: each number exact, rounded once, and proved.

The definitions are those of harness/precision/solution.py, of real numbers: y = x Wᵀ, v the selected y, g = weights
(`linear`) or 2 v (`square`), dy = Sᵀ g, dx = dy W, dW = dyᵀ x, dS = g yᵀ; nothing between the inputs and a result is
rounded. v is taken as the sum of two float64 numbers and the bound of what these lack, which is part of the proof of
whatever is made from it; where that proves nothing, v is an integer times a power of two (dyadic.py).

Sources: error-free transformations, Ogita, Rump & Oishi 2005 (SIAM J. Sci. Comput. 26); extractions, Rump, Ogita &
Oishi 2008 (SIAM J. Sci. Comput. 31); slices, Ozaki, Ogita, Oishi & Rump 2012 (Numer. Algorithms 59); bounds, Higham
2002 (Accuracy and Stability of Numerical Algorithms, 2nd ed.); the rounding test, Ziv 1991 (ACM TOMS 17).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from harness.exact.certified import Certified, Proof, given
from harness.exact.gradients import Cotangents, matrix_gradient, value_gradient, weight_gradients
from harness.exact.numbers import Scores
from harness.exact.product import exact_product
from harness.exact.selection import largest


@dataclass(frozen=True)
class ExactSolution:
    """A selection and what follows from it, shaped as solution.Solution; the indices ascend in each row.

    indices: (rows, k); y: (rows, n); values, dy: (rows, k), dy at the selected indices (elsewhere it is zero);
    touched: (t,) ascending, the indices that any row selected; dx: (rows, d) and dW: (t, d), the touched rows of it
    (elsewhere it is zero), or None where there are no weights; dS: (rows, k) at the selected entries, (rows, k, n) in
    full, or None where it was not asked for.
    """

    indices: np.ndarray
    y: Certified
    values: Certified
    dy: Certified
    touched: np.ndarray
    dx: Certified | None
    dW: Certified | None
    dS: Certified | None

    @property
    def proof(self) -> Proof:
        """The entries of y, dy, dx, dW and dS by what proved them; values are entries of y."""
        found = (self.y, self.dy, self.dx, self.dW, self.dS)
        return sum((each.proof for each in found if each is not None), Proof())


def solve_exactly(
    inputs: Mapping[str, np.ndarray],
    preferred: np.ndarray,
    loss: str,
    dtype: str,
    *,
    indices: np.ndarray | None = None,
    y: Certified | None = None,
    matrix: Literal["selected", "full"] | None = None,
) -> ExactSolution:
    """The solution for float64 inputs: `weights` (rows, n) and either `y` (rows, n) or `x` (rows, d), `W` (n, d).

    The inputs need not be numbers of the format; everything is rounded to dtype. preferred: (rows, k) indices, which
    are selected first among exactly equal scores. NaN ranks greatest. indices: (rows, k), ascending, a selection to
    take as it is (the reference `conditional`) instead of the exact one. y: from an earlier solution of the same inputs
    and dtype, for it is most of the work. matrix: which entries of dS to give.
    """
    scores = Scores(inputs)
    if y is None:
        y = given(inputs["y"], dtype) if scores.given else exact_product(inputs["W"], inputs["x"], dtype)
    if indices is None:
        # given scores are compared as they are: their rounding to another format only makes ties
        compared = given(inputs["y"], "float64") if scores.given else y
        indices = largest(compared, preferred, scores.exactly)
    values = y.map(lambda array: np.take_along_axis(array, indices, -1))
    cotangents = Cotangents.of(scores, indices, loss)
    dy = value_gradient(cotangents, dtype)
    touched = np.unique(indices)
    dx, dW = (None, None) if scores.given else weight_gradients(cotangents, touched, dtype)
    dS = None if matrix is None else matrix_gradient(cotangents, dtype, full=matrix == "full")
    return ExactSolution(indices, y, values, dy, touched, dx, dW, dS)
