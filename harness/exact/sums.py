"""Sums and dot products, rounded once, with proof: a ladder of rungs, from the cheapest to the one that always decides.

An entry that one rung cannot prove goes on to the next:

- `given`: a single number, nothing is added;
- `bound`: the float64 sum and its error bound;
- `double`: two error-free extractions, and the float64 sum of what remains: about twice the precision;
- `sliced`: the same for all products of a matrix at once (product.py);
- `integer`: exact integers (dyadic.py);
- `nonfinite`: an infinity or a NaN was among the inputs, and the rules of IEEE 754 give the answer.

Every bound is evaluated in round-to-nearest and then enlarged by more than that evaluation can round off. A value is
proved where both ends of its interval round to the same number (Ziv 1991) and the interval is short enough for the
residual to be known to 2^-20 ulp. answers.py lists the sources in full.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness.exact.certified import (
    WIDENING,
    Certified,
    Rung,
    given,
    put,
    settle,
    settle_exactly,
    two_sum,
    unsettled,
)
from harness.exact.dyadic import integer_dot
from harness.exact.ulp import FORMATS

ELEMENTS_AT_ONCE = 2**17
"""Terms in a chunk: temporaries of 1 MiB stay in the cache."""

GROWTH = 1.0625 * 2.0**-53
"""n GROWTH times the float64 sum of n |terms| is at least gamma_n times their exact sum, for every n below 2^40.

gamma_n = n u / (1 - n u) bounds the error of every order of summation, with or without fused multiply-add (Higham 2002,
sections 3.1 and 2.6); the factor 1.0625 covers 1 - n u and the rounding of the float64 sum itself."""

SMALLEST_TOP, LARGEST_TOP = 2.0**-850, 2.0**900
"""Range of the largest term of a sum: inside it, no step of the two extractions underflows or overflows. Sums outside
it are left to the integer rung."""

SMALLEST_PRODUCT = 2.0**-960
"""The parts of a float64 product of at least this size are multiples of 2^-1066, so nothing underflows."""

UNSCALED = 50
"""A row of factors is scaled to 1 only where the exponent of its largest entry is larger than this in magnitude."""


def exact_sum(terms: np.ndarray, dtype: str) -> Certified:
    """The sums over the last axis of float64 terms (..., L), any bit patterns, rounded to the format: (...)."""
    return exact_dot(terms, np.ones(1), dtype)


def exact_dot(a: np.ndarray, b: np.ndarray, dtype: str) -> Certified:
    """The dot products over the last axis of float64 a and b, which broadcast to (..., L); any bit patterns: (...)."""
    shape = np.broadcast_shapes(a.shape, b.shape)
    a, b = (np.broadcast_to(factor, shape if len(shape) > 1 else (1, *shape)) for factor in (a, b))
    certified = attempt_dot(a, b, dtype)
    for places in chunks(np.flatnonzero(certified.rung == Rung.unsettled), a.shape):
        put(certified, places, settle_exactly(integer_dot(a[places], b[places]), dtype))
    return certified.map(lambda array: array.reshape(shape[:-1]))


def attempt_dot(
    a: np.ndarray, b: np.ndarray, dtype: str, slack: np.ndarray | None = None, exponent: int = 0
) -> Certified:
    """2^exponent times the dot products, by the rungs below the integers; what these do not prove stays unsettled.

    a, b: float64, broadcast to (..., L), at least two axes. slack: float64, broadcast to (...), how far the exact
    answer may lie from the dot product before the factor 2^exponent; the proof covers it.
    """
    a, b = np.broadcast_arrays(a, b)
    slack = np.broadcast_to(0.0 if slack is None else slack, a.shape[:-1])
    certified = unsettled(a.shape[:-1])
    for places in chunks(np.arange(certified.rung.size), a.shape):
        put(certified, places, _attempt_rows(a[places], b[places], dtype, slack[places], exponent))
    return certified


def settle_sums(terms: np.ndarray, slack: np.ndarray, exponent: np.ndarray | int, dtype: str, rung: Rung) -> Certified:
    """(m,) entries 2^exponent times the exact sums of finite terms (m, L), which are known to within slack (m,).

    Two error-free extractions (ExtractVector of Rump, Ogita & Oishi 2008, part I): the multiples of a power of two that
    are split off each term are so coarse that their sum is exact in any order. What remains of the terms after the
    second is summed in float64, with its error bound.
    """
    length = terms.shape[-1]
    growth_bits = max(2, (length - 1).bit_length())  # length <= 2^growth_bits; `_extract` needs at least 2
    with np.errstate(all="ignore"):
        top = np.abs(terms).max(axis=-1, initial=0.0)
        grid = np.frexp(top)[1] + growth_bits - 53  # |terms| <= 2^(53 - growth_bits) units of 2^grid
        first, rest = _extract(terms, grid)
        second, rest = _extract(rest, grid - 1 + growth_bits - 53)  # |rest| is at most half a unit
        mass = np.abs(rest).sum(axis=-1)
        head, tail, lost = _renormalise(first, second, rest.sum(axis=-1))
        error = np.where(mass > 0, length * GROWTH * mass + 2.0**-1073, 0.0) + slack + np.abs(lost)
        safe = (top == 0) | (top >= SMALLEST_TOP) & (top <= LARGEST_TOP)
        return settle(head, tail, np.where(safe, error * WIDENING, np.inf), exponent, dtype, rung)


def _extract(terms: np.ndarray, grid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(sums (m,) of the terms rounded to multiples of 2^grid, remainders (m, L) of the terms), both exact.

    Adding and subtracting the anchor 1.5 2^(grid + 52) rounds a term to the grid, as long as the sum stays in the
    binade of the anchor: |terms| <= 2^(grid + 51).
    """
    anchor = np.ldexp(1.5, grid + 52)[:, None]
    coarse = terms + anchor
    coarse -= anchor
    return coarse.sum(axis=-1), terms - coarse


