"""The worker: its protocol, and what becomes of it when a method kills, hangs or raises."""

from __future__ import annotations

import io
import json
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from harness.device.clock import Clock
from harness.errors import UserError
from harness.methods.definition import selector
from harness.session.process import Worker, WorkerLost
from harness.session.program import HOME
from harness.study.cells import Case
from harness.worker.open_case import OpenCase
from harness.worker.protocol import PROTOCOL
from harness.worker.serve import serve
from tests.asking import opening
from tests.forked import SPAWN, fresh_workers


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with fresh_workers(), Worker.start() as started:
        yield started


def check(worker: Worker, method: str) -> dict[str, Any]:
    return worker.ask({"op": "check", "method": method, "measure": ["errors", "memory"]}, 60)


def test_it_greets_with_its_protocol_and_torch(worker: Worker) -> None:
    assert worker.greeting["protocol"] == PROTOCOL
    assert worker.greeting["torch"] == torch.__version__
    assert "cpu" in worker.greeting["devices"]


def test_the_worker_of_a_folder_starts_by_the_name_that_every_version_has() -> None:
    with SPAWN(folder=HOME) as worker:
        assert worker.greet().greeting["protocol"] == PROTOCOL


def test_it_checks_measures_and_times(worker: Worker) -> None:
    assert worker.ask(opening(Case(n=64, k=4, d=8)), 60) == {"status": "ok"}
    reply = check(worker, "coo")
    assert reply["status"] == "ok"
    assert set(reply["calls"]) == {"build", "apply", "forward", "backward", "pipeline"}
    assert all(own["wall"] >= 1 for own in reply["calls"].values())
    assert {(row[0], row[3]) for row in reply["figures"]} == {
        ("values", "ulp_max"),
        ("dy", "ulp_max"),
        ("dS", "ulp_max"),
        ("selection", "flips"),
    }
    assert all(row[4] == 0 for row in reply["figures"])
    for phase, least, _ in reply["memory"]:
        assert phase in reply["calls"]
        assert least > 0
    timed = worker.ask({"op": "time", "method": "coo", "phase": "forward", "clock": "wall", "calls": 2}, 60)
    assert 0 < timed["seconds"] < 60


def test_what_torch_cannot_do_keeps_its_message(worker: Worker) -> None:
    worker.ask(opening(Case(n=64, k=4, dtype="float16")), 60)
    reply = check(worker, "csr_at")
    assert reply["status"] == "unsupported"
    assert "Half" in reply["reason"]


def test_a_wrong_method_is_not_timed(worker: Worker) -> None:
    worker.ask(opening(Case(n=64, k=4)), 60)
    reply = check(worker, "tests.acceptance.faults:wrong_values")
    assert reply["status"] == "incorrect"
    assert reply["calls"] == {}


def test_a_foreign_error_is_a_row_and_the_worker_goes_on(worker: Worker) -> None:
    worker.ask(opening(Case(n=64, k=4)), 60)
    reply = check(worker, "tests.acceptance.faults:raises")
    assert reply["status"] == "crashed"
    assert re.fullmatch(r"ValueError: a fault of its own \(tests/acceptance/faults.py, line \d+\)", reply["reason"])
    assert check(worker, "native")["status"] == "ok"


def test_an_input_that_a_method_wrote_into_is_restored(worker: Worker) -> None:
    worker.ask(opening(Case(n=64, k=4)), 60)
    assert check(worker, "tests.acceptance.faults:writes_input")["reason"] == "changes its input"
    assert check(worker, "native")["status"] == "ok"


def test_what_it_does_not_know_is_an_answer(worker: Worker) -> None:
    assert worker.ask({"op": "dance"}, 60)["status"] == "crashed"


@pytest.mark.parametrize(
    ("fault", "seconds", "status", "reason"),
    [("dies", 60, "crashed", "SIGKILL"), ("hangs", 2, "timeout", "no answer within")],
)
def test_a_lost_worker_says_how(fault: str, seconds: float, status: str, reason: str) -> None:
    with Worker.start() as mortal:
        mortal.ask(opening(Case(n=64, k=4)), 60)
        with pytest.raises(WorkerLost, match=reason) as lost:
            mortal.ask({"op": "check", "method": f"tests.acceptance.faults:{fault}", "measure": []}, seconds)
        assert lost.value.status == status


