"""Counts of instructions beside busy processes: how far equal code differs, whether 3 % more is found, and how long.

Each process counts one cell, then the same cell with an empty loop planted in it that is 3 % of its instructions.
"""

from __future__ import annotations

import itertools
import resource
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd

import harness
from harness.planning.loading import plan_of
from harness.session.counting import Counted, count_instructions
from harness.session.process import Worker
from harness.study.cells import Case
from harness.study.tables import Gate, Instructions
from harness.tables import Run
from harness.verdicts.counts import judge_counts
from harness.vocabulary import STUDIES
from tests.acceptance.line import Line
from tests.asking import opening
from tests.planted.load import busy

BUSY_PROCESSES = 7
PAIRS = 20
PLANTED = 0.03
FARTHEST = 0.003
SECONDS = 3600.0
MINUTES = 6.0

NATIVE, MORE = "native", "tests.planted.methods:more_instructions"
CASE = Case(n=4096, k=16)


def measure() -> Iterator[Line]:
    """Under load, then how long the study `regression` takes."""
    yield from under_load(loops_of(PLANTED))
    yield from of_regression()


def under_load(loops: int) -> Iterator[Line]:
    """What is said of processes beside busy ones; loops: turns of the planted loop."""
    with busy(BUSY_PROCESSES), ThreadPoolExecutor(2) as pool:
        counted = list(pool.map(lambda _: counts(loops), range(PAIRS + 1)))
    native = [each[NATIVE] for each in counted]
    pairs = list(itertools.pairwise(counted))
    yield Line(f"largest difference of {len(native)} counts of equal code", max(native) / min(native) - 1, FARTHEST)
    alarms = sum(verdict(one[NATIVE], two[NATIVE]) != "same" for one, two in pairs)
    yield Line(f"of {PAIRS} pairs of equal code not called the same", alarms, 0)
    found = sum(verdict(one[NATIVE], two[MORE]) == "more" for one, two in pairs)
    yield Line(f"of {PAIRS} pairs with {PLANTED:.0%} more instructions found", found, PAIRS, at_least=True)


def loops_of(share: float) -> int:
    """Turns of the empty loop that are such a share of the instructions of the cell."""
    few, many = (counts(loops) for loops in (100, 1100))
    return round(share * few[NATIVE] / ((many[MORE] - few[MORE]) / 1000))


def counts(loops: int) -> Mapping[str, float]:
    """method -> instructions of forward, in a process of its own."""
    case = Case(n=CASE.n, k=CASE.k, parameters=(("loops", loops),))
    with tempfile.TemporaryDirectory() as folder, Worker.spawn(counts=Path(folder) / "counts") as worker:
        assert worker.greet().ask(opening(case, phases=["forward"]), SECONDS)["status"] == "ok"
        found = {}
        for method in (NATIVE, MORE):
            reply = worker.ask({"op": "check", "method": method, "measure": ["counts"]}, SECONDS)
            ((_, _, found[method]),) = reply["counts"]
    return found


def verdict(base: float, head: float) -> str:
    """What is said of two counts."""
    key = {"case": CASE.id, "method": NATIVE} | CASE.axes | {"phase": "forward", "launch": 1, "status": "ok"}
    one, two = (pd.DataFrame([key | {"instructions": each}]) for each in (base, head))
    return str(judge_counts(one, two, Gate().instructions)["verdict"][0])


def of_regression() -> Iterator[Line]:
    """Minutes of one count of one side, of the processor and by the clock."""
    study = harness.load_study(STUDIES / "regression.toml").model_copy(
        update={"instructions": Instructions(launches=1)}
    )
    nothing = Run(Path("none"), {"parameters": {}, "schema": 4})
    begun, spent = time.monotonic(), _seconds_of_children()
    (rows,) = count_instructions(study, list(plan_of(study)), [Counted(lambda at: Worker.spawn(counts=at), nothing)])
    took, worked = time.monotonic() - begun, _seconds_of_children() - spent
    missing = sum(row["status"] != "ok" for row in rows)
    yield Line(f"of the {len(rows)} counts of `regression` not had", missing, 0)
    yield Line("minutes of the processor for one count of `regression`", worked / 60, MINUTES)
    yield Line("minutes by the clock for the same", took / 60, MINUTES)


def _seconds_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
