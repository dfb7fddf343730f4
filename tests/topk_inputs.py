"""Calls of topk drawn at random, over dtypes, shapes, strides, dimensions, ends and orders of values; the answers.

The answer comes from NumPy's stable sort of the values in float64, which holds every value of the four dtypes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
BITS = {2: torch.int16, 4: torch.int32, 8: torch.int64}

Values = Callable[[np.random.Generator, tuple[int, ...], torch.dtype], Any]


@dataclass(frozen=True)
class Call:
    """One call of topk."""

    pattern: str
    layout: str
    y: Any
    k: int
    dim: int
    largest: bool
    sorted: bool

    @property
    def arguments(self) -> tuple[Any, int, int, bool, bool]:
        return self.y, self.k, self.dim, self.largest, self.sorted

    def __str__(self) -> str:
        """The call without its values."""
        what = f"{self.pattern}, {self.layout}, {self.y.dtype}, {tuple(self.y.shape)}"
        return f"{what}, k={self.k}, dim={self.dim}, largest={self.largest}, sorted={self.sorted}"


def _from_bits(bits: np.ndarray, dtype: torch.dtype) -> Any:
    return torch.from_numpy(bits.astype(np.int64)).to(BITS[dtype.itemsize]).view(dtype)


def _bits(rng: np.random.Generator, shape: tuple[int, ...], dtype: torch.dtype) -> Any:
    """Every bit pattern as likely as any other, so NaN of both signs and of any payload."""
    return _from_bits(rng.integers(-(2**63), 2**63, shape), dtype)


def _nan(rng: np.random.Generator, shape: tuple[int, ...], dtype: torch.dtype) -> Any:
    """Mostly NaN, of both signs."""
    y = torch.from_numpy(rng.choice([np.nan, -np.nan, np.nan, np.inf, -np.inf, 1.0], shape))
    negative = torch.from_numpy(rng.random(shape) < 0.5)
    return torch.where(negative, -y, y).to(dtype)


def _clustered(rng: np.random.Generator, shape: tuple[int, ...], dtype: torch.dtype) -> Any:
    """All the largest side by side, as far as there is a place for them."""
    y = rng.standard_normal(shape)
    first = int(rng.integers(0, shape[-1]))
    y[..., first : first + shape[-1] // 4 + 1] += 10
    return torch.from_numpy(y).to(dtype)


def _choice(*values: float) -> Values:
    return lambda rng, shape, dtype: torch.from_numpy(rng.choice(values, shape)).to(dtype)


PATTERNS: dict[str, Values] = {
    "normal": lambda rng, shape, dtype: torch.from_numpy(rng.standard_normal(shape)).to(dtype),
    "constant": lambda rng, shape, dtype: torch.full(
        shape, float(rng.choice([0.0, -1.0, np.nan, np.inf])), dtype=dtype
    ),
    "ascending": lambda rng, shape, dtype: torch.arange(math.prod(shape)).view(shape).to(dtype),
    "descending": lambda rng, shape, dtype: torch.arange(math.prod(shape)).view(shape).flip(-1).to(dtype),
    "few distinct": _choice(1.0, 2.0, 3.0),
    "mostly NaN": _nan,
    "infinities": _choice(np.inf, -np.inf, 0.0, 65504.0),
    "signed zeros": _choice(0.0, -0.0, 5e-324, -6e-8, 1e-40),
    "one of many": _choice(*[0.0] * 40, 1.0),
    "clustered": _clustered,
    "bits": _bits,
}


def _offset(y: Any) -> Any:
    """A start that is aligned to one element only."""
    return torch.cat((y.flatten()[:1], y.flatten()))[1:].view(y.shape)


def _negated_view(y: Any) -> Any:
    """The same values as a view whose sign bit torch has yet to turn, as the imaginary part of a conjugate is."""
    if y.dtype not in (torch.float32, torch.float64):
        return y
    return torch.view_as_complex(torch.stack((y, -y), -1)).conj().imag


LAYOUTS: dict[str, Callable[[Any], Any]] = {
    "contiguous": lambda y: y,
    "unaligned": _offset,
    "every second": lambda y: torch.stack((y, -y), -1)[..., 0],
    "transposed": lambda y: y.transpose(0, -1).contiguous().transpose(0, -1),
    "wider rows": lambda y: torch.cat((y, y), -1)[..., : y.shape[-1]],
    "negated view": _negated_view,
}


def calls(seed: int, count: int, longest: int, largest_k: int | None = None) -> Iterator[Call]:
    """So many calls, drawn from a seed; n is 1 to `longest`, k is 1 to n, or to largest_k where that is less."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        dtype = DTYPES[rng.integers(len(DTYPES))]
        pattern, layout = (str(rng.choice([*each])) for each in (PATTERNS, LAYOUTS))
        n = int(np.exp(rng.uniform(0, np.log(longest + 1))))
        others = [int(rng.integers(1, 5)) for _ in range(rng.integers(0, 3))]
        y = LAYOUTS[layout](PATTERNS[pattern](rng, (*others, n), dtype))
        dim = int(rng.integers(0, y.dim()))
        y = y.movedim(-1, dim)
        most = min(n, largest_k or n)
        k = int(rng.choice([1, most, int(rng.integers(1, most + 1))]))
        dim -= y.dim() * int(rng.integers(0, 2))
        yield Call(pattern, layout, y, k, dim, bool(rng.integers(2)), bool(rng.integers(2)))


def expected(call: Call) -> np.ndarray:
    """The indices of the right answer along the last axis, of equal values the lowest first: by rank."""
    y = call.y.movedim(call.dim, -1).double().resolve_neg().numpy()
    nan = np.isnan(y)
    last = ~nan if call.largest else nan
    towards = np.where(nan, 0.0, -y if call.largest else y)
    return np.lexsort((towards, last), axis=-1)[..., : call.k]


def fault(call: Call, found: Any, lowest_first: bool) -> str:
    """What is wrong with what topk returned, or ''. lowest_first: which of equal values, and their order, count too."""
    values, indices = (each.movedim(call.dim, -1) for each in found)
    y = call.y.movedim(call.dim, -1)
    right = expected(call)
    if values.shape != right.shape or indices.shape != right.shape:
        return f"shape {tuple(values.shape)}"
    if (values.dtype, indices.dtype) != (y.dtype, torch.int64):
        return f"dtypes {values.dtype}, {indices.dtype}"
    if not ((indices >= 0) & (indices < y.shape[-1])).all():
        return "an index out of range"
    if not _same(values, y.gather(-1, indices)):
        return "values that are not those at the indices"
    if (indices.sort(-1).values.diff(dim=-1) == 0).any():
        return "an index twice"
    best = y.gather(-1, torch.from_numpy(right))
    if not _same(values if call.sorted else _by_rank(values, call.largest), best):
        return "other values"
    if lowest_first and not np.array_equal(indices.numpy(), right if call.sorted else np.sort(right, -1)):
        return "others of equal values"
    return ""


def _by_rank(values: Any, largest: bool) -> Any:
    return values.double().sort(-1, descending=largest).values.to(values.dtype)


def _same(one: Any, two: Any) -> bool:
    """Equal as numbers, NaN to NaN."""
    return bool(((one == two) | (one.isnan() & two.isnan())).all())
