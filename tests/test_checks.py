"""The checks before any timing: they find every planted fault, and no registered method is blamed for one."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
import torch

from harness.methods import Method, method, registered
from harness.study.cells import Case
from harness.topk.checks import wrong_outcome
from harness.topk.distributions import DISTRIBUTIONS
from harness.topk.outcome import run_once
from harness.topk.problems import Problem, draw
from harness.topk.relaxed import wrong_relaxed_gradients
from harness.vocabulary import DTYPES
from harness.worker.failures import failure
from harness.worker.open_case import OpenCase
from tests.planted import soft
from tests.present import REFUSED, absent, by_name, is_refused
from tests.swept import swept

LOSSES = ("linear", "square")
FAULTS = {
    "wrong_values": "values are not y at their index",
    "wrong_indices": "indices are not among the",
    "wrong_shape": r"values are \(.*\) torch\..*, not \(.*\) torch\.",
    "wrong_dtype": r"values are .* torch\.float\d\d, not .* torch\.",
    "gives_nan": "values are not y at their index",
    "writes_input": "changes its input",
    "wrong_gradient": "entries of dy are not the cotangent",
}
COMPARED: dict[str, Any] = {
    "tensors": ["values", "dy", "dx", "dW", "dS", "selection"],
    "references": ["native", "exact"],
    "metrics": ["rel_l2", "flips", "causes"],
}
SPARSE = ("coo", "csr", "csr_at")
dtypes = pytest.mark.parametrize("dtype", DTYPES)
losses = swept("loss", LOSSES)


def opened(case: Case, loss: str, phases: tuple[str, ...] = (), **settings: Any) -> OpenCase:
    return OpenCase(
        {
            "case": case.axes,
            "loss": loss,
            "phases": phases,
            "tensors": [],
            "references": [],
            "metrics": [],
            "block_seconds": 0.0,
            "fresh_memory": True,
        }
        | settings
    )


def verdict(case: OpenCase, name: str) -> dict[str, Any]:
    try:
        return case.check(name, measure=())
    except Exception as error:  # as the worker does
        return failure(error)


@pytest.mark.parametrize("fault", FAULTS)
@dtypes
@swept(
    ("rows", "d", "loss"),
    [(1, 0, "linear"), (3, 0, "square"), (1, 8, "square"), (3, 8, "linear"), (1, 300, "linear"), (3, 300, "square")],
)
def test_every_fault_is_found_and_named(fault: str, dtype: str, rows: int, d: int, loss: str) -> None:
    """Also at d = 300, where the error bound of a product in bfloat16 allows any value.

    Of two dtypes the other meets the other loss.
    """
    if DTYPES.index(dtype) % 2:
        loss = "linear" if loss == "square" else "square"
    case = opened(Case(n=96, k=5, rows=rows, d=d, dtype=dtype), loss)
    reply = verdict(case, f"tests.acceptance.faults:{fault}")
    assert reply["status"] == "incorrect"
    assert reply["calls"] == {}
    assert reply["figures"] == []
    assert re.search(FAULTS[fault], reply["reason"]), reply["reason"]


@swept("d", [0, 8])
@swept("rows", [1, 3])
def test_what_a_method_has_written_is_blamed_on_no_other(rows: int, d: int) -> None:
    case = opened(Case(n=96, k=5, rows=rows, d=d), "linear", metrics=["repeat_equal_share"], tensors=["values"])
    assert verdict(case, "tests.planted.writing:writes_and_raises")["status"] == "crashed"
    assert verdict(case, "numpy_argpartition")["status"] == "ok"
    later = case.check("tests.planted.writing:writes_later", ["repeats"])
    assert (later["status"], later["reason"]) == ("incorrect", "changes its input")
    assert verdict(case, "numpy_argpartition")["status"] == "ok"


@dtypes
@swept("rows", [1, 3])
def test_a_wrong_gradient_is_found_beside_what_is_not_finite(dtype: str, rows: int) -> None:
    """The cotangent of the linear loss is finite whatever y is, so nothing excuses dy."""
    case = opened(Case(n=1024, k=16, rows=rows, dtype=dtype, distribution="nonfinite"), "linear")
    assert not case.problem.y.isfinite().all()
    assert verdict(case, "tests.acceptance.faults:wrong_gradient")["status"] == "incorrect"


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@dtypes
@losses
def test_no_registered_method_is_blamed(distribution: str, dtype: str, loss: str) -> None:
    """n = 1024 and k = 16 is where dense products of bfloat16 flush subnormals.

    Over both losses every two of loss, rows and weights meet.
    """
    blamed, unsupported = {}, set()
    of_linear = (DTYPES.index(dtype) + [*DISTRIBUTIONS].index(distribution)) % 2 == 0
    for rows, d in ((1, 0), (2, 8)) if (loss == "linear") == of_linear else ((2, 0), (1, 8)):
        if d and not DISTRIBUTIONS[distribution].has_weights:
            continue
        case = opened(Case(n=1024, k=16, rows=rows, d=d, dtype=dtype, distribution=distribution), loss)
        for name, chosen in registered().items():
            if absent(chosen) or not chosen.phases_for(case.problem.case):
                continue
            reply = verdict(case, name)
            if reply["status"] == "unsupported":
                unsupported.add(name)
            elif reply["status"] != "ok":
                blamed[name, rows, d] = reply["status"], reply["reason"]
    assert blamed == {}
    assert unsupported == {name for name, refused in REFUSED if refused == dtype}


@pytest.mark.parametrize(("share", "reason"), [(0.99, ""), (7.0, "6 entries of dx are outside their rounding error")])
def test_a_float64_sum_may_err_one_way_and_what_it_is_held_to_the_other(share: float, reason: str) -> None:
    """dx moved to a share of its bound from the exact one, away from where a float64 sum of the same terms lies."""
    problem = draw(Case(n=6, k=3, d=6, dtype="float64"))
    outcome = run_once(method("native"), problem, "square", with_dS=False)
    assert outcome.dx is not None
    assert outcome.dy is not None
    assert problem.W is not None
    terms = [
        [Fraction(g) * Fraction(w) for g, w in zip(outcome.dy.tolist(), column, strict=True) if g]
        for column in problem.W.T.tolist()
    ]
    moved = []
    for each, lies in zip(terms, outcome.dx.tolist(), strict=True):
        bound = Fraction(share) * 3 * sum(map(abs, each)) / 2**53
        moved.append(float(sum(each) + (bound if lies <= sum(each) else -bound)))
    changed = replace(outcome, dx=torch.tensor(moved, dtype=torch.float64))
    assert wrong_outcome(method("native"), changed, problem, "square").startswith(reason)
    assert bool(wrong_outcome(method("native"), changed, problem, "square")) == bool(reason)


@by_name(registered().values())
@dtypes
def test_a_method_that_passes_has_its_phases_prepared(chosen: Method, dtype: str) -> None:
    case = opened(Case(n=64, k=4, d=8, dtype=dtype), "square", chosen.phases)
    reply = verdict(case, chosen.name)
    assert (reply["status"] == "unsupported") == ((chosen.name, dtype) in REFUSED)
    if reply["status"] == "ok":
        refused = re.findall(r"no (jvp|vjp): \w", reply["reason"])
        assert chosen.name in SPARSE or not chosen.exact or not refused
        assert tuple(reply["calls"]) == tuple(phase for phase in chosen.phases if phase not in refused)
        assert {phase for _, phase in case.blocks.prepared} == set(reply["calls"])
    else:
        assert (reply["status"], bool(reply["reason"])) == ("unsupported", True)


def outcome_reason(dtype: str = "float32", **changes: Any) -> str:
    """What is said of native's outcome with these tensors changed."""
    problem = draw(Case(n=32, k=4, d=6, rows=2, dtype=dtype))
    outcome = run_once(method("native"), problem, "square", with_dS=False)
    assert wrong_outcome(method("native"), outcome, problem, "square") == ""
    changed = {name: change(getattr(outcome, name)) for name, change in changes.items()}
    return wrong_outcome(method("native"), replace(outcome, **changed), problem, "square")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"indices": lambda i: i.int()}, "indices are (2, 4) torch.int32"),
        ({"indices": lambda i: i[:, :3]}, "indices are (2, 3) torch.int64"),
        ({"indices": lambda i: i + 32}, "outside 0..31"),
        ({"indices": lambda i: i - 32}, "outside 0..31"),
        ({"indices": lambda i: i[:, [0, 0, 1, 2]]}, "selected twice"),
        ({"values": lambda v: v.flip(-1)}, "values are not y at their index"),
        ({"values": lambda v: v.flip(0)}, "values are not y at their index"),
        ({"dy": lambda g: g + 1}, "entries of dy"),
        ({"dy": lambda g: g * float("nan")}, "entries of dy"),
        ({"dx": lambda g: g * 1.001}, "entries of dx are outside"),
        ({"dx": lambda g: g * float("nan")}, "entries of dx are outside"),
        ({"dx": lambda g: g * float("inf")}, "entries of dx are outside"),
        ({"dW": lambda g: g * 1.001}, "entries of dW are outside"),
        ({"dW": lambda g: g + 1}, "rows of dW that were not selected are not zero"),
        ({"dW": lambda g: torch.zeros_like(g)}, "dW"),
    ],
)
def test_a_changed_tensor_is_found_and_named(changes: dict[str, Any], said: str) -> None:
    assert said in outcome_reason(**changes)


