"""Products of a matrix with vectors, rounded once, with proof: sliced so that float64 products do not round.

Each row of A is split into two slices, multiples of a power of two, and a remainder; each vector into slices of a few
bits. Every product of two slices, summed in any order, is exact in float64, so BLAS computes it without error (Ozaki,
Ogita, Oishi & Rump 2012). The remainder of A, about 2^-54 of its row, is multiplied in float64 with an error bound.
Entries that the sum of these few terms does not prove go on to the other rungs of sums.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.exact.certified import Certified, Rung, put, settle, unsettled
from harness.exact.sums import GROWTH, exact_dot, settle_sums
from harness.exact.ulp import FORMATS

MATRIX_BITS = 27
"""Bits of a slice of a row of A. With the bits of a slice of the vector, and log2 d for the sum, they fill the 53 of
float64."""

VECTOR_BITS = 160
"""How far below its largest entry a vector is sliced, in bits; what is left enters the proof as a bound. Head and tail
of an entry together have 106 bits."""

SAFE_TOP = 2.0**300
"""Rows of A are sliced where their largest entry is at most this and at least its reciprocal: nothing then
underflows."""

BLOCK_ELEMENTS = 2**17
"""Entries of A in a block of its rows: the block, its slice and its remainder take 1 MiB each and stay in the cache."""


@dataclass(frozen=True)
class _Slices:
    """Vectors x (rows, d), divided by 2^scale and cut into s slices.

    columns: (s rows, d), all rows of one slice after all rows of the slice before. whole: (rows, d), the heads uncut.
    scale: (rows,) int. Upper bounds (rows,) of sums of |entries|: size of the heads, tail_size of the tails, missing of
    what is in no column or is not known.
    """

    columns: np.ndarray
    whole: np.ndarray
    scale: np.ndarray
    size: np.ndarray
    tail_size: np.ndarray
    missing: np.ndarray


def exact_product(A: np.ndarray, b: np.ndarray, dtype: str) -> Certified:
    """A b rounded to the format, with any bit patterns: (n,) for b (d,), or (rows, n) for b (rows, d).

    A: (n, d) float64, b: float64. A.T gives the transposed product; only blocks of its rows are copied, never all of
    A. Raises ValueError where d > 2^25.
    """
    vectors = np.atleast_2d(b)
    certified = attempt_product(A, vectors, dtype)
    for row, vector in enumerate(vectors):
        rest = np.flatnonzero(certified.rung[row] == Rung.unsettled)
        step = max(1, BLOCK_ELEMENTS // max(1, vector.size))
        for start in range(0, rest.size, step):
            places = rest[start : start + step]
            put(certified, (row, places), exact_dot(A[places], vector, dtype))
    return certified.map(lambda array: array[0]) if b.ndim == 1 else certified


def attempt_product(
    A: np.ndarray,
    heads: np.ndarray,
    dtype: str,
    *,
    tails: np.ndarray | None = None,
    errors: np.ndarray | None = None,
    exponent: int = 0,
) -> Certified:
    """2^exponent times A x, (rows, n); what the slices do not prove is left unsettled.

    A: (n, d) float64. x: (rows, d), exact numbers within errors of heads + tails, |tails| <= |heads|.
    """
    slices = _cut(heads, tails, errors)
    certified = unsettled((len(heads), len(A)))
    # The float64 product is tried first where its bound is narrow enough for a proof, as in sums.py.
    narrow = tails is None and errors is None and FORMATS[dtype].p + 21 + A.shape[1].bit_length() < 53
    step = max(1, BLOCK_ELEMENTS // max(1, A.shape[1]))
    for start in range(0, len(A), step):
        block = _block(A[start : start + step])
        places = (slice(None), slice(start, start + step))
        with np.errstate(all="ignore"):
            settled = _bounded(block, slices, exponent, dtype) if narrow else unsettled((len(heads), len(block)))
            rest = (settled.rung == Rung.unsettled).any(axis=0)
            if rest.any():
                sliced = _sliced(block if rest.all() else block[rest], slices, exponent, dtype)
                put(settled, (slice(None), rest), sliced)
        put(certified, places, settled)
    return certified


def _block(rows: np.ndarray) -> np.ndarray:
    """The rows, each contiguous. Rows of a transposed matrix are copied in two steps, three times as fast as in one."""
    if rows.strides[0] >= rows.strides[1]:
        return np.ascontiguousarray(rows)
    # Rows that lie a power of two of bytes apart would share the same few lines of the cache.
    padded = np.empty((rows.shape[0], rows.shape[1] + 8))[:, : rows.shape[1]]
    padded[...] = np.ascontiguousarray(rows.T).T
    return padded


def _bounded(a: np.ndarray, x: _Slices, exponent: int, dtype: str) -> Certified:
    """By the float64 product and its bound (Higham 2002, equation 3.13), which is enough for the narrow formats."""
    mass = np.abs(a) @ np.abs(x.whole).T
    top = _top(a)
    error = (a.shape[1] + 2) * GROWTH * mass
    error += np.where((top > 0)[:, None] & (x.size > 0), a.shape[1] * 2.0**-1073, 0.0)  # products may underflow
    heads = np.where(_sliceable(top)[:, None], a @ x.whole.T, np.nan)
    slack = np.where(np.isfinite(x.missing), error, np.inf)
    return _settle_block(heads[..., None], slack, x.scale + exponent, dtype, Rung.bound)


def _sliced(a: np.ndarray, x: _Slices, exponent: int, dtype: str) -> Certified:
    """By exact products of slices; (rows, m) of the block a (m, d)."""
    top = _top(a)
    # As in `_extract` of sums.py; the arrays are reused, or the block would not stay in the cache.
    anchor = np.ldexp(1.5, np.frexp(top)[1] - MATRIX_BITS + 52)[:, None]
    coarse = a + anchor
    coarse -= anchor
    rest = a - coarse
    terms = [coarse @ x.columns.T]
    anchor *= 2.0**-MATRIX_BITS
    np.add(rest, anchor, out=coarse)
    coarse -= anchor
    rest -= coarse
    terms.append(coarse @ x.columns.T)
    left = _top(rest)
    terms.append(rest @ x.whole.T)
    slack = left[:, None] * ((a.shape[1] + 2) * GROWTH * x.size + x.tail_size)
    slack += np.where((left > 0)[:, None] & (x.size > 0), a.shape[1] * 2.0**-1073, 0.0)
    slack += 1.0001 * top[:, None] * x.missing  # 1.0001, here and below, covers the roundings of the bound
    slack += np.where((top > 0)[:, None] & (x.missing > 0), 2.0**-1073, 0.0)  # that product may underflow
    slack[~_sliceable(top)] = np.inf
    rows = len(x.whole)
    shaped = np.concatenate([term.reshape(len(a), -1, rows) for term in terms], axis=1).transpose(0, 2, 1)
    return _settle_block(shaped, 1.0001 * slack, x.scale + exponent, dtype, Rung.sliced)


def _settle_block(terms: np.ndarray, slack: np.ndarray, scale: np.ndarray, dtype: str, rung: Rung) -> Certified:
    """(rows, m) entries from terms (m, rows, L), slack (m, rows) and scale (rows,)."""
    shape = terms.shape[:2]
    exponents = np.broadcast_to(scale, shape).ravel()
    if rung is Rung.bound:
        settled = settle(terms.ravel(), np.zeros(terms.size), slack.ravel(), exponents, dtype, rung)
    else:
        settled = settle_sums(terms.reshape(-1, terms.shape[-1]), slack.ravel(), exponents, dtype, rung)
    return settled.map(lambda array: array.reshape(shape).T)


def _cut(heads: np.ndarray, tails: np.ndarray | None, errors: np.ndarray | None) -> _Slices:
    """The slices of vectors; `missing` is infinite for a vector that cannot be scaled to 1 without error."""
    length = heads.shape[-1]
    bits = 53 - MATRIX_BITS - (length - 1).bit_length() if length > 1 else 53 - MATRIX_BITS
    if bits < 1:
        raise ValueError(f"a product over {length} entries; at most {2 ** (52 - MATRIX_BITS)} can be sliced")
    parts = heads[None] if tails is None else np.stack([heads, tails])
    with np.errstate(all="ignore"):
        scale = np.frexp(np.abs(heads).max(axis=-1, initial=0.0))[1].astype(np.int64)
        rest = np.ldexp(parts, -scale[:, None])
        usable = ((np.ldexp(rest, scale[:, None]) == parts) & (np.abs(rest) <= 1)).all(axis=(0, -1))
        rest = np.where(usable[:, None], rest, 0.0)
        size = np.abs(rest).sum(axis=-1) * (1 + 2.0**-20)
        columns, left = _cut_parts(rest, bits)
        missing = np.abs(left).sum(axis=(0, -1))
        if errors is not None:
            missing += np.ldexp(errors, -scale[:, None]).sum(axis=-1) + errors.any(axis=-1) * (length * 2.0**-1073)
    missing = np.where(usable, missing * (1 + 2.0**-20), np.inf)
    return _Slices(columns, rest[0], scale, size[0], size[1:].sum(axis=0), missing)


def _cut_parts(rest: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """(the slices that are not all zero (s rows, d), what is left (p, rows, d)) of parts (p, rows, d) of at most 1."""
    columns: list[np.ndarray] = []
    for low in range(bits, VECTOR_BITS + bits, bits):
        anchor = 1.5 * 2.0 ** (52 - low)
        coarse = (rest + anchor) - anchor
        rest = rest - coarse
        columns.extend(part for part in coarse if part.any())
        if not rest.any():
            break
    return np.concatenate(columns or [rest[0]]), rest


def _sliceable(top: np.ndarray) -> np.ndarray:
    return (top == 0) | (top >= 1 / SAFE_TOP) & (top <= SAFE_TOP)


def _top(a: np.ndarray) -> np.ndarray:
    """Largest magnitude in each row; NaN for a row that holds one."""
    return np.maximum(a.max(axis=-1, initial=0.0), -a.min(axis=-1, initial=0.0))
