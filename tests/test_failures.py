"""What a method raises: torch's refusals and its own are unsupported, and its bugs are crashed, with their line."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness.device.compiler import compiled
from harness.errors import UserError
from harness.methods import Unsupported
from harness.study.cells import Case
from harness.worker.failures import failure
from harness.worker.open_case import OpenCase
from tests.asking import opening
from tests.planted import bugs

FACTS = sorted(Path("results").glob("*/capability/reference/facts.csv"))

REFUSED_ON_CUDA = [
    "\"addmm_sparse_cuda\" not implemented for 'Half'",
    "\"sampled_addmm_out_sparse_csr\" not implemented for 'BFloat16'",
    "CUDA error: operation not supported when calling `cusparseSpMM_bufferSize( handle, opA, opB )`",
    "addmm: computation on CUDA is not implemented for Strided + SparseBsc @ Strided",
    "addmm_out_sparse_csr_cuda currently does not support layout SparseBsc for input mat.",
    "CUDA error: no kernel image is available for execution on the device",
    "CUDA error: CUBLAS_STATUS_NOT_SUPPORTED when calling `cublasGemmEx(...)`",
]
"""Read on a GPU with torch 2.11, but for the last two."""


def raised(function: Any, *given: Any) -> dict[str, Any]:
    """What is made of what a call raises."""
    try:
        function(*given)
    except Exception as error:  # as a worker does
        return failure(error)
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (MemoryError(), "out_of_memory"),
        (torch.OutOfMemoryError("CUDA out of memory."), "out_of_memory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried 8 bytes"), "out_of_memory"),
        (NotImplementedError("no kernel"), "unsupported"),
        (Unsupported("k over 128"), "unsupported"),
        (UserError("no such method"), "unsupported"),
        (RuntimeError("no kernel\nwith a second line"), "crashed"),
        (RuntimeError("shape '[4, -1]' is invalid for input of size 17"), "crashed"),
        (RuntimeError("expected m1 and m2 to have the same dtype, but got: double != float"), "crashed"),
        (RuntimeError("The size of tensor a (3) must match the size of tensor b (4)\nnot implemented"), "crashed"),
        (RuntimeError("CUDA error: invalid configuration argument"), "crashed"),
        (RuntimeError("element 0 of tensors does not require grad and does not have a grad_fn"), "crashed"),
        (TypeError("unsupported operand type(s) for +: 'int' and 'NoneType'"), "crashed"),
        (TypeError("'<' not supported between instances of 'str' and 'int'"), "crashed"),
        (ValueError("not supported"), "crashed"),
        (KeyError("k"), "crashed"),
    ],
)
def test_failures_have_a_status_and_one_line(error: Exception, status: str) -> None:
    found = failure(error)
    assert found["status"] == status
    assert found["reason"]
    assert "\n" not in found["reason"]


@pytest.mark.parametrize("message", REFUSED_ON_CUDA)
def test_what_cuda_refuses_is_unsupported(message: str) -> None:
    assert failure(RuntimeError(message)) == {"status": "unsupported", "reason": message}


@pytest.mark.skipif(not FACTS, reason="no committed facts")
def test_every_refusal_that_the_study_capability_has_recorded_is_unsupported() -> None:
    rows = [row for path in FACTS for row in csv.DictReader(path.read_text(encoding="utf-8").splitlines())]
    details = {row["detail"] for row in rows if float(row["value"]) == 0}
    assert len(details) > 5
    assert {each: failure(RuntimeError(each))["status"] for each in details} == dict.fromkeys(details, "unsupported")


@pytest.mark.parametrize("dtype", ["BFloat16", "Half"])
def test_a_cast_that_autocast_made_is_refused_by_torch_and_one_of_the_method_is_its_bug(dtype: str) -> None:
    error = RuntimeError(f"expected scalar type Float but found {dtype}")
    assert failure(error, autocast=True)["status"] == "unsupported"
    assert failure(error)["status"] == "crashed"
    assert failure(RuntimeError("expected scalar type Float but found Double"), autocast=True)["status"] == "crashed"


Y = torch.arange(6.0).reshape(2, 3)


class Old(torch.autograd.Function):
    """As it was written before torch.func."""

    @staticmethod
    def forward(context: Any, y: Any) -> Any:
        return y.clone()


class New(torch.autograd.Function):
    """Without rules for forward mode and vmap."""

    @staticmethod
    def forward(y: Any) -> Any:
        return y.clone()

    @staticmethod
    def setup_context(context: Any, inputs: Any, output: Any) -> None:
        pass


TRANSFORMED = {
    "an old Function under vjp": lambda: torch.func.vjp(Old.apply, Y),
    "an old Function under vmap": lambda: torch.func.vmap(Old.apply)(Y),
    "no rule of vmap": lambda: torch.func.vmap(New.apply)(Y),
    "no rule of jvp": lambda: torch.func.jvp(New.apply, (Y,), (Y,)),
    "item in vmap": lambda: torch.func.vmap(lambda y: y * y.max().item())(Y),
    "branch in vmap": lambda: torch.func.vmap(lambda y: y if y.sum() > 0 else -y)(Y),
    "shape by data in vmap": lambda: torch.func.vmap(lambda y: y.nonzero())(Y),
    "random numbers in vmap": lambda: torch.func.vmap(lambda y: y + torch.rand(3))(Y),
    "numpy in vmap": lambda: torch.func.vmap(lambda y: y.numpy())(Y),
    "branch in a compiled function": lambda: compiled(lambda y: y if y.sum() > 0 else -y)(Y),
    "sparse in a compiled function": lambda: compiled(lambda y: torch.sparse.mm(y.to_sparse(), y.T))(Y),
    "numpy of bfloat16": lambda: Y.bfloat16().numpy(),
    "numpy of another device": lambda: Y.to("meta").numpy(),
    "a product of integers": lambda: torch.linalg.inv(torch.ones(2, 2, dtype=torch.int64)),
}


@pytest.mark.parametrize("what", TRANSFORMED)
def test_what_torch_does_not_do_to_a_method_is_unsupported(what: str) -> None:
    found = raised(TRANSFORMED[what])
    assert found["status"] == ("crashed" if what == "a product of integers" else "unsupported"), found


@pytest.mark.filterwarnings("ignore")  # torch.compile warns that it keeps no caches
@pytest.mark.parametrize("what", bugs.BUGS)
@pytest.mark.parametrize("transform", ["eager", "vmap", "compile"])
def test_a_bug_of_a_method_is_crashed_with_its_line(what: str, transform: str) -> None:
    case = Case(n=64, k=4, rows=4, transform=transform, distribution="ties", parameters=(("what", what),))
    opened = OpenCase(opening(case, phases=["forward"]))
    found = raised(opened.check, "tests.planted.bugs:bug", ())
    bug, kind = bugs.BUGS[what]
    if transform == "vmap" and what in bugs.REFUSED_BY_VMAP:
        assert found["status"] == "unsupported"
        return
    assert found["status"] == "crashed", found
    place = f"bugs.py, line {bug.__code__.co_firstlineno})"
    assert found["reason"].endswith(place if transform == "compile" else f" (tests/planted/{place}")
    assert transform == "compile" or found["reason"].startswith(f"{kind}: ")
    assert len(found["reason"]) <= 300


def test_the_line_is_kept_where_the_message_is_long_and_no_folder_of_the_machine_is_told() -> None:
    def fails() -> None:
        raise RuntimeError("/home/somebody/project/weights.pt is no " + "very " * 100 + "good file")

    reason = raised(fails)["reason"]
    assert reason.startswith("RuntimeError: weights.pt is no very ")
    assert reason.endswith(f"(tests/test_failures.py, line {fails.__code__.co_firstlineno + 1})")
    assert len(reason) <= 300


def test_a_library_that_a_method_calls_is_not_blamed() -> None:
    def calls() -> None:
        np.concatenate([np.zeros((2, 2)), np.zeros((3, 3))])

    assert f"(tests/test_failures.py, line {calls.__code__.co_firstlineno + 1})" in raised(calls)["reason"]
