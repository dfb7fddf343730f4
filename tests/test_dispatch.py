"""Which worker may have a turn, who belongs to a run, and what is told of a turn that killed its workers."""

from __future__ import annotations

import fcntl
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from distributed import Client, KilledWorker, Reschedule

from harness.distribute import cluster, dispatch, roster, workshop
from harness.distribute.dispatch import AHEAD, LOST, MISSED, MOST_SENT, Dispatch
from harness.distribute.roster import Roster
from harness.distribute.workshop import Introduction, Workshop, alone_on_this_machine, unlike
from harness.errors import UserError
from harness.machine import code_digest
from harness.session.case import CaseRunner
from harness.session.process import SIDE_BY_SIDE, Worker, cores_for_workers
from harness.session.turn import Turn
from harness.study.cells import Case, Cell
from harness.study.definition import Study
from harness.study.tables import Axes, Timing

TIMED = Study(title="Timed", methods=("native",), axes=Axes(n=(8,), k=(1,)), timing=Timing())
CHECKED = Study(title="Checked", methods=("native",), axes=Axes(n=(8,), k=(1,)))


def somebody(slug: str = "here", *devices: str, torch: str = "2.x", code: str = "", timing: int = 1) -> Introduction:
    greeting = {"torch": torch, "devices": ["cpu", *devices], "accelerator": ""}
    return Introduction(code or code_digest(), greeting, {"slug": slug}, threads=2, timing=timing)


class Future:
    """What became of a task: rows, an error, or that it was cancelled."""

    def __init__(self, outcome: Any = None) -> None:
        self.outcome = outcome

    def cancelled(self) -> bool:
        return self.outcome == "cancelled"

    def result(self) -> Any:
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


class FakeClient:
    """A scheduler that knows these workers, and remembers what it was sent."""

    status = "running"

    def __init__(self, **there: Any) -> None:
        self.there = there
        self.sent: list[dict[str, Any]] = []
        self.said: list[str] = []

    def nthreads(self) -> dict[str, int]:
        return dict.fromkeys(self.there, 1)

    def run(self, function: Any, workers: list[str], on_error: str) -> dict[str, Any]:
        assert (function, on_error) == (workshop.introduce, "return")
        return {address: self.there[address] for address in workers}

    def submit(self, function: Any, name: str, turn: Turn, **where: Any) -> Future:
        assert (function, name) == (workshop.take, "run")
        self.sent.append(where)
        return Future()


def sending(study: Study = CHECKED, **there: Any) -> tuple[FakeClient, Dispatch]:
    client = FakeClient(**there)
    return client, Dispatch(Roster(cast(Client, client)), cast(Client, client), study, "run", client.said.append)


def turn(device: str = "cpu", home: str = "", skip: str = "") -> Turn:
    case = Case(n=8, k=1, device=device)
    cells = [Cell(case, "native", 64), Cell(case, "dense", 64, skip)]
    return Turn(1, case, cells, seed=0, seconds=1.0, measure=[], home=home)


@pytest.mark.parametrize(
    ("asked", "where"),
    [
        (turn(), {}),
        (turn(device="cuda"), {"workers": ["b", "c"], "allow_other_workers": False}),
        (turn(home="old"), {"workers": ["a"], "allow_other_workers": True}),
        (turn(device="cuda", home="new"), {"workers": ["b"], "allow_other_workers": False}),
        (turn(device="cuda", home="old"), {"workers": ["b", "c"], "allow_other_workers": False}),
        (turn(home="gone"), {}),
        (turn(device="xpu"), {"workers": ["a", "b", "c"], "allow_other_workers": False}),  # others may join
    ],
)
def test_a_turn_goes_where_its_device_is_and_its_case_was(asked: Turn, where: dict[str, Any]) -> None:
    new, newer = somebody("new", "cuda", "xpu"), somebody("newer", "cuda", "xpu")
    client, way = sending(a=somebody("old", "xpu"), b=new, c=newer)
    way._send(asked)
    ((key, resources), others) = [client.sent[0].pop(name) for name in ("key", "resources")], client.sent[0]
    assert (key, resources) == (f"run-1-{asked.case.id}", None)
    assert others == where


def test_times_ask_for_the_resource() -> None:
    client, way = sending(TIMED, a=somebody())
    way._send(turn())
    assert client.sent[0]["resources"] == {"timing": 1}


def test_so_many_turns_are_under_way_as_there_is_room_for() -> None:
    """Two workers of two threads, one of which may take times; the next turn is not asked for before."""
    asked: list[int] = []

    def turns() -> Iterator[Turn]:
        for number in range(100):
            asked.append(number)
            yield turn()

    for study, places in ((CHECKED, 4), (TIMED, 1)):
        asked.clear()
        _, way = sending(study, a=somebody(), b=somebody(timing=0))
        assert len(list(way._next(turns(), under_way=1))) == len(asked) == AHEAD * places - 1


