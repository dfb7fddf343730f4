"""topk(W x), its loss and all its gradients on given inputs: each number exact, rounded once, and proved.

The definitions are those of harness/precision/solution.py, over the real numbers: y = x Wᵀ, v the selected y,
g = weights (`linear`) or 2 v (`square`), dy = Sᵀ g, dx = dy W, dW = dyᵀ x, dS = g yᵀ. Nothing between the inputs and a
result is rounded. Where v enters a product it is held as two float64 numbers and a bound of the remainder, which enters
the proof of the result; where that proves nothing, v is an integer times a power of two (dyadic.py).

Sources
    error-free transformations: Knuth 1998 (The Art of Computer Programming, vol. 2, 3rd ed.), Dekker 1971 (Numer. Math.
        18), Ogita, Rump & Oishi 2005 (SIAM J. Sci. Comput. 26)
    extractions: Rump, Ogita & Oishi 2008 (SIAM J. Sci. Comput. 31)
    slices: Ozaki, Ogita, Oishi & Rump 2012 (Numer. Algorithms 59)
    bounds: Higham 2002 (Accuracy and Stability of Numerical Algorithms, 2nd ed.)
    the rounding test: Ziv 1991 (ACM TOMS 17)
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
    """A selection and the tensors that follow from it, shaped as solution.Solution; the indices ascend in each row.

    indices: (rows, k); y: (rows, n); values, dy: (rows, k), dy at the selected indices (elsewhere it is zero);
    touched: (t,) ascending, the indices that any row selected; dx: (rows, d) and dW: (t, d), the touched rows of dW
    (the others are zero), or None where there are no weights; dS: (rows, k) at the selected entries, (rows, k, n) in
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
        """The number of entries of y, dy, dx, dW and dS by the rung that proved them; values are entries of y."""
        return self.y.proof + self.proof_of_gradients

    @property
    def proof_of_gradients(self) -> Proof:
        """The same without the entries of y, for a solution that was given its y."""
        tensors = (self.dy, self.dx, self.dW, self.dS)
        return sum((tensor.proof for tensor in tensors if tensor is not None), Proof())


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

    The inputs need not be numbers of the format; every result is rounded to dtype. preferred: (rows, k) indices that
    win among exactly equal scores. NaN ranks greatest. indices: (rows, k), ascending, a selection to take as it is (for
    the reference `conditional`) instead of the exact one. y: from an earlier solution of the same inputs and dtype,
    since most of the work goes into it. matrix: which entries of dS to give.
    """
    scores = Scores(inputs)
    if y is None:
        y = given(inputs["y"], dtype) if scores.given else exact_product(inputs["W"], inputs["x"], dtype)
    if indices is None:
        # Given scores are compared as they are: rounding them to another format would only make ties.
        compared = given(inputs["y"], "float64") if scores.given else y
        indices = largest(compared, preferred, scores.exactly)
    values = y.map(lambda array: np.take_along_axis(array, indices, -1))
    cotangents = Cotangents.of(scores, indices, loss)
    dy = value_gradient(cotangents, dtype)
    touched = np.unique(indices)
    dx, dW = (None, None) if scores.given else weight_gradients(cotangents, touched, dtype)
    dS = None if matrix is None else matrix_gradient(cotangents, dtype, full=matrix == "full")
    return ExactSolution(indices, y, values, dy, touched, dx, dW, dS)
