"""Instructions as valgrind counts them: of a call, of one with more, and again in another process.

valgrind is a package of the system. Without it these tests are skipped, unless VALGRIND=required.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.session.process import Worker
from harness.study.cells import Case
from harness.worker import callgrind
from harness.worker.counting import MACHINES, PREFIX, without_counts
from tests.asking import opening

SECONDS = 300
TURNS = 200
PLANTED = "tests.planted.methods:more_instructions"


@pytest.fixture(scope="module")
def valgrind() -> None:
    if why := without_counts():
        assert os.environ.get("VALGRIND") != "required", why
        pytest.skip(why)


def counts_in_a_process(folder: Path) -> dict[tuple[str, str], tuple[int, float]]:
    """(method, phase) -> calls and instructions a call, in a counting worker of its own."""
    case = Case(n=4096, k=16, parameters=(("loops", TURNS),))
    found: dict[tuple[str, str], tuple[int, float]] = {}
    with Worker.spawn(counts=folder / "counts") as worker:
        worker.greet()
        assert worker.ask(opening(case, phases=["forward", "backward"]), SECONDS)["status"] == "ok"
        for method in ("native", PLANTED):
            reply = worker.ask({"op": "check", "method": method, "measure": ["counts"]}, SECONDS)
            assert reply["status"] == "ok", reply
            assert reply["memory"] == []
            assert reply["calls"] == {}
            found |= {(method, phase): (calls, each) for phase, calls, each in reply["counts"]}
    assert not list(folder.glob("counts.*"))  # what callgrind wrote was read, and is gone
    return found


@pytest.mark.usefixtures("valgrind")
def test_a_count_is_the_same_again_and_sees_an_empty_loop(tmp_path: Path) -> None:
    first, second = (counts_in_a_process(tmp_path) for _ in range(2))
    assert first.keys() == {(method, phase) for method in ("native", PLANTED) for phase in ("forward", "backward")}
    for quantity, (calls, instructions) in first.items():
        assert 1 <= calls <= callgrind.MOST_CALLS
        assert second[quantity][1] == pytest.approx(instructions, rel=0.003)
    native, planted = (first[method, "forward"][1] for method in ("native", PLANTED))
    assert 4096 < native < 4096 * 1000
    assert 5 * TURNS < planted - native < 200 * TURNS


@pytest.mark.skipif(platform.machine() not in MACHINES, reason="its requests are machine code of x86-64")
def test_nothing_is_counted_outside_valgrind(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[Any] = []
    with pytest.raises(RuntimeError, match="does not run under valgrind"):
        callgrind.count(lambda: called.append(1))
    monkeypatch.setenv(PREFIX, "/nowhere/counts")  # as a child of a worker would inherit it
    with pytest.raises(RuntimeError, match="does not run under valgrind"):
        callgrind.count(lambda: called.append(1))
    assert called == []


@pytest.mark.parametrize("event", [99, 100, 101, 105, 115, 125, 130])
def test_what_happens_in_one_call_of_many_is_in_no_count(event: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call of 110,000 instructions, hence ten in a loop, after 100 warm calls; at one of them a table grows."""
    executed, called = 0, 0

    def call() -> None:
        nonlocal executed, called
        executed += 110_000 + (5_000 if called == event else 0)
        called += 1

    def counted(
        loop: Callable[[Callable[[], Any], int], None], looped: Callable[[], Any], calls: int, times: int = 1
    ) -> list[int]:
        totals = []
        for _ in range(times):
            before = executed
            loop(looped, calls)
            totals.append(executed - before)
        return totals

    monkeypatch.setenv(PREFIX, "/nowhere/counts")
    monkeypatch.setattr(callgrind, "_requests", lambda: lambda _: 1)
    monkeypatch.setattr(callgrind, "_counted", counted)
    assert callgrind.count(call)[1] == 110_000
