"""Exact numbers as two float64 numbers and an error bound: the scores, and sums of products of such numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from harness.exact.certified import Certified, Rung, given, put, settle_exactly, unsettled
from harness.exact.dyadic import Dyadic, dyadic_of, integer_dot
from harness.exact.product import exact_product
from harness.exact.sums import attempt_dot, ieee_dot

ROUNDED_UP = 1 + 2.0**-20
"""Factor by which a sum of up to 2^30 bounds is enlarged: its float64 evaluation rounds off less than that."""


@dataclass(frozen=True)
class Numbers:
    """Exact numbers within error of head + tail, float64 arrays of one shape; |tail| <= ulp(head) / 2.

    Without a tail, head is exact. An infinite head with an infinite error is a finite number beyond the range of
    float64.
    """

    head: np.ndarray
    tail: np.ndarray | None = None
    error: np.ndarray | None = None

    @classmethod
    def of(cls, certified: Certified) -> Numbers:
        """From numbers that are certified in float64."""
        return cls(certified.rounded, certified.residual, certified.error)

    def map(self, function: Callable[[np.ndarray], np.ndarray]) -> Numbers:
        """A function of an array (a reshape, a selection) applied to all of the arrays."""
        tail, error = (None if array is None else function(array) for array in (self.tail, self.error))
        return Numbers(function(self.head), tail, error)

    @property
    def signs(self) -> np.ndarray:
        """The factors for `ieee_dot`: zeros, infinities and NaN as they are, and 1 or -1 for every other number, also
        for one beyond the range of float64."""
        if self.error is None:
            return self.head
        known = (self.error == 0) & ((self.head == 0) | ~np.isfinite(self.head))
        return np.where(known, self.head, np.copysign(1.0, self.head))

    @property
    def parts(self) -> list[np.ndarray]:
        """The head, and the tail if there is one; both 0 where the head is not finite."""
        held = [self.head] if self.tail is None else [self.head, self.tail]
        return [np.where(np.isfinite(self.head), part, 0.0) for part in held]

    @property
    def size(self) -> np.ndarray:
        """Upper bounds of |head + tail|."""
        return np.abs(self.parts[0]) * (1 + 2.0**-50)


@dataclass(frozen=True)
class Scores:
    """y as exact numbers: the `y` of the inputs, or x Wᵀ."""

    inputs: Mapping[str, np.ndarray]
    _known: dict[tuple[int, int], Dyadic] = field(default_factory=dict)

    @property
    def given(self) -> bool:
        """Whether y is among the inputs, so that there is no product to take."""
        return self.inputs.get("x") is None or self.inputs.get("W") is None

    def exactly(self, row: int, index: int) -> Dyadic:
        """One score; its inputs must be finite."""
        if self.given:
            return dyadic_of(float(self.inputs["y"][row, index]))
        if (row, index) not in self._known:
            (self._known[row, index],) = integer_dot(self.inputs["W"][index][None], self.inputs["x"][row][None])
        return self._known[row, index]

    def numbers(self, indices: np.ndarray) -> Numbers:
        """The scores at indices (rows, m)."""
        if self.given:
            return Numbers(np.take_along_axis(self.inputs["y"], indices, -1))
        W, x = self.inputs["W"], self.inputs["x"]
        certified = unsettled(indices.shape)
        for row, chosen in enumerate(indices):
            put(certified, row, exact_product(W[chosen], x[row], "float64"))
        return Numbers.of(certified)

    def all(self) -> Numbers:
        """All scores, (rows, n)."""
        if self.given:
            return Numbers(self.inputs["y"])
        return Numbers.of(exact_product(self.inputs["W"], self.inputs["x"], "float64"))


def contract(a: Numbers, b: Numbers, dtype: str, exponent: int) -> Certified:
    """2^exponent times the sums over the last axis of a b, which broadcast; what this does not prove is unsettled."""
    pairs = [(x, y) for x in a.parts for y in b.parts]
    left, right = (np.concatenate(side, axis=-1) for side in zip(*pairs, strict=True))
    shape = np.broadcast_shapes(a.head.shape, b.head.shape)
    certified = attempt_dot(left, right, dtype, np.broadcast_to(_slack(a, b), shape[:-1]), exponent)
    overrule(certified, a.signs, b.signs)
    return certified


def overrule(certified: Certified, a: np.ndarray, b: np.ndarray) -> None:
    """Write into sums over the last axis of a b the infinities and NaN that follow from `Numbers.signs` a and b."""
    if np.isfinite(a).all() and np.isfinite(b).all():
        return
    answer = ieee_dot(a, b)
    nonfinite = ~np.isfinite(answer)
    put(certified, nonfinite, given(answer[nonfinite], "float64"))


def complete(certified: Certified, exactly: Callable[..., Dyadic], dtype: str) -> Certified:
    """The same entries, after the unsettled ones were filled in place from exactly(*index), their exact number."""
    for place in np.argwhere(certified.rung == Rung.unsettled).tolist():  # one by one, since few get this far
        put(certified, tuple(np.array([index]) for index in place), settle_exactly([exactly(*place)], dtype))
    return certified


def _slack(a: Numbers, b: Numbers) -> np.ndarray:
    """How far the sums over the last axis of products of heads and tails may be from the exact sums."""
    errors = [np.zeros_like(side.head) if side.error is None else side.error for side in (a, b)]
    with np.errstate(all="ignore"):
        slack = errors[0] * b.size + errors[1] * a.size + errors[0] * errors[1]
        inexact = ((errors[0] != 0) | (errors[1] != 0)).any(axis=-1)
        bound: np.ndarray = slack.sum(axis=-1) * ROUNDED_UP
    return bound + np.where(inexact, slack.shape[-1] * 2.0**-1073, 0.0)  # products of small bounds may underflow
