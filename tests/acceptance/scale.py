"""Large studies: the memory of a plan, the seconds of a million rows, and how the cost of a run grows."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from math import log
from pathlib import Path
from statistics import median

import harness
from harness.cli.publish import publish
from harness.errors import Interrupted
from harness.scripts.drawing import draw_figures
from harness.tables import Run, read
from harness.vocabulary import STUDIES
from tests.acceptance.line import Line
from tests.acceptance.page import CELLS as CELLS_DRAWN
from tests.acceptance.page import PHASES, ROUNDS, large_run
from tests.large import CELLS_OF_A_CASE, instant_workers, peak_of_planning, requests_of_a_case, study_of

PLANNED = (10_000, 1_000_000)
MEGABYTES_MORE = 1.0

ROWS, LAUNCHES = 1_000_000, 5
SECONDS, REPEATS = 15.0, 3
assert CELLS_DRAWN * LAUNCHES * len(PHASES) * ROUNDS == ROWS

CELLS = (100, 1000, 10_000)
EXPONENT = 1.1
MILLISECONDS = 2.0
"""Of the parent's processor, a cell in a launch: of forty blocks, as in the study `speed`."""


def measure() -> Iterator[Line]:
    """A plan's peak, then reading, drawing and reporting ROWS rows, then runs of CELLS cells by instant workers."""
    yield from _planning()
    with tempfile.TemporaryDirectory() as folder:
        yield from _drawing(Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        yield from _running(Path(folder))


def _planning() -> Iterator[Line]:
    peak_of_planning(CELLS[0])  # what is imported and cached once is no part of it
    few, many = (peak_of_planning(cells)[0] / 1e6 for cells in PLANNED)
    yield Line(f"megabytes at the peak of telling a plan of {PLANNED[0]} cells", few, None)
    yield Line(f"megabytes at the peak of telling a plan of {PLANNED[1]} cells", many, few + MEGABYTES_MORE)


def _drawing(folder: Path) -> Iterator[Line]:
    path = large_run(folder / "run", "speed", LAUNCHES)

    def seconds() -> Iterator[tuple[float, float]]:
        """Of reading with its checks, and of that and of drawing."""
        for _ in range(REPEATS):
            begin = time.perf_counter()
            run = read(path)
            assert len(run.timings) == ROWS
            lasted = time.perf_counter() - begin
            made = draw_figures(run, STUDIES)
            assert len(made) == 4
            yield lasted, time.perf_counter() - begin

    reading, both = (median(each) for each in zip(*seconds(), strict=True))
    yield Line(f"seconds to read a table of {ROWS} rows and check it, median of {REPEATS}", reading, None)
    yield Line(f"seconds to read it and draw the figures of speed, median of {REPEATS}", both, SECONDS)
    begin = time.perf_counter()
    publish([str(path)], folder, STUDIES)
    yield Line("seconds of its report, figures and all", time.perf_counter() - begin, None)


def _running(folder: Path) -> Iterator[Line]:
    """Seconds of the parent's processor: an instant worker is asked by way of JSON, and answers without waiting."""
    _run(CELLS_OF_A_CASE, folder)
    lasted = {cells: _run(cells, folder) for cells in CELLS}
    for cells, seconds in lasted.items():
        yield Line(f"milliseconds of bookkeeping a cell, run of {cells} cells", 1e3 * seconds / cells, MILLISECONDS)
    growth = max(log(lasted[more] / lasted[less]) / log(more / less) for less, more in pairwise(CELLS))
    yield Line(
        f"growth exponent of a run's cost from {CELLS[0]} to {CELLS[-1]} cells, the steepest part", growth, EXPONENT
    )
    twice = 1e3 * _stopped_and_resumed(CELLS[-1], folder) / CELLS[-1]
    yield Line(f"the same a cell, run of {CELLS[-1]} cells stopped half-way and resumed", twice, MILLISECONDS)


def _run(cells: int, folder: Path) -> float:
    begin = time.process_time()
    with instant_workers():
        run = harness.run(study_of(cells), folder, say=lambda _: None)
    lasted = time.process_time() - begin
    assert len(run.cells) == cells
    return lasted


def _stopped_and_resumed(cells: int, folder: Path) -> float:
    known = set(folder.glob("*/*/*"))
    begin = time.process_time()
    try:
        with instant_workers(limit=cells // CELLS_OF_A_CASE // 2 * requests_of_a_case()):
            harness.run(study_of(cells), folder, say=lambda _: None)
    except Interrupted:
        pass
    (stopped,) = set(folder.glob("*/*/*")) - known
    with instant_workers():
        run: Run = harness.resume(stopped, studies=folder, say=lambda _: None)
    lasted = time.process_time() - begin
    assert len(run.cells) == cells
    return lasted
