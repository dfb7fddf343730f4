"""Instructions of a whole plan: which are counted, what is said of the others, and what ends a count."""

from __future__ import annotations

import math
import random
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import harness
from harness import duel as duel_room
from harness.duel import Duel, launches, sets
from harness.duel.origin import Origin
from harness.errors import Interrupted, UserError
from harness.machine import Revision
from harness.session.counting import SLOWER, uncounted
from harness.session.runs import resume
from harness.study.definition import Study
from harness.tables import Run
from tests.fake_worker import MACHINE, SMALL, FakeWorker, Reply, in_their_place, lost, measured, usual
from tests.forked import SPAWN

COUNTING = f"{SMALL}\n[instructions]\n"
INSTRUCTIONS = 12345.0


def counted(request: Reply, instructions: float = INSTRUCTIONS) -> Reply:
    """What a worker says that can count."""
    reply = usual(request)
    if request["op"] == "check" and "counts" in request["measure"]:
        reply |= {"counts": [["forward", 9, instructions]]}
    return reply


@pytest.fixture(autouse=True)
def valgrind_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")


def study_of(folder: Path, text: str = COUNTING) -> Study:
    (folder / "small.toml").write_text(text, encoding="utf-8")
    return harness.load_study(folder / "small.toml")


def run_of(folder: Path, text: str = COUNTING) -> Run:
    return measured(study_of(folder, text), folder)


def test_each_phase_of_each_cell_is_counted_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_their_place(monkeypatch, lambda: FakeWorker(counted))
    run = run_of(tmp_path)
    run.check()
    rows = run.instructions
    assert set(rows["method"]) == {"native", "gather"}  # yardsticks have no count
    assert rows.groupby(["case", "method", "phase"])["launch"].agg(list).map(tuple).unique().tolist() == [(1, 2)]
    assert len(rows) == 4 * 2 * 2  # n = 16 and 64, k = 1 and 4; two methods, two processes
    assert set(rows["instructions"]) == {INSTRUCTIONS}
    assert set(rows["calls"]) == {9}
    assert set(zip(rows["status"], rows["reason"], strict=True)) == {("ok", "")}


def test_as_many_processes_count_as_the_study_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = in_their_place(monkeypatch, lambda: FakeWorker(counted))
    run = run_of(tmp_path, f"{COUNTING}launches = 3\n")
    assert set(run.instructions["launch"]) == {1, 2, 3}
    assert len(made) == 2 + 3  # two launches that time
    assert all(each.stopped for each in made)


def test_a_study_that_does_not_ask_counts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = in_their_place(monkeypatch, lambda: FakeWorker(counted))
    run = run_of(tmp_path, SMALL)
    assert run.instructions.empty
    assert not (run.path / "instructions.csv").exists()
    assert len(made) == 2


@pytest.mark.parametrize(
    ("text", "answer", "status", "reason"),
    [
        (COUNTING, usual, "unsupported", "the worker of this commit cannot count instructions"),
        (COUNTING.replace("k = [1, 4]", "k = [1, 4]\nthreads = 2"), counted, "unsupported", "for one thread"),
        (COUNTING.replace("k = [1, 4]", "k = [1, 4]\ntransform = 'compile'"), counted, "unsupported", "torch.compile"),
    ],
)
def test_what_cannot_be_counted_is_a_typed_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, answer: Any, status: str, reason: str
) -> None:
    in_their_place(monkeypatch, lambda: FakeWorker(answer))
    run = run_of(tmp_path, text)
    run.check()
    assert set(run.cells["status"]) == {"ok"}
    assert set(run.instructions["status"]) == {status}
    assert run.instructions["reason"].str.contains(reason, regex=False).all()
    assert run.instructions["instructions"].isna().all()
    assert set(run.instructions["calls"]) == {0}


def test_without_valgrind_every_row_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    in_their_place(monkeypatch, lambda: FakeWorker(counted))
    told: list[str] = []
    run = harness.run(study_of(tmp_path), tmp_path, studies=tmp_path, say=told.append)
    assert set(run.instructions["status"]) == {"unsupported"}
    assert set(run.instructions["reason"]) == {"valgrind is not installed (apt-get install valgrind)"}
    assert told[-1].startswith("instructions: 16 of 16 counts are missing: valgrind is not installed")