@dtypes
@pytest.mark.parametrize("tensor", ["dx", "dW"])
def test_an_infinite_gradient_is_found_in_every_dtype(tensor: str, dtype: str) -> None:
    said = outcome_reason(dtype, **{tensor: lambda g: torch.where(g != 0, torch.inf, g)})
    assert f"entries of {tensor} are outside" in said


def subnormal_problem(dtype: str) -> Problem:
    """Every y is subnormal, of either sign; bfloat16 products flush some of them at this k and n."""
    problem = draw(Case(n=1024, k=16, dtype=dtype))
    return replace(problem, y=(problem.y * 0.1).clamp(-0.9, 0.9) * torch.finfo(problem.y.dtype).tiny)


@dtypes
@losses
@by_name(each for each in registered().values() if "forward" in each.phases)
def test_no_registered_method_is_blamed_where_all_is_subnormal(chosen: Method, loss: str, dtype: str) -> None:
    problem = subnormal_problem(dtype)
    if is_refused(chosen.name, dtype, lambda: run_once(chosen, problem, loss, with_dS=False)):
        return
    outcome = run_once(chosen, problem, loss, with_dS=False)
    assert wrong_outcome(chosen, outcome, problem, loss) == ""


@dtypes
def test_a_subnormal_may_become_zero_and_nothing_else(dtype: str) -> None:
    problem, native = subnormal_problem(dtype), method("native")
    outcome = run_once(native, problem, "square", with_dS=False)
    assert outcome.dy is not None
    dy_flushed = replace(outcome, dy=outcome.dy * 0)
    for flushed in (dy_flushed, replace(dy_flushed, values=outcome.values * 0)):
        assert wrong_outcome(native, flushed, problem, "square") == ""
    normal = replace(problem, y=torch.full_like(problem.y, torch.finfo(problem.y.dtype).tiny))  # the smallest
    zeros = replace(run_once(native, normal, "linear", with_dS=False), values=outcome.values * 0)
    assert "values are not y" in wrong_outcome(native, zeros, normal, "linear")
    halved = replace(outcome, values=outcome.values / 2)
    assert "values are not y" in wrong_outcome(native, halved, problem, "square")
    assert "entries of dy" in wrong_outcome(native, replace(outcome, dy=outcome.dy / 2), problem, "square")


