"""A method that multiplies again may round its product otherwise than y is known here: by its bound, and no further."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from harness.device.devices import device_of
from harness.methods import method
from harness.study.cells import Case
from harness.topk import checks
from harness.topk.bounded import product_bounds
from harness.topk.checks import same_bits, wrong_derivative, wrong_outcome
from harness.topk.outcome import Outcome, run_once, selected_of
from harness.topk.problems import Problem, draw
from harness.vocabulary import DTYPES

SELECTED_WRONGLY = "1 of 4 indices are not among the 4 largest"


def nearly_tied(transform: str, times: float, largest: float | None = None) -> tuple[Problem, int, int]:
    """A problem whose fourth largest value lies so many of its bounds above another: the places of both.

    largest: in place of the largest value, inf or NaN.
    """
    problem = draw(Case(n=64, k=4, d=8, dtype="float32", transform=transform))
    assert problem.W is not None
    assert problem.x is not None
    if largest is not None:
        first = int(problem.y.argmax())
        problem.W[first] = largest * problem.x.sign()
        problem.y[first] = problem.W[first] @ problem.x
        assert not problem.y[first].isfinite()
    fourth, last = (int(problem.y.argsort(descending=True)[at]) for at in (3, -1))
    bound = float(product_bounds(problem.y[None].double(), torch.tensor([0]), problem)[0, fourth])
    problem.W[last] = problem.W[fourth] - times * bound * problem.x / problem.x.square().sum()
    problem.y[last] = problem.W[last] @ problem.x
    return problem, fourth, last


def outcome_of(problem: Problem, indices: torch.Tensor) -> Outcome:
    return Outcome(indices, problem.y, problem.y[indices], None, None, None)


@pytest.mark.parametrize(
    ("transform", "times", "said"),
    [
        ("vmap", 3, ""),
        ("compile", 3, ""),
        ("eager", 3, SELECTED_WRONGLY),
        ("vmap", 60, SELECTED_WRONGLY),
        ("compile", 60, SELECTED_WRONGLY),
    ],
)
def test_compiled_or_mapped_it_may_select_what_is_equal_but_for_rounding(
    transform: str, times: float, said: str
) -> None:
    problem, fourth, other = nearly_tied(transform, times)
    indices = problem.y.topk(4).indices
    assert fourth in indices
    assert wrong_outcome(method("fused"), outcome_of(problem, indices), problem, "linear") == ""
    indices[indices == fourth] = other
    assert wrong_outcome(method("fused"), outcome_of(problem, indices), problem, "linear") == said
    assert wrong_outcome(method("native"), outcome_of(problem, indices), problem, "linear") == SELECTED_WRONGLY


@pytest.mark.parametrize("largest", [math.inf, math.nan])
@pytest.mark.parametrize(("times", "said"), [(3, ""), (60, SELECTED_WRONGLY)])
def test_a_value_that_is_not_finite_excuses_no_other(times: float, said: str, largest: float) -> None:
    problem, fourth, other = nearly_tied("compile", times, largest)
    indices = problem.y.topk(4).indices
    indices[indices == fourth] = other
    assert wrong_outcome(method("fused"), outcome_of(problem, indices), problem, "linear") == said


@pytest.mark.parametrize("dtype", DTYPES)
def test_its_values_may_be_infinite_only_where_the_product_overflows(dtype: str) -> None:
    problem = draw(Case(n=64, k=4, d=8, dtype=dtype))
    outcome = outcome_of(problem, problem.y.topk(4).indices)
    outcome.values[2] = math.inf
    reason = wrong_outcome(method("fused"), outcome, problem, "linear")
    assert reason.startswith("1 values are not y at their index")


@pytest.mark.parametrize(("times", "wrong"), [(1.0, False), (60.0, True)])
def test_its_values_may_be_farther_from_y_by_two_bounds_and_no_more(times: float, wrong: bool) -> None:
    problem = draw(Case(n=64, k=4, d=8, dtype="float32"))
    outcome = outcome_of(problem, problem.y.topk(4).indices)
    bound = product_bounds(problem.y[None].double(), torch.tensor([0]), problem)[0, outcome.indices[2]]
    values = outcome.values.clone()
    values[2] += times * bound
    assert values[2] != outcome.values[2]
    moved = replace(outcome, values=values)
    assert bool(wrong_outcome(method("fused"), moved, problem, "linear")) == wrong
    assert wrong_outcome(method("native"), moved, problem, "linear").startswith("1 values are not y at their index")


@pytest.mark.parametrize("gradient", ["dy", "dW"])
def test_what_has_the_bits_of_native_where_it_selected_is_not_native_for_that(gradient: str) -> None:
    """One more entry that is not zero, where nothing was selected."""
    problem = draw(Case(n=64, k=4, d=8))
    native = run_once(method("native"), problem, "linear", with_dS=False)
    assert same_bits(native, selected_of(native))
    spoilt = getattr(native, gradient).clone()
    spoilt.view(-1)[(spoilt.view(-1) == 0).nonzero()[0]] = 1.0
    spoilt = replace(native, **{gradient: spoilt})
    assert not same_bits(spoilt, selected_of(native))
    assert wrong_outcome(method("native"), spoilt, problem, "linear") != ""


def test_another_shape_is_not_that_of_native_although_the_bits_are() -> None:
    problem = draw(Case(n=64, k=4))
    native = run_once(method("native"), problem, "linear", with_dS=False)
    rows = replace(native, values=native.values[None], indices=native.indices[None])
    assert not same_bits(rows, selected_of(native))
    assert wrong_outcome(method("native"), rows, problem, "linear").startswith("values are (1, 4)")


@pytest.mark.parametrize("has_float64", [True, False])
def test_what_a_device_without_float64_has_computed_is_checked_on_the_cpu(
    has_float64: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = draw(Case(n=64, k=4, d=8))
    native = run_once(method("native"), problem, "linear", with_dS=False)
    brought: list[str] = []
    to_cpu, device = checks._on_cpu, device_of("cpu")

    def bring(held: Any) -> Any:
        brought.append(type(held).__name__)
        return to_cpu(held)

    monkeypatch.setattr(checks, "device_of", lambda _: replace(device, has_float64=lambda: has_float64))
    monkeypatch.setattr(checks, "_on_cpu", bring)
    assert wrong_outcome(method("native"), native, problem, "linear") == ""
    assert brought == ([] if has_float64 else ["Outcome", "Problem"])
    brought.clear()
    tangents = problem.weights.gather(-1, native.indices)
    result = native.values, tangents, native.indices
    assert wrong_derivative(method("native"), "jvp", result, problem, "linear") == ""
    assert brought == ([] if has_float64 else ["Problem", "Outcome", "Problem"])  # the tangents are compared there too
