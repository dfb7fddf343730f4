"""Why an entry differs from its reference: the first cause, in a fixed order, whose rule the entry meets.

No cause is a catch-all: an entry that meets no rule counts as `unexplained`, which makes its cell `incorrect`. The
rules are tried in the order of the functions below. Against native, every entry with other bits needs a cause; against
the exact references, every entry that is not the exact answer rounded once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from harness.exact.ulp import Format

UNEXPLAINED = "unexplained"

CAUSES_METRIC = "causes"
"""The metric that a study asks for; it yields a figure `cause_<name>` for each cause that explains an entry."""


@dataclass(frozen=True)
class Entries:
    """Entries of one tensor of a method beside a reference, and what the rules need to know: flat arrays (m,).

    Numbers, float64:
        got, want: the method's entry and the reference's.
        error: |got - exact answer of the reference|.
        bound: rounding error bound of got, against the exact answer on the method's own selection.
        storage_bound: the same for sums that round to the storage format after each addition.
        reduced_bound: the same for factors rounded to the format that the mode multiplies in.
        quantised: |conditional - original|, by how much the cast of the inputs moved the answer; 0 unless the reference
        is original.
    Masks:
        spoilt: an infinity, a NaN or an overflow among the terms; known only where got or want is not finite.
        tied, flipped, requantised: the entry belongs to, or sums over, an index that only one side selected, because
        its y equals the threshold, because y was rounded, or because the inputs were cast.
    form: the format of the tensor. against_native: the reference is native. reduced: the mode rounds the factors of
    this dtype. summed_again: the method adds the products of W and x itself, in an order of its own.
    """

    got: np.ndarray
    want: np.ndarray
    error: np.ndarray
    bound: np.ndarray
    storage_bound: np.ndarray
    reduced_bound: np.ndarray
    spoilt: np.ndarray
    quantised: np.ndarray
    tied: np.ndarray
    flipped: np.ndarray
    requantised: np.ndarray
    form: Format
    against_native: bool
    reduced: bool
    summed_again: bool

    @property
    def differs(self) -> np.ndarray:
        """Entries that need a cause."""
        return differing(self.got, self.want, against_native=self.against_native)

    @property
    def sides(self) -> int:
        """How many of the two numbers were computed with rounding errors, each within its bound."""
        return 2 if self.against_native else 1

    @property
    def one_selection(self) -> np.ndarray:
        """Entries for which both sides selected the same indices."""
        return ~(self.tied | self.flipped | self.requantised)

    @property
    def absent(self) -> np.ndarray:
        """Entries that one side does not have: its zero stands for an index that it did not select."""
        return ~self.one_selection & ((self.got == 0) | (self.want == 0))

    def within(self, bound: np.ndarray) -> np.ndarray:
        """Entries of one selection whose error is within a bound of its rounding errors.

        Never an infinite error: the bound of an infinite result is infinite too, and would excuse it.
        """
        return self.one_selection & (self.error <= bound) & np.isfinite(self.error)


def differing(got: np.ndarray, want: np.ndarray, *, against_native: bool) -> np.ndarray:
    """Entries that need a cause: unlike numbers, against native also unlike bits; all NaN count as equal."""
    same = (got == want) | (np.isnan(got) & np.isnan(want))
    if against_native:
        same &= (np.signbit(got) == np.signbit(want)) | np.isnan(got)
    return ~same


Rule = Callable[[Entries], np.ndarray]
CAUSES: dict[str, Rule] = {}
"""name -> rule, in the order in which they are tried."""


def cause(rule: Rule) -> Rule:
    """Register the next cause under the name of its rule."""
    CAUSES[rule.__name__] = rule
    return rule


def explain(entries: Entries) -> dict[str, int]:
    """cause -> number of entries, for every cause and `unexplained`."""
    left = entries.differs
    counts = {}
    with np.errstate(invalid="ignore"):
        for name, rule in CAUSES.items():
            met = left & rule(entries)
            counts[name] = int(np.count_nonzero(met))
            left = left & ~met
    return counts | {UNEXPLAINED: int(np.count_nonzero(left))}


@cause
def nonfinite(e: Entries) -> np.ndarray:
    """One of the two is not finite, because a term is not (0 times infinity is NaN) or because the sum overflows."""
    return ~(np.isfinite(e.got) & np.isfinite(e.want)) & e.spoilt & ~e.absent


@cause
def signed_zero(e: Entries) -> np.ndarray:
    """Both are zero, with unlike signs: in a matrix product, -0 + 0 is +0."""
    return (e.got == 0) & (e.want == 0) & ~e.absent


@cause
def flushed(e: Entries) -> np.ndarray:
    """Zero in place of a subnormal number, or of twice one, which is its gradient under the square loss."""
    return (e.got == 0) & (np.abs(e.want) < 2 * 2.0**e.form.emin) & ~e.absent


@cause
def reduced_precision(e: Entries) -> np.ndarray:
    """The mode multiplies in a smaller format (autocast, TF32), and the error is within the bound of that format."""
    return e.within(e.sides * e.reduced_bound + e.quantised) & e.reduced


@cause
def association(e: Entries) -> np.ndarray:
    """Two sums of the same products in different orders, no farther apart than their two bounds."""
    return e.within(e.sides * e.bound) & (e.summed_again and e.against_native)


@cause
def storage_accumulation(e: Entries) -> np.ndarray:
    """The error is beyond its bound, but within the bound of a sum that rounds to storage after each addition."""
    over = e.error > e.sides * e.bound + e.quantised
    return over & e.within(e.sides * e.storage_bound + e.quantised) & e.summed_again


@cause
def tie(e: Entries) -> np.ndarray:
    """Another choice among equal values."""
    return e.tied & ~e.flipped & ~e.requantised


@cause
def arithmetic_flip(e: Entries) -> np.ndarray:
    """Rounding y changed which indices are selected."""
    return e.flipped


@cause
def quantisation_flip(e: Entries) -> np.ndarray:
    """Casting the inputs changed which indices are selected."""
    return e.requantised


@cause
def rounding(e: Entries) -> np.ndarray:
    """The error is within its rounding error bound, allowing for what the cast moved the answer by."""
    return e.within(e.bound + e.quantised) & (not e.against_native)