def test_that_nobody_is_there_is_said_once_until_somebody_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roster, "LOOK_AGAIN_SECONDS", 0.0)
    client, way = sending(a=somebody())
    for there in ({}, {}, {"b": somebody()}, {}):
        client.there = dict(there)
        assert len(list(way._next(iter([turn()] * 9), under_way=0))) == AHEAD * (2 if there else 1)
    assert client.said == [MISSED, MISSED]


def test_a_turn_that_killed_its_workers_has_a_row_for_every_cell() -> None:
    _, way = sending(a=somebody("new"), b=somebody("old"))
    killed = KilledWorker("key", cast(Any, SimpleNamespace(address="b")), 4)
    rows = way._result(cast(Any, Future(killed)), turn(skip="too large"))
    told = [(row["method"], row["status"], row["reason"], row["machine"]) for row in rows["cells"]]
    assert told == [("native", "crashed", LOST, "old"), ("dense", "skipped", "too large", "old")]
    assert [rows[table] for table in ("timings", "memory", "discrepancies")] == [[], [], []]


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        ("cancelled", "the scheduler of the cluster is gone"),
        (OSError("refused"), "the scheduler of the cluster is gone"),
        (UserError("no torch there"), "no torch there"),
    ],
)
def test_what_no_worker_will_measure_any_more_is_a_line(outcome: Any, told: str) -> None:
    _, way = sending(a=somebody())
    with pytest.raises(UserError, match=f"^{told}$"):
        way._result(cast(Any, Future(outcome)), turn())


class Task(Future):
    """A task that ends when a test says so."""

    def __init__(self, key: str) -> None:
        super().__init__()
        self.key = key
        self._ended: list[Callable[[Any], None]] = []

    def add_done_callback(self, function: Callable[[Any], None]) -> None:
        self._ended.append(function)
        if self.outcome is not None:
            function(self)

    def end(self, outcome: Any) -> None:
        self.outcome = outcome
        for function in self._ended:
            function(self)


class Scheduler(FakeClient):
    """Its tasks end when a test says so."""

    def __init__(self, **there: Any) -> None:
        super().__init__(**there)
        self.tasks: list[Task] = []

    def submit(self, function: Any, name: str, turn: Turn, **where: Any) -> Future:
        super().submit(function, name, turn, **where)
        self.tasks.append(Task(where["key"]))
        return self.tasks[-1]

    def cancel(self, tasks: list[Task]) -> None:
        for task in tasks:
            task.end("cancelled")


def measuring(monkeypatch: pytest.MonkeyPatch, client: Scheduler) -> Dispatch:
    monkeypatch.setattr(roster, "LOOK_AGAIN_SECONDS", 0.0)
    monkeypatch.setattr(dispatch, "LOOK_AGAIN_SECONDS", 0.001)
    return Dispatch(Roster(cast(Client, client)), cast(Client, client), CHECKED, "run", client.said.append)


def ending(client: Scheduler, number: int, who: Introduction) -> threading.Thread:
    """A thread that ends a task, by the rows of that worker, as soon as it was sent."""

    def end() -> None:
        assert wait_for(lambda: client.tasks[number:])
        client.tasks[number].end(({"cells": [{"machine": who.slug}]}, who))

    thread = threading.Thread(target=end)
    thread.start()
    return thread


def test_a_turn_waits_for_a_worker_that_has_its_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sent to one without it, it would be told as crashed, or as unsupported."""
    client = Scheduler(a=somebody("plain"), b=somebody("fast", "cuda"))
    way = measuring(monkeypatch, client)
    asked = iter([turn(device="cuda"), turn(), turn(device="cuda")])
    fast = client.there.pop("b")
    measured = way.measure(asked)
    waits = ending(client, 0, somebody())
    assert next(measured)["cells"] == [{"machine": "here"}]
    waits.join()
    assert len(client.tasks) == 1  # that of the CPU
    assert client.said == ["cuda: no worker of the cluster has it now: waiting for one"]
    client.there["c"] = fast
    comes = [ending(client, number, fast) for number in (1, 2)]
    assert [rows["cells"][0]["machine"] for rows in measured] == ["fast", "fast"]
    for each in comes:
        each.join()
    assert [where.get("workers") for where in client.sent] == [None, ["c"], ["c"]]


def test_a_turn_whose_workers_have_left_is_sent_to_others_and_given_up_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Dask would wait for ever for the address of a worker, and one that is started again has another."""
    client = Scheduler(a=somebody("plain"), b0=somebody("fast", "cuda"))
    way = measuring(monkeypatch, client)

    def restarts() -> None:
        for number in range(MOST_SENT):
            if not wait_for(partial(client.tasks.__getitem__, slice(number, None))):
                client.cancel(client.tasks)  # so that the test fails instead of waiting
                return
            del client.there[f"b{number}"]
            client.there[f"b{number + 1}"] = somebody("fast", "cuda")

    dies = threading.Thread(target=restarts)
    dies.start()
    (rows,) = way.measure(iter([turn(device="cuda")]))
    dies.join()
    assert {(row["status"], row["reason"]) for row in rows["cells"]} == {("crashed", LOST)}
    assert [where["workers"] for where in client.sent] == [[f"b{number}"] for number in range(MOST_SENT)]
    assert len({task.key for task in client.tasks}) == MOST_SENT  # a task that was cancelled keeps its key for a while


