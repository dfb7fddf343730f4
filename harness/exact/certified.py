"""Exact numbers as a number of the target format and a residual, with the rung of the ladder that proved them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any

import numpy as np

from harness.exact.dyadic import Dyadic, round_dyadic
from harness.exact.ulp import FORMATS, round_to, ulp


class Rung(IntEnum):
    """What proved an entry; sums.py describes the ladder. `unsettled`: no rung has proved it yet."""

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
        return Proof(*(getattr(self, rung.name) + getattr(other, rung.name) for rung in fields(self)))


@dataclass(frozen=True)
class Certified:
    """Exact numbers, each as the nearest number of a target format and the remainder; four arrays of one shape.

    rounded: float64, the exact value rounded once to the format, half to even. An exact 0 is +0.0; a number that
    underflows to zero keeps its sign. residual: float64, exact - rounded. error: float64, bound of
    |residual - (exact - rounded)|: at most 2^-20 ulp of the exact value in the target format, plus 2^-1074 (which
    counts only for float64 results below 2^-1000), and 0 where rounded + residual is the exact value.
    rung: int8, the `Rung` that proved the entry.

    Where rounded is infinite or NaN the residual is 0. The error is then 0 if the exact answer is that infinity or
    NaN (rung `nonfinite`), and infinite if it is a number beyond the range of the format.
    """

    rounded: np.ndarray
    residual: np.ndarray
    error: np.ndarray
    rung: np.ndarray

    @property
    def proof(self) -> Proof:
        """The number of entries by rung; raises ValueError where an entry is unsettled."""
        counts = np.bincount(self.rung.ravel(), minlength=len(Rung)).tolist()
        if counts[Rung.unsettled]:
            raise ValueError(f"{counts[Rung.unsettled]} entries have no proof")
        return Proof(*counts[1:])  # the fields of Proof are in the order of Rung

    def map(self, function: Callable[[np.ndarray], np.ndarray]) -> Certified:
        """A function of an array (a reshape, a selection, a transpose) applied to all four arrays."""
        return Certified(*(function(getattr(self, field.name)) for field in fields(self)))


TOLERANCE = 2.0**-21
"""Largest radius of an interval that counts as a proof, in ulps of the target. Rounding the residual adds at most 2^-54
ulp, so the error stays below the 2^-20 ulp that `Certified` promises."""

WIDENING = 1 + 2.0**-50
"""Factor by which a bound is enlarged: the few operations that evaluate it round off less than that."""

SMALLEST_SAFE, LARGEST_SAFE = 2.0**-900, 2.0**1000
"""Range of the results that Ziv's test may prove: inside it, neither an ulp nor a scaled float64 underflows or
overflows. Results outside it are left to the integer rung."""


def unsettled(shape: tuple[int, ...]) -> Certified:
    """Entries that are still to be filled in."""
    return Certified(np.full(shape, np.nan), np.zeros(shape), np.zeros(shape), np.zeros(shape, dtype=np.int8))


def put(into: Certified, where: Any, entries: Certified) -> None:
    """Write entries in place, which is done only while an answer is being made."""
    for field in fields(into):
        getattr(into, field.name)[where] = getattr(entries, field.name)


def given(numbers: np.ndarray, dtype: str) -> Certified:
    """Float64 numbers as they are, rounded to the format; a number that the format holds has residual 0."""
    with np.errstate(invalid="ignore"):
        rounded = np.where(numbers == 0, 0.0, round_to(numbers, dtype))
        inside = np.isfinite(rounded)
        # exact: rounded is 0, or within a factor of two of the number (Sterbenz's lemma; Higham 2002, theorem 2.5)
        residual = np.where(inside, numbers - rounded, 0.0)
    error = np.where(np.isfinite(numbers) & ~inside, np.inf, 0.0)
    rung = np.where(np.isfinite(numbers), Rung.given, Rung.nonfinite).astype(np.int8)
    return Certified(rounded, residual, error, rung)


def settle_exactly(numbers: list[Dyadic], dtype: str) -> Certified:
    """(m,) entries by the integer rung."""
    columns = np.array([round_dyadic(number, dtype) for number in numbers]).reshape(-1, 3)
    rounded, residual, error = columns.T
    return Certified(rounded, residual, error, np.full(len(columns), Rung.integer, dtype=np.int8))


def settle(
    head: np.ndarray, tail: np.ndarray, error: np.ndarray, exponent: np.ndarray | int, dtype: str, rung: Rung
) -> Certified:
    """(m,) entries whose exact value lies within error 2^exponent of (head + tail) 2^exponent.

    head, tail, error: (m,) float64; head is head + tail rounded half to even. Ziv's test (Ziv 1991): an entry is
    proved, and gets the rung, where both ends of this interval round to the same number and its radius is within
    TOLERANCE. The others are unsettled.
    """
    with np.errstate(all="ignore"):
        high, low = np.ldexp(head, exponent), np.ldexp(tail, exponent)
        # Scaling down may lose bits below 2^-1074, of the tail or of the error.
        cut = (np.ldexp(low, -np.asarray(exponent)) != tail) | (error > 0)
        radius = (np.ldexp(error, exponent) + np.where(cut, 2.0**-1073, 0.0)) * WIDENING
        below, above = _ends(high, low, radius, dtype)
        rounded, other = round_to(below, dtype), round_to(above, dtype)
        # An exact zero is safe although it lies below the range.
        safe = (np.abs(high) >= SMALLEST_SAFE) & (np.abs(high) <= LARGEST_SAFE) | (high == 0) & (head == 0) & ~cut
        alike = (rounded == other) & (np.signbit(rounded) == np.signbit(other))
        short = radius <= TOLERANCE * np.minimum(ulp(below, dtype), ulp(above, dtype))
        residual, lost = two_sum(high - rounded, low)  # the difference is exact, as in `given`
        finite = np.isfinite(rounded)
        return Certified(
            np.where(high == 0, 0.0, rounded),
            np.where(finite, residual, 0.0),
            np.where(finite, (radius + np.abs(lost)) * WIDENING, np.inf),
            np.where(safe & alike & short, rung, Rung.unsettled).astype(np.int8),
        )


def _ends(high: np.ndarray, low: np.ndarray, radius: np.ndarray, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Float64 numbers that round to the format as the ends of high + low -+ radius do, or further out."""
    exact = radius == 0
    # low -+ wide is rounded once, by at most 2^-53 of itself, which 2^-51 and WIDENING cover
    wide = (radius + np.abs(low) * 2.0**-51) * WIDENING
    below, above = high + (low - wide), high + (low + wide)
    if FORMATS[dtype].p < FORMATS["float64"].p:
        # These sums were rounded to float64; only their outer neighbours are sure to enclose after a second rounding.
        below, above = np.nextafter(below, -np.inf), np.nextafter(above, np.inf)
        exact &= low == 0
    return np.where(exact, high, below), np.where(exact, high, above)


def two_sum(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """a + b rounded, and its exact rounding error.

    TwoSum (Knuth 1998, section 4.2.2; Ogita, Rump & Oishi 2005, algorithm 3.1); answers.py lists the sources in full.
    """
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)
