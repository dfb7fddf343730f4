"""A method beside a reference, entry by entry: what it gave, what is right, and what its error bounds allow."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from harness.measure.outcome import Outcome, matrix_gradient, solution_of
from harness.measure.references import Reference, References, tensors_of_solution
from harness.precision.alignment import Alignment, Kinds, by_index, by_row
from harness.precision.bounds import (
    Arithmetic,
    Bounds,
    bound_is_trusted,
    bounds,
    cotangent,
    gamma_probable,
    matrix_bound,
    reduced_format,
    sizes,
)
from harness.precision.causes import Entries
from harness.precision.metrics import Comparison, rel_l2
from harness.precision.selection import Selections
from harness.precision.solution import Solution
from harness.precision.ulp import FORMATS, absolute_error

GOT, SIZE, BOUND, PROBABLE, STORAGE, REDUCED = "got", "size", "bound", "probable", "storage", "reduced"


Arrays = dict[str, np.ndarray]


class Assessment:
    """A method's outcome and its error bounds: what does not depend on the reference."""

    def __init__(
        self, outcome: Outcome, references: References, *, summed_again: bool, native: Assessment | None = None
    ) -> None:
        """summed_again: the method adds the products of W and x itself; native: that of native, if this is not it."""
        self.outcome, self.references, self.summed_again = outcome, references, summed_again
        self.case = references.problem.case
        self.got: Solution = solution_of(outcome)
        self.parts = self._parts()
        self.spoilt = not all(np.isfinite(each).all() for each in (*references.inputs.values(), self.got.y))
        self._native = native
        self._errors: dict[tuple[str, str], float | None] = {}

    def _parts(self) -> dict[str, dict[str, np.ndarray]]:
        """got, size, bound, ... -> tensor -> array, in the shapes of `Solution`."""
        got, inputs, loss = self.got, self.references.inputs, self.references.loss
        arithmetic = Arithmetic.of(self.case.dtype)
        in_mode = Arithmetic.of(self.case.dtype, self.case.mode)
        size = sizes(got, inputs, loss)
        found = {
            BOUND: (arithmetic, bounds(got, size, inputs, loss, arithmetic)),
            PROBABLE: (arithmetic, bounds(got, size, inputs, loss, arithmetic, gamma_probable)),
            STORAGE: (in_mode, bounds(got, size, inputs, loss, in_mode.accumulating_in_storage())),
            REDUCED: (in_mode, bounds(got, size, inputs, loss, in_mode)),
        }
        self.y_bound = found[REDUCED][1].y
        parts = {GOT: tensors_of_solution(got), SIZE: _tensors(size)}
        parts |= {name: _tensors(each) for name, (_, each) in found.items()}
        if self.outcome.dy is None:
            del parts[GOT]["dy"]
        if self.outcome.dS is not None:
            dS, dy = matrix_gradient(self.outcome), cotangent(got, inputs, loss)
            parts[GOT]["dS"] = dS
            with np.errstate(invalid="ignore", over="ignore"):
                parts[SIZE]["dS"] = np.abs(dy[..., None] * got.y[:, None] if dS.ndim == 3 else dy * got.values)
            for name, (used, each) in found.items():
                parts[name]["dS"] = matrix_bound(got, each, dy, dS, used)
        return parts

    def beside(self, tensor: str, name: str) -> Arrays | None:
        """The arrays of a tensor beside a reference, flat; None where one of the two has not the tensor.

        got, size, bound, ...: the method's; want, residual: the reference's; tied, flipped, requantised: masks.
        """
        reference = self.references.get(name, self.got)
        theirs = self._of(reference, tensor)
        if tensor not in self.parts[GOT] or theirs is None:
            return None
        mine = {part: arrays[tensor] for part, arrays in self.parts.items()}
        found = side_by_side(tensor, self.got, reference, mine, dict(zip(("want", "residual"), theirs, strict=True)))
        return found | self._unlike(tensor, name, reference)

    def comparison(self, tensor: str, name: str, arrays: Arrays) -> Comparison:
        """What metrics take of the arrays of a tensor beside a reference."""
        # The bounds of a mode that reduces precision are for causes, not for figures.
        ieee = reduced_format(self.case.dtype, self.case.mode) is None
        return Comparison(
            arrays[GOT],
            arrays["want"],
            self.case.dtype,
            arrays["residual"],
            arrays[SIZE],
            arrays[BOUND] if ieee else None,
            arrays[PROBABLE] if ieee else None,
            None if self._native is None or name == "native" else self._native.error(tensor, name),
        )

    def error(self, tensor: str, name: str) -> float | None:
        """rel_l2 of a tensor against a reference; None where there is no such tensor."""
        if (tensor, name) not in self._errors:
            found = self.beside(tensor, name)
            self._errors[tensor, name] = None if found is None else rel_l2(self.comparison(tensor, name, found))
        return self._errors[tensor, name]

    def entries(self, tensor: str, name: str, arrays: Arrays) -> Entries:
        """What causes ask of the arrays of a tensor beside a reference."""
        form, in_mode = FORMATS[self.case.dtype], Arithmetic.of(self.case.dtype, self.case.mode).storage
        return Entries(
            got=arrays[GOT],
            want=arrays["want"],
            error=absolute_error(arrays[GOT], arrays["want"], arrays["residual"]),
            bound=arrays[BOUND],
            storage_bound=arrays[STORAGE],
            reduced_bound=arrays[REDUCED],
            spoilt=self.spoilt | ~(arrays[SIZE] < 2.0**in_mode.emax),
            quantised=self._quantised(tensor) if name == "original" else np.zeros_like(arrays[GOT]),
            tied=arrays["tied"],
            flipped=arrays["flipped"],
            requantised=arrays["requantised"],
            form=form,
            against_native=name == "native",
            reduced=reduced_format(self.case.dtype, self.case.mode) is not None,
            summed_again=self.summed_again,
        )

    def selections(self, name: str) -> Selections:
        """The selection beside a reference's, its indices in the order in which the method returned them."""
        reference = self.references.get(name, self.got)
        indices = self.outcome.indices.cpu().numpy().reshape(self.got.indices.shape)
        trusted = bound_is_trusted(self.references.inputs, self.case.dtype, self.case.mode)
        return Selections(
            indices, self.got.y, reference.right_indices, reference.y, self.y_bound, trusted, self.case.dtype
        )

    def _of(self, reference: Reference, tensor: str) -> tuple[np.ndarray, np.ndarray] | None:
        """(rounded, residual) of a tensor of a reference, of dS in the shape that the method's has."""
        if tensor == "dS" and "dS" in self.parts[GOT]:
            return reference.matrix(self.parts[GOT]["dS"].ndim == 3)
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

    def _unlike(self, tensor: str, name: str, reference: Reference) -> Kinds:
        """tied, flipped, requantised -> flat masks of the entries of a tensor."""
        alignment = Alignment.of(self.got.indices, reference.indices)
        kinds = self._kinds(alignment, name)
        shape = self.parts[GOT][tensor].shape
        if tensor == "dx":
            masks = {kind: np.repeat(mask, shape[1]) for kind, mask in by_row(alignment, kinds, shape[0]).items()}
        elif tensor == "dW":
            union = np.union1d(self.got.touched, reference.touched)
            masks = {kind: np.repeat(mask, shape[1]) for kind, mask in by_index(alignment, kinds, union).items()}
        else:
            times = shape[2] if len(shape) == 3 else 1
            masks = {kind: np.repeat(mask, times) for kind, mask in kinds.items()}
        return masks

    def _kinds(self, alignment: Alignment, name: str) -> Kinds:
        none = np.zeros_like(alignment.unlike)
        if name == "native":
            y, native = self.references.native.y, self.references.native.values
            threshold = np.min(np.where(np.isnan(native), np.inf, native), axis=-1)[alignment.rows]
            own = y[alignment.rows, alignment.indices]
            at_threshold = (own == threshold) | np.isnan(own)
            tied = alignment.unlike & at_threshold
            return {"tied": tied, "flipped": alignment.unlike & ~at_threshold, "requantised": none}
        if name != "original":
            return {"tied": none, "flipped": alignment.unlike, "requantised": none}
        exact = np.zeros(self.got.y.shape, dtype=bool)
        np.put_along_axis(exact, self.references.get("exact", self.got).indices, True, -1)
        agrees = (alignment.got >= 0) == exact[alignment.rows, alignment.indices]
        return {"tied": none, "flipped": alignment.unlike & ~agrees, "requantised": alignment.unlike & agrees}


def side_by_side(
    tensor: str,
    got: Solution | Reference,
    want: Reference,
    mine: Mapping[str, np.ndarray],
    theirs: Mapping[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """The entries of both at the union of the two selections, flat; what a side did not select is zero there."""
    if tensor == "dx":
        found = {**mine, **theirs}
    elif tensor == "dW":
        alignment = Alignment.of(got.touched[None], want.touched[None])
        found = {name: alignment.of_got(each[None]) for name, each in mine.items()}
        found |= {name: alignment.of_want(each[None]) for name, each in theirs.items()}
    else:
        alignment = Alignment.of(got.indices, want.indices)
        found = {name: alignment.of_got(each) for name, each in mine.items()}
        found |= {name: alignment.of_want(each) for name, each in theirs.items()}
    return {name: each.ravel() for name, each in found.items()}


def _tensors(bound: Bounds) -> dict[str, np.ndarray]:
    found = {"values": bound.values, "dy": bound.dy, "dx": bound.dx, "dW": bound.dW}
    return {name: each for name, each in found.items() if each is not None}
