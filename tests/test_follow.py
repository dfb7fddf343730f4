"""Methods that are right when looked at are found, in the phase that looks; right ones are not blamed."""

from __future__ import annotations

import json
import re
from io import StringIO
from typing import Any

import pytest
import torch

from harness.device.heap import parts_of
from harness.methods import Method, method, registered
from harness.study.cells import Case
from harness.topk.checks import wrong_outcome
from harness.topk.outcome import Outcome
from harness.topk.results import KEPT_BYTES, Remembered, not_plain
from harness.vocabulary import DTYPES, PHASES
from harness.worker import follow, open_case
from harness.worker.failures import Incorrect, failure
from harness.worker.open_case import OpenCase
from harness.worker.serve import serve
from tests.asking import opening
from tests.planted import remembering, soft
from tests.present import absent
from tests.swept import swept

PLANTED = "tests.planted.remembering:"
STALE = "does not follow what it reads"


@pytest.fixture(autouse=True)
def forgotten() -> None:
    """Each test meets the planted methods as a new process does: they keep what they remember in their closures."""
    for each in vars(remembering).values():
        if isinstance(each, Method):
            vars(each).pop("implementation", None)


def opened(case: Case, *phases: str, loss: str = "square") -> OpenCase:
    return OpenCase(opening(case, phases=phases or PHASES, loss=loss, block_seconds=0.0))


def verdict(case: OpenCase, name: str, blocks: int = 1) -> dict[str, Any]:
    """What the worker answers to a check, or to the first block that it cannot time."""
    try:
        reply = case.check(name, measure=())
        for phase in reply["calls"]:
            for _ in range(blocks):
                case.time(name, phase, 2)
        return reply
    except Exception as error:  # as the worker does
        return failure(error) | {"calls": {}}


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize(
    ("name", "phase", "said"),
    [
        ("by_address", "forward", STALE),
        ("by_version", "forward", STALE),
        ("by_tensor", "forward", STALE),
        ("keeps_indices", "forward", "a later call differs"),
        ("first_cotangent", "backward", STALE),
        ("first_matrix", "build", STALE),
        ("first_values", "apply", STALE),
        ("relaxation_by_address", "forward", STALE),
        ("nearly_constant_by_address", "forward", STALE),
        ("mask_by_address", "forward", "a later call differs: in new memory it has other values"),
        ("disguised", "forward", "a later call differs: in new memory it has other values"),
        ("by_address_for_a_while", "forward", STALE),
        ("when_looked_at", "forward", r"not a plain tensor \(values: _Later\)"),
        ("parameter", "forward", r"not a plain tensor \(values: Parameter\)"),
        ("sparse_values", "forward", r"not a plain tensor \(values: torch.sparse_coo\)"),
        ("negated", "forward", r"not a plain tensor \(values: zeros, a negative"),
        ("elsewhere", "forward", r"not a plain tensor \(values: on meta\)"),
        ("without_storage", "forward", r"not a plain tensor \(values: without storage\)"),
    ],
)
def test_what_is_right_only_when_looked_at_is_incorrect(name: str, phase: str, said: str, rows: int) -> None:
    case = opened(Case(n=64, k=4, rows=rows, dtype="float64"), phase)
    reply = verdict(case, PLANTED + name)
    assert reply["status"] == "incorrect", reply
    assert reply["calls"] == {}
    assert re.search(said, reply["reason"]), reply["reason"]
    assert case.check("native", measure=())["status"] == "ok"


def test_what_remembers_is_incorrect_also_where_blocks_read_the_tensors_of_the_case() -> None:
    case = opened(Case(n=64, k=4), "forward")
    case.blocks.settings = {**case.blocks.settings, "fresh_memory": False}
    assert STALE in verdict(case, PLANTED + "by_address")["reason"]


