"""Dot products that are hard to round, and their exact answers by fractions: another route than the oracle's."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from fractions import Fraction

import numpy as np

from harness.exact.certified import Certified
from harness.exact.ulp import FORMATS

Pair = tuple[np.ndarray, np.ndarray]


def round_fraction(value: Fraction, dtype: str) -> float:
    """Half to even by Python's own round() of a fraction of the spacing; what vanishes keeps its sign."""
    sign, size = (-1.0 if value < 0 else 1.0), abs(value)
    if not value:
        return 0.0
    spacing = spacing_at(size, dtype)
    rounded = round(size / spacing) * spacing
    return sign * (math.inf if rounded >= Fraction(2) ** (FORMATS[dtype].emax + 1) else float(rounded))


def spacing_at(value: Fraction, dtype: str) -> Fraction:
    """ulp of a fraction."""
    form, size = FORMATS[dtype], abs(value)
    exponent = size.numerator.bit_length() - size.denominator.bit_length() if size else form.emin
    if size and Fraction(2) ** exponent > size:
        exponent -= 1
    return Fraction(2) ** (max(exponent, form.emin) - form.p + 1)


def exact_dots(a: np.ndarray, b: np.ndarray) -> list[Fraction | float]:
    """Of rows (m, L): a fraction, or what IEEE 754 gives where an infinity or a NaN is among the factors."""
    return [_exact_dot(left, right) for left, right in zip(a.tolist(), b.tolist(), strict=True)]


def _exact_dot(a: list[float], b: list[float]) -> Fraction | float:
    if all(map(math.isfinite, a + b)):
        return sum((Fraction(x) * Fraction(y) for x, y in zip(a, b, strict=True)), Fraction())
    infinite = {x * math.copysign(1, y) if y else math.nan for x, y in zip(a, b, strict=True) if not math.isfinite(x)}
    infinite |= {y * math.copysign(1, x) if x else math.nan for x, y in zip(a, b, strict=True) if not math.isfinite(y)}
    return infinite.pop() if len(infinite) == 1 else math.nan


def wrong(found: Certified, exact: Iterable[Fraction | float], dtype: str) -> int:
    """How many entries are not the exact answer rounded once, with a residual as good as is promised."""
    columns = (each.ravel().tolist() for each in (found.rounded, found.residual, found.error))
    return sum(not _right(answer, x, y, z, dtype) for answer, x, y, z in zip(exact, *columns, strict=True))


def _right(exact: Fraction | float, rounded: float, residual: float, error: float, dtype: str) -> bool:
    if isinstance(exact, float):
        same = rounded == exact or (math.isnan(rounded) and math.isnan(exact))
        return same and (residual, error) == (0, 0)
    want = round_fraction(exact, dtype)
    if rounded != want or math.copysign(1, rounded) != math.copysign(1, want):
        return False
    if math.isinf(want):
        return (residual, error) == (0, math.inf)
    promised = spacing_at(exact, dtype) * Fraction(2) ** -20 + Fraction(2) ** -1074
    return abs(exact - Fraction(rounded) - Fraction(residual)) <= Fraction(error) <= promised


def from_bits(bits: np.ndarray, dtype: str) -> np.ndarray:
    """Float64 numbers of the format with these bits; unsigned integers, as many bits as the format has are used."""
    with np.errstate(invalid="ignore"):
        if dtype == "float64":
            return bits.astype(np.uint64).view(np.float64).copy()
        if dtype == "float32":
            return bits.astype(np.uint32).view(np.float32).astype(np.float64)
        if dtype == "float16":
            return bits.astype(np.uint16).view(np.float16).astype(np.float64)
        return (bits.astype(np.uint32) << 16).view(np.float32).astype(np.float64)


def uniform_bits(rng: np.random.Generator, dtype: str, shape: tuple[int, ...]) -> Pair:
    """Every bit pattern as likely as any other."""
    bits = [rng.integers(0, 2**64, shape, dtype=np.uint64) for _ in range(2)]
    return from_bits(bits[0], dtype), from_bits(bits[1], dtype)


def normal(rng: np.random.Generator, dtype: str, shape: tuple[int, ...]) -> Pair:
    """Normal numbers of the format."""
    a, b = (_hold(rng.standard_normal(shape), dtype) for _ in range(2))
    return a, b


