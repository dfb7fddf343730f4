"""Methods that change global state: what others share makes them incorrect, the rest is put back and noted."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.device.settings import Setting
from harness.state.watch import Spoilt, Watch
from harness.study.cells import Case
from harness.study.definition import Study
from harness.worker.failures import failure
from harness.worker.open_case import OpenCase
from tests.asking import checked, opening
from tests.fake_worker import SMALL, FakeWorker, Reply, in_their_place, measured
from tests.forked import SPAWN
from tests.planted.changers import IN_A_BLOCK, NOTED, SHARED, tidy

CHANGER = "tests.planted.changers:changer"
LEFT_TO_THE_END = {"inference mode", "aten::topk", "aten::equal", "a busy thread"}
"""Changes that only the end of the process undoes."""


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    watch = Watch("cpu")
    with watch.putting_back():
        torch.set_num_threads(1)
        yield
        tidy()


def opened(what: str, call: int, **settings: Any) -> OpenCase:
    case = Case(n=64, k=4, parameters=(("what", what), ("call", call)))
    return OpenCase(opening(case, phases=["forward", "backward"]) | settings)


@pytest.mark.parametrize("call", [0, 1, 2])
@pytest.mark.parametrize("what", SHARED)
def test_what_others_share_is_not_changed_and_who_did_it_is_told(what: str, call: int) -> None:
    case = opened(what, call)
    with pytest.raises(Spoilt) as caught:
        case.check(CHANGER, ())
    found = failure(caught.value)
    assert (found["status"], found["spoilt"]) == ("incorrect", True)
    assert SHARED[what][1] in found["reason"]
    assert found["reason"].startswith(("changes ", "leaves "))
    if what in LEFT_TO_THE_END:
        tidy()
    for name in ("native", "gather", "copy"):
        reply = case.check(name, ())
        assert (reply["status"], reply["reason"]) == ("ok", "")


@pytest.fixture
def usual_recursion_limit() -> Iterator[None]:
    """Python's own, whatever the packages that earlier tests imported have made of it."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(1000)
    yield
    sys.setrecursionlimit(before)


@pytest.mark.usefixtures("usual_recursion_limit")
@pytest.mark.parametrize("call", [0, 1, 2])
@pytest.mark.parametrize("what", NOTED)
def test_the_rest_is_put_back_and_noted(what: str, call: int) -> None:
    case = opened(what, call)
    reply = case.check(CHANGER, ())
    assert reply["status"] == "ok"
    assert reply["reason"].startswith("changed and put back: ")
    assert NOTED[what][1] in reply["reason"]
    assert "/" not in reply["reason"]
    assert case.check("native", ())["reason"] == ""
    case.watch.hold()
    assert case.watch.take_noted() == ""


@pytest.mark.parametrize("what", ["threads", "grad mode", "torch.topk"])
def test_a_change_in_a_block_is_found_when_the_case_is_closed_and_by_block_where_that_is_asked_for(what: str) -> None:
    for watched in (False, True):
        case = opened(what, IN_A_BLOCK, watch_blocks=watched)
        assert case.check(CHANGER, ())["status"] == "ok"
        if watched:
            with pytest.raises(Spoilt, match=SHARED[what][1]):
                case.time(CHANGER, "forward", 2)
        else:
            case.time(CHANGER, "forward", 2)
            with pytest.raises(Spoilt, match=SHARED[what][1]):
                case.watch.settle()


def test_threads_of_torch_that_never_rest_are_no_fault_of_the_method_that_needs_them_first() -> None:
    with SPAWN(environment={"OMP_WAIT_POLICY": "active"}) as worker:  # not forked: it is read when torch is imported
        (reply,) = checked(worker.greet(), Case(n=1 << 14, k=4, threads=2), "dense")
    assert (reply["status"], reply["reason"]) == ("ok", "")


def test_what_fails_because_of_a_change_is_told_as_the_change() -> None:
    """Without gradients the harness itself fails, with torch's words."""
    case = opened("grad mode", 1)
    with pytest.raises(Spoilt, match="changes grad mode, on to off"):
        case.check(CHANGER, ())
    assert torch.is_grad_enabled()