@pytest.mark.parametrize(("spare", "dimensions"), [(0, {1, 2}), (-1, {1})])
def test_beside_a_matrix_that_is_too_large_for_a_second_one_only_y_is_rewritten(
    monkeypatch: pytest.MonkeyPatch, spare: int, dimensions: set[int]
) -> None:
    written: set[int] = set()
    write = follow._write

    def write_and_note(into: torch.Tensor, content: torch.Tensor) -> None:
        written.add(into.dim())
        write(into, content)

    monkeypatch.setattr(follow, "_write", write_and_note)
    monkeypatch.setattr(follow, "LARGEST_MATRIX", 4 * 64 * 8 + spare)
    assert verdict(opened(Case(n=64, k=4, dtype="float64"), "apply"), "dense")["status"] == "ok"
    assert written == dimensions


def test_what_remembers_is_incorrect_also_where_it_is_only_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_case, "count", lambda call: (1, 1.0))
    reply = opened(Case(n=64, k=4), "forward").check(PLANTED + "by_address", measure=["counts"])
    assert (reply["status"], reply["counts"]) == ("incorrect", [])
    assert reply["reason"].startswith(f"forward: {STALE}")
    assert opened(Case(n=64, k=4), "forward").check("native", measure=["counts"])["counts"] == [["forward", 1, 1.0]]


def test_a_product_of_what_lay_there_before_is_incorrect() -> None:
    reply = verdict(opened(Case(n=64, k=4, d=8), "pipeline"), PLANTED + "first_product")
    assert reply["status"] == "incorrect"
    assert "rows of dW that were not selected are not zero" in reply["reason"]


def test_a_workspace_that_is_not_cleared_is_incorrect() -> None:
    reply = verdict(opened(Case(n=1024, k=32), "forward"), PLANTED + "counts_kept")
    assert reply["status"] == "incorrect"
    assert "a later call differs" in reply["reason"]


@pytest.mark.parametrize("phase", ["forward", "step"])
@pytest.mark.parametrize("name", ["by_a_sample", "by_its_extremes"])
def test_what_knows_an_input_again_by_a_few_numbers_is_incorrect(name: str, phase: str) -> None:
    """In its second block; where it is only counted, at once."""
    case = opened(Case(n=64, k=4, rows=3), phase)
    name = f"tests.planted.recognising:{name}"
    assert case.check(name, measure=())["status"] == "ok"
    case.time(name, phase, 2)
    with pytest.raises(Incorrect, match=r"a later call differs: (step: )?3 of 12 indices are not among"):
        case.time(name, phase, 2)
    later = opened(Case(n=64, k=4, rows=3, seed=1), phase)
    prepared, checked = (getattr(later.blocks, each) for each in ("prepared", "checked"))
    later.check(name, measure=())
    with pytest.raises(Incorrect, match="a later call differs"):
        later.blocks.follow_apart(prepared[name, phase], checked[name, phase])


@pytest.mark.parametrize("phase", ["forward", "step"])
@pytest.mark.parametrize("rows", [1, 3])
def test_what_knows_an_input_again_by_what_it_selected_is_incorrect(rows: int, phase: str) -> None:
    """In its third block, in which the largest is one that was not selected before."""
    case, name = opened(Case(n=64, k=4, rows=rows), phase), "tests.planted.recognising:by_what_it_selected"
    assert case.check(name, measure=())["status"] == "ok"
    for _ in range(2):
        case.time(name, phase, 2)
    with pytest.raises(Incorrect, match=STALE):
        case.time(name, phase, 2)


def test_what_remembers_for_a_while_is_incorrect_in_a_block_of_many_calls() -> None:
    """Its last call is right again."""
    case, name = opened(Case(n=64, k=4), "forward"), PLANTED + "by_address_for_a_while"
    case.check(name, measure=())
    with pytest.raises(Incorrect, match=STALE):
        case.time(name, "forward", 1000)


@pytest.mark.parametrize(("n", "k"), [(1, 1), (4, 4), (64, 63), (64, 1)])
@pytest.mark.parametrize("distribution", ["normal", "ties", "constant", "nonfinite"])
def test_what_is_raised_was_not_selected_and_is_the_largest(n: int, k: int, distribution: str) -> None:
    content = opened(Case(n=n, k=k, rows=3, distribution=distribution)).correctness.content
    other, y = content.raised, content.problem.y
    if k == n or distribution == "nonfinite":
        assert torch.equal(other.problem.y.nan_to_num(9e9), y.nan_to_num(9e9))
        return
    moved = other.problem.y != y
    assert not moved.gather(-1, content.indices).any()
    assert torch.equal(moved.sum(-1), (y.amax(-1) != 0).long())
    assert torch.equal(other.problem.y.amax(-1), y.amax(-1) + y.amax(-1).abs())
    outcome = Outcome(other.indices, other.problem.y, other.values, None, None, None)
    assert wrong_outcome(method("native"), outcome, other.problem, "linear") == ""