def _renormalise(first: np.ndarray, second: np.ndarray, third: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(head, tail, lost) with the exact sum of the three numbers; head is head + tail rounded."""
    head, tail = two_sum(first, second)
    tail, low = two_sum(tail, third)
    head, tail = two_sum(head, tail)
    tail, lost = two_sum(tail, low)
    return *two_sum(head, tail), lost


def _attempt_rows(a: np.ndarray, b: np.ndarray, dtype: str, slack: np.ndarray, exponent: int) -> Certified:
    """`attempt_dot` of a, b (m, L) and slack (m,)."""
    finite = np.isfinite(a).all(axis=-1) & np.isfinite(b).all(axis=-1)
    if finite.all():
        return _attempt_finite(a, b, dtype, slack, exponent)
    certified = unsettled(finite.shape)
    put(certified, ~finite, given(ieee_dot(a[~finite], b[~finite]), dtype))
    put(certified, finite, _attempt_finite(a[finite], b[finite], dtype, slack[finite], exponent))
    return certified


def _attempt_finite(a: np.ndarray, b: np.ndarray, dtype: str, slack: np.ndarray, exponent: int) -> Certified:
    if not (_single(a) and _single(b)):
        terms, scale, loss = _products(a, b)
        with np.errstate(under="ignore", over="ignore"):
            scaled = np.where(slack > 0, np.ldexp(slack, -scale) * WIDENING + 2.0**-1073, slack)
        return settle_sums(terms, scaled + loss, scale + exponent, dtype, Rung.double)
    terms = a * b  # exact: at most 48 bits, between 2^-298 and 2^256
    # A proof needs an interval within 2^-21 ulp, and the bound of L terms is at least L 2^-53 of the result: for wide
    # formats and long sums the float64 sum proves nothing.
    if FORMATS[dtype].p + 21 + a.shape[-1].bit_length() > 53:
        return settle_sums(terms, slack, exponent, dtype, Rung.double)
    sums, error = terms.sum(axis=-1), a.shape[-1] * GROWTH * np.abs(terms).sum(axis=-1)
    certified = settle(sums, np.zeros_like(sums), (error + slack) * WIDENING, exponent, dtype, Rung.bound)
    rest = certified.rung == Rung.unsettled
    put(certified, rest, settle_sums(terms[rest], slack[rest], exponent, dtype, Rung.double))
    return certified


def _products(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(terms (m, 2 L), scale (m,), loss (m,)): a row's dot product is within loss 2^scale of sum(terms) 2^scale.

    TwoProduct without fused multiply-add (Dekker and Veltkamp; Ogita, Rump & Oishi 2005, algorithm 3.3). The loss comes
    from products below SMALLEST_PRODUCT: their parts may underflow, and so may their factors when scaled.
    """
    (x, x_scale), (y, y_scale) = _scaled(a), _scaled(b)
    with np.errstate(under="ignore"):
        product = x * y
        tiny = np.abs(product) < SMALLEST_PRODUCT
        x_high, x_low = _split(x)
        y_high, y_low = _split(y)
        rest = x_low * y_low - (((product - x_high * y_high) - x_low * y_high) - x_high * y_low)
    lossy = (tiny & (a != 0) & (b != 0)).any(axis=-1)
    # A tiny product errs by far less than 2^-1000: some ten roundings of 2^-53 of itself, and, where a factor
    # underflowed when it was scaled, 2^-1075 times the other factor (at most 2^51).
    return np.concatenate([product, rest], axis=-1), x_scale + y_scale, lossy * (a.shape[-1] * 2.0**-1000)


def _scaled(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(x 2^-e by rows, e (m,)): e is 0 where the largest entry of a row is within 2^UNSCALED of 1 already."""
    exponent = np.frexp(np.abs(x).max(axis=-1, initial=0.0))[1].astype(np.int64)
    exponent[np.abs(exponent) <= UNSCALED] = 0
    with np.errstate(under="ignore"):
        return (np.ldexp(x, -exponent[:, None]) if exponent.any() else x), exponent


def _split(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(high, low) of at most 26 bits each, with x = high + low (Veltkamp's splitting)."""
    shifted = x * 134217729.0  # 2^27 + 1
    high = shifted - (shifted - x)
    return high, x - high


def _single(x: np.ndarray) -> bool:
    """Whether every entry of x is a float32 number: products of two such numbers are exact in float64."""
    with np.errstate(over="ignore", under="ignore"):
        return bool((x.astype(np.float32) == x).all())


def ieee_dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The NaN or infinity that IEEE 754 gives for dot products over the last axis; elsewhere some finite number.

    a, b: (..., L). A finite factor counts by its sign alone, so that no finite product overflows.
    """
    with np.errstate(invalid="ignore"):
        signs = [np.where(np.isfinite(factor), np.sign(factor), factor) for factor in (a, b)]
        answer: np.ndarray = (signs[0] * signs[1]).sum(axis=-1)
    return answer


def chunks(places: np.ndarray, shape: tuple[int, ...]) -> Iterator[tuple[np.ndarray, ...]]:
    """Flat places as indices into shape[:-1], in chunks of at most ELEMENTS_AT_ONCE terms, or of one place."""
    step = max(1, ELEMENTS_AT_ONCE // max(1, shape[-1]))
    for start in range(0, len(places), step):
        yield np.unravel_index(places[start : start + step], shape[:-1])
