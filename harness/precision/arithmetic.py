"""The arithmetic that a product of torch is computed in, and the rounding error bound of one inner product in it.

An inner product of m terms in arithmetic of unit roundoff u errs by at most gamma_m(u) sum |terms|, in any order of
summation (Higham 2002, section 3.1). Inner products of float16 and bfloat16 are accumulated in float32 and rounded
once to their own format at the end, so storage and accumulation have units of their own. If the rounding errors are
independent with mean zero, gamma~_m = exp(lambda sqrt(m) u + m u² / (1 - u)) - 1 takes the place of gamma_m with
probability at least 1 - 2 m exp(-lambda² (1 - u)² / 2) (Higham & Mary 2019, theorem 3.1).

All bounds are float64, and enlarged by more than their own evaluation can round off.

Sources: Higham 2002, Accuracy and Stability of Numerical Algorithms, 2nd ed.; Jeannerod & Rump 2013, Improved error
bounds for inner products in floating-point arithmetic (SIAM J. Matrix Anal. Appl. 34); Higham & Mary 2019, A new
approach to probabilistic rounding error analysis (SIAM J. Sci. Comput. 41).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from harness.exact.ulp import FORMATS, Format

LAMBDA = 5.0
"""lambda of the probabilistic bound, which then fails for an inner product of m terms with probability below
7.5e-6 m."""

ENLARGED = 1 + 2.0**-40
"""Factor that covers the few operations that evaluate a bound; the sums in a bound are enlarged by their own gamma."""

TF32 = Format(p=10, emin=-126, emax=127)
"""float32 with 11 significant bits, the format that tensor cores read (NVIDIA A100 white paper, 2020), counted as 10.

torch's products on an A100 round to nearest (Triton issue 4574), but other hardware cuts the bits off (AMD's XF32:
Triton pull request 11783). That errs by up to 2^-10, as rounding to 10 bits does.
"""

SUMMED_IN_STORAGE = ("torch-default", "reduced-reductions")
"""Modes in which cuBLAS may add partial sums of float16 or bfloat16 products in that format (PyTorch's notes on
numerical accuracy: reduced precision reduction). After how many terms is not documented, so the bound assumes that
every addition rounds to it."""

REDUCED = {"autocast-bfloat16": FORMATS["bfloat16"], "autocast-float16": FORMATS["float16"], "tf32": TF32}
"""mode -> the format to which it rounds the factors of products; autocast rounds the results to it too."""


def reduced_format(dtype: str, mode: str) -> Format | None:
    """The format to which a mode rounds the factors of products of this dtype; None where it leaves them as they are.

    TF32 concerns float32 alone; autocast casts every floating dtype but float64 (torch: ATen/autocast_mode.h).
    """
    cast = dtype == "float32" if mode == "tf32" else dtype != "float64"
    return REDUCED[mode] if mode in REDUCED and cast and REDUCED[mode] != FORMATS[dtype] else None


Growth = Callable[[np.ndarray, float], np.ndarray]
"""(numbers of terms, unit roundoff) -> the factor of sum |terms|: `gamma` or `gamma_probable`."""


@dataclass(frozen=True)
class Arithmetic:
    """The formats of a product: results in `storage`, sums in `accumulation`, factors first rounded to `factors`."""

    storage: Format
    accumulation: Format
    factors: Format | None = None

    @classmethod
    def of(cls, dtype: str, mode: str = "ieee") -> Arithmetic:
        """The arithmetic of torch's products: halves are accumulated in float32, except in modes SUMMED_IN_STORAGE."""
        form, single = FORMATS[dtype], FORMATS["float32"]
        if (reduced := reduced_format(dtype, mode)) is not None:
            # Gradients are cast back to the dtype of the inputs, so the coarser of the two formats rounds last.
            storage = single if mode == "tf32" else min(form, reduced, key=lambda candidate: candidate.p)
            return cls(storage, single, reduced)
        in_storage = form.p >= single.p or mode in SUMMED_IN_STORAGE
        return cls(form, form if in_storage else single)

    @property
    def infinite_from(self) -> float:
        """The least magnitude of a factor that a product reads as infinite; inf where factors are not rounded first."""
        return math.inf if self.factors is None else math.ldexp(2 - 2.0**-self.factors.p, self.factors.emax)

    def accumulating_in_storage(self) -> Arithmetic:
        """The arithmetic of a sum that rounds to the storage format after each addition."""
        return replace(self, accumulation=self.storage)


