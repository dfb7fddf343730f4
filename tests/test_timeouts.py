"""Of a case whose time is over, what took longest is the timeout, not what was asked last. Workers are fakes."""

from __future__ import annotations

import functools
import math
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from harness.planning.loading import plan_of
from harness.session import case, side
from harness.session.case import CaseRunner
from harness.session.case_result import CaseResult
from harness.session.process import WorkerLost
from harness.session.sampler import sample
from harness.session.side import Side
from harness.study.definition import Study
from tests.fake_worker import SMALL, FakeWorker, Reply, in_their_place, lost, measured, usual

THREE = SMALL.replace('"gather"', '"gather", "dense"').replace("launches = 2", "launches = 1")


def test_what_took_longest_is_given_up_and_the_others_begin_anew(
    write_study: Callable[[str], Study], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = 0

    def answer(request: Reply) -> Reply | None:
        nonlocal slow
        if request.get("op") == "check" and request["method"] == "gather":
            slow += 1
            time.sleep(0.05)
        elif request.get("op") == "check" and request["method"] == "dense" and slow % 2:
            slow += 1  # of this case nothing is left for it
            return lost("timeout", "no answer within 0.001 s")
        return None

    in_their_place(monkeypatch, lambda: FakeWorker(answer))
    study = write_study(THREE + "[limits]\nseconds = 7\n")
    cells = measured(study, tmp_path).cells
    assert slow == 2 * cells["case"].nunique()
    became = cells.groupby("method")["status"].unique().map(list).to_dict()
    assert became == {name: ["timeout" if name == "gather" else "ok"] for name in became}
    assert {"gather", "dense", "native"} <= set(became)
    (reason,) = {re.sub(r"0\.0\d+ s", "... s", each) for each in cells.query("method == 'gather'")["reason"]}
    assert reason == "one request took ... s of the 7 s of its case (limits.seconds)"


ONE_CASE = SMALL.replace("[16, 64]", "64").replace("[1, 4]", "4").replace("rounds = 2", "rounds = 5")
LIMIT = "[limits]\nseconds = 20\n"


class Timed(FakeWorker):
    """A worker whose requests take seconds of a simulated clock; one that takes longer than it may is lost."""

    now = 1000.0

    def __init__(self, costs: Callable[[Reply], float], answer: Callable[[Reply], Reply | None]) -> None:
        super().__init__(answer)
        self.costs = costs

    def ask(self, request: Reply, seconds: float) -> Reply:
        cost = self.costs(request)
        Timed.now += min(cost, seconds)
        if cost > seconds:
            raise WorkerLost("timeout", "no answer")
        return super().ask(request, seconds)


def simulated(
    monkeypatch: pytest.MonkeyPatch,
    study: Study,
    costs: Callable[[Reply], float],
    answer: Callable[[Reply], Reply | None] = lambda _: None,
) -> tuple[CaseResult, float]:
    """The result of a study's only case, and the seconds that it took by the simulated clock."""
    clock = SimpleNamespace(monotonic=lambda: Timed.now)
    for module in (case, side):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(case, "sample", functools.partial(sample, now=clock.monotonic))
    begun = Timed.now
    ((one, cells),) = plan_of(study)
    with CaseRunner(study, [Side(lambda: cast(Any, Timed(costs, answer)))]) as runner:
        (result,) = runner.run(one, [cells], 0, math.inf, measure=[])
    return result, Timed.now - begun


def statuses(result: CaseResult) -> Mapping[str, str]:
    return {each.cell.method: each.status for each in result.cells}


def test_a_round_that_is_slower_than_those_before_it_costs_no_method_its_cell(
    write_study: Callable[[str], Study], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four methods of a second a block: a fifth round would end after the limit, and the fourth ends after it, because
    the machine is slower then."""
    blocks = 0

    def costs(request: Reply) -> float:
        nonlocal blocks
        blocks += request["op"] == "time"
        return (3.0 if blocks > 14 else 1.0) if request["op"] == "time" else 0.1

    result, seconds = simulated(monkeypatch, write_study(ONE_CASE + LIMIT), costs)
    assert set(statuses(result).values()) == {"ok"}
    assert max(block.round for block in result.blocks) == 3
    assert seconds > 20


@pytest.mark.parametrize("first", [1, 9])
def test_what_hangs_in_a_block_is_a_timeout_in_every_round(
    write_study: Callable[[str], Study], monkeypatch: pytest.MonkeyPatch, first: int
) -> None:
    blocks = 0

    def costs(request: Reply) -> float:
        nonlocal blocks
        if request["op"] == "time" and request["method"] == "gather":
            blocks += 1
            return math.inf if blocks >= 1 + first // 4 else 1.0
        return 1.0

    result, _ = simulated(monkeypatch, write_study(ONE_CASE + LIMIT), costs)
    assert statuses(result) == {"native": "ok", "gather": "timeout", "copy": "ok", "read": "ok"}
    (reason,) = (each.reason for each in result.cells if each.status == "timeout")
    assert re.fullmatch(r"one request took [\d.]+ s of the 20 s of its case \(limits\.seconds\)", reason)


def in_check(request: Reply) -> bool:
    return request["op"] == "check" and request["method"] == "gather"


def in_block(request: Reply) -> bool:
    return request["op"] == "time" and request["method"] == "gather"


@pytest.mark.parametrize("status", ["crashed", "timeout"])
@pytest.mark.parametrize("where", [in_check, in_block, lambda request: request["op"] == "open"])
def test_the_seconds_of_a_lost_measurement_are_those_of_the_cells_that_are_given_up(
    write_study: Callable[[str], Study],
    monkeypatch: pytest.MonkeyPatch,
    where: Callable[[Reply], bool],
    status: str,
) -> None:
    """A run that is resumed knows from them what of its budget is spent, and a plan how long the study takes."""

    def answer(request: Reply) -> Reply | None:
        if request["op"] == "check" and request["method"] == "copy":
            return usual(request) | {"status": "unsupported", "reason": "no"}
        return lost(status, "gone") if where(request) and status == "crashed" else None

    def costs(request: Reply) -> float:
        if where(request):
            return math.inf if status == "timeout" else 5.0
        return 0.0 if request["op"] == "close" else 0.5

    result, seconds = simulated(monkeypatch, write_study(ONE_CASE + LIMIT), costs, answer)
    assert statuses(result)["gather"] == status
    given_up = next(each for each in result.cells if each.cell.method == "gather")
    assert given_up.wall_seconds > (1.0 if where in (in_check, in_block) else 0.2)
    assert sum(each.wall_seconds for each in result.cells) == pytest.approx(seconds)


def test_what_a_process_says_at_its_end_is_written_without_folders_of_the_machine(
    write_study: Callable[[str], Study], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An assertion of compiled code names the file that it was compiled from."""

    def answer(request: Reply) -> Reply | None:
        said = "the worker ended by SIGABRT: python: /home/somebody/build/kernel.cpp:7: Assertion `k < n' failed."
        return lost(reason=said) if in_check(request) else None

    result, _ = simulated(monkeypatch, write_study(ONE_CASE + LIMIT), lambda _: 0.0, answer)
    (reason,) = (each.reason for each in result.cells if each.status == "crashed")
    assert reason == "the worker ended by SIGABRT: python: kernel.cpp:7: Assertion `k < n' failed."