def test_settings_of_which_one_changes_another_are_both_put_back() -> None:
    now = {"first": 1, "second": 1}

    def write_second(value: int) -> None:
        now.update(first=0, second=value)

    watch = Watch("cpu")
    watch._settings = [
        Setting("first", lambda: now["first"], lambda value: now.update(first=value)),
        Setting("second", lambda: now["second"], write_second),
    ]
    watch.begin()
    now.update(second=2)
    with pytest.raises(Spoilt, match="second"):
        watch.hold()
    assert now == {"first": 1, "second": 1}


def test_many_changes_are_counted() -> None:
    watch = Watch("cpu")
    for what in ("threads", "garbage", "default dtype", "fill", "grad mode"):
        SHARED[what][0]()
    with pytest.raises(Spoilt, match=r"^changes grad mode, on to off and .* and .* and 2 more$"):
        watch.hold()
    watch.settle()


def test_a_thread_that_waits_and_a_pool_that_was_there_are_nobodys_fault() -> None:
    watch, end = Watch("cpu"), threading.Event()
    waiting = threading.Thread(target=end.wait)
    waiting.start()
    watch.settle()
    end.set()
    waiting.join()


SPOILT = {"status": "incorrect", "reason": "changes grad mode, on to off", "spoilt": True}


def became(run: Any, method: str) -> list[str]:
    """The statuses of a method's cells, in the order in which they were measured."""
    return list(run.cells.query(f"method == '{method}'")["status"])


def test_who_changes_what_others_share_is_asked_once_a_launch_and_the_others_get_a_fresh_worker(
    write_study: Callable[[str], Study], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def answer(request: Reply) -> Reply | None:
        asked.append((request["op"], request.get("method")))
        return SPOILT if asked[-1] == ("check", "gather") else None

    workers = in_their_place(monkeypatch, lambda: FakeWorker(answer))
    run = measured(write_study(SMALL), tmp_path)
    assert set(became(run, "gather")) == {"incorrect"}
    assert {*became(run, "native"), *became(run, "copy"), *became(run, "read")} == {"ok"}
    assert asked.count(("check", "gather")) == 2  # in each of two launches, of two cases or more
    assert len(workers) == 4
    reasons = list(run.cells.query("method == 'gather' and launch == 1")["reason"])
    assert reasons[0] == SPOILT["reason"]
    assert set(reasons[1:]) == {f"{SPOILT['reason']} (in an earlier case of this launch, so not run again)"}
    assert "gather" not in set(run.timings["method"])


@pytest.mark.parametrize("found", [True, False])
def test_a_change_in_some_block_is_looked_for_block_by_block(
    write_study: Callable[[str], Study], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: bool
) -> None:
    def make() -> FakeWorker:
        told: dict[str, Any] = {}

        def answer(request: Reply) -> Reply | None:
            told[request["op"]] = request
            if request["op"] == "check" and request["method"] == "gather":
                told["present"] = True
            if request["op"] == "time" and told["open"]["watch_blocks"] and request["method"] == "gather" and found:
                return SPOILT
            return SPOILT if request["op"] == "close" and "present" in told else None

        return FakeWorker(answer)

    in_their_place(monkeypatch, make)
    run = measured(write_study(SMALL), tmp_path)
    assert set(became(run, "gather")) == {"incorrect"}
    if found:
        assert set(became(run, "native")) == {"ok"}
        assert run.cells.query("method == 'gather'")["reason"].iloc[0] == f"forward: {SPOILT['reason']}"
    else:  # no block did it alone: nobody can say whose times are right
        assert "incorrect" in became(run, "native")


SPOILING = """
title = "Spoiling"
methods = ["native", "tests.planted.changers:changer", "gather"]
phases = ["forward"]
[axes]
n = 64
k = 4
[parameters]
what = ["threads"]
call = [-1]
[timing]
rounds = 2
launches = 1
"""


def test_a_run_beside_a_method_that_changes_the_threads_in_a_block(
    write_study: Callable[[str], Study], tmp_path: Path
) -> None:
    run = measured(write_study(SPOILING), tmp_path)
    (changer,) = run.cells.query("method == 'tests.planted.changers:changer'").to_dict("records")
    assert (changer["status"], changer["reason"]) == (
        "incorrect",
        "forward: changes torch's number of threads, 1 to 2",
    )
    assert set(run.cells.query("method != 'tests.planted.changers:changer'")["status"]) == {"ok"}
    assert set(run.timings["method"]) == {"native", "gather", "copy", "read"}
    assert len(run.timings) == 4 * 2