def gamma(terms: np.ndarray, u: float) -> np.ndarray:
    """m u / (1 - m u) (Higham 2002, lemma 3.1), and 2 m u where m u > 1/2.

    Jeannerod & Rump 2013 prove m u for inner products of every length and in every order: without it a sum of 256 terms
    that is accumulated in bfloat16 would have no bound.
    """
    grown: np.ndarray = terms * u / np.maximum(1 - terms * u, 0.5)
    return grown


def gamma_probable(terms: np.ndarray, u: float) -> np.ndarray:
    """exp(lambda sqrt(m) u + m u² / (1 - u)) - 1 with lambda = LAMBDA (Higham & Mary 2019, theorem 2.4)."""
    with np.errstate(over="ignore"):  # from some ten million terms in bfloat16 the factor is infinite
        grown: np.ndarray = np.expm1(LAMBDA * np.sqrt(terms) * u + terms * u * u / (1 - u))
    return grown


def smallest(form: Format) -> float:
    """The smallest subnormal number of a format."""
    return float(2.0 ** (form.emin - form.p + 1))


@dataclass(frozen=True)
class SumBound:
    """Bound of |computed - exact| of an inner product: of_size sum |terms| + of_result |computed| + least.

    of_size, least: float64, shaped as the numbers of terms. Where sum |terms| is 0, the first summand is 0 even if
    of_size is infinite.
    """

    of_size: np.ndarray
    of_result: float
    least: np.ndarray

    @classmethod
    def of(cls, count: int | np.ndarray, arithmetic: Arithmetic, growth: Growth = gamma) -> SumBound:
        """The bound for inner products of count terms.

        Factors rounded to a format of unit roundoff u add a relative error of 2 u + u² to each product. Every product
        and the result may underflow gradually, by half the smallest subnormal number. A factor that underflows errs by
        as much, times the other factor: covered where no factor is above 1.
        """
        terms = np.asarray(count, dtype=float)
        factor = growth(terms, arithmetic.accumulation.unit_roundoff)
        if arithmetic.factors:
            u = arithmetic.factors.unit_roundoff
            factor = factor + (2 * u + u * u) * (1 + factor)
        least, last = terms * smallest(arithmetic.factors or arithmetic.accumulation), 0.0
        if arithmetic.storage != arithmetic.accumulation:
            least, last = least + smallest(arithmetic.storage), arithmetic.storage.unit_roundoff
        added = float(enlarged(np.array(1.0), 1))  # covers the addition of the three parts
        return cls(enlarged(factor, terms) * added, last * added, least * added)


def sum_bound(
    count: int | np.ndarray, size: np.ndarray, result: np.ndarray, arithmetic: Arithmetic, growth: Growth = gamma
) -> np.ndarray:
    """Bounds of |computed - exact| of inner products, float64.

    count: numbers of terms; size: sums of |terms|; result: the computed sums, whose last rounding is bounded by them.
    All broadcast.
    """
    parts = SumBound.of(count, arithmetic, growth)
    with np.errstate(invalid="ignore"):
        bound: np.ndarray = parts.of_size * size
        if np.isinf(parts.of_size).any():
            bound = np.where(size == 0, 0.0, bound)  # infinity times 0 would be NaN
        bound = bound + parts.least
        return bound + parts.of_result * np.abs(result) if parts.of_result else bound


def enlarged(bound: np.ndarray, count: int | np.ndarray) -> np.ndarray:
    """The bound, enlarged by more than a float64 sum of count terms and a few more operations can round off."""
    rounded_off = 2 * gamma(np.asarray(count, dtype=float) + 2, FORMATS["float64"].unit_roundoff)
    larger: np.ndarray = bound * (1 + rounded_off) * ENLARGED
    return larger
