"""How far a method's values, gradients and selection are from each reference: the rows of discrepancies.csv."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from harness.measure.outcome import Outcome, inputs_of, matrix_gradient, original_inputs_of, solution_of
from harness.precision.metrics import METRICS, Comparison, evaluate
from harness.precision.reference import Solution, solve
from harness.precision.selection import SELECTION_METRICS
from harness.precision.ulp import round_to
from harness.problems import Problem


@dataclass(frozen=True)
class Figure:
    """One row: whose error (`of`) in which tensor, against which reference, by which metric."""

    tensor: str
    of: str
    reference: str
    metric: str
    value: float


class References:
    """The references of one problem, each evaluated once, when it is first asked for."""

    def __init__(self, problem: Problem, native: Outcome, loss: str) -> None:
        self._problem, self._native, self._loss = problem, native, loss

    def __getitem__(self, name: str) -> Solution:
        return {"native": lambda: self.native, "float64": lambda: self.float64, "original": lambda: self.original}[
            name
        ]()

    @cached_property
    def native(self) -> Solution:
        """torch.topk in the same dtype on the same device."""
        return solution_of(self._native)

    @cached_property
    def float64(self) -> Solution:
        """Evaluated in float64 on the inputs as the dtype holds them."""
        return solve(inputs_of(self._problem), self.native.indices, self._loss)

    @cached_property
    def original(self) -> Solution:
        """Evaluated in float64 on the inputs before they were rounded and cast."""
        return solve(original_inputs_of(self._problem), self.native.indices, self._loss)


def figures(
    outcome: Outcome,
    references: References,
    dtype: str,
    tensors: Iterable[str],
    names: Iterable[str],
    metrics: Iterable[str],
) -> Iterator[Figure]:
    """Every figure of an outcome: tensors x references x metrics, those that the outcome has."""
    got, metrics = solution_of(outcome), list(metrics)
    for name in names:
        want = references[name]
        for tensor in tensors:
            if tensor == "selection":
                for metric in SELECTION_METRICS.keys() & set(metrics):
                    yield Figure(tensor, "method", name, metric, SELECTION_METRICS[metric](got.indices, want.y))
                continue
            compared = _compare(tensor, outcome, got, want, dtype, rounded=name == "native")
            if compared is not None:
                for metric in (metric for metric in metrics if metric in METRICS):
                    yield Figure(tensor, "method", name, metric, evaluate(metric, compared))


def _compare(
    tensor: str, outcome: Outcome, got: Solution, want: Solution, dtype: str, *, rounded: bool
) -> Comparison | None:
    """The entries of one tensor side by side, without those that are zero by structure in both."""
    pair: tuple[np.ndarray, np.ndarray]
    if tensor == "values":
        pair = _align(got.indices, got.values, want.indices, want.values)
    elif tensor == "dy" and outcome.dy is not None:
        pair = _align(got.indices, got.dy, want.indices, want.dy)
    elif tensor == "dx" and got.dx is not None and want.dx is not None:
        pair = got.dx, want.dx
    elif tensor == "dW" and got.dW is not None and want.dW is not None:
        pair = _align(got.touched[None], got.dW[None], want.touched[None], want.dW[None])
    elif tensor == "dS" and outcome.dS is not None:
        pair = _compare_matrix_gradient(outcome, got, want, dtype, rounded)
    else:
        return None
    return Comparison(pair[0].ravel(), pair[1].ravel(), dtype)


def _compare_matrix_gradient(
    outcome: Outcome, got: Solution, want: Solution, dtype: str, rounded: bool
) -> tuple[np.ndarray, np.ndarray]:
    """dS = g yᵀ, over all of it or at the entries of S; native has no S, so its dS is g yᵀ rounded to the dtype."""
    gradient = matrix_gradient(outcome)
    with np.errstate(invalid="ignore", over="ignore"):
        expected = want.dy[:, :, None] * want.y[:, None, :] if gradient.ndim == 3 else want.dy * want.values
    if rounded:
        expected = round_to(expected, dtype)
    return _align(got.indices, gradient, want.indices, expected)


def _align(
    got_indices: np.ndarray, got: np.ndarray, want_indices: np.ndarray, want: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Entries (rows, k, ...) at the union of both selections; what a side did not select is zero there."""
    if np.array_equal(got_indices, want_indices):
        return got, want
    sides: list[list[np.ndarray]] = [[], []]
    for row in range(len(got)):
        union = np.union1d(got_indices[row], want_indices[row])
        for side, indices, entries in ((sides[0], got_indices, got), (sides[1], want_indices, want)):
            spread = np.zeros((len(union), *entries.shape[2:]))
            spread[np.searchsorted(union, indices[row])] = entries[row]
            side.append(spread)
    return np.concatenate(sides[0]), np.concatenate(sides[1])