@pytest.mark.parametrize(("n", "k"), [(1, 1), (4, 4), (64, 63), (64, 1)])
@pytest.mark.parametrize("distribution", ["normal", "ties", "constant", "nonfinite"])
def test_what_changes_places_is_the_largest_and_one_that_was_not_selected(n: int, k: int, distribution: str) -> None:
    content = opened(Case(n=n, k=k, rows=3, distribution=distribution)).correctness.content
    other, y = content.exchanged, content.problem.y
    moved = ~((other.problem.y == y) | (other.problem.y.isnan() & y.isnan()))
    assert int(moved.sum(-1).max()) <= 2
    assert torch.equal(other.values.nan_to_num(9e9), content.values.nan_to_num(9e9))
    assert torch.equal(other.problem.y.sort().values.nan_to_num(9e9), y.sort().values.nan_to_num(9e9))
    outcome = Outcome(other.indices, other.problem.y, other.values, None, None, None)
    assert wrong_outcome(method("native"), outcome, other.problem, "linear") == ""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("of_the_last_forward", "backward: after a forward pass on another input, a later call differs: "),
        ("in_another_order_later", "backward: after a forward pass on another input, a later call differs: "),
        ("of_contiguous_cotangents", "backward: of the sum of the values: "),
        ("sparse_gradient", "not a plain tensor (dy: torch.sparse_coo)"),
    ],
)
@pytest.mark.parametrize("rows", [1, 3])
def test_a_gradient_that_one_call_does_not_show_is_incorrect(name: str, said: str, rows: int) -> None:
    reply = opened(Case(n=64, k=4, rows=rows), "backward").check(f"tests.planted.gradients:{name}", measure=())
    assert reply["status"] == "incorrect", reply
    assert reply["reason"].startswith(said)


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("phase", ["backward", "step", "jvp", "vjp", "pipeline"])
@swept("rows", [1, 3])
@swept("loss", ["linear", "square"])
@swept("becomes", list(soft.GRADIENTS))
def test_a_gradient_of_a_relaxation_is_finite(becomes: str, loss: str, rows: int, phase: str, first: int) -> None:
    """What it should be nobody can say. first: the derivatives that are right."""
    parameters = (("becomes", becomes), ("first", first))
    case = opened(Case(n=64, k=4, rows=rows, d=8, parameters=parameters), phase, loss=loss)
    reply = verdict(case, "tests.planted.soft:soft_gradient")
    wrong = becomes not in ("none", "scaled")  # in a pipeline infinities of both signs cancel to NaN
    assert reply["status"] == ("incorrect" if wrong else "ok"), reply
    assert re.search("entries of (dy|dx|dW|the derivative) are (not finite|NaN)", reply["reason"]) or not wrong, reply


@swept("distribution", ["nonfinite", "overflow"])
@swept("phase", ["backward", "step", "jvp", "vjp", "pipeline"])
@swept("rows", [1, 3])
def test_no_gradient_of_a_relaxation_is_blamed_beside_what_is_not_finite(
    distribution: str, phase: str, rows: int
) -> None:
    case = opened(Case(n=64, k=4, rows=rows, d=8, dtype="float16", distribution=distribution), phase, loss="square")
    reply = verdict(case, "tests.planted.soft:soft_gradient")
    assert reply["status"] == "ok", reply


@swept("mode", ["autocast-float16", "ieee"])
@swept("dtype", ["float32", "float16"])
@swept("name", ["sigmoid_shift", "straight_through"])
def test_no_pipeline_of_a_relaxation_is_blamed_where_its_product_overflows(name: str, dtype: str, mode: str) -> None:
    """In autocast the product of the method is infinite where that of the case is not."""
    case = Case(n=64, k=4, rows=3, d=8, dtype=dtype, distribution="overflow", mode=mode)
    reply = verdict(opened(case, "pipeline"), name)
    assert reply["status"] == "ok", reply