def wait_for(there: Callable[[], Any]) -> bool:
    """Whether it came to be within a minute."""
    deadline = time.monotonic() + 60
    while not there():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.001)
    return True


def test_a_fault_of_the_harness_on_a_worker_is_no_fault_of_the_scheduler() -> None:
    _, way = sending(a=somebody())
    with pytest.raises(ZeroDivisionError):
        way._result(cast(Any, Future(ZeroDivisionError())), turn())


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (somebody(torch="1.0"), "b: a worker of the cluster has torch 1.0, this run 2.x: all workers of a run need "),
        (somebody(code="0123"), "b: a worker of the cluster has code 0123, this run "),
        (UserError("worker: cannot start one"), "b: worker: cannot start one"),
        (ValueError("a fault"), "b: a fault"),
    ],
)
def test_a_worker_that_does_not_belong_is_named(other: Any, told: str) -> None:
    with pytest.raises(UserError) as error:
        sending(a=somebody(), b=other)
    assert str(error.value).startswith(told)


def test_one_that_left_before_it_answered_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    client, way = sending(a=somebody("one"), b=OSError())
    assert list(way._roster.workers) == ["a"]
    client.there = {"c": somebody("two")}
    way._roster.look()
    assert list(way._roster.workers) == ["a"]  # looked a moment ago
    monkeypatch.setattr(roster, "LOOK_AGAIN_SECONDS", 0.0)
    way._roster.look()
    assert list(way._roster.workers) == ["c"]
    assert list(way._roster.machines) == ["one", "two"]  # what has left may have measured
    with pytest.raises(UserError, match="no worker any more"):
        sending(a=OSError())


def test_a_worker_holds_its_code_against_the_run_before_it_measures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workshop, "introduce", lambda _: somebody(torch="3.x"))
    monkeypatch.setattr(workshop, "get_worker", lambda: None)
    with pytest.raises(UserError, match=r"has torch 3\.x, this run 2\.x"):
        Workshop(CHECKED, code_digest(), "2.x").take(turn())
    assert unlike(somebody(), code_digest(), "2.x") == ""


def test_what_a_worker_that_ends_had_no_time_for_is_measured_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its harness worker is ended in the middle of a call: a cell of that would be told as crashed."""
    shop = Workshop(CHECKED, code_digest(), "2.x")
    monkeypatch.setattr(workshop, "introduce", lambda _: somebody())
    monkeypatch.setattr(workshop, "get_worker", lambda: None)
    ended: list[str] = []
    monkeypatch.setattr(CaseRunner, "__exit__", lambda *_: ended.append("ended"))
    monkeypatch.setattr(workshop, "take_turn", lambda *_: {"cells": []})
    shop.setup(SimpleNamespace(plugins={}))
    assert shop.take(turn())[0] == {"cells": []}
    monkeypatch.setattr(workshop, "take_turn", lambda *_: shop.teardown(None))
    with pytest.raises(Reschedule):
        shop.take(turn())
    assert ended
    with pytest.raises(Reschedule):
        shop._spawn()


def test_times_are_taken_by_one_at_a_time_on_a_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workshop, "LOCK", tmp_path / "lock")
    with alone_on_this_machine():
        other = os.open(tmp_path / "lock", os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(other)
    monkeypatch.setattr(workshop, "LOCK", tmp_path / "none" / "lock")
    with pytest.raises(UserError, match="none/lock: No such file"), alone_on_this_machine():
        pass


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o777])
def test_the_lock_is_open_to_every_user_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mask: int
) -> None:
    """Whoever has a strict umask would keep all others from measuring, long after they have ended."""
    monkeypatch.setattr(workshop, "LOCK", tmp_path / "lock")
    before = os.umask(mask)
    try:
        with alone_on_this_machine():
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "lock").stat().st_mode) == 0o644


def test_a_worker_that_takes_times_is_pinned_and_others_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []
    monkeypatch.setattr(Worker, "spawn", lambda *cores, **options: started.append((cores, options)))
    for study in (TIMED, CHECKED):
        shop = Workshop(study, code_digest(), "2.x")
        shop.setup(SimpleNamespace(plugins={}))
        shop._spawn()
    assert started == [((cores_for_workers(),), {}), ((), {"environment": SIDE_BY_SIDE})]


def test_of_the_workers_on_this_machine_one_may_take_times(monkeypatch: pytest.MonkeyPatch) -> None:
    resources: list[Any] = []

    def begun(workers: dict[int, Any], *_: object, **__: object) -> Any:
        resources.extend(each["options"]["resources"] for each in workers.values())
        raise UserError("that is enough")

    monkeypatch.setattr(cluster, "SpecCluster", begun)
    with pytest.raises(UserError, match="that is enough"):
        cluster.on_local_workers(3).__enter__()
    assert resources == [{"timing": 1}, {}, {}]
