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
    """A method gave indices by which nothing can be read (a device would fail for good); the message says why."""


@dataclass(frozen=True)
class Outcome:
    """What a method gave, as torch gave it; `dS` is dense, COO or CSR; `missing` says why a gradient is not there.

    y is what the method was given to select from, and `wrote` says whether it wrote into that.
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
    """The gradient of the loss by the values."""
    return weights.gather(-1, indices) if loss == "linear" else 2 * values.detach()


def run_once(method: Method, problem: Problem, loss: str, with_dS: bool) -> Outcome:
    """The outcome of a method as run (harness/topk/transforms.py); in inference mode it has no gradients, nor where
    torch cannot differentiate the method.

    Raises what torch raises where the method is not supported.
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
    """An outcome at what it selected, in rows, as torch gave it; the indices ascend in each row.

    indices, values, dy: (rows, k); y: (rows, n), what was selected from; touched: (t,) ascending, the indices that any
    row selected; dx: (rows, d); dW: (t, d). Elsewhere dy and dW are zero, which checks.py sees to.
    """

    indices: torch.Tensor
    y: torch.Tensor
    values: torch.Tensor
    dy: torch.Tensor | None
    touched: torch.Tensor
    dx: torch.Tensor | None
    dW: torch.Tensor | None


def selected_of(outcome: Outcome) -> Selected:
    """Of an outcome whose indices are in range."""
    indices, order = as_rows(outcome.indices).sort(dim=-1)
    values, touched = as_rows(outcome.values.detach()).gather(-1, order), torch.unique(indices)
    dy = None if outcome.dy is None else as_rows(outcome.dy).gather(-1, indices)
    dx = None if outcome.dx is None else as_rows(outcome.dx)
    dW = None if outcome.dW is None else outcome.dW[touched]
    return Selected(indices, as_rows(outcome.y), values, dy, touched, dx, dW)


def solution_of(selected: Selected, y: np.ndarray | None = None) -> Solution:
    """In float64 NumPy; y: that of the outcome, where it is known already."""
    values = as_float64(selected.values)
    dy = np.full(values.shape, np.nan) if selected.dy is None else as_float64(selected.dy)
    dx, dW = (None if each is None else as_float64(each) for each in (selected.dx, selected.dW))
    indices, touched = (each.cpu().numpy() for each in (selected.indices, selected.touched))
    return Solution(indices, as_float64(selected.y) if y is None else y, values, dy, touched, dx, dW)


def matrix_gradient(outcome: Outcome) -> np.ndarray:
    """dS in float64: (rows, k, n), or (rows, k) at the entries of S where it is sparse, in the order of the indices."""
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
    """The inputs as the dtype holds them, in float64, with a leading axis of rows."""
    held = {"weights": as_float64(as_rows(problem.weights))}
    if problem.x is None or problem.W is None:
        return held | {"y": as_float64(as_rows(problem.y))}
    return held | {"x": as_float64(as_rows(problem.x)), "W": as_float64(problem.W)}


def factors_of(problem: Problem, indices: np.ndarray) -> Factors:
    """What the tensors of a solution with these indices (rows, k) are products of; nothing else is in float64."""
    touched, chosen = (torch.from_numpy(each).to(problem.y.device) for each in (np.unique(indices), indices))
    weights = as_float64(as_rows(problem.weights).gather(-1, chosen))
    if problem.x is None or problem.W is None:
        return Factors(weights, None, None, lambda: np.empty((0, 0)))
    W = problem.W
    return Factors(weights, as_float64(as_rows(problem.x)), as_float64(W[touched]), lambda: as_float64(W))


def original_inputs_of(problem: Problem) -> dict[str, np.ndarray]:
    """The float64 inputs before rounding and cast, with a leading axis of rows."""
    return {name: array if name == "W" else np.atleast_2d(array) for name, array in problem.original.items()}


def as_float64(tensor: torch.Tensor) -> np.ndarray:
    """Every dtype of the harness converts to float64 without rounding."""
    array: np.ndarray = tensor.detach().cpu().to(torch.float64).numpy()
    return array


def bits(tensor: torch.Tensor) -> torch.Tensor:
    """The bit patterns as integers, which compare -0 with 0 as unlike and NaN with itself as equal."""
    integers = {2: torch.int16, 4: torch.int32, 8: torch.int64}
    return tensor.detach().view(integers[tensor.element_size()])


def _diagonal_blocks(dS: torch.Tensor, rows: int, k: int) -> torch.Tensor:
    """(rows, k, n) of a dense gradient (rows k, rows n) of a block-diagonal S."""
    each = torch.arange(rows, device=dS.device)
    return dS.view(rows, k, rows, -1)[each, :, each, :]


def as_rows(tensor: torch.Tensor) -> torch.Tensor:
    """With a leading axis of rows."""
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
    gradients = dict(zip(leaves, torch.autograd.grad(total, list(leaves.values()), retain_graph=True), strict=True))
    if S is not None:
        try:
            (gradients["dS"],) = torch.autograd.grad(total, [S])
        except RuntimeError as error:
            missing["dS"] = str(error).partition("\n")[0]
    dy, dx, dW, dS = (gradients.get(name) for name in ("dy", "dx", "dW", "dS"))
    return Outcome(indices, y, values.detach(), dy, dx, dW, dS, missing)
