"""Exact numbers as a number of a format and a residual, each with the rung of the ladder that proved it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any

import numpy as np

from harness.exact.dyadic import Dyadic, round_dyadic
from harness.exact.ulp import FORMATS, round_to, ulp


class Rung(IntEnum):
    """What proved an entry; `unsettled`: nothing yet. sums.py explains them."""

    unsettled = 0
    given = 1
    bound = 2
    double = 3
    sliced = 4
    integer = 5
    nonfinite = 6


@dataclass(frozen=True)
class Proof:
    """How many entries each rung settled; proofs add up."""

    given: int = 0
    bound: int = 0
    double: int = 0
    sliced: int = 0
    integer: int = 0
    nonfinite: int = 0

    def __add__(self, other: Proof) -> Proof:
        return Proof(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))


@dataclass(frozen=True)
class Certified:
    """Exact numbers, each as a number of a target format and what it lacks; four arrays of one shape.

    rounded: float64, the exact value rounded once to the format, half to even. An exact 0 is +0.0; what vanishes by
    underflow keeps its sign. residual: float64, exact - rounded. error: float64 bound of
    |residual - (exact - rounded)|: at most 2^-20 ulp of the exact value in the target format, plus 2^-1074 (which
    counts only for float64 results under 2^-1000), and 0 where rounded + residual is the exact value.
    rung: int8, the `Rung` that proved the entry.

    Where rounded is infinite or NaN the residual is 0; the error is then 0 if the exact answer is that infinity or
    NaN (rung `nonfinite`) and infinite if it is a number beyond the range of the format.
    """

    rounded: np.ndarray
    residual: np.ndarray
    error: np.ndarray
    rung: np.ndarray

    @property
    def proof(self) -> Proof:
        """The entries by rung; raises ValueError where one is unsettled."""
        counts = np.bincount(self.rung.ravel(), minlength=len(Rung)).tolist()
        if counts[Rung.unsettled]:
            raise ValueError(f"{counts[Rung.unsettled]} entries have no proof")
        return Proof(*counts[1:])

    def map(self, function: Callable[[np.ndarray], np.ndarray]) -> Certified:
        """The four arrays through one function: reshape, select, transpose."""
        return Certified(*(function(getattr(self, each.name)) for each in fields(self)))


TOLERANCE = 2.0**-21
"""In ulps of the target, the widest interval of a proof; the rounding of the residual adds at most 2^-54."""

WIDENING = 1 + 2.0**-50
"""More than the rounding of the few operations that evaluate a bound takes away from it."""

SMALLEST_SAFE, LARGEST_SAFE = 2.0**-900, 2.0**1000
"""Between these neither an ulp nor a scaled float64 underflows or overflows; outside the integers decide."""


def unsettled(shape: tuple[int, ...]) -> Certified:
    """Entries to be filled in."""
    return Certified(np.full(shape, np.nan), np.zeros(shape), np.zeros(shape), np.zeros(shape, dtype=np.int8))


def put(into: Certified, where: Any, found: Certified) -> None:
    """Write entries in place: only while an answer is being made."""
    for each in fields(into):
        getattr(into, each.name)[where] = getattr(found, each.name)


def given(numbers: np.ndarray, dtype: str) -> Certified:
    """Float64 numbers as they are, rounded to the format; those that it holds have residual 0."""
    with np.errstate(invalid="ignore"):
        rounded = np.where(numbers == 0, 0.0, round_to(numbers, dtype))
        inside = np.isfinite(rounded)
        # exact: rounded is 0, or within a factor of two of the number (Sterbenz's lemma, Higham 2002, theorem 2.5)
        residual = np.where(inside, numbers - rounded, 0.0)
    error = np.where(np.isfinite(numbers) & ~inside, np.inf, 0.0)
    rung = np.where(np.isfinite(numbers), Rung.given, Rung.nonfinite).astype(np.int8)
    return Certified(rounded, residual, error, rung)


def settle_exactly(numbers: list[Dyadic], dtype: str) -> Certified:
    """(m,) entries by the integer rung."""
    found = np.array([round_dyadic(number, dtype) for number in numbers]).reshape(-1, 3)
    rounded, residual, error = found.T
    return Certified(rounded, residual, error, np.full(len(found), Rung.integer, dtype=np.int8))


def settle(
    head: np.ndarray, tail: np.ndarray, error: np.ndarray, exponent: np.ndarray | int, dtype: str, rung: Rung
) -> Certified:
    """(m,) entries whose exact value is within error 2^exponent of (head + tail) 2^exponent, where that proves them.

    head, tail, error: float64, |tail| <= ulp(head) / 2. Ziv's test (Ziv 1991): both ends of the interval round alike.
    """
    with np.errstate(all="ignore"):
        high, low = np.ldexp(head, exponent), np.ldexp(tail, exponent)
        cut = (np.ldexp(low, -np.asarray(exponent)) != tail) | (error > 0)  # may have lost bits under 2^-1074
        reach = (np.ldexp(error, exponent) + np.where(cut, 2.0**-1073, 0.0)) * WIDENING
        below, above = _ends(high, low, reach, dtype)
        rounded, other = round_to(below, dtype), round_to(above, dtype)
        safe = (np.abs(high) >= SMALLEST_SAFE) & (np.abs(high) <= LARGEST_SAFE) | (high == 0) & (head == 0) & ~cut
        alike = (rounded == other) & (np.signbit(rounded) == np.signbit(other))
        short = reach <= TOLERANCE * np.minimum(ulp(below, dtype), ulp(above, dtype))
        residual, lost = two_sum(high - rounded, low)  # the difference is exact, as in `given`
        finite = np.isfinite(rounded)
        return Certified(
            np.where(high == 0, 0.0, rounded),
            np.where(finite, residual, 0.0),
            np.where(finite, (reach + np.abs(lost)) * WIDENING, np.inf),
            np.where(safe & alike & short, rung, Rung.unsettled).astype(np.int8),
        )


def _ends(high: np.ndarray, low: np.ndarray, reach: np.ndarray, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Float64 numbers that round to the format as, or beyond, the ends of high + low -+ reach."""
    exact = reach == 0
    wide = (reach + np.abs(low) * 2.0**-51) * WIDENING  # low -+ wide is rounded once: by less than |low -+ wide| 2^-53
    below, above = high + (low - wide), high + (low + wide)
    if FORMATS[dtype].p < FORMATS["float64"].p:
        # these sums were rounded, and to round them again to the format is sure only from outside
        below, above = np.nextafter(below, -np.inf), np.nextafter(above, np.inf)
        exact &= low == 0
    return np.where(exact, high, below), np.where(exact, high, above)


def two_sum(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """a + b rounded, and the exact rest (Knuth; Ogita, Rump & Oishi 2005, algorithm 3.1)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)
