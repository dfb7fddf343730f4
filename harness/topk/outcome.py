"""One method run once on one problem: its values, its selection and all its gradients."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from harness.methods import Method
from harness.precision.solution import Factors, Solution
from harness.topk.modes import in_mode
from harness.topk.problems import Problem


class NoSelection(Exception):
    """A method returned indices that must not be used: reading by them could break the device for the whole process."""


@dataclass(frozen=True)
class Outcome:
    """What a method returned, and its gradients, as torch returned them.

    indices, values: (k,) or (rows, k). y: what the method had to select from; wrote: whether it wrote into that. dS is
    dense, COO or CSR. missing: tensor -> why torch could not compute this gradient.
    """

    indices: torch.Tensor
    y: torch.Tensor
    values: torch.Tensor
    dy: torch.Tensor | None
    dx: torch.Tensor | None
    dW: torch.Tensor | None
    dS: torch.Tensor | None = None
    missing: dict[str, str] = field(default_factory=dict)
    wrote: bool = False


def loss_of(values: torch.Tensor, indices: torch.Tensor, weights: torch.Tensor, loss: str) -> torch.Tensor:
    """`linear`: the sum of weights[i] values over the selected i; `square`: the sum of squares."""
    return (weights.gather(-1, indices) * values).sum() if loss == "linear" else (values * values).sum()


def cotangent_of(values: torch.Tensor, indices: torch.Tensor, weights: torch.Tensor, loss: str) -> torch.Tensor:
    """The gradient of the loss with respect to the values, in their shape."""
    return weights.gather(-1, indices) if loss == "linear" else 2 * values.detach()


def run_once(method: Method, problem: Problem, loss: str, with_dS: bool) -> Outcome:
    """The outcome of a method as it is run (harness/topk/transforms.py).

    It has no gradients in inference mode, nor where torch cannot differentiate the method. with_dS: whether to ask for
    the gradient of S, if the method makes one. Raises what torch raises where the method is not supported, and
    NoSelection.
    """
    implementation, k, case = method.implementation, problem.case.k, problem.case
    differentiated = case.transform != "inference"
    leaves = {}
    if problem.x is None or problem.W is None:
        y = leaves["dy"] = problem.y.detach().requires_grad_(differentiated)
    else:
        x = leaves["dx"] = problem.x.detach().requires_grad_(differentiated)
        W = leaves["dW"] = problem.W.detach().requires_grad_(differentiated)
        y = in_mode(lambda: x @ W.mT, case.mode, case.device)()
        if implementation.forward is None and implementation.project is not None:
            values, indices = implementation.project(W, x, k)
            return _differentiate(values, indices, y.detach(), leaves, problem, loss)
        leaves["dy"] = y
    # A copy is needed, to see whether the method writes into y, unless problem.y is one already.
    drawn = torch.equal(bits(y), bits(problem.y))
    given = problem.y if drawn and y.data_ptr() != problem.y.data_ptr() else y.detach().clone()
    if implementation.build is not None and implementation.apply is not None:
        indices = y.detach().topk(k).indices
        S = implementation.build(indices, y.shape[-1], y.dtype)
        if with_dS and differentiated and method.has_matrix:
            leaves["dS"] = S.requires_grad_()
        values = implementation.apply(S, y)
    else:
        values, indices = method.forward(y if method.has_gradient else y.detach(), k)
    if not method.has_gradient:
        wrote = not torch.equal(bits(y), bits(given))
        return Outcome(indices, given, values, None, None, None, wrote=wrote)
    outcome = _differentiate(values, indices, given, leaves, problem, loss)
    return replace(outcome, wrote=not torch.equal(bits(y), bits(given)))


@dataclass(frozen=True)
class Selected:
    """An outcome reduced to what it selected, always with an axis of rows; the indices ascend in each row.

    indices, values, dy: (rows, k); y: (rows, n), what was selected from; touched: (t,) ascending, the indices that any
    row selected; dx: (rows, d); dW: (t, d), the touched rows. checks.py makes sure that dy and dW are zero elsewhere.
    """

    indices: torch.Tensor
    y: torch.Tensor
    values: torch.Tensor
    dy: torch.Tensor | None
    touched: torch.Tensor
    dx: torch.Tensor | None
    dW: torch.Tensor | None


def selected_of(outcome: Outcome) -> Selected:
    """The selected part of an outcome whose indices are in range."""
    indices, order = as_rows(outcome.indices).sort(dim=-1)
    values, touched = as_rows(outcome.values.detach()).gather(-1, order), torch.unique(indices)
    dy = None if outcome.dy is None else as_rows(outcome.dy).gather(-1, indices)
    dx = None if outcome.dx is None else as_rows(outcome.dx)
    dW = None if outcome.dW is None else outcome.dW[touched]
    return Selected(indices, as_rows(outcome.y), values, dy, touched, dx, dW)


def solution_of(selected: Selected, y: np.ndarray | None = None) -> Solution:
    """The same in float64 NumPy. y: the outcome's y, if it has been converted already. A missing dy is NaN."""
    values = as_float64(selected.values)
    dy = np.full(values.shape, np.nan) if selected.dy is None else as_float64(selected.dy)
    dx, dW = (None if gradient is None else as_float64(gradient) for gradient in (selected.dx, selected.dW))
    indices, touched = (integers.cpu().numpy() for integers in (selected.indices, selected.touched))
    return Solution(indices, as_float64(selected.y) if y is None else y, values, dy, touched, dx, dW)


