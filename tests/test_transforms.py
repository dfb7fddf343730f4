"""How a method is run: modes, transforms and the derivatives of torch.func; what is compiled has a file of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch

from harness.methods import method, registered
from harness.methods.definition import Implementation
from harness.session.process import Worker
from harness.study.cells import Case
from harness.topk.checks import wrong_derivative
from harness.topk.contents import Asked, Content
from harness.topk.phases import prepare
from harness.topk.problems import draw
from harness.topk.transforms import as_run
from tests.asking import checked
from tests.present import absent

OTHERS = (
    "coo", "csr", "csr_at", "numpy_argpartition", "numpy_partition", "entmax_budget", "softtorch_softsort",
    "blockmax_triton", "jax_top_k", "cupy_argpartition", "flashinfer_top_k", "quack_topk",
)  # fmt: skip
"""Sparse, of other libraries, or for an accelerator: torch.func may refuse them, or they are not to be had here."""

OWN = [name for name in registered() if name not in OTHERS]


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker.start() as started:
        yield started


TOLD = [
    (Case(n=64, k=4), "1 axes, inference False, deterministic=False"),
    (Case(n=64, k=4, mode="deterministic"), "1 axes, inference False, deterministic=True"),
    (Case(n=64, k=4, transform="inference"), "1 axes, inference True, deterministic=False"),
    (Case(n=64, k=4, rows=3), "2 axes, inference False, deterministic=False"),
    (Case(n=64, k=4, rows=3, transform="vmap"), "1 axes, inference False, deterministic=False"),
]


def test_a_method_is_run_as_the_case_says_and_the_next_case_starts_afresh(worker: Worker) -> None:
    for case, told in (*TOLD, *reversed(TOLD)):
        (reply,) = checked(worker, case, "tests.transformed:tells")
        assert (reply["status"], reply["reason"]) == ("unsupported", told)


@pytest.mark.parametrize("d", [0, 8])
def test_in_inference_mode_nothing_is_differentiated(worker: Worker, d: int) -> None:
    case = Case(n=64, k=4, d=d, transform="inference")
    present = [name for name, each in registered().items() if each.phases_for(case) and not absent(each)]
    for name, reply in zip(present, checked(worker, case, *present), strict=True):
        phases = registered()[name].phases_for(case)
        assert (reply["status"], reply["reason"], tuple(reply["calls"])) == ("ok", "", phases)
        assert not {"backward", "step", "jvp", "vjp", "pipeline"} & set(phases)
        assert {row[0] for row in reply["figures"]} <= {"values", "selection"}


@pytest.mark.parametrize("d", [0, 8])
def test_mapped_over_rows_the_methods_give_what_they_give_for_all_rows(worker: Worker, d: int) -> None:
    case = Case(n=64, k=4, rows=3, d=d, transform="vmap")
    present = [name for name in OWN if registered()[name].phases_for(case)]
    for name, reply in zip(present, checked(worker, case, *present), strict=True):
        assert (name, reply["status"], reply["reason"]) == (name, "ok", "")
        assert tuple(reply["calls"]) == registered()[name].phases_for(case)
        assert all(row[4] == 0 for row in reply["figures"] if row[3] == "flips")
    for reply in checked(worker, case, "coo", "csr"):
        assert reply["status"] == "unsupported"
        assert "parse" in reply["reason"]


def test_a_method_that_is_wrong_for_one_row_is_found(worker: Worker) -> None:
    case = Case(n=64, k=4, rows=3)
    assert checked(worker, case, "tests.transformed:wrong_when_mapped")[0]["status"] == "ok"
    (reply,) = checked(
        worker, Case(n=64, k=4, rows=3, transform="vmap"), "tests.transformed:wrong_when_mapped", "native"
    )[:1]
    assert reply["status"] == "incorrect"
    assert "indices are not among the 4 largest" in reply["reason"]


@pytest.mark.parametrize("loss", ["linear", "square"])
@pytest.mark.parametrize("mode", ["ieee", "deterministic", "autocast-bfloat16"])
@pytest.mark.parametrize("rows", [1, 3])
def test_the_derivatives_of_registered_methods_are_right(worker: Worker, loss: str, mode: str, rows: int) -> None:
    case = Case(n=64, k=4, rows=rows, mode=mode)
    present = [name for name in OWN if "jvp" in registered()[name].phases]
    for name, reply in zip(present, checked(worker, case, *present, loss=loss), strict=True):
        assert (name, reply["status"], reply["reason"]) == (name, "ok", "")
        assert {"step", "jvp", "vjp"} <= set(reply["calls"])


@pytest.mark.parametrize("d", [0, 8])
def test_a_step_is_forward_and_backward_anew_in_every_call(d: int) -> None:
    problem, called = draw(Case(n=64, k=4, rows=3, d=d)), []

    def counted(y: torch.Tensor, k: int) -> Any:
        called.append(y)
        return method("native").forward(y, k)

    counting = replace(method("native"), make=lambda: Implementation(forward=counted))
    ((_, step),) = prepare(counting, ["step"], problem, "square")
    call = step.bind(*(each.clone() for each in step.reads))
    assert called == []
    for number in (1, 2, 3):
        values, dy, indices = call()
        assert len(called) == number
        assert torch.equal(values, problem.y.gather(-1, indices))
        want = torch.zeros_like(problem.y).scatter_(-1, indices, 2 * values.detach())
        assert torch.equal(dy, want)


def test_a_derivative_that_torch_refuses_is_left_out_and_the_cell_says_why(worker: Worker) -> None:
    (reply,) = checked(worker, Case(n=64, k=4), "coo")
    assert reply["status"] == "ok"
    assert reply["reason"].startswith("no jvp: ")
    assert "jvp" not in reply["calls"]
    assert "backward" in reply["calls"]


def test_a_wrong_jvp_is_found_before_it_is_timed(worker: Worker) -> None:
    (reply,) = checked(worker, Case(n=64, k=4), "tests.transformed:wrong_jvp")
    assert (reply["status"], reply["calls"], reply["figures"], reply["memory"]) == ("incorrect", {}, [], [])
    assert reply["reason"] == "jvp: 4 entries are not the tangent at their index"


@pytest.mark.parametrize("loss", ["linear", "square"])
@pytest.mark.parametrize(
    ("phase", "at", "change", "said"),
    [
        ("jvp", 0, lambda v: v + 1, "jvp: 8 values are not y"),
        ("jvp", 1, lambda t: -t, "jvp: 8 entries are not the tangent"),
        ("jvp", 1, lambda t: t * float("nan"), "jvp: 8 entries are not the tangent"),
        ("jvp", 1, lambda t: t[..., :3], "jvp: the derivative is (2, 3)"),
        ("jvp", 1, torch.Tensor.double, "jvp: the derivative is (2, 4) torch.float64, not (2, 4) torch.float32"),
        ("jvp", 2, lambda i: i.flip(-1), "jvp: 8 values are not y"),
        ("vjp", 0, lambda v: v * float("nan"), "vjp: 8 values are not y"),
        ("vjp", 1, lambda g: g + 1, "vjp: 64 entries of dy"),
        ("vjp", 1, lambda g: g * float("nan"), "vjp: 64 entries of dy"),
        ("vjp", 1, torch.Tensor.double, "vjp: the derivative is (2, 32) torch.float64, not (2, 32) torch.float32"),
        ("vjp", 2, lambda i: i - 32, "vjp: an index is outside"),
        ("step", 0, lambda v: v * float("nan"), "step: 8 values are not y"),
        ("step", 1, lambda g: g * float("nan"), "step: 64 entries of dy"),
        ("step", 1, lambda g: -g, "step: 8 entries of dy"),
        ("step", 1, lambda g: g[..., :31], "step: "),
        ("step", 1, torch.Tensor.half, "step: the derivative is (2, 32) torch.float16, not (2, 32) torch.float32"),
        ("step", 2, lambda i: i - 32, "step: an index is outside"),
    ],
)
def test_a_changed_result_of_a_derivative_is_found(phase: str, at: int, change: Any, said: str, loss: str) -> None:
    problem = draw(Case(n=32, k=4, rows=2))
    native = as_run(method("native"), problem.case)
    values, indices = native.forward(problem.y, 4)
    given = problem.weights
    if phase == "vjp":
        given = problem.weights.gather(-1, indices) if loss == "linear" else 2 * values
    if phase == "step":
        ((_, step),) = prepare(native, ["step"], problem, loss)
        result = list(step.bind(*(each.clone() for each in step.reads))())
    else:
        result = list(getattr(native.implementation, phase)(problem.y, given, 4))
    assert wrong_derivative(native, phase, result, problem, loss) == ""
    result[at] = change(result[at])
    assert wrong_derivative(native, phase, result, problem, loss).startswith(said)


@pytest.mark.parametrize(("phase", "name"), [("step", "dy"), ("vjp", "derivative")])
def test_a_right_gradient_in_another_dtype_is_wrong(phase: str, name: str) -> None:
    problem = draw(Case(n=32, k=4))
    native = as_run(method("native"), problem.case)
    values, indices = native.forward(problem.y, 4)
    cotangent = problem.weights.gather(-1, indices)
    gradient = torch.zeros_like(problem.y).scatter(-1, indices, cotangent)
    content = Content(problem, indices, problem, lambda _: pytest.fail("native is not asked for"))
    asked = Asked(native, phase, content, "linear", cotangent=cotangent)
    found = {"values": values, "indices": indices}
    assert asked.wrong(found | {name: gradient}) == ""
    assert asked.wrong(found | {name: gradient.double()}).startswith(f"{phase}: the derivative is (32,) torch.float64")


def test_yardsticks_are_the_same_under_every_transform() -> None:
    for name in ("copy", "read"):
        assert as_run(method(name), Case(n=8, rows=2, transform="compile")) is method(name)


def test_a_tangent_is_carried_by_forward_mode_alone() -> None:
    """Neither derivative needs y to require a gradient, and neither leaves one behind."""
    problem = draw(Case(n=32, k=4))
    run = as_run(method("gather"), problem.case).implementation
    assert run.jvp is not None
    values, tangent, indices = run.jvp(problem.y, problem.weights, 4)
    assert not any(each.requires_grad for each in (values, tangent, indices))
    assert torch.equal(tangent, problem.weights[indices])
