"""A cluster on the loopback device: every cell once though workers are killed, and what a second worker is worth."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from unittest import mock

from distributed import Client

import harness
from harness.distribute import Cluster, on_local_workers, on_scheduler
from harness.planning.loading import plan_of
from harness.study.definition import Study
from harness.tables import Run, RunWriter
from tests.acceptance.line import Line
from tests.loopback import Loopback, loopback

CASES, WORKERS, KILLED_AFTER = 300, 3, 100
SPEEDUP, PAIRS = 1.6, 3

PRECISION = """
title = "Three hundred cases"
methods = ["native", "native_unsorted", "sort", "dense", "coo", "csr", "gather", "fused"]

[axes]
dtype = ["float16", "bfloat16", "float32", "float64"]
n = [2048, 4096, 8192]
k = [16, 32, 64, 128, 256]
d = 128
seed = [0, 1, 2, 3, 4]

[precision]
references = ["native", "exact", "conditional"]
metrics = ["ulp_max", "rel_l2", "flips", "causes"]
"""

DEADLY = """
title = "Deadly"
methods = ["native", "tests.acceptance.faults:kills_its_parent"]

[axes]
n = [16, 32, 64]
k = 4
"""


def measure() -> Iterator[Line]:
    """A worker that is killed, a method that kills its workers, and the time of two workers beside that of one."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        study = _study(folder, "hundreds", PRECISION)
        yield from _one_killed(study, folder)
        yield from _all_killed(_study(folder, "deadly", DEADLY), folder)
        yield Line(
            f"times as fast with two workers as with one, median of {PAIRS} pairs",
            median(_speedups(study, folder)),
            SPEEDUP,
            at_least=True,
        )


def _one_killed(study: Study, folder: Path) -> Iterator[Line]:
    commit, committed = RunWriter.commit, 0
    with _cluster(folder, WORKERS) as (cluster, place):

        def kill_in_the_middle(self: RunWriter, rows: object) -> None:
            nonlocal committed
            commit(self, rows)  # type: ignore[arg-type]
            committed += 1
            if committed == KILLED_AFTER:
                cluster.workers[0].kill()

        with mock.patch.object(RunWriter, "commit", kill_in_the_middle):
            run = _run(study, folder, place)
    yield Line(
        f"cases of a study on {WORKERS} workers, one killed after {KILLED_AFTER}", committed, CASES, at_least=True
    )
    yield Line("cells that are missing, twice there or not ok", _wrong(study, run), 0)


def _all_killed(study: Study, folder: Path) -> Iterator[Line]:
    """A method that kills the Dask worker, not only its own: the cases that have it end, and the run too."""
    with on_local_workers(2) as place:
        run = _run(study, folder, place)
    yield Line("cells missing or twice there where a method kills its workers", _missing(study, run), 0)
    yield Line("cells that are not told as crashed there", int((run.cells["status"] != "crashed").sum()), 0)


def _speedups(study: Study, folder: Path) -> Iterator[float]:
    """Seconds of a run on one worker over those on two, in turns; the workers are there before the clock starts."""
    with ExitStack() as stack:
        _, one = stack.enter_context(_cluster(folder, 1))
        _, two = stack.enter_context(_cluster(folder, 2))
        for _ in range(PAIRS):
            seconds = []
            for place in (one, two):
                begin = time.perf_counter()
                _run(study, folder, place)
                seconds.append(time.perf_counter() - begin)
            yield seconds[0] / seconds[1]


@contextmanager
def _cluster(folder: Path, count: int) -> Iterator[tuple[Loopback, Cluster]]:
    """A loopback cluster of so many workers, and the place that it is once all are there."""
    with loopback(folder, [()] * count) as cluster:
        with Client(cluster.address, set_as_default=False) as client:
            client.wait_for_workers(count, timeout=60)
        with on_scheduler(cluster.address) as place:
            yield cluster, place


def _study(folder: Path, name: str, text: str) -> Study:
    path = folder / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return harness.load_study(path)


def _run(study: Study, folder: Path, place: Cluster) -> Run:
    return harness.run(study, folder / "results", say=lambda _: None, place=place)


def _missing(study: Study, run: Run) -> int:
    """How many planned cells have no row or several, and how many rows are of no planned cell."""
    planned = {(case.id, cell.method, 1) for case, cells in plan_of(study) for cell in cells}
    rows = list(run.cells[["case", "method", "launch"]].itertuples(index=False, name=None))
    return len(planned ^ set(rows)) + len(rows) - len(set(rows))


def _wrong(study: Study, run: Run) -> int:
    return _missing(study, run) + int((run.cells["status"] != "ok").sum())