def test_a_method_that_kills_the_counting_worker_costs_its_own_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an instruction does that valgrind does not know."""

    def answer(request: Reply) -> Reply:
        if request.get("method") == "gather" and "counts" in request.get("measure", ()):
            lost("crashed", "the worker ended by SIGILL")
        return counted(request)

    in_their_place(monkeypatch, lambda: FakeWorker(answer))
    run = run_of(tmp_path)
    outcomes = {*zip(*(run.instructions[name] for name in ("method", "status", "reason")), strict=True)}
    assert outcomes == {("gather", "crashed", "the worker ended by SIGILL"), ("native", "ok", "")}
    assert set(run.cells["status"]) == {"ok"}


def test_what_could_not_be_measured_is_not_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer(request: Reply) -> Reply:
        if "counts" in request.get("measure", ()):
            asked.append(request["method"])
        if request.get("method") == "gather" and request["op"] == "check":
            return {"status": "incorrect", "reason": "it is wrong"}
        return counted(request)

    in_their_place(monkeypatch, lambda: FakeWorker(answer))
    rows = run_of(tmp_path).instructions
    assert set(asked) == {"native"}
    wrong = rows[rows["method"] == "gather"]
    assert set(zip(wrong["status"], wrong["reason"], strict=True)) == {("incorrect", "it is wrong")}


def test_a_run_that_goes_on_counts_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while it counts: no worker is left, the times are kept, and what was not counted is counted then."""
    stopping, first = True, threading.Lock()

    def answer(request: Reply) -> Reply:
        if stopping and "counts" in request.get("measure", ()):
            if first.acquire(blocking=False):
                raise KeyboardInterrupt
            ends = time.monotonic() + 10  # the other process counts on until it is ended
            while not made[-1].stopped and time.monotonic() < ends:
                time.sleep(0.01)
            assert made[-1].stopped
            lost("crashed", "killed")
        return counted(request)

    made = in_their_place(monkeypatch, lambda: FakeWorker(answer))
    study = study_of(tmp_path)
    with pytest.raises(Interrupted):
        measured(study, tmp_path)
    assert all(each.stopped for each in made)
    (folder,) = (tmp_path / "a-cpu_2-cores_8-gib_linux" / "small").iterdir()
    assert not (folder / "instructions.csv").exists()
    stopping = False
    run = resume(folder, tmp_path, say=lambda _: None)
    assert set(run.instructions["instructions"]) == {INSTRUCTIONS}


def test_the_commonest_reason_is_told() -> None:
    rows = [{"status": "ok", "reason": ""}] * 3
    assert uncounted(rows) == ""
    rows += [{"status": "unsupported", "reason": "no valgrind"}] * 2 + [{"status": "crashed", "reason": "gone"}]
    assert uncounted(rows) == (
        "instructions: 3 of 6 counts are missing: no valgrind; instructions.csv has the other reasons"
    )


@dataclass(frozen=True)
class Side(Origin):
    """A side of a duel whose workers are fakes with an answer of their own."""

    answer: Any = None

    def spawn(self, counts: Path | None = None) -> Any:
        worker = FakeWorker(self.answer)
        worker.greeting["methods"] = ["native", "gather"]
        return worker


def duelled(folder: Path, monkeypatch: pytest.MonkeyPatch, base: Any, head: Any, text: str, **options: Any) -> Duel:
    """A duel of two sides that answer so."""
    monkeypatch.setattr(duel_room, "this_machine", lambda accelerator="": MACHINE)
    sides = [Side(folder, sys.executable, Revision("0" * 40, dirty=False), answer=each) for each in (base, head)]
    return duel_room.duel(study_of(folder, text), sides[0], folder, studies=folder, head=sides[1], **options)


def of_side(instructions: float, seconds: Iterator[float]) -> Any:
    """The answers of a side: so many instructions, and times one after the other."""

    def answer(request: Reply) -> Reply:
        if request["op"] == "time":
            return {"seconds": next(seconds), "throttling": None}
        return counted(request, instructions)

    return answer


