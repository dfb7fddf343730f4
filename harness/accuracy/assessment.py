"""A method beside a reference, entry by entry: what it gave, what is right, and what its error bounds allow."""

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

EXPLAINING = (GOT, SIZE, BOUND, STORAGE, REDUCED)
"""What causes ask about, of the entries that differ."""

Arrays = dict[str, np.ndarray]


class Assessment:
    """A method's outcome and its error bounds: what does not depend on the reference.

    Each array is made when something asks for it: a bound costs more than the comparison that it belongs to.
    """

    def __init__(
        self,
        outcome: Outcome | None,
        references: References,
        *,
        summed_again: bool,
        native: Callable[[], Assessment] | None = None,
    ) -> None:
        """outcome: None stands for native's, as the references have it. summed_again: the method adds the products of W
        and x itself. native: makes that of native, if this is not it."""
        self.references, self.summed_again = references, summed_again
        self.case = references.problem.case
        self.got: Solution = references.native if outcome is None else references.solution(outcome)
        self._given = tensors_of_solution(self.got)
        self._order = self.got.indices  # in which the method returned them
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
        """The bounds that a part is of."""
        in_mode = Arithmetic.of(self.case.dtype, self.case.mode)
        if part == STORAGE and self.summed_again:  # asked of sums of the method's own alone
            in_mode = in_mode.accumulating_in_storage()
        rounds_factors = reduced_format(self.case.dtype, self.case.mode) is not None
        of = Arithmetic.of(self.case.dtype) if part in (BOUND, PROBABLE) and rounds_factors else in_mode
        growth = gamma_probable if part == PROBABLE else gamma
        if (of, growth) not in self._bounds:
            self._bounds[of, growth] = Bounds(self.sizes, of, growth)
        return self._bounds[of, growth]

    def _part(self, part: str, tensor: str) -> np.ndarray:
        """got, size, bound, ... of a tensor that the method has, in the shape of `Solution`."""
        if part == GOT:
            return self._given[tensor]
        if tensor != "dS":
            of: Sizes | Bounds = self.sizes if part == SIZE else self.bounds(part)
            found: np.ndarray = getattr(of, tensor)
            return found
        dS = self._given["dS"]
        if part != SIZE:
            return matrix_bound(self.bounds(part), dS)
        got, dy = self.got, self.sizes.cotangent
        with np.errstate(invalid="ignore", over="ignore"):
            return np.abs(dy[..., None] * got.y[:, None] if dS.ndim == 3 else dy * got.values)

    def beside(self, tensor: str, name: str, parts: Iterable[str] = (GOT,)) -> Arrays | None:
        """The arrays of a tensor beside a reference, flat; None where one of the two has not the tensor.

        parts: got, size, bound, ..., the method's; want, residual: the reference's.
        """
        reference = self.references.get(name, self.got)
        theirs = self._of(reference, tensor)
        if tensor not in self._given or theirs is None:
            return None
        mine = {part: self._part(part, tensor) for part in parts}
        return side_by_side(tensor, self.got, reference, mine, dict(zip(("want", "residual"), theirs, strict=True)))

    def comparison(self, tensor: str, name: str, metrics: Iterable[str]) -> Comparison | None:
        """What these metrics take of a tensor beside a reference; None where one of the two has not the tensor."""
        needed = {NEEDS[each] for each in metrics if each in NEEDS}
        # The bounds of a mode that reduces precision are for causes, not for figures.
        ieee = reduced_format(self.case.dtype, self.case.mode) is None
        wanted = {SIZE, BOUND, PROBABLE} if ieee else {SIZE}
        arrays = self.beside(tensor, name, [GOT, *(needed & wanted)])
        if arrays is None:
            return None
        with_native = self._native is not None and name != "native" and "native_error" in needed
        return Comparison(
            arrays[GOT],
            arrays["want"],
            self.case.dtype,
            arrays["residual"],
            arrays.get(SIZE),
            arrays.get(BOUND),
            arrays.get(PROBABLE),
            self._native().error(tensor, name) if self._native is not None and with_native else None,
        )

    def error(self, tensor: str, name: str) -> float | None:
        """rel_l2 of a tensor against a reference; None where there is no such tensor."""
        if (tensor, name) not in self._errors:
            compared = self.comparison(tensor, name, ())
            self._errors[tensor, name] = None if compared is None else rel_l2(compared)
        return self._errors[tensor, name]

    def entries(self, tensor: str, name: str, got: np.ndarray, want: np.ndarray) -> Entries | None:
        """What causes ask about the entries of a tensor that differ from a reference; None where none does.

        got, want: all entries of both, as `comparison` has them.
        """
        at = np.flatnonzero(differing(got, want, against_native=name == "native"))
        if not at.size:
            return None
        arrays = self._at(at, tensor, name)
        form, in_mode = FORMATS[self.case.dtype], Arithmetic.of(self.case.dtype, self.case.mode).storage
        kinds = unlike_entries(tensor, name, self._given[tensor].shape, self.got, self.references)
        spoilt = False
        if not (np.isfinite(arrays[GOT]).all() and np.isfinite(arrays["want"]).all()):
            spoilt = not (self.references.finite and np.isfinite(self.got.y).all())
        return Entries(
            got=arrays[GOT],
            want=arrays["want"],
            error=absolute_error(arrays[GOT], arrays["want"], arrays["residual"]),
            bound=arrays[BOUND],
            storage_bound=arrays[STORAGE],
            reduced_bound=arrays[REDUCED],
            spoilt=spoilt | ~(arrays[SIZE] < 2.0**in_mode.emax),
            quantised=self._quantised(tensor)[at] if name == "original" else np.zeros(at.size),
            **{kind: mask[at] for kind, mask in kinds.items()},
            form=form,
            against_native=name == "native",
            reduced=reduced_format(self.case.dtype, self.case.mode) is not None,
            summed_again=self.summed_again,
        )

    def _at(self, at: np.ndarray, tensor: str, name: str) -> Arrays:
        """What causes ask about, at some entries (m,) of a tensor beside a reference."""
        reference = self.references.get(name, self.got)
        # dx and dW may have many entries of which few differ; of the same indices they stand beside each other as they
        # are, so that what is asked about them need not be made of all
        few = tensor == "dx" or (tensor == "dW" and np.array_equal(self.got.touched, reference.touched))
        found = self.beside(tensor, name, (GOT,) if few else EXPLAINING)
        assert found is not None
        arrays = {part: each[at] for part, each in found.items()}
        if few:
            size = self.sizes.at(tensor, at)
            bounds = {part: self.bounds(part) for part in (BOUND, STORAGE, REDUCED)}
            made = {each: each.at(tensor, at, size) for each in set(bounds.values())}
            arrays |= {SIZE: size} | {part: made[each] for part, each in bounds.items()}
        return arrays

    def selections(self, name: str, metrics: Iterable[str] = tuple(SELECTION_METRICS)) -> Selections:
        """What these metrics take of the selection beside a reference's, its indices in the order of the method."""
        reference = self.references.get(name, self.got)
        bound, trusted = np.empty((0, 0)), False
        if not BOUNDED.isdisjoint(metrics):
            bound = self.bounds(REDUCED).y
            trusted = bound_is_trusted(self.references.inputs, self.case.dtype, self.case.mode)
        return Selections(
            self._order, self.got.y, reference.right_indices, reference.y, bound, trusted, self.case.dtype
        )

    def _of(self, reference: Reference, tensor: str) -> tuple[np.ndarray, np.ndarray] | None:
        """(rounded, residual) of a tensor of a reference, of dS in the shape that the method's has."""
        if tensor == "dS" and "dS" in self._given:
            return reference.matrix(self._given["dS"].ndim == 3)
        return reference.entries.get(tensor)

    def _quantised(self, tensor: str) -> np.ndarray:
        """|conditional - original|: by how much the cast moved the answer on the method's own selection."""
        own, original = (self.references.get(each, self.got) for each in ("conditional", "original"))
        one, two = self._of(own, tensor), self._of(original, tensor)
        if one is None or two is None:
            raise ValueError(f"the references have no {tensor}")
        mine = dict(zip(("own", "own_residual"), one, strict=True))
        found = side_by_side(tensor, self.got, original, mine, dict(zip(("want", "residual"), two, strict=True)))
        return absolute_error(found["own"], found["want"], found["residual"] - found["own_residual"])