def test_a_sparse_gradient_of_the_weights_is_incorrect() -> None:
    reply = opened(Case(n=64, k=4, d=8), "pipeline").check("tests.planted.gradients:sparse_rows", measure=())
    assert (reply["status"], reply["reason"]) == ("incorrect", "not a plain tensor (dW: torch.sparse_coo)")


@pytest.mark.parametrize("name", ["clamps_without_a_gradient", "empties_without_a_gradient"])
@pytest.mark.parametrize("phases", [("forward",), ("backward", "forward"), ("backward",)])
def test_what_is_written_without_a_gradient_is_found_and_blamed_on_no_other(name: str, phases: tuple[str, ...]) -> None:
    case = opened(Case(n=64, k=4, rows=3), *phases)
    before = case.problem.y.clone()
    reply = case.check(f"tests.planted.writing:{name}", measure=())
    found = ("incorrect", "forward: changes its input") if "forward" in phases else ("ok", "")
    assert (reply["status"], reply["reason"]) == found
    assert torch.equal(case.problem.y, before)
    assert case.check("native", measure=())["status"] == "ok"


def test_a_method_that_is_wrong_only_after_many_calls_is_incorrect_in_its_block() -> None:
    case = opened(Case(n=64, k=4), "forward")
    assert case.check(PLANTED + "tires", measure=())["status"] == "ok"
    case.time(PLANTED + "tires", "forward", 1)
    with pytest.raises(Incorrect, match="a later call differs: 4 of 4 indices are not among the 4 largest"):
        case.time(PLANTED + "tires", "forward", 6000)


def test_the_worker_answers_that_a_later_call_was_wrong() -> None:
    case, replies = opening(Case(n=64, k=4), phases=["forward"], block_seconds=0.0), StringIO()
    check = {"op": "check", "method": PLANTED + "tires", "measure": []}
    block = {"op": "time", "method": PLANTED + "tires", "phase": "forward", "calls": 6000}
    serve(StringIO("\n".join(map(json.dumps, (case, check, block)))), replies)
    last = json.loads(replies.getvalue().splitlines()[-1])
    assert last["status"] == "incorrect"
    assert last["reason"].startswith("a later call differs")


@pytest.mark.parametrize("distribution", ["normal", "ties", "constant"])
@pytest.mark.parametrize("name", ["in_the_same_buffer", "at_random", "noisy"])
def test_a_method_that_only_looks_so_is_right(name: str, distribution: str) -> None:
    case = opened(Case(n=64, k=4, rows=2, d=3, distribution=distribution), loss="linear")
    reply = verdict(case, PLANTED + name, blocks=3)
    assert reply["status"] == "ok", reply


LIKELY = ("normal", "ties", "constant", "nonfinite", "subnormal")


@pytest.mark.parametrize("distribution", LIKELY)
@pytest.mark.parametrize("dtype", DTYPES)
def test_no_registered_method_is_blamed_in_any_phase(distribution: str, dtype: str) -> None:
    """dense is: in a product with S, the tangent of a y that is not finite is NaN.

    Each dtype and each distribution meets one row and several.
    """
    settings = ((1, 16, "square"), (3, 1, "linear"))
    rows, k, loss = settings[(DTYPES.index(dtype) + LIKELY.index(distribution)) % 2]
    d = 0 if distribution == "subnormal" else 8
    case = opened(Case(n=256, k=k, rows=rows, d=d, dtype=dtype, distribution=distribution), loss=loss)
    for name, chosen in registered().items():
        if absent(chosen) or not chosen.phases_for(case.problem.case):
            continue
        reply = verdict(case, name, blocks=2)
        if reply["status"] == "unsupported":
            continue
        if reply["status"] != "ok":
            assert (name, distribution, reply["reason"][:3]) == ("dense", "nonfinite", "jvp"), reply


