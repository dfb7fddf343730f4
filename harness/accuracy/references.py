"""What a method is compared with: native, and three exact answers that differ in their selection or inputs."""

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
from harness.precision.arithmetic import Arithmetic
from harness.precision.selection import right_selection
from harness.precision.solution import Solution
from harness.topk.outcome import Outcome, Selected, bits, inputs_of, original_inputs_of, selected_of, solution_of
from harness.topk.problems import Problem


@dataclass(frozen=True)
class Reference:
    """One reference as one method sees it: its selection, its y, and each tensor as (rounded, residual).

    indices: (rows, k) ascending, what the reference selected. right_indices: the right selection by its y, which among
    equal values is the method's choice; only native made one of its own, so only there it differs from indices. y:
    (rows, n). touched: (t,) ascending, the indices that any row selected. entries: tensor -> two arrays, shaped as in
    `Solution`: the exact answer rounded to the dtype, and the residual. matrix(full): the same two arrays of dS,
    (rows, k, n), or (rows, k) at the entries of S.
    """

    indices: np.ndarray
    right_indices: np.ndarray
    y: np.ndarray
    touched: np.ndarray
    entries: dict[str, tuple[np.ndarray, np.ndarray]]
    matrix: Callable[[bool], tuple[np.ndarray, np.ndarray]]


@dataclass
class References:
    """The references of one problem. An exact answer is computed once for each selection that a method returns.

    proof: how many exact entries each rung of the ladder settled.
    """

    problem: Problem
    native_selected: Selected
    loss: str
    proof: Proof = field(default_factory=Proof)
    _made: dict[tuple[str, bytes], Reference] = field(default_factory=dict)
    _y: dict[str, Certified] = field(default_factory=dict)

    # These are float64 copies, made when they are first asked for: most launches compare nothing.

    @functools.cached_property
    def finite(self) -> bool:
        """Whether all inputs are finite, also when they are factors of a product in the mode of the case."""
        limit = Arithmetic.of(self.problem.case.dtype, self.problem.case.mode).infinite_from
        inputs = (self.problem.y, self.problem.weights, self.problem.x, self.problem.W)
        return all(bool((tensor.abs() < limit).all()) for tensor in inputs if tensor is not None)

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
        """An outcome in float64; it shares native's y where the method selected from the same bits."""
        selected = selected_of(outcome)
        same = torch.equal(bits(selected.y), bits(self.native_selected.y))
        return solution_of(selected, self.native.y if same else None)

    def get(self, name: str, got: Solution) -> Reference:
        """The reference of this name for a method's solution.

        `native`: torch.topk in the same dtype on the same device. `exact`: the exact answer on the inputs as the dtype
        holds them. `conditional`: the exact answer on the method's own selection. `original`: the exact answer on the
        float64 inputs before the cast.
        """
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
        self.proof += solved.proof if kind not in self._y else solved.proof_of_gradients
        self._y[kind] = solved.y
        return self._exact(solved, inputs)

    def _exact(self, solved: ExactSolution, inputs: dict[str, np.ndarray]) -> Reference:
        tensors = {"values": solved.values, "dy": solved.dy, "dx": solved.dx, "dW": solved.dW}
        entries = {name: (exact.rounded, exact.residual) for name, exact in tensors.items() if exact is not None}

        @functools.cache
        def matrix(full: bool) -> tuple[np.ndarray, np.ndarray]:
            cotangents = Cotangents.of(Scores(inputs), solved.indices, self.loss)
            dS = matrix_gradient(cotangents, self.problem.case.dtype, full=full)
            self.proof += dS.proof
            return dS.rounded, dS.residual

        with np.errstate(invalid="ignore"):
            y = solved.y.rounded + solved.y.residual
        return Reference(solved.indices, solved.indices, y, solved.touched, entries, matrix)

    def _native(self, got: Solution) -> Reference:
        native = self.native
        entries = {name: (array, np.zeros_like(array)) for name, array in tensors_of_solution(native).items()}

        def matrix(full: bool) -> tuple[np.ndarray, np.ndarray]:
            """native has no S, so g yᵀ of its own g and y, rounded once, stands for its dS."""
            with np.errstate(invalid="ignore", over="ignore"):
                product = native.dy[:, :, None] * native.y[:, None, :] if full else native.dy * native.values
            rounded = round_to(product, self.problem.case.dtype)
            return rounded, np.zeros_like(rounded)

        right = right_selection(native.y, got.indices)
        return Reference(native.indices, right, native.y, native.touched, entries, matrix)


def tensors_of_solution(solution: Solution) -> dict[str, np.ndarray]:
    """name -> array for values, dy, dx and dW, as far as the solution has them."""
    tensors = {"values": solution.values, "dy": solution.dy, "dx": solution.dx, "dW": solution.dW}
    return {name: array for name, array in tensors.items() if array is not None}