def noisy(spread: float, seed: int) -> Iterator[float]:
    """Seconds of a call on a machine with such a spread."""
    rng = random.Random(seed)
    while True:
        yield 1e-3 * math.exp(rng.gauss(0, spread))


BUSY = COUNTING.replace("launches = 2", "launches = 2\nbudget_seconds = 3600").replace("rounds = 2", "rounds = 1")


def test_a_duel_counts_both_sides_and_tells_it_with_undecided_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    base, head = of_side(1e6, noisy(0.5, 1)), of_side(1.05e6, noisy(0.5, 2))
    monkeypatch.setattr(launches, "EARLY", 2)
    monkeypatch.setattr(sets, "LOOKS", (4, 50))
    fought = duelled(tmp_path, monkeypatch, base, head, BUSY, say=said.append)
    assert set(fought.base.instructions["instructions"]) == {1e6}
    assert set(fought.head.instructions["instructions"]) == {1.05e6}
    verdicts = fought.verdicts.groupby("kind")["verdict"].agg(set)
    assert verdicts["instructions"] == {"more"}
    assert verdicts["time"] == {"inconclusive"}
    times = fought.verdicts[fought.verdicts["kind"] == "time"]
    assert times["reason"].str.endswith("by their instructions: more, +5.00 % (5.00..5.00)").all()
    assert set(times["launches"]) == {4}  # not 50: it was left to the counts
    assert len(said) == 1
    assert re.fullmatch(
        r"at this load a change of 3 % (takes \d+ minutes to find|cannot be found in hours), and this duel has "
        r"60 minutes: fewer launches are timed, and instructions are counted",
        said[0],
    )


def test_a_duel_that_shall_go_on_until_it_is_decided_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the last look of others, and until the seconds that it was given are spent."""
    for each in (launches, sets):
        monkeypatch.setattr(each, "LOOKS", (4,))
    monkeypatch.setattr(launches, "LATER_LOOKS", (6, 9))
    noise = [of_side(1e6, noisy(0.5, seed)) for seed in (1, 2)]
    quiet = [of_side(1e6, noisy(0.001, seed)) for seed in (1, 2)]
    for (base, head), seconds, done in ((noise, 3600.0, 9), (noise, None, 4), (quiet, 3600.0, 4)):
        text = BUSY.partition("[instructions]")[0]
        fought = duelled(tmp_path, monkeypatch, base, head, text, say=print, until_decided=seconds)
        assert fought.head.cells["launch"].max() == done
        assert fought.head.instructions.empty
    fought = duelled(tmp_path, monkeypatch, noise[0], noise[1], BUSY, say=print, until_decided=3600.0)
    assert fought.head.cells["launch"].max() == 9  # that instructions are counted too ends it no sooner
    assert set(fought.head.instructions["instructions"]) == {1e6}


def test_a_counted_case_may_take_as_much_longer_as_valgrind_is_slower(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[bool, list[float]] = {False: [], True: []}

    class Patient(FakeWorker):
        def ask(self, request: Reply, seconds: float) -> Reply:
            if request["op"] == "check":
                given["counts" in request["measure"]].append(seconds)
            return super().ask(request, seconds)

    in_their_place(monkeypatch, lambda: Patient(counted))
    run_of(tmp_path, f"{SMALL}[limits]\nseconds = 30\n[instructions]\n")
    assert 20 < min(given[False]) <= max(given[False]) <= 30
    assert 20 * SLOWER < min(given[True]) <= max(given[True]) <= 30 * SLOWER


def test_every_counting_process_hashes_alike_and_has_one_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[dict[str, str]] = []

    def started(command: list[str], env: dict[str, str], **_: object) -> None:
        found.append(env)
        raise OSError(2, "that is enough")

    monkeypatch.setattr(subprocess, "Popen", started)
    with pytest.raises(UserError, match="that is enough"):
        SPAWN(counts=tmp_path / "counts")
    assert {name: found[0][name] for name in ("PYTHONHASHSEED", "OPENBLAS_NUM_THREADS")} == {
        "PYTHONHASHSEED": "0",
        "OPENBLAS_NUM_THREADS": "1",
    }
