"""An infinity among the factors excuses what it spoils in dx and dW, and nothing else; every sum has a bound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from harness.methods import method
from harness.study.cells import Case
from harness.topk.checks import wrong_outcome
from harness.topk.outcome import Outcome, run_once
from harness.topk.problems import Problem, draw

Change = Callable[[torch.Tensor], torch.Tensor]


def spoilt_problem(factor: str) -> Problem:
    """A problem with one infinity or NaN in W, in a row that is not selected, or in x."""
    problem = draw(Case(n=32, k=4, d=6))
    assert problem.W is not None
    assert problem.x is not None
    if factor == "W":
        problem.W[int(problem.y.argmin()), 2] = -torch.inf * problem.x[2].sign()
    else:
        problem.x[2] = torch.nan
    return replace(problem, y=problem.x @ problem.W.mT)


def reason(name: str, factor: str, **changes: Change) -> str:
    problem = spoilt_problem(factor)
    outcome = run_once(method(name), problem, "linear", with_dS=False)
    changed: dict[str, Any] = {tensor: change(getattr(outcome, tensor)) for tensor, change in changes.items()}
    return wrong_outcome(method(name), replace(outcome, **changed), problem, "linear")


METHODS = pytest.mark.parametrize("name", ["native", "dense", "fused"])


@METHODS
@pytest.mark.parametrize("factor", ["W", "x"])
def test_what_an_infinity_spoils_is_excused(name: str, factor: str) -> None:
    assert reason(name, factor) == ""
    spoil: dict[str, Change] = {"dx": _spoil(2)} if factor == "W" else {"dW": _spoil(2)}
    assert reason(name, factor, **spoil) == ""


def _spoil(column: int) -> Change:
    def change(gradient: torch.Tensor) -> torch.Tensor:
        spoilt = gradient.clone()
        spoilt[..., column] = torch.nan
        return spoilt

    return change


@METHODS
@pytest.mark.parametrize(
    ("factor", "tensor", "change", "said"),
    [
        ("W", "dx", lambda dx: 2 * dx, "entries of dx are outside their rounding error bound"),
        ("W", "dx", _spoil(3), "1 entries of dx are outside"),
        ("W", "dW", lambda dW: 2 * dW, "entries of dW are outside"),
        ("W", "dW", lambda dW: dW + 1, "28 rows of dW that were not selected are not zero"),
        ("W", "dW", _spoil(2), "28 rows of dW that were not selected are not zero"),
        ("x", "dx", lambda dx: 2 * dx, "6 entries of dx are outside"),
        ("x", "dW", lambda dW: 2 * dW, "20 entries of dW are outside"),
        ("x", "dW", _spoil(3), "28 rows of dW that were not selected are not zero"),
        ("x", "dW", lambda dW: dW + 1, "28 rows of dW that were not selected are not zero"),
    ],
)
def test_nothing_else_is_excused(name: str, factor: str, tensor: str, change: Change, said: str) -> None:
    assert said in reason(name, factor, **{tensor: change})


@pytest.mark.parametrize(("dtype", "rows", "k"), [("bfloat16", 1, 600), ("bfloat16", 600, 4), ("float16", 1, 4500)])
def test_a_long_sum_in_halves_has_a_bound_too(dtype: str, rows: int, k: int) -> None:
    """A method that multiplies again may accumulate in halves, 256 or 2048 terms and more: beyond Higham's bound."""
    problem = draw(Case(n=k + 8, k=k, rows=rows, d=3, dtype=dtype))
    outcome: Any = run_once(method("fused"), problem, "linear", with_dS=False)
    assert wrong_outcome(method("fused"), outcome, problem, "linear") == ""
    for tensor in ("dx", "dW"):
        far = replace(outcome, **{tensor: _far(outcome, tensor)})
        assert f"entries of {tensor} are outside" in wrong_outcome(method("fused"), far, problem, "linear")


def _far(outcome: Outcome, tensor: str) -> torch.Tensor:
    gradient: torch.Tensor = getattr(outcome, tensor)
    return torch.where(gradient != 0, torch.finfo(gradient.dtype).max, gradient)
