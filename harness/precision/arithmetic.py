"""Rounding error bounds of topk(W x) and its gradients, entry by entry: deterministic, and with a stated probability.

An inner product of m terms in arithmetic of unit roundoff u errs by at most gamma_m(u) sum |terms|, whatever the order
(Higham 2002, section 3.1). float16 and bfloat16 are accumulated in float32 and rounded once to their own format at
the end (mixed precision: storage and accumulation units apart). With rounding errors that are independent and of mean
zero, gamma~_m = exp(lambda sqrt(m) u + m u² / (1 - u)) - 1 takes the place of gamma_m with a probability of at least
1 - 2 m exp(-lambda² (1 - u)² / 2) (Higham & Mary 2019, theorem 3.1).

All bounds are float64 and enlarged by more than their own evaluation can round off.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from harness.exact.ulp import FORMATS, Format

LAMBDA = 5.0
"""Of the probabilistic bound: it fails for an inner product of m terms with probability under 7.5e-6 m."""

ENLARGED = 1 + 2.0**-40
"""More than the few operations that evaluate a bound round off; sums are enlarged by their own gamma besides."""

TF32 = Format(p=11, emin=-126, emax=127)
"""float32 with the significant bits of float16: what tensor cores read (NVIDIA A100 white paper, 2020)."""

SUMMED_IN_STORAGE = ("torch-default", "reduced-reductions")
"""Modes in which cuBLAS may add the parts of a sum of halves in halves (PyTorch, numerical accuracy: reduced precision
reduction): after how many terms is not said, so that the bound is of a sum that rounds after each."""

REDUCED = {"autocast-bfloat16": FORMATS["bfloat16"], "autocast-float16": FORMATS["float16"], "tf32": TF32}
"""mode -> the format that it rounds the factors of products to; autocast rounds the results to it too."""


def reduced_format(dtype: str, mode: str) -> Format | None:
    """The format that a mode rounds the factors of products of this dtype to; None where it leaves them as they are.

    TF32 is for float32 alone; autocast casts every floating dtype but float64 (torch: ATen/autocast_mode.h).
    """
    cast = dtype == "float32" if mode == "tf32" else dtype != "float64"
    return REDUCED[mode] if mode in REDUCED and cast and REDUCED[mode] != FORMATS[dtype] else None


Growth = Callable[[np.ndarray, float], np.ndarray]
"""(numbers of terms, unit roundoff) -> factor of sum |terms|."""


@dataclass(frozen=True)
class Arithmetic:
    """What a product is computed in: results in `storage`, sums in `accumulation`, factors rounded to `factors`."""

    storage: Format
    accumulation: Format
    factors: Format | None = None

    @classmethod
    def of(cls, dtype: str, mode: str = "ieee") -> Arithmetic:
        """The arithmetic of torch's products: halves are accumulated in float32, but in modes SUMMED_IN_STORAGE."""
        form, single = FORMATS[dtype], FORMATS["float32"]
        if (reduced := reduced_format(dtype, mode)) is not None:
            # Gradients are cast back to the dtype of the inputs: the coarser of both rounds last.
            return cls(single if mode == "tf32" else min(form, reduced, key=lambda each: each.p), single, reduced)
        in_storage = form.p >= single.p or mode in SUMMED_IN_STORAGE
        return cls(form, form if in_storage else single)

    def accumulating_in_storage(self) -> Arithmetic:
        """The arithmetic of a sum that rounds to the storage format after each addition."""
        return replace(self, accumulation=self.storage)


def gamma(terms: np.ndarray, u: float) -> np.ndarray:
    """m u / (1 - m u), infinite where m u >= 1 (Higham 2002, lemma 3.1)."""
    with np.errstate(divide="ignore"):
        return np.where(terms * u < 1, terms * u / np.maximum(1 - terms * u, 0), np.inf)


def gamma_probable(terms: np.ndarray, u: float) -> np.ndarray:
    """exp(lambda sqrt(m) u + m u² / (1 - u)) - 1 with lambda = LAMBDA (Higham & Mary 2019)."""
    grown: np.ndarray = np.expm1(LAMBDA * np.sqrt(terms) * u + terms * u * u / (1 - u))
    return grown


def smallest(form: Format) -> float:
    """The smallest subnormal of a format."""
    return float(2.0 ** (form.emin - form.p + 1))


@dataclass(frozen=True)
class SumBound:
    """The bound of |computed - exact| of an inner product: of_size times its sum of |terms| (0 where that is 0), plus
    of_result times |what was computed|, plus least. of_size, least: float64, shaped as the numbers of terms."""

    of_size: np.ndarray
    of_result: float
    least: np.ndarray

    @classmethod
    def of(cls, count: int | np.ndarray, arithmetic: Arithmetic, growth: Growth = gamma) -> SumBound:
        """For so many terms. Products and the result may underflow gradually, by half the smallest subnormal each."""
        terms = np.asarray(count, dtype=float)
        factor = growth(terms, arithmetic.accumulation.unit_roundoff)
        if arithmetic.factors:
            u = arithmetic.factors.unit_roundoff
            factor = factor + (2 * u + u * u) * (1 + factor)
        least, last = terms * smallest(arithmetic.factors or arithmetic.accumulation), 0.0
        if arithmetic.storage != arithmetic.accumulation:
            least, last = least + smallest(arithmetic.storage), arithmetic.storage.unit_roundoff
        added = float(enlarged(np.array(1.0), 1))  # the three parts are added too
        return cls(enlarged(factor, terms) * added, last * added, least * added)


def sum_bound(
    count: int | np.ndarray, size: np.ndarray, result: np.ndarray, arithmetic: Arithmetic, growth: Growth = gamma
) -> np.ndarray:
    """Bound of |computed - exact| of inner products.

    count: numbers of terms; size: sums of |terms|; result: what was computed, for its last rounding; all broadcast.
    """
    found = SumBound.of(count, arithmetic, growth)
    with np.errstate(invalid="ignore"):
        bound: np.ndarray = found.of_size * size
        if np.isinf(found.of_size).any():
            bound = np.where(size == 0, 0.0, bound)  # and not NaN
        bound = bound + found.least
        return bound + found.of_result * np.abs(result) if found.of_result else bound


def enlarged(bound: np.ndarray, count: int | np.ndarray) -> np.ndarray:
    """By more than a float64 sum of so many terms, and a few operations more, can have rounded off."""
    rounded_off = 2 * gamma(np.asarray(count, dtype=float) + 2, FORMATS["float64"].unit_roundoff)
    larger: np.ndarray = bound * (1 + rounded_off) * ENLARGED
    return larger
