"""Units in the last place and rounding in the four formats; float64 arrays stand for the exact numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Format:
    """A binary format with p significant bits and normal exponents emin to emax (IEEE 754-2019, section 3.3).

    The standard does not define bfloat16, which has the exponents of binary32.
    """

    p: int
    emin: int
    emax: int

    @property
    def unit_roundoff(self) -> float:
        """2^-p, the bound of the relative error of rounding to nearest (Higham 2002, theorem 2.2)."""
        return 2.0**-self.p


FORMATS = {
    "float16": Format(p=11, emin=-14, emax=15),
    "bfloat16": Format(p=8, emin=-126, emax=127),
    "float32": Format(p=24, emin=-126, emax=127),
    "float64": Format(p=53, emin=-1022, emax=1023),
}


def ulp(x: np.ndarray, dtype: str) -> np.ndarray:
    """Spacing of the format at x: 2^(max(floor(log2 |x|), emin) - p + 1), and NaN where x is not finite.

    This is Goldberg's ulp for every real number (Muller 2005, On the definition of ulp(x)). x must be the exact value:
    what rounds up to a power of two has the shorter ulps of the binade below. Zeros and subnormal numbers have the
    spacing at emin.
    """
    form = FORMATS[dtype]
    _, exponent = np.frexp(x)  # |x| = f 2^exponent with 1/2 <= f < 1; np.log2 would round near powers of two
    floor_log2 = np.where(x == 0, form.emin, exponent - 1)
    spacing = np.ldexp(1.0, np.maximum(floor_log2, form.emin) - form.p + 1)
    return np.where(np.isfinite(x), spacing, np.nan)


def round_to(x: np.ndarray, dtype: str) -> np.ndarray:
    """x rounded once to the format, half to even, overflow to infinity; float64 in and out."""
    form = FORMATS[dtype]
    if dtype == "float64":
        return np.array(x, dtype=np.float64)
    spacing = ulp(x, dtype)
    with np.errstate(invalid="ignore", over="ignore"):
        # The spacing is a power of two, so np.rint (half to even) is the one operation that rounds.
        rounded = np.where(np.isfinite(x), np.rint(x / spacing) * spacing, x)
    largest = np.ldexp(2.0 - 2.0 ** (1 - form.p), form.emax)
    return np.where(np.abs(rounded) > largest, np.copysign(np.inf, x), rounded)


def ulp_error(
    got: np.ndarray,
    want: np.ndarray,
    dtype: str,
    residual: np.ndarray | float = 0.0,
    got_residual: np.ndarray | float = 0.0,
) -> np.ndarray:
    """|got + got_residual - exact| in ulps of exact = want + residual, where want is exact rounded to the format.

    Entry by entry; 0 where both are NaN or the same infinity; inf where only one is finite, or the infinities differ in
    sign.
    """
    error = absolute_error(got, want, residual - got_residual)
    spacing = ulp(want, dtype)
    fraction, exponent = np.frexp(want)
    # Where exact was rounded up to a power of two it lies in the binade below, whose ulps are half as long.
    below = (np.abs(fraction) == 0.5) & (residual * np.sign(want) < 0) & (exponent - 1 > FORMATS[dtype].emin)
    with np.errstate(invalid="ignore", over="ignore"):
        return np.where(np.isfinite(error) & (error > 0), error / np.where(below, spacing / 2, spacing), error)


def absolute_error(got: np.ndarray, want: np.ndarray, residual: np.ndarray | float = 0.0) -> np.ndarray:
    """|got - (want + residual)|; 0 where both are the same infinity or NaN, inf where they differ in that."""
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.asarray((got - want) - residual)
        np.abs(error, out=error)
    if np.isfinite(error).all():
        return error
    finite = np.isfinite(got) & np.isfinite(want)
    alike = (got == want) | (np.isnan(got) & np.isnan(want))
    return np.where(finite, error, np.where(alike, 0.0, np.inf))
