"""Why an entry differs from its reference: the first cause, in a fixed order, whose own rule the entry meets.

No cause is what is left over: what meets no rule is counted as `unexplained`, which a run does not let pass. The order
is that of the functions below. Against native, entries whose bits differ are explained; against the other references
those that are not the exact answer rounded once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from harness.exact.ulp import Format

UNEXPLAINED = "unexplained"

CAUSES_METRIC = "causes"
"""What a study asks for; it stands for a figure `cause_<name>` for each cause that explains an entry."""


@dataclass(frozen=True)
class Entries:
    """One tensor of a method beside a reference, flat arrays of one length, and what the rules ask about it.

    got, want: float64. error: |got - exact answer of the reference|. bound: of |got - its conditional answer| in
    this arithmetic; storage_bound: the same for sums rounded to the storage format after each addition;
    reduced_bound: for factors rounded to the format that the mode multiplies in. spoilt: what is not finite, or would
    overflow, is among what the entry is made of; it is asked only where got or want is not finite. quantised:
    |exact - original|, by how much the cast moved the answer, else 0. tied, flipped, requantised: the entry belongs
    to, or sums over, a selected index that the reference did not select (or the reverse) although its y equals the
    threshold; because y was rounded; because the inputs were cast. against_native: the reference is native. reduced:
    the mode rounds the factors of this dtype. summed_again: the method adds the products of W and x in an order of
    its own.
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
        """Entries to be explained."""
        return differing(self.got, self.want, against_native=self.against_native)

    @property
    def sides(self) -> int:
        """How many of the two were computed, each within its bound of the exact answer."""
        return 2 if self.against_native else 1

    @property
    def one_selection(self) -> np.ndarray:
        """Entries to which both sides selected the same indices."""
        return ~(self.tied | self.flipped | self.requantised)


def differing(got: np.ndarray, want: np.ndarray, *, against_native: bool) -> np.ndarray:
    """Entries to be explained: unlike numbers, or against native unlike bits; one NaN is like another."""
    same = (got == want) | (np.isnan(got) & np.isnan(want))
    if against_native:
        same &= (np.signbit(got) == np.signbit(want)) | np.isnan(got)
    return ~same


Rule = Callable[[Entries], np.ndarray]
CAUSES: dict[str, Rule] = {}
"""name -> rule, in the order in which they are asked."""


def cause(rule: Rule) -> Rule:
    """Register the next cause under the name of its rule."""
    CAUSES[rule.__name__] = rule
    return rule


def explain(entries: Entries) -> dict[str, int]:
    """cause -> entries, for every cause and `unexplained`."""
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
    """One of the two is not finite, and neither is a term, or the sum of |terms| reaches the largest number."""
    return ~(np.isfinite(e.got) & np.isfinite(e.want)) & e.spoilt


@cause
def signed_zero(e: Entries) -> np.ndarray:
    """Zeros of unlike sign."""
    return (e.got == 0) & (e.want == 0)


@cause
def flushed(e: Entries) -> np.ndarray:
    """Zero for a subnormal number, or for twice one: what the square loss makes of it."""
    return (e.got == 0) & (np.abs(e.want) < 2 * 2.0**e.form.emin)


@cause
def reduced_precision(e: Entries) -> np.ndarray:
    """The mode multiplies in a smaller format, and the error is within the bound of that."""
    return e.one_selection & (e.error <= e.sides * e.reduced_bound + e.quantised) & e.reduced


@cause
def association(e: Entries) -> np.ndarray:
    """Two sums of the same products in different orders, no farther apart than their two bounds."""
    return e.one_selection & (e.error <= e.sides * e.bound) & (e.summed_again and e.against_native)


@cause
def storage_accumulation(e: Entries) -> np.ndarray:
    """More than the bound of its arithmetic, and within that of rounding to storage after each addition."""
    over = e.error > e.sides * e.bound + e.quantised
    return e.one_selection & over & (e.error <= e.sides * e.storage_bound + e.quantised) & e.summed_again


@cause
def tie(e: Entries) -> np.ndarray:
    """Another choice among equal values."""
    return e.tied & ~e.flipped & ~e.requantised


@cause
def arithmetic_flip(e: Entries) -> np.ndarray:
    """An index was selected, or was not, because y was rounded."""
    return e.flipped


@cause
def quantisation_flip(e: Entries) -> np.ndarray:
    """An index was selected, or was not, because the inputs were cast."""
    return e.requantised


@cause
def rounding(e: Entries) -> np.ndarray:
    """The error is within its bound, with what the cast moved it by."""
    return e.one_selection & (e.error <= e.bound + e.quantised) & (not e.against_native)
