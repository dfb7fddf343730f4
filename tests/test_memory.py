"""New memory for every block, and the peak of one call: against places seen and sizes added up by hand."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch

from harness.device.cpu import peak_bytes
from harness.device.heap import EARLIER_COPIES, Heap, bytes_of, places
from harness.methods import registered
from harness.study.cells import Case
from harness.worker.open_case import OpenCase
from tests.asking import opening
from tests.present import absent

KIB, MIB = 2**10, 2**20


def in_a_process(program: str) -> Any:
    """What a program prints as JSON: in the heap of this process, it would be decided by what tests left there."""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return json.loads(done.stdout)


BLOCKS = """
import json, torch
from harness.device.heap import Heap

torch.set_num_threads(1)
found = {}
for size in (2**16, 2**20, 2**24):
    y, cotangent, heap = torch.randn(size // 4), torch.randn(64), Heap()
    forward, backward = set(), set()
    for _ in range(20):
        (copied,) = heap.fresh((y,))
        forward.add(copied.data_ptr())
        copied.mul(2)
        copied, _ = heap.fresh((y, cotangent))
        backward.add(copied.data_ptr())
        copied.sum()
    assert y.data_ptr() not in forward | backward
    found[size] = len(forward), len(backward), len(forward | backward)
print(json.dumps(found))
"""


def test_blocks_of_64_kib_1_mib_and_16_mib_lie_in_at_least_eight_places() -> None:
    """Seven copies are kept, so a new one has an eighth place, however soon the allocator gives freed memory again.
    Which phase a place falls to is chance: of eight, one or two may fall to the other phase alone."""
    found = in_a_process(BLOCKS)
    assert len(found) == 3
    assert all(8 <= together <= 40 for *_, together in found.values()), found
    assert all(6 <= each <= 20 for *phases, _ in found.values() for each in phases), found


def test_copies_of_earlier_blocks_stay_alive_and_no_more_than_seven() -> None:
    heap, y = Heap(), torch.zeros(MIB)
    alive = [heap.fresh((y,))[0] for _ in range(30)]
    kept = {each[0].data_ptr() for each in heap._copies}
    assert len(kept) == len(heap._copies) == EARLIER_COPIES
    assert alive[-1].data_ptr() in kept


@pytest.mark.parametrize(("spare", "kept"), [(0, 0), (MIB - 1, 0), (MIB, 1), (3 * MIB, 3), (math.inf, 7)])
def test_what_stays_alive_keeps_within_what_is_to_spare(spare: float, kept: int) -> None:
    heap, y = Heap(), torch.zeros(MIB // 4)
    beside = []
    for _ in range(12):
        heap.fresh((y,), spare)
        beside.append(len(heap._copies))
    assert max(beside) == min(kept + 1, EARLIER_COPIES)
    assert places((y,), spare) == kept + 1


class Full:
    """A tensor that can be copied only when nothing else is."""

    layout = torch.strided

    def __init__(self, heap: Heap) -> None:
        self.heap = heap

    def detach(self) -> Full:
        return self

    def clone(self) -> torch.Tensor:
        if self.heap._copies:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return torch.zeros(1)


def test_copies_of_earlier_blocks_are_given_up_before_memory_is_out() -> None:
    heap = Heap()
    heap.fresh((torch.zeros(8),))
    assert len(heap.fresh((Full(heap),))) == 1  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="can't allocate"):
        raise_when_copied(heap)


def raise_when_copied(heap: Heap) -> None:
    class Never(Full):
        def clone(self) -> torch.Tensor:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    heap.fresh((Never(heap),))  # type: ignore[arg-type]


def test_a_call_that_runs_out_of_memory_is_repeated_without_copies_of_earlier_blocks() -> None:
    case = OpenCase(opening(Case(n=64, k=4), phases=["forward"]))
    assert case.check("native", measure=())["status"] == "ok"
    case.time("native", "forward", 1)
    calls = []

    def attempt() -> str:
        calls.append(len(case.blocks.heap._copies))
        if case.blocks.heap._copies:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return "done"

    assert case.blocks.with_all_memory(attempt) == "done"
    assert calls[0] > 0
    assert calls[1:] == [0]
    with pytest.raises(ValueError, match="of its own"):
        case.blocks.with_all_memory(fails)


def fails() -> None:
    raise ValueError("a fault of its own")


def test_a_cell_says_that_its_blocks_see_fewer_places() -> None:
    case = OpenCase(opening(Case(n=4096, k=4), phases=["forward", "backward"]))
    assert case.check("native", (), 10**9)["reason"] == ""
    assert case.check("native", (), 2 * 4096 * 4)["reason"] == (
        "forward: its blocks take turns in 3 of 8 places (limits.memory); "
        "backward: its blocks take turns in 2 of 8 places (limits.memory)"
    )


def grad_of_topk() -> Callable[[], Any]:
    y = torch.randn(4096, requires_grad=True)
    values = y.topk(32).values
    return lambda: torch.autograd.grad(values, y, torch.ones_like(values), retain_graph=True)


def replaces_what_was_there() -> Callable[[], Any]:
    kept = [torch.empty(10 * KIB, dtype=torch.uint8)]

    def call() -> None:
        kept[0] = torch.empty(0)
        kept[0] = torch.empty(12 * KIB, dtype=torch.uint8)

    return call


def two_temporaries() -> torch.Tensor:
    one = torch.empty(1000)
    other = one.exp()
    return other.sum()


def made(*sizes: int) -> Callable[[], Any]:
    return lambda: [torch.empty(size, dtype=torch.uint8) for size in sizes]


def in_turn(*sizes: int) -> Callable[[], Any]:
    def call() -> None:
        for size in sizes:
            torch.empty(size, dtype=torch.uint8)

    return call


@pytest.mark.parametrize(
    ("call", "peak"),
    [
        (lambda: None, 0),
        (made(3 * MIB), 3 * MIB),
        (made(1000, 24), 1024),
        (in_turn(4 * KIB, 7 * KIB, 5 * KIB), 7 * KIB),
        (two_temporaries, 4000 + 4000 + 4),
        (replaces_what_was_there(), 12 * KIB),  # what it frees of earlier calls is not taken off
        (grad_of_topk(), 4096 * 4 + 32 * 4),  # the gradient, and the cotangent
    ],
)
def test_the_peak_on_a_cpu_is_what_can_be_added_up_by_hand(call: Callable[[], Any], peak: int) -> None:
    assert peak_bytes(call) == peak


def test_what_fails_in_the_measured_call_is_not_hidden_and_leaves_no_profiler_behind() -> None:
    with pytest.raises(ZeroDivisionError):
        peak_bytes(lambda: 1 // 0)
    assert peak_bytes(made(64)) == 64


def test_without_a_profiler_the_peak_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(self: Any) -> None:
        raise RuntimeError("this torch was built without a profiler")

    monkeypatch.setattr(torch.autograd.profiler.profile, "__enter__", refuses)
    assert math.isnan(peak_bytes(made(64)))


PEAKS = """
import json
from harness.study.cells import Case
from harness.worker.open_case import OpenCase
from tests.asking import opening
from tests.test_memory import MEASURED

found = {}
for n in (64, 4096):
    case = OpenCase(opening(Case(n=n, k=8, d=4)))
    for name in MEASURED:
        reply = case.check(name, ["memory"])
        assert reply["status"] == "ok", (name, reply)
        found |= {f"{name} {n} {phase}": peak for phase, _, peak in reply["memory"]}
print(json.dumps(found))
"""
MEASURED = sorted(name for name, each in registered().items() if not absent(each))


def test_every_method_has_the_same_peak_in_every_process() -> None:
    """Two processes, the heap of one of them churned beforehand."""
    here = in_a_process(PEAKS)
    there = in_a_process("import torch\nchurn = [torch.empty(7 * i) for i in range(5000)][::3]\n" + PEAKS)
    assert here == there
    assert {key.split()[0] for key in here} == set(MEASURED)
    assert all(math.isfinite(peak) for peak in here.values())


def test_bytes_of_sparse_tensors_count_their_indices() -> None:
    dense: Any = torch.eye(6)
    assert bytes_of(dense) == 144
    assert bytes_of(dense.to_sparse_coo()) == 6 * 2 * 8 + 6 * 4
    assert bytes_of(dense.to_sparse_csr()) == bytes_of(dense.to_sparse_csc()) == 7 * 8 + 6 * 8 + 6 * 4
    assert bytes_of(dense.to_sparse_bsr((2, 3))) == 4 * 8 + bytes_of(dense.to_sparse_bsr((2, 3)).col_indices()) + (
        dense.to_sparse_bsr((2, 3)).values().numel() * 4
    )


assert os.environ["KINETO_LOG_LEVEL"]  # or torch's profiler writes to standard error