def test_beside_what_is_not_finite_a_value_may_become_nan_and_nothing_else() -> None:
    problem, native = draw(Case(n=32, k=4)), method("native")
    problem.y[problem.y.argmin()] = -float("inf")
    outcome = run_once(native, problem, "linear", with_dS=False)
    spoilt, wrong = replace(outcome, values=outcome.values * float("nan")), replace(outcome, values=outcome.values + 1)
    assert wrong_outcome(native, spoilt, problem, "linear") == ""
    assert "values are not y" in wrong_outcome(native, wrong, problem, "linear")


def test_a_relaxation_is_held_to_shape_and_dtype() -> None:
    problem = draw(Case(n=32, k=4))
    native = method("native")
    outcome = run_once(native, problem, "square", with_dS=False)
    relaxed = replace(native, exact=False)
    wrong = replace(outcome, values=outcome.values + 1)
    assert wrong_outcome(native, wrong, problem, "square")
    assert wrong_outcome(relaxed, wrong, problem, "square") == ""
    assert wrong_outcome(relaxed, replace(outcome, values=outcome.values[:3]), problem, "square")
    assert wrong_outcome(relaxed, replace(outcome, values=outcome.values.double()), problem, "square")


@pytest.mark.parametrize(
    ("name", "entry", "row", "y", "dtype", "said"),
    [
        ("dy", "inf", 0, 1.0, "float32", "1 entries of dy are not finite"),
        ("dy", "inf", 0, 1e20, "float32", ""),  # whose square overflows, as products with its gradients may
        ("dy", "inf", 0, 1e19, "float32", "1 entries of dy are not finite"),
        ("dy", "inf", 0, 1.0, "float16", ""),
        ("dy", "nan", 0, 1.0, "float16", "1 entries of dy are NaN"),
        ("dy", "nan", 0, "-inf", "float32", ""),
        ("dy", "nan", 1, "-inf", "float32", "1 entries of dy are not finite"),
        ("dx", "inf", 0, 1.0, "float32", ""),
        ("dx", "nan", 0, 1.0, "float32", "1 entries of dx are NaN"),
        ("dx", "nan", 0, 1.0, "float16", ""),
        ("dx", "nan", 0, "inf", "float32", ""),
        ("dx", "nan", 1, "inf", "float32", "1 entries of dx are NaN"),
        ("dW", "-inf", 1, 1.0, "float32", ""),
        ("dW", "nan", 1, 1.0, "float32", "1 entries of dW are NaN"),
        ("dW", "nan", 1, "nan", "float32", ""),
    ],
)
def test_what_is_finite_gives_a_relaxation_finite_gradients(
    name: str, entry: str, row: int, y: Any, dtype: str, said: str
) -> None:
    """y: an entry of row 0, where row 1 is finite; the entry is in a row of the gradient."""
    read, gradient = (torch.zeros(2, 3, dtype=getattr(torch, dtype)) for _ in range(2))
    read[0, 1], gradient[row, 2] = float(y), float(entry)
    assert wrong_relaxed_gradients({"none": None, name: gradient}, read) == said