@pytest.mark.parametrize("fresh_memory", [True, False])
def test_what_the_phases_read_is_as_it_was(fresh_memory: bool) -> None:
    case = opened(Case(n=64, k=4, d=8))
    case.blocks.settings = {**case.blocks.settings, "fresh_memory": fresh_memory}
    before = [each.clone() for each in (case.problem.y, case.problem.W, case.problem.x, case.problem.weights)]  # type: ignore[union-attr]
    reads = [part.clone() for each in ("coo", "fused") for part in _reads(case, each)]
    now = [part for each in ("coo", "fused") for part in _reads(case, each)]
    assert all(torch.equal(one, other) for one, other in zip(reads, now, strict=True))
    after = (case.problem.y, case.problem.W, case.problem.x, case.problem.weights)
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))  # type: ignore[arg-type]


def _reads(case: OpenCase, name: str) -> list[torch.Tensor]:
    assert verdict(case, name)["status"] == "ok"
    return [
        part
        for (method, _), prepared in case.blocks.prepared.items()
        if method == name
        for each in prepared.reads
        for part in parts_of(each)
    ]


SIZES = (0, 1, 7, 1000, KEPT_BYTES // 4 + 1, 100_003)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64, torch.int64, torch.bool])
@pytest.mark.parametrize("size", SIZES)
def test_remembered_bits_tell_one_change_and_one_exchange(size: int, dtype: torch.dtype) -> None:
    tensor = (torch.arange(size) % 251).to(dtype)
    remembered = Remembered([tensor])
    assert remembered.matches([tensor.clone()])
    for at in {0, size // 2, size - 1} if size else ():
        changed = tensor.clone()
        changed[at] = 1 - changed[at].to(torch.int64) % 2
        assert remembered.matches([changed]) == torch.equal(changed, tensor)
    for one, other in ((0, 1), (0, 128), (5, size - 3)) if size > 200 else ():
        exchanged = tensor.clone()
        exchanged[[one, other]] = exchanged[[other, one]]
        assert remembered.matches([exchanged]) == torch.equal(exchanged, tensor)
    assert not remembered.matches([tensor.view(1, -1)])
    assert not remembered.matches([tensor, tensor])


def test_remembered_bits_tell_an_exchange_of_short_numbers_that_lie_far_apart() -> None:
    """1 and 2 differ in the highest bits of a word, and the two words are a power of two of rows apart."""
    one = torch.ones(2**18)
    other = one.clone()
    one[1], other[1 + 2**17] = 2.0, 2.0
    assert not Remembered([one]).matches([other])


def test_remembered_bits_tell_signed_zeros_and_nan_is_like_itself() -> None:
    for size in (4, KEPT_BYTES):
        zeros, nan = torch.zeros(size), torch.full((size,), torch.nan)
        assert not Remembered([zeros]).matches([-zeros])
        assert Remembered([nan]).matches([nan.clone()])


@pytest.mark.parametrize("size", [4, KEPT_BYTES])
def test_remembered_bits_are_those_of_before_a_later_write(size: int) -> None:
    tensor = torch.zeros(size)
    remembered = Remembered([tensor])
    tensor += 1
    assert not remembered.matches([tensor])
    assert remembered.matches([torch.zeros(size)])


def test_remembered_bits_do_not_depend_on_where_a_tensor_lies() -> None:
    whole = torch.randn(2 * KEPT_BYTES + 1)
    assert Remembered([whole[1:]]).matches([whole[1:].clone()])
    columns = torch.randn(300, 200)
    assert Remembered([columns.mT]).matches([columns.mT.contiguous()])


@pytest.mark.parametrize("layout", ["to_sparse_coo", "to_sparse_csr", "to_sparse_csc"])
def test_a_matrix_may_be_sparse_and_nothing_else_may(layout: str) -> None:
    S: Any = getattr(torch.eye(4), layout)()
    assert not_plain({"S": S}, "cpu") == ""
    assert "torch.sparse" in not_plain({"values": S}, "cpu")
    assert Remembered([S]).matches([getattr(torch.eye(4), layout)()])
    assert not Remembered([S]).matches([getattr(torch.eye(4).flip(0), layout)()])
