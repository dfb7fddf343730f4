"""Dyadic numbers N 2^e with Python integers N: exact sums and products, and one rounding at the end.

This is the last rung of the ladder in sums.py: slow, and right for every finite float64.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np

from harness.exact.ulp import FORMATS, Format

Dyadic = tuple[int, int]
"""(N, e) stands for N 2^e."""

HALF_BITS = 27
"""Mantissas of 53 bits are split here, so that products of the halves (at most 2^54) fit int64."""

WEIGHT_BITS = 28
"""Those products are split here before np.bincount adds them in float64: 2^25 weights below 2^28 sum to less than 2^53,
so no addition rounds."""

LONGEST_COUNT = 2**20
"""Products of one row in a call of np.bincount: far fewer than those 2^25, which keeps the memory small."""

MOST_SLOTS = 2**21
"""Entries of one table of sums by exponent; six float64 tables (96 MiB together) exist at a time."""


def dyadic_of(x: float) -> Dyadic:
    """A finite float64 as (N, e)."""
    fraction, exponent = math.frexp(x)
    return int(math.ldexp(fraction, 53)), exponent - 53


def total(terms: Iterable[Dyadic]) -> Dyadic:
    """The exact sum; (0, 0) of no terms."""
    nonzero = [(number, exponent) for number, exponent in terms if number]
    if not nonzero:
        return 0, 0
    least = min(exponent for _, exponent in nonzero)
    return sum(number << (exponent - least) for number, exponent in nonzero), least


def product(a: Dyadic, b: Dyadic) -> Dyadic:
    """The exact product."""
    return a[0] * b[0], a[1] + b[1]


def comparable(numbers: list[Dyadic]) -> list[int]:
    """Integers in the order of the numbers: each number in units of 2^(the least exponent)."""
    least = min((exponent for number, exponent in numbers if number), default=0)
    return [number << (exponent - least) if number else 0 for number, exponent in numbers]


def round_dyadic(number: Dyadic, dtype: str) -> tuple[float, float, float]:
    """(rounded, residual, error): the number rounded once to the format, and exact - rounded rounded once to float64.

    Half to even; subnormals and overflow as IEEE 754-2019, section 4.3.1. A negative number that underflows to zero
    gives -0.0; an exact 0 gives +0.0. error bounds |residual - (exact - rounded)| and is 0 where the residual is exact.
    Where rounded is infinite, residual is 0 and error infinite.
    """
    rounded, rest = _nearest(number, FORMATS[dtype])
    if math.isinf(rounded):
        return rounded, 0.0, math.inf
    residual, lost = _nearest(rest, FORMATS["float64"])
    # lost is at most half an ulp of a normal residual, and at most 2^-1075 of a subnormal one
    return rounded, residual, 2.0**-52 * abs(residual) + 2.0**-1074 if lost[0] else 0.0


def _nearest(number: Dyadic, form: Format) -> tuple[float, Dyadic]:
    """The nearest number of the format, and the exact remainder."""
    N, e = number
    if not N:
        return 0.0, (0, 0)
    sign = 1 if N > 0 else -1
    last = max(abs(N).bit_length() - 1 + e, form.emin) - form.p + 1  # exponent of the last place, also of subnormals
    kept = abs(N) << (e - last) if e >= last else _shift_half_even(abs(N), last - e)
    if kept.bit_length() - 1 + last > form.emax:
        return sign * math.inf, (0, 0)
    return sign * math.ldexp(kept, last), total([number, (-sign * kept, last)])


def _shift_half_even(N: int, bits: int) -> int:
    """N 2^-bits to the nearest integer, half to even; N >= 0, bits > 0."""
    quotient, half = N >> bits, 1 << (bits - 1)
    rest = N - (quotient << bits)
    return quotient + (rest > half or (rest == half and quotient & 1))


def integer_dot(a: np.ndarray, b: np.ndarray) -> list[Dyadic]:
    """The exact dot products of the rows of a with those of b; a, b: (m, L), finite float64."""
    sums: list[Dyadic] = [(0, 0)] * len(a)
    for start in range(0, a.shape[-1], LONGEST_COUNT):
        piece = slice(start, start + LONGEST_COUNT)
        partial = _short_dots(a[:, piece], b[:, piece])
        sums = [total(pair) for pair in zip(sums, partial, strict=True)]
    return sums


def _short_dots(a: np.ndarray, b: np.ndarray) -> Iterator[Dyadic]:
    (a_number, a_exponent), (b_number, b_exponent) = _decompose(a), _decompose(b)
    exponent = a_exponent + b_exponent
    nonzero = (a_number != 0) & (b_number != 0)
    least = int(exponent[nonzero].min()) if nonzero.any() else 0
    slots = np.where(nonzero, exponent - least, 0)  # the exponents of zeros must not widen the tables
    width = int(slots.max(initial=0)) + 1
    step = max(1, MOST_SLOTS // width)
    for start in range(0, len(a), step):
        rows = slice(start, start + step)
        tables = list(_sums_by_exponent(a_number[rows], b_number[rows], slots[rows], width))
        yield from _assemble(tables, least)


def _decompose(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """int64 arrays (number, exponent) with x = number 2^exponent and |number| < 2^53."""
    fraction, exponent = np.frexp(x)
    return np.ldexp(fraction, 53).astype(np.int64), exponent.astype(np.int64) - 53


def _sums_by_exponent(a: np.ndarray, b: np.ndarray, slots: np.ndarray, width: int) -> Iterator[tuple[int, np.ndarray]]:
    """Six tables (shift, sums (m, width)).

    The dot product of a row, in units of 2^(least exponent), is the sum of sums[slot] 2^(slot + shift) over all tables.
    """
    flat = (slots + width * np.arange(len(a))[:, None]).ravel()
    a_high, a_low = _split(a, HALF_BITS)
    b_high, b_low = _split(b, HALF_BITS)
    products = {2 * HALF_BITS: a_high * b_high, HALF_BITS: a_high * b_low + a_low * b_high, 0: a_low * b_low}
    for shift, values in products.items():
        high, low = _split(values, WEIGHT_BITS)
        for extra, weights in ((WEIGHT_BITS, high), (0, low)):
            sums = np.bincount(flat, weights=weights.ravel(), minlength=len(a) * width)
            yield shift + extra, sums.reshape(len(a), width)


def _split(x: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """(high, low) with x = high 2^bits + low and 0 <= low < 2^bits, for negative x too."""
    return x >> bits, x & ((1 << bits) - 1)


def _assemble(tables: list[tuple[int, np.ndarray]], least: int) -> Iterator[Dyadic]:
    """The dot product of each row, from its sums in all tables."""
    for row in range(len(tables[0][1])):
        number = 0
        for shift, sums in tables:
            filled = np.flatnonzero(sums[row])
            for slot, value in zip(filled.tolist(), sums[row, filled].tolist(), strict=True):
                number += int(value) << (slot + shift)
        yield number, least
