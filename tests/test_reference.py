"""The references against autograd, and the figures against them for errors that were planted by hand."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch

from harness.accuracy.assessment import Assessment
from harness.accuracy.discrepancies import figures, proof_figures
from harness.accuracy.references import References
from harness.exact.answers import solve_exactly
from harness.exact.certified import Proof
from harness.methods import method, registered
from harness.precision import registered_metrics
from harness.precision.metrics import METRICS
from harness.precision.selection import SELECTION_METRICS
from harness.precision.solution import Solution, input_gradient, weight_gradient
from harness.study.cells import Case
from harness.topk.outcome import Outcome, run_once, selected_of, solution_of
from harness.topk.problems import Problem, draw
from harness.vocabulary import DTYPES
from tests.present import is_refused, named
from tests.swept import swept

LOSSES = ("linear", "square")
TENSORS = ("values", "dy", "dx", "dW", "dS", "selection")
EXACT_METHODS = named(each for each in registered().values() if each.exact and "backward" in each.phases)
losses = swept("loss", LOSSES)
rows_one_and_three = swept("rows", [1, 3])
weights_or_none = swept("d", [0, 5])


def inputs(rows: int, d: int, n: int = 20) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    drawn = {"weights": rng.standard_normal((rows, n))}
    if d:
        return drawn | {"x": rng.standard_normal((rows, d)), "W": rng.standard_normal((n, d))}
    return drawn | {"y": rng.standard_normal((rows, n))}


@losses
@rows_one_and_three
@weights_or_none
def test_the_reference_is_what_autograd_gives_in_float64(loss: str, rows: int, d: int) -> None:
    arrays = inputs(rows, d)
    tensors = {name: torch.tensor(array, requires_grad=name != "weights") for name, array in arrays.items()}
    y = tensors["x"] @ tensors["W"].mT if d else tensors["y"]
    y.retain_grad()
    values, indices = y.topk(4)
    g = tensors["weights"].gather(-1, indices)
    ((g * values) if loss == "linear" else values**2).sum().backward()  # type: ignore[no-untyped-call]
    solution = solve_exactly(arrays, np.zeros((rows, 4), dtype=np.int64), loss, "float64")
    ascending = indices.sort(-1).values
    assert np.array_equal(solution.indices, ascending.numpy())
    assert y.grad is not None
    assert solution.y.rounded == pytest.approx(y.detach().numpy(), rel=1e-12)
    assert solution.values.rounded == pytest.approx(y.detach().gather(-1, ascending).numpy(), rel=1e-12)
    assert solution.dy.rounded == pytest.approx(y.grad.gather(-1, ascending).numpy(), rel=1e-12)
    assert solution.touched.tolist() == sorted(set(indices.flatten().tolist()))
    if solution.dx is None or solution.dW is None:
        assert d == 0
        return
    assert solution.dx.rounded == pytest.approx(tensors["x"].grad.numpy(), rel=1e-12, abs=1e-13)  # type: ignore[union-attr]
    dW = tensors["W"].grad.numpy()  # type: ignore[union-attr]
    assert solution.dW.rounded == pytest.approx(dW[solution.touched], rel=1e-12, abs=1e-13)
    assert not np.delete(dW, solution.touched, axis=0).any()


def test_weight_gradients_by_hand() -> None:
    places, dy = np.array([[0, 2], [2, 1]]), np.array([[2.0, 3.0], [5.0, 7.0]])
    x, W = np.array([[1.0, 10.0], [100.0, 1000.0]]), np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    dx, dW = input_gradient(places, dy, W), weight_gradient(places, dy, x)
    assert dx.tolist() == [[2 + 15, 4 + 18], [25 + 21, 30 + 28]]
    assert dW.tolist() == [[2, 20], [700, 7000], [3 + 500, 30 + 5000]]


def problem_of(dtype: str = "float32", **axes: Any) -> Problem:
    return draw(Case(n=64, k=6, dtype=dtype, **axes))


def compare(
    outcome: Outcome, problem: Problem, reference: str, loss: str, metrics: Iterable[str], native: Outcome | None = None
) -> dict[tuple[str, str], float]:
    native = native or run_once(method("native"), problem, loss, with_dS=False)
    references = References(problem, selected_of(native), loss)
    assessed = Assessment(native, references, summed_again=False)
    mine = Assessment(outcome, references, summed_again=False, native=lambda: assessed)
    rows = figures(mine, TENSORS, [reference], metrics)
    return {(row.tensor, row.metric): row.value for row in rows}


@losses
@pytest.mark.parametrize("dtype", DTYPES)
@rows_one_and_three
@weights_or_none
@pytest.mark.parametrize("name", EXACT_METHODS)
def test_methods_of_one_selection_are_native_to_the_last_bit(
    name: str, d: int, rows: int, dtype: str, loss: str
) -> None:
    problem = problem_of(dtype, rows=rows, d=d)
    with_dS = registered()[name].has_matrix
    if is_refused(name, dtype, lambda: run_once(method(name), problem, loss, with_dS=with_dS)):
        return
    outcome = run_once(method(name), problem, loss, with_dS=with_dS)
    found = compare(outcome, problem, "native", loss, ["ulp_max", "bit_equal_share", "flips"])
    tensors = {"values", "dy", *(("dx", "dW") if d else ()), *(("dS",) if with_dS else ())}
    assert {tensor for tensor, _ in found} == tensors | {"selection"}
    for tensor in tensors:
        assert found[tensor, "ulp_max"] == 0, tensor
        assert found[tensor, "bit_equal_share"] == 1, tensor
    assert found["selection", "flips"] == 0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tensor", ["values", "dy", "dx", "dW"])
def test_a_planted_ulp_is_seen_where_it_is(dtype: str, tensor: str) -> None:
    problem = problem_of(dtype, d=5)
    native = run_once(method("native"), problem, "square", with_dS=False)
    original = getattr(native, tensor)
    at = int(original.abs().argmax())
    planted = original.clone().flatten()
    one_ulp = 2.0 ** (math.floor(math.log2(abs(float(planted[at])))) + 1) * torch.finfo(planted.dtype).eps / 2
    planted[at] += math.copysign(one_ulp, float(planted[at]))
    outcome = replace(native, **{tensor: planted.view(original.shape)})
    found = compare(outcome, problem, "native", "square", ["ulp_max", "abs_max", "bit_equal_share"], native)
    for other in ("values", "dy", "dx", "dW"):
        assert found[other, "ulp_max"] == (other == tensor)
        assert (found[other, "bit_equal_share"] < 1) == (other == tensor)
    assert found[tensor, "abs_max"] == one_ulp


def flipped_problem() -> tuple[Problem, Outcome, Outcome]:
    """y = (0, 1, 2, 3) from x = 1 and W; the outcome of native, k = 2, and one that has 1 instead of 2."""
    case = Case(n=4, k=2, d=1)
    x, W = torch.ones(1), torch.arange(4.0).unsqueeze(-1)
    original = {"x": x.double().numpy(), "W": W.double().numpy(), "weights": np.ones(4)}
    problem = Problem(case, x @ W.mT, torch.ones(4), x, W, lambda: original)
    native = run_once(method("native"), problem, "square", with_dS=False)
    flipped = replace(
        native,
        indices=torch.tensor([3, 1]),
        values=torch.tensor([3.0, 1.0]),
        dy=torch.tensor([0.0, 2.0, 0.0, 6.0]),
        dx=torch.tensor([20.0]),
        dW=torch.tensor([[0.0], [2.0], [0.0], [6.0]]),
    )
    return problem, native, flipped


@pytest.mark.parametrize("reference", ["native", "exact", "original"])
def test_a_planted_flip_is_counted_and_its_gradients_are_aligned_by_index(reference: str) -> None:
    problem, native, flipped = flipped_problem()
    found = compare(flipped, problem, reference, "square", ["abs_max", "rel_l2", "equal_share", "flips"], native)
    assert found["selection", "flips"] == 1
    # At the union of both selections, indices 1, 2, 3: (2, 0, 6) against (0, 4, 6), the values half of it.
    for tensor in ("dW", "dy"):
        assert found[tensor, "abs_max"] == 4
        assert found[tensor, "rel_l2"] == pytest.approx(math.sqrt(20 / 52))
        assert found[tensor, "equal_share"] == pytest.approx(1 / 3)
    assert found["values", "abs_max"] == 2
    assert found["dx", "abs_max"] == 6


def test_structural_zeros_are_left_out() -> None:
    """Of 64 rows of dW 6 are not zero: one of them off makes a sixth of the entries unequal, not one in 64."""
    problem = problem_of(d=5)
    native = run_once(method("native"), problem, "square", with_dS=False)
    assert native.dW is not None
    dW = native.dW.clone()
    dW[native.indices[0]] *= 2
    found = compare(replace(native, dW=dW), problem, "native", "square", ["equal_share"], native)
    assert found["dW", "equal_share"] == pytest.approx(5 / 6)


@losses
@rows_one_and_three
@weights_or_none
@pytest.mark.parametrize("dtype", DTYPES)
def test_original_differs_from_exact_by_quantisation_only(dtype: str, d: int, rows: int, loss: str) -> None:
    problem = problem_of(dtype, d=d, rows=rows)
    native = run_once(method("native"), problem, loss, with_dS=False)
    references, got = References(problem, selected_of(native), loss), solution_of(selected_of(native))
    original, exact = references.get("original", got), references.get("exact", got)
    assert references.native.indices.tolist() == exact.indices.tolist() == original.indices.tolist()
    u = torch.finfo(problem.y.dtype).eps / 2
    for name in ("values", "dy", "dx", "dW"):
        if name not in exact.entries:
            assert d == 0
            continue
        one, two = (sum(each.entries[name]) for each in (original, exact))
        if dtype == "float64":
            assert np.array_equal(one, two), name
        else:
            # Inputs are off by u each, and every entry is a sum of products of two to four of them.
            assert 0 < np.abs(one - two).max() < 40 * u * np.abs(one).max(), name


@losses
@rows_one_and_three
@pytest.mark.parametrize("dtype", DTYPES)
def test_total_error_is_arithmetic_and_selection_and_quantisation(dtype: str, rows: int, loss: str) -> None:
    """As vectors: of a method whose selection has a planted flip."""
    problem = problem_of(dtype, d=5, rows=rows)
    native = run_once(method("native"), problem, loss, with_dS=False)
    indices = native.indices.clone()
    left_out = next(i for i in range(64) if i not in indices.flatten().tolist())
    indices[..., -1] = left_out
    outcome = replace(native, indices=indices)
    references, got = References(problem, selected_of(native), loss), solution_of(selected_of(outcome))
    total, arithmetic, selection, quantisation = (
        difference(references, got, *pair)
        for pair in (("got", "original"), ("got", "conditional"), ("conditional", "exact"), ("exact", "original"))
    )
    assert np.abs(selection).max() > 0
    assert (dtype == "float64") == (np.abs(quantisation).max() == 0)
    assert total == pytest.approx(arithmetic + selection + quantisation, rel=1e-12, abs=1e-12)


def difference(references: References, got: Solution, one: str, two: str) -> np.ndarray:
    """dx of one less that of the other."""
    dx = [got.dx if name == "got" else sum(references.get(name, got).entries["dx"]) for name in (one, two)]
    found: np.ndarray = np.asarray(dx[0]) - np.asarray(dx[1])
    return found


def test_every_metric_has_a_figure_for_every_tensor() -> None:
    problem = problem_of(d=5)
    outcome = run_once(method("dense"), problem, "linear", with_dS=True)
    found = compare(outcome, problem, "exact", "linear", registered_metrics())
    tensors = {(t, m) for t in TENSORS if t != "selection" for m in (*METRICS, "cause_unexplained")}
    tensors -= {("dS", "native_ratio")}  # native has no S
    assert set(found) >= tensors | {("selection", m) for m in SELECTION_METRICS}
    assert not any(math.isnan(value) for value in found.values())


def test_a_proof_tells_how_many_entries_each_rung_has_settled_since() -> None:
    before, after = Proof(given=4, bound=7), Proof(given=4, bound=9, integer=1)
    told = {(each.tensor, each.metric): each.value for each in proof_figures(after, before)}
    assert told == {("all", "proved_by_bound"): 2.0, ("all", "proved_by_integer"): 1.0}


def test_the_entries_of_y_are_proved_once_for_all_selections() -> None:
    problem = problem_of(d=5)
    selected = selected_of(run_once(method("native"), problem, "linear", with_dS=False))
    references, got = References(problem, selected, "linear"), solution_of(selected)
    references.get("exact", got)
    before = references.proof
    another = replace(got, indices=np.arange(6)[None])
    references.get("conditional", another)
    proved = sum(getattr(references.proof, each.name) - getattr(before, each.name) for each in fields(Proof))
    dy, dx, dW = 6, 5, 6 * 5
    exact_again = dy + dx + dW  # among equal values the exact answer has to prefer those of this selection
    assert proved == exact_again + dy + dx + dW
