"""A method beside a reference, entry by entry: what it returned, what is right, and what its error bounds allow."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property

import numpy as np

from harness.accuracy.references import Reference, References, tensors_of_solution
from harness.accuracy.side_by_side import side_by_side, unlike_entries
from harness.exact.ulp import FORMATS, absolute_error
from harness.precision.arithmetic import Arithmetic, Growth, gamma, gamma_probable, reduced_format
from harness.precision.bounds import Bounds, Sizes, bound_is_trusted, matrix_bound
from harness.precision.causes import Entries, differing
from harness.precision.metrics import NEEDS, Comparison, rel_l2
from harness.precision.selection import BOUNDED, SELECTION_METRICS, Selections
from harness.precision.solution import Solution
from harness.topk.outcome import Outcome, as_rows, factors_of, matrix_gradient

GOT, SIZE, BOUND, PROBABLE, STORAGE, REDUCED = "got", "size", "bound", "probable", "storage", "reduced"
"""The parts that an assessment has of each tensor: the method's entries, their sums of |terms|, and their bounds."""

EXPLAINING = (GOT, SIZE, BOUND, STORAGE, REDUCED)
"""The parts that the rules of the causes need."""

Arrays = dict[str, np.ndarray]


class Assessment:
    """A method's outcome with its error bounds, ready to be compared with any reference.

    Every array is computed when it is first asked for: a bound costs more than the comparison that uses it. In all
    methods `name` is the name of a reference.
    """

    def __init__(
        self,
        outcome: Outcome | None,
        references: References,
        *,
        summed_again: bool,
        native: Callable[[], Assessment] | None = None,
    ) -> None:
        """outcome: None for native, whose outcome the references hold. summed_again: the method adds the products of W
        and x itself. native: returns the assessment of native, unless this is it."""
        self.references, self.summed_again = references, summed_again
        self.case = references.problem.case
        self.got: Solution = references.native if outcome is None else references.solution(outcome)
        self._given = tensors_of_solution(self.got)
        self._order = self.got.indices  # replaced by the order in which the method returned them
        if outcome is not None:
            self._order = as_rows(outcome.indices).cpu().numpy()
            if outcome.dy is None:
                del self._given["dy"]
            if outcome.dS is not None:
                self._given["dS"] = matrix_gradient(outcome)
        self._native = native
        self._errors: dict[tuple[str, str], float | None] = {}
        self._bounds: dict[tuple[Arithmetic, Growth], Bounds] = {}

    @cached_property
    def sizes(self) -> Sizes:
        """The sums of |terms|."""
        factors = factors_of(self.references.problem, self.got.indices)
        return Sizes(self.got, factors, self.references.loss)

    def bounds(self, part: str) -> Bounds:
        """The bounds that a part (BOUND, PROBABLE, STORAGE or REDUCED) takes its arrays from."""
        arithmetic = Arithmetic.of(self.case.dtype, self.case.mode)
        if part == STORAGE and self.summed_again:  # only the method's own sums can round to storage after each addition
            arithmetic = arithmetic.accumulating_in_storage()
        # Where a mode rounds factors, its arithmetic belongs to REDUCED, and BOUND keeps to the dtype's own.
        if part in (BOUND, PROBABLE) and reduced_format(self.case.dtype, self.case.mode) is not None:
            arithmetic = Arithmetic.of(self.case.dtype)
        growth = gamma_probable if part == PROBABLE else gamma
        if (arithmetic, growth) not in self._bounds:
            self._bounds[arithmetic, growth] = Bounds(self.sizes, arithmetic, growth)
        return self._bounds[arithmetic, growth]

    def _part(self, part: str, tensor: str) -> np.ndarray:
        """A part of a tensor that the method has, in the shape of `Solution`."""
        if part == GOT:
            return self._given[tensor]
        if tensor != "dS":
            owner: Sizes | Bounds = self.sizes if part == SIZE else self.bounds(part)
            array: np.ndarray = getattr(owner, tensor)
            return array
        dS = self._given["dS"]
        if part != SIZE:
            return matrix_bound(self.bounds(part), dS)
        got, dy = self.got, self.sizes.cotangent
        with np.errstate(invalid="ignore", over="ignore"):
            return np.abs(dy[..., None] * got.y[:, None] if dS.ndim == 3 else dy * got.values)

    def beside(self, tensor: str, name: str, parts: Iterable[str] = (GOT,)) -> Arrays | None:
        """The method's parts of a tensor and the reference's `want` and `residual`, all flat arrays of one length.

        None where the method or the reference lacks the tensor.
        """
        reference = self.references.get(name, self.got)
        theirs = self._of(reference, tensor)
        if tensor not in self._given or theirs is None:
            return None
        mine = {part: self._part(part, tensor) for part in parts}
        return side_by_side(tensor, self.got, reference, mine, dict(zip(("want", "residual"), theirs, strict=True)))

    def comparison(self, tensor: str, name: str, metrics: Iterable[str]) -> Comparison | None:
        """A tensor beside a reference, with what these metrics need; None where one of the two lacks the tensor."""
        needed = {NEEDS[metric] for metric in metrics if metric in NEEDS}
        # In a mode that reduces precision the bounds serve the causes and are not for figures.
        ieee = reduced_format(self.case.dtype, self.case.mode) is None
        available = {SIZE, BOUND, PROBABLE} if ieee else {SIZE}
        arrays = self.beside(tensor, name, [GOT, *(needed & available)])
        if arrays is None:
            return None
        native_error = None
        if self._native is not None and name != "native" and "native_error" in needed:
            native_error = self._native().error(tensor, name)
        return Comparison(
            arrays[GOT],
            arrays["want"],
            self.case.dtype,
            arrays["residual"],
            size=arrays.get(SIZE),
            bound=arrays.get(BOUND),
            probable=arrays.get(PROBABLE),
            native_error=native_error,
        )

    def error(self, tensor: str, name: str) -> float | None:
        """rel_l2 of a tensor against a reference; None where one of the two lacks the tensor."""
        if (tensor, name) not in self._errors:
            compared = self.comparison(tensor, name, ())
            self._errors[tensor, name] = None if compared is None else rel_l2(compared)
        return self._errors[tensor, name]

    def entries(self, tensor: str, name: str, got: np.ndarray, want: np.ndarray) -> Entries | None:
        """The entries of a tensor that need a cause, with what the rules need to know; None where there are none.

        got, want: all entries of both sides, as `comparison` returns them.
        """
        at = np.flatnonzero(differing(got, want, against_native=name == "native"))
        if not at.size:
            return None
        arrays = self._at(at, tensor, name)
        form, arithmetic = FORMATS[self.case.dtype], Arithmetic.of(self.case.dtype, self.case.mode)
        kinds = unlike_entries(tensor, name, self._given[tensor].shape, self.got, self.references)
        spoilt = False
        if not (np.isfinite(arrays[GOT]).all() and np.isfinite(arrays["want"]).all()):
            spoilt = not (self.references.finite and (np.abs(self.got.y) < arithmetic.infinite_from).all())
        return Entries(
            got=arrays[GOT],
            want=arrays["want"],
            error=absolute_error(arrays[GOT], arrays["want"], arrays["residual"]),
            bound=arrays[BOUND],
            storage_bound=arrays[STORAGE],
            reduced_bound=arrays[REDUCED],
            spoilt=spoilt | ~(arrays[SIZE] < 2.0**arithmetic.storage.emax),  # also where the size is NaN
            quantised=self._quantised(tensor)[at] if name == "original" else np.zeros(at.size),
            **{kind: mask[at] for kind, mask in kinds.items()},
            form=form,
            against_native=name == "native",
            reduced=reduced_format(self.case.dtype, self.case.mode) is not None,
            summed_again=self.summed_again,
        )

    def _at(self, at: np.ndarray, tensor: str, name: str) -> Arrays:
        """The EXPLAINING parts, want and residual at some entries (m,) of a tensor beside a reference."""
        reference = self.references.get(name, self.got)
        # dx and dW may have many entries, of which few differ. Where both sides have the same rows, an entry has the
        # same place on both, so that sizes and bounds can be computed at these places alone.
        aligned = tensor == "dx" or (tensor == "dW" and np.array_equal(self.got.touched, reference.touched))
        whole = self.beside(tensor, name, (GOT,) if aligned else EXPLAINING)
        assert whole is not None
        arrays = {part: array[at] for part, array in whole.items()}
        if aligned:
            size = self.sizes.at(tensor, at)
            bounds = {part: self.bounds(part) for part in (BOUND, STORAGE, REDUCED)}
            # Parts often share their bounds; each of these is computed once.
            computed = {bound: bound.at(tensor, at, size) for bound in set(bounds.values())}
            arrays |= {SIZE: size} | {part: computed[bound] for part, bound in bounds.items()}
        return arrays

    def selections(self, name: str, metrics: Iterable[str] = tuple(SELECTION_METRICS)) -> Selections:
        """The selection beside a reference's, for these metrics; its indices are in the method's own order."""
        reference = self.references.get(name, self.got)
        bound, trusted = np.empty((0, 0)), False
        if not BOUNDED.isdisjoint(metrics):
            bound = self.bounds(REDUCED).y  # in the arithmetic of the mode, whatever it is
            trusted = bound_is_trusted(self.references.inputs, self.case.dtype, self.case.mode)
        return Selections(
            self._order, self.got.y, reference.right_indices, reference.y, bound, trusted, self.case.dtype
        )

    def _of(self, reference: Reference, tensor: str) -> tuple[np.ndarray, np.ndarray] | None:
        """(rounded, residual) of a reference's tensor; dS comes in the shape that the method's has."""
        if tensor == "dS" and "dS" in self._given:
            return reference.matrix(self._given["dS"].ndim == 3)
        return reference.entries.get(tensor)

    def _quantised(self, tensor: str) -> np.ndarray:
        """|conditional - original|: by how much the cast moved the answer on the method's own selection."""
        own, original = (self.references.get(reference, self.got) for reference in ("conditional", "original"))
        held, uncast = self._of(own, tensor), self._of(original, tensor)
        if held is None or uncast is None:
            raise ValueError(f"the references have no {tensor}")
        mine = dict(zip(("own", "own_residual"), held, strict=True))
        both = side_by_side(tensor, self.got, original, mine, dict(zip(("want", "residual"), uncast, strict=True)))
        return absolute_error(both["own"], both["want"], both["residual"] - both["own_residual"])