def matrix_gradient(outcome: Outcome) -> np.ndarray:
    """dS in float64, in ascending order of the indices: (rows, k, n), or (rows, k) at the entries of a sparse S."""
    if outcome.dS is None:
        raise ValueError("this outcome has no dS")
    indices = as_rows(outcome.indices)
    if outcome.dS.layout == torch.sparse_coo:
        gradient = outcome.dS.coalesce().values().reshape(indices.shape)
    elif outcome.dS.layout == torch.sparse_csr:
        gradient = outcome.dS.values().reshape(indices.shape)
    elif outcome.dS.dim() == 3 or indices.shape[0] == 1:
        gradient = outcome.dS.reshape(*indices.shape, -1)
    else:
        gradient = _diagonal_blocks(outcome.dS, *indices.shape)
    order = torch.argsort(indices, dim=-1)
    rows = torch.arange(indices.shape[0], device=indices.device).unsqueeze(-1)
    return as_float64(gradient[rows, order])


def inputs_of(problem: Problem) -> dict[str, np.ndarray]:
    """The inputs as the dtype holds them, converted to float64, with a leading axis of rows (W has none)."""
    held = {"weights": as_float64(as_rows(problem.weights))}
    if problem.x is None or problem.W is None:
        return held | {"y": as_float64(as_rows(problem.y))}
    return held | {"x": as_float64(as_rows(problem.x)), "W": as_float64(problem.W)}


def factors_of(problem: Problem, indices: np.ndarray) -> Factors:
    """The factors of a solution with these indices (rows, k); only what it uses is converted to float64."""
    touched, chosen = (torch.from_numpy(array).to(problem.y.device) for array in (np.unique(indices), indices))
    weights = as_float64(as_rows(problem.weights).gather(-1, chosen))
    if problem.x is None or problem.W is None:
        return Factors(weights, None, None, lambda: np.empty((0, 0)))
    W = problem.W
    return Factors(weights, as_float64(as_rows(problem.x)), as_float64(W[touched]), lambda: as_float64(W))


def original_inputs_of(problem: Problem) -> dict[str, np.ndarray]:
    """The float64 inputs before rounding and cast, with a leading axis of rows (W has none)."""
    return {name: array if name == "W" else np.atleast_2d(array) for name, array in problem.original.items()}


def as_float64(tensor: torch.Tensor) -> np.ndarray:
    """The tensor as a float64 array; every dtype of the harness converts without rounding."""
    array: np.ndarray = tensor.detach().cpu().to(torch.float64).numpy()
    return array


def bits(tensor: torch.Tensor) -> torch.Tensor:
    """The bit patterns as integers of the same width: -0 differs from 0, and a NaN equals itself."""
    integers = {2: torch.int16, 4: torch.int32, 8: torch.int64}
    return tensor.detach().view(integers[tensor.element_size()])


def _diagonal_blocks(dS: torch.Tensor, rows: int, k: int) -> torch.Tensor:
    """The blocks (rows, k, n) of the dense gradient (rows k, rows n) of a block-diagonal S."""
    block = torch.arange(rows, device=dS.device)
    return dS.view(rows, k, rows, -1)[block, :, block, :]


def as_rows(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor with a leading axis of rows, added where it has one axis only."""
    return tensor.unsqueeze(0) if tensor.dim() == 1 else tensor


def _differentiate(
    values: torch.Tensor, indices: torch.Tensor, y: torch.Tensor, leaves: dict[str, Any], problem: Problem, loss: str
) -> Outcome:
    if not any(leaf.requires_grad for leaf in leaves.values()):
        return Outcome(indices, y, values, None, None, None)
    if indices.numel() and (int(indices.min()) < 0 or int(indices.max()) >= y.shape[-1]):
        raise NoSelection(f"an index is outside 0..{y.shape[-1] - 1}")
    total = loss_of(values, indices, problem.weights, loss)
    missing = {}
    S = leaves.pop("dS", None)
    # The graph is kept for the gradient of S, below.
    gradients = dict(zip(leaves, torch.autograd.grad(total, list(leaves.values()), retain_graph=True), strict=True))
    if S is not None:  # by itself, since torch lacks this gradient for some layouts and dtypes that have the others
        try:
            (gradients["dS"],) = torch.autograd.grad(total, [S])
        except RuntimeError as error:
            missing["dS"] = str(error).partition("\n")[0]
    dy, dx, dW, dS = (gradients.get(name) for name in ("dy", "dx", "dW", "dS"))
    return Outcome(indices, y, values.detach(), dy, dx, dW, dS, missing)
