"""2-norms and directions in float64 that neither overflow nor vanish."""

from __future__ import annotations

import math

import numpy as np

SAFE_SQUARES = 1e-280, 1e300
"""Between these the plain sum of squares is right: no square has overflowed, and squares that underflowed are below its
rounding error."""


def norm(x: np.ndarray) -> float:
    """2-norm of x, scaled by the largest entry where squares would overflow or underflow."""
    with np.errstate(over="ignore"):
        squared = float(np.sum(np.square(x)))
    if SAFE_SQUARES[0] < squared < SAFE_SQUARES[1]:
        return math.sqrt(squared)
    largest = float(np.maximum(np.max(x), -np.min(x)))
    if largest == 0 or not np.isfinite(largest):
        return largest
    scaled = np.asarray(x / largest)
    return largest * float(np.sqrt(np.sum(np.multiply(scaled, scaled, out=scaled))))


def direction(x: np.ndarray) -> np.ndarray:
    """x over its 2-norm; 0 where x is 0. Dividing by the largest entry first keeps squares from overflowing."""
    largest = np.max(np.abs(x))
    scaled = x / largest if largest else x
    return scaled / norm(scaled) if largest else x