@selector()
def asks() -> Any:
    """It asks a person, as a forgotten breakpoint does."""

    def select(y: torch.Tensor, k: int) -> Any:
        input("how many? ")
        return torch.topk(y, k)

    return select


@selector()
def lets_ask() -> Any:
    """It starts a program that reads all of its input."""

    def select(y: torch.Tensor, k: int) -> Any:
        subprocess.run(["cat"], check=True, stdout=subprocess.DEVNULL)
        return torch.topk(y, k)

    return select


def test_a_method_that_reads_standard_input_finds_its_end_and_takes_no_request() -> None:
    with Worker.start() as reading:
        reading.ask(opening(Case(n=64, k=4)), 60)
        for name, status in (("asks", "crashed"), ("lets_ask", "ok"), ("native", "ok")):
            path = name if name == "native" else f"{__name__}:{name}"
            reply = reading.ask({"op": "check", "method": path, "measure": []}, 20)
            assert reply["status"] == status
            assert reply["reason"].startswith("EOFError: EOF when reading a line" if name == "asks" else "")


def test_an_interpreter_that_cannot_start_a_worker_is_a_user_error() -> None:
    with pytest.raises(UserError, match="cannot start") as error:
        Worker.start(interpreter="false")
    assert "\n" not in str(error.value)


def test_it_ends_with_its_input() -> None:
    replies = io.StringIO()
    serve(io.StringIO(json.dumps({"op": "check", "method": "native"}) + "\n"), replies)
    greeting, refusal = map(json.loads, replies.getvalue().splitlines())
    assert greeting["protocol"] == PROTOCOL
    assert refusal["status"] == "crashed"


ELAPSED = [0]
"""Nanoseconds of the clock of the tests below, in which only calls of `late_at_first` take time."""


@selector()
def late_at_first() -> Any:
    """torch.topk, a microsecond a call and a second at the first two: as torch, which imports modules at the first
    gradient, and loads kernels on an accelerator."""
    called = 0

    def topk(y: torch.Tensor, k: int) -> Any:
        nonlocal called
        called += 1
        ELAPSED[0] += 1000 if called > 2 else 10**9  # that of the comparison, and the first of the phase
        return torch.topk(y, k)

    return topk


def calls_of_a_block(calls: dict[str, int]) -> int:
    """By the wall clock, of `late_at_first`, where these are known."""
    case = OpenCase(opening(Case(n=64, k=4), phases=["forward"], block_seconds=0.0001))
    case.blocks.clock = Clock(counter=lambda: ELAPSED[0])
    reply = case.check(f"{__name__}:late_at_first", [], calls=calls)
    assert (reply["status"], reply["reason"]) == ("ok", "")
    return int(reply["calls"]["forward"]["wall"])


def test_what_happens_at_a_first_call_alone_does_not_lengthen_blocks() -> None:
    assert calls_of_a_block({}) in (100, 101)


def test_calls_that_an_earlier_launch_has_found_are_not_calibrated_again() -> None:
    assert calls_of_a_block({"forward": 7}) == 7
    assert calls_of_a_block({"backward": 7}) in (100, 101)


@pytest.mark.parametrize(("preparation", "seconds"), [(0.01, 0.03), (1e-6, 0.0001)])
def test_a_block_lasts_three_times_as_long_as_its_preparation(preparation: float, seconds: float) -> None:
    case = OpenCase(opening(Case(n=64, k=4), phases=["forward"]))
    assert case.check("native", measure=())["status"] == "ok"
    asked: list[float] = []

    class Prepared(Clock):
        def undisturbed(self, measure: object) -> float:
            return preparation

        def calls_for(self, call: object, seconds: float) -> int:
            asked.append(seconds)
            return 1

    case.blocks.clock = Prepared()
    case.blocks.calibrate("native", "forward")
    assert asked == pytest.approx([seconds])
