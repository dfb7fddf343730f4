"""What a method is compared with: native, and three exact answers that differ in selection and in inputs."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

from harness.exact.answers import ExactSolution, solve_exactly
from harness.exact.certified import Certified, Proof
from harness.exact.gradients import Cotangents, matrix_gradient
from harness.exact.numbers import Scores
from harness.exact.ulp import round_to
from harness.precision.selection import right_selection
from harness.precision.solution import Solution
from harness.topk.outcome import Outcome, Selected, bits, inputs_of, original_inputs_of, selected_of, solution_of
from harness.topk.problems import Problem


@dataclass(frozen=True)
class Reference:
    """One reference as seen by one method: its selection, its y, and each tensor as (rounded, residual).

    indices: (rows, k) ascending, what the reference selected; right_indices: the right selection by its y, among
    equals the choice of the method (the same, but for native, which made a choice of its own); y: (rows, n); touched:
    (t,) ascending; entries: tensor -> two arrays, shaped as in `Solution`: rounded to the dtype, and what that lacks.
    matrix(full): dS, (rows, k, n) or at the entries of S, (rows, k).
    """

    indices: np.ndarray
    right_indices: np.ndarray
    y: np.ndarray
    touched: np.ndarray
    entries: dict[str, tuple[np.ndarray, np.ndarray]]
    matrix: Callable[[bool], tuple[np.ndarray, np.ndarray]]


@dataclass
class References:
    """The references of one problem; exact answers are made once for each selection that a method comes with.

    proof: how many exact entries were settled by which rung of the ladder.
    """

    problem: Problem
    native_selected: Selected
    loss: str
    proof: Proof = field(default_factory=Proof)
    _made: dict[tuple[str, bytes], Reference] = field(default_factory=dict)
    _y: dict[str, Certified] = field(default_factory=dict)

    # Made when they are first asked for: most launches compare nothing, and these are copies in float64.

    @functools.cached_property
    def finite(self) -> bool:
        """Whether all inputs are finite."""
        held = (self.problem.y, self.problem.weights, self.problem.x, self.problem.W)
        return all(bool(each.isfinite().all()) for each in held if each is not None)

    @functools.cached_property
    def inputs(self) -> dict[str, np.ndarray]:
        return inputs_of(self.problem)

    @functools.cached_property
    def original_inputs(self) -> dict[str, np.ndarray]:
        return original_inputs_of(self.problem)

    @functools.cached_property
    def native(self) -> Solution:
        return solution_of(self.native_selected)

    def solution(self, outcome: Outcome) -> Solution:
        """An outcome in float64; with native's y where it was given the same."""
        selected = selected_of(outcome)
        same = torch.equal(bits(selected.y), bits(self.native_selected.y))
        return solution_of(selected, self.native.y if same else None)

    def get(self, name: str, got: Solution) -> Reference:
        """`native`: the same dtype and device. `exact`: on the inputs as the dtype holds them. `conditional`: exact,
        on the method's own selection. `original`: exact, on the float64 inputs before the cast."""
        key = name, got.indices.tobytes()
        if key not in self._made:
            self._made[key] = self._make(name, got)
        return self._made[key]

    def _make(self, name: str, got: Solution) -> Reference:
        if name == "native":
            return self._native(got)
        inputs = self.original_inputs if name == "original" else self.inputs
        if name == "conditional" and np.array_equal(self.get("exact", got).indices, got.indices):
            return self.get("exact", got)
        dtype = self.problem.case.dtype
        fixed = got.indices if name == "conditional" else None
        kind = "original" if name == "original" else "held"
        solved = solve_exactly(inputs, got.indices, self.loss, dtype, indices=fixed, y=self._y.get(kind))
        self.proof += solved.proof
        self._y[kind] = solved.y
        return self._exact(solved, inputs)

    def _exact(self, solved: ExactSolution, inputs: dict[str, np.ndarray]) -> Reference:
        found = {"values": solved.values, "dy": solved.dy, "dx": solved.dx, "dW": solved.dW}
        entries = {name: (each.rounded, each.residual) for name, each in found.items() if each is not None}

        @functools.cache
        def matrix(full: bool) -> tuple[np.ndarray, np.ndarray]:
            cotangents = Cotangents.of(Scores(inputs), solved.indices, self.loss)
            found = matrix_gradient(cotangents, self.problem.case.dtype, full=full)
            self.proof += found.proof
            return found.rounded, found.residual

        with np.errstate(invalid="ignore"):
            y = solved.y.rounded + solved.y.residual
        return Reference(solved.indices, solved.indices, y, solved.touched, entries, matrix)

    def _native(self, got: Solution) -> Reference:
        native = self.native
        entries = {name: (each, np.zeros_like(each)) for name, each in tensors_of_solution(native).items()}

        def matrix(full: bool) -> tuple[np.ndarray, np.ndarray]:
            """native has no S: its dS is g yᵀ of its own g and y, rounded once."""
            with np.errstate(invalid="ignore", over="ignore"):
                product = native.dy[:, :, None] * native.y[:, None, :] if full else native.dy * native.values
            rounded = round_to(product, self.problem.case.dtype)
            return rounded, np.zeros_like(rounded)

        right = right_selection(native.y, got.indices)
        return Reference(native.indices, right, native.y, native.touched, entries, matrix)


def tensors_of_solution(solution: Solution) -> dict[str, np.ndarray]:
    """values, dy, dx, dW: those that there are."""
    found = {"values": solution.values, "dy": solution.dy, "dx": solution.dx, "dW": solution.dW}
    return {name: each for name, each in found.items() if each is not None}
