"""Exact numbers as two float64 numbers and a bound: the scores, and sums of products of such numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from harness.exact.certified import Certified, Rung, given, put, settle_exactly, unsettled
from harness.exact.dyadic import Dyadic, dyadic_of, integer_dot
from harness.exact.product import exact_product
from harness.exact.sums import attempt_dot, ieee_dot

ROUNDED_UP = 1 + 2.0**-20
"""More than the float64 evaluation of a sum of up to 2^30 bounds takes away from it."""


@dataclass(frozen=True)
class Numbers:
    """Exact numbers within error of head + tail, float64 arrays of one shape; |tail| <= ulp(head) / 2.

    Without tail, head is exact. An infinite head is one beyond the range of float64 if its error is infinite.
    """

    head: np.ndarray
    tail: np.ndarray | None = None
    error: np.ndarray | None = None

    @classmethod
    def of(cls, certified: Certified) -> Numbers:
        """From what is certified in float64."""
        return cls(certified.rounded, certified.residual, certified.error)

    def map(self, function: Callable[[np.ndarray], np.ndarray]) -> Numbers:
        """The arrays through one function: reshape, select."""
        tail, error = (None if each is None else function(each) for each in (self.tail, self.error))
        return Numbers(function(self.head), tail, error)

    @property
    def signs(self) -> np.ndarray:
        """For ieee_dot: -1, 0 or 1 of finite numbers, though they be beyond the range of float64; else as they are."""
        if self.error is None:
            return self.head
        known = (self.error == 0) & ((self.head == 0) | ~np.isfinite(self.head))
        return np.where(known, self.head, np.copysign(1.0, self.head))

    @property
    def parts(self) -> list[np.ndarray]:
        """Head and tail, both 0 where they are no finite numbers."""
        found = [self.head] if self.tail is None else [self.head, self.tail]
        return [np.where(np.isfinite(self.head), each, 0.0) for each in found]

    @property
    def size(self) -> np.ndarray:
        """Upper bounds of |head + tail|."""
        return np.abs(self.parts[0]) * (1 + 2.0**-50)


@dataclass(frozen=True)
class Scores:
    """y as exact numbers: the `y` among the inputs, or x Wᵀ."""

    inputs: Mapping[str, np.ndarray]
    _known: dict[tuple[int, int], Dyadic] = field(default_factory=dict)

    @property
    def given(self) -> bool:
        """Whether there is no product to be taken."""
        return self.inputs.get("x") is None or self.inputs.get("W") is None

    def exactly(self, row: int, index: int) -> Dyadic:
        """One score, of finite inputs."""
        if self.given:
            return dyadic_of(float(self.inputs["y"][row, index]))
        if (row, index) not in self._known:
            (self._known[row, index],) = integer_dot(self.inputs["W"][index][None], self.inputs["x"][row][None])
        return self._known[row, index]

    def numbers(self, indices: np.ndarray) -> Numbers:
        """Of indices (rows, m)."""
        if self.given:
            return Numbers(np.take_along_axis(self.inputs["y"], indices, -1))
        W, x = self.inputs["W"], self.inputs["x"]
        found = unsettled(indices.shape)
        for row, chosen in enumerate(indices):
            put(found, row, exact_product(W[chosen], x[row], "float64"))
        return Numbers.of(found)

    def all(self) -> Numbers:
        """(rows, n)."""
        if self.given:
            return Numbers(self.inputs["y"])
        return Numbers.of(exact_product(self.inputs["W"], self.inputs["x"], "float64"))


def contract(a: Numbers, b: Numbers, dtype: str, exponent: int) -> Certified:
    """2^exponent times the sums of a b, which broadcast, over the last axis; what this does not prove is unsettled."""
    pairs = [(x, y) for x in a.parts for y in b.parts]
    left, right = (np.concatenate(side, axis=-1) for side in zip(*pairs, strict=True))
    shape = np.broadcast_shapes(a.head.shape, b.head.shape)
    found = attempt_dot(left, right, dtype, np.broadcast_to(_slack(a, b), shape[:-1]), exponent)
    overrule(found, a.signs, b.signs)
    return found


def overrule(found: Certified, a: np.ndarray, b: np.ndarray) -> None:
    """Put in place the infinities and NaN of sums over the last axis of a b, given by their signs."""
    if np.isfinite(a).all() and np.isfinite(b).all():
        return
    answer = ieee_dot(a, b)
    nonfinite = ~np.isfinite(answer)
    put(found, nonfinite, given(answer[nonfinite], "float64"))


def complete(found: Certified, exactly: Callable[..., Dyadic], dtype: str) -> Certified:
    """With the unsettled entries from their exact numbers: exactly(*index)."""
    for place in np.argwhere(found.rung == Rung.unsettled).tolist():
        put(found, tuple(np.array([index]) for index in place), settle_exactly([exactly(*place)], dtype))
    return found


def _slack(a: Numbers, b: Numbers) -> np.ndarray:
    """How far the sums of products of heads and tails may be from exact, over the last axis."""
    errors = [np.zeros_like(each.head) if each.error is None else each.error for each in (a, b)]
    with np.errstate(all="ignore"):
        slack = errors[0] * b.size + errors[1] * a.size + errors[0] * errors[1]
        inexact = ((errors[0] != 0) | (errors[1] != 0)).any(axis=-1)
        bound: np.ndarray = slack.sum(axis=-1) * ROUNDED_UP
    return bound + np.where(inexact, slack.shape[-1] * 2.0**-1073, 0.0)