@swept("rows", [1, 3])
def test_a_relaxation_has_no_figures_that_would_hide_its_bias(rows: int) -> None:
    """No causes, which are of the arithmetic, and no dy or dW, which are compared at the selected entries only."""
    case = opened(Case(n=96, k=5, rows=rows, d=8, parameters=(("temperature", 1.0),)), "linear", **COMPARED)
    found = {}
    for name in ("gather", "sigmoid_shift"):
        reply = case.check(name, ["errors"])
        assert reply["status"] == "ok"
        found[name] = {(tensor, metric): value for tensor, of, reference, metric, value in reply["figures"]}
    assert {tensor for tensor, _ in found["gather"]} >= {"values", "dy", "dx", "dW", "selection"}
    assert {tensor for tensor, metric in found["sigmoid_shift"] if metric == "rel_l2"} == {"values", "dx"}
    assert not [metric for _, metric in found["sigmoid_shift"] if metric.startswith("cause_")]
    assert found["sigmoid_shift"]["values", "rel_l2"] > 0.01
    assert found["sigmoid_shift"]["selection", "flips"] == 0


def test_a_relaxation_is_run_at_the_temperature_of_its_case() -> None:
    errors = []
    for temperature in (1.0, 0.001):
        case = opened(Case(n=96, k=5, parameters=(("temperature", temperature),)), "linear", **COMPARED)
        rows = case.check("sigmoid_shift", ["errors"])["figures"]
        errors += [row[4] for row in rows if row[:4] == ["values", "method", "native", "rel_l2"]]
    assert errors[0] > 0.1 > 0.01 > errors[1]


def test_a_temperature_that_is_none_is_unsupported_in_one_line() -> None:
    case = opened(Case(n=96, k=5, parameters=(("temperature", -1.0),)), "linear", **COMPARED)
    reply = verdict(case, "sigmoid_shift")
    assert reply == {"status": "unsupported", "reason": "temperature has to be a number above 0, not -1.0"}


@swept("rows", [1, 3])
@swept("d", [0, 8])
def test_a_method_without_a_gradient_has_figures_of_what_it_has(rows: int, d: int) -> None:
    case = opened(Case(n=96, k=5, rows=rows, d=d), "linear", ("forward", "backward", "pipeline"), **COMPARED)
    reply = case.check("numpy_argpartition", ["errors"])
    assert (reply["status"], reply["reason"], list(reply["calls"])) == ("ok", "", ["forward"])
    assert {row[0] for row in reply["figures"] if row[1] == "method"} == {"values", "selection"}
    assert {row[4] for row in reply["figures"] if row[2:4] == ["native", "rel_l2"]} == {0.0}


def test_a_fault_of_native_itself_is_found() -> None:
    """Methods that agree with native to the last bit share its verdict: it is no excuse."""
    case = opened(Case(n=32, k=4), "square")
    case.correctness.native_is_wrong = "native is wrong"
    assert (
        verdict(case, "native")["reason"] == verdict(case, "tests.acceptance.twin:twin")["reason"] == "native is wrong"
    )


@pytest.mark.parametrize("what", soft.FAULTS)
@dtypes
@swept("rows", [1, 3])
def test_a_relaxation_is_held_to_what_every_relaxation_is(what: str, dtype: str, rows: int) -> None:
    case = opened(Case(n=64, k=5, rows=rows, dtype=dtype, parameters=(("what", what),)), "linear")
    reply = verdict(case, "tests.planted.soft:soft")
    assert reply["status"] == ("incorrect" if soft.FAULTS[what][1] else "ok"), reply
    assert soft.FAULTS[what][1] in reply["reason"]
