"""2-norms and directions in float64 that neither overflow nor vanish."""

from __future__ import annotations

import math

import numpy as np


def direction(x: np.ndarray) -> np.ndarray:
    """x over its 2-norm, by way of its largest entry, so that nothing overflows or vanishes; 0 where x is 0."""
    largest = np.max(np.abs(x))
    scaled = x / largest if largest else x
    return scaled / norm(scaled) if largest else x


SAFE_SQUARES = 1e-280, 1e300
"""Between these no square has overflowed, and those that vanished were below the rounding error of the sum."""


def norm(x: np.ndarray) -> float:
    """2-norm, scaled by the largest entry where squares would overflow or vanish."""
    with np.errstate(over="ignore"):
        squared = float(np.sum(np.square(x)))
    if SAFE_SQUARES[0] < squared < SAFE_SQUARES[1]:
        return math.sqrt(squared)
    largest = float(np.maximum(np.max(x), -np.min(x)))
    if largest == 0 or not np.isfinite(largest):
        return largest
    scaled = np.asarray(x / largest)
    return largest * float(np.sqrt(np.sum(np.multiply(scaled, scaled, out=scaled))))