def cancelling(rng: np.random.Generator, dtype: str, shape: tuple[int, ...]) -> Pair:
    """Everything cancels but one product, which is some 1e-30 of the others where the format has such numbers."""
    a, b = normal(rng, dtype, shape)
    half = (shape[-1] - 1) // 2
    a[..., half : 2 * half], b[..., half : 2 * half] = -a[..., :half], b[..., :half]
    small = 2.0**-24 if dtype == "float16" else 2.0**-50
    a[..., 2 * half :], b[..., 2 * half :] = 0.0, 1.0
    a[..., -1], b[..., -1] = small, _sign(rng, shape[:-1]) * small
    order = rng.permuted(np.broadcast_to(np.arange(shape[-1]), shape), axis=-1)
    return np.take_along_axis(a, order, -1), np.take_along_axis(b, order, -1)


def subnormal(rng: np.random.Generator, dtype: str, shape: tuple[int, ...]) -> Pair:
    """Sums about the smallest numbers of the format."""
    a, b = normal(rng, dtype, shape)
    form = FORMATS[dtype]
    least = form.emin - form.p + 1
    first = rng.integers(least // 2 - 3, least // 2 + form.p // 2 + 3, (*shape[:-1], 1))
    return _hold(np.ldexp(a, first), dtype), _hold(np.ldexp(b, least // 2 + 1), dtype)


def overflowing(rng: np.random.Generator, dtype: str, shape: tuple[int, ...]) -> Pair:
    """Sums within half an ulp of where the format overflows, on both sides and on the edge."""
    form = FORMATS[dtype]
    largest = float((2 - Fraction(2) ** (1 - form.p)) * Fraction(2) ** form.emax)
    half = 2.0 ** (form.emax - form.p)
    return _about(rng, shape, np.full(shape[:-1], largest), half)


def halfway(rng: np.random.Generator, dtype: str, shape: tuple[int, ...]) -> Pair:
    """Sums half-way between two numbers of the format, and a hair to either side; also at powers of two."""
    form = FORMATS[dtype]
    whole = rng.integers(2 ** (form.p - 1), 2**form.p, shape[:-1])
    whole = np.where(rng.random(shape[:-1]) < 0.3, 2 ** (form.p - 1), whole)
    up = rng.integers(form.emin, 0, shape[:-1]) if dtype == "float16" else rng.integers(-100, 20, shape[:-1])
    number = np.ldexp(whole.astype(float), up - form.p + 1)
    return _about(rng, shape, number, np.ldexp(0.5, up - form.p + 1))


def _about(rng: np.random.Generator, shape: tuple[int, ...], number: np.ndarray, half: np.ndarray | float) -> Pair:
    """number + c half + hair, with c in -1, -1/2, 0, 1/2, 1 and a hair that may be 0, all times a sign."""
    a, b = np.zeros(shape), np.ones(shape)
    a[..., 0] = number
    a[..., 1] = half * rng.choice([-1.0, -0.5, 0.5, 1.0, 1.0, 1.0], shape[:-1])
    if shape[-1] > 2:
        a[..., 2] = half * rng.choice([0.0, 0.0, 2.0**-3, -(2.0**-3), 2.0**-20, -(2.0**-60), 2.0**-60], shape[:-1])
    sign = _sign(rng, (*shape[:-1], 1))
    order = rng.permuted(np.broadcast_to(np.arange(shape[-1]), shape), axis=-1)
    return np.take_along_axis(sign * a, order, -1), b


def powers(rng: np.random.Generator, dtype: str, shape: tuple[int, ...]) -> Pair:
    """Signed powers of two over the whole range of the format."""
    form = FORMATS[dtype]
    a, b = (
        _sign(rng, shape) * np.ldexp(1.0, rng.integers(form.emin - form.p + 1, form.emax + 1, shape)) for _ in range(2)
    )
    return a, b


GENERATORS: dict[str, Callable[[np.random.Generator, str, tuple[int, ...]], Pair]] = {
    each.__name__: each for each in (uniform_bits, normal, cancelling, subnormal, overflowing, halfway, powers)
}


def _sign(rng: np.random.Generator, shape: tuple[int, ...] = ()) -> np.ndarray:
    return rng.choice([-1.0, 1.0], shape)


def _hold(x: np.ndarray, dtype: str) -> np.ndarray:
    """As the format holds them, cut off."""
    if dtype == "float64":
        return x
    if dtype == "bfloat16":
        return (x.astype(np.float32).view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32).astype(np.float64)
    with np.errstate(under="ignore"):
        return x.astype(dtype).astype(np.float64)
