"""The budget of a study: everything counts, launches share it, and its end says what more would have bought."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import harness
from harness.errors import UserError
from harness.planning.loading import plan_of
from harness.session.progress import Progress, progress_bar
from harness.session.sweep import Sweep
from harness.session.turn import Rows, Turn
from harness.study.budget import SPENT, Budget
from harness.study.definition import Study
from harness.study.file import narrow
from harness.tables import read
from tests.recorded import record
from tests.study_texts import VALID

WriteStudy = Callable[[str], Study]

HEAD = 'title = "Trial"\nmethods = ["native", "gather"]\nphases = ["forward"]\n'
TIMED = HEAD + "[axes]\nn = [64, 128, 256, 512]\nk = 4\n[timing]\nlaunches = 3\n"


class Clock:
    """time.monotonic of a world in which only what is measured takes time."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def swept(
    study: Study, tmp_path: Path, cost: Callable[[Turn], float], *, starting: float = 0.0
) -> tuple[Sweep, list[Rows], Clock]:
    """A sweep in which a turn takes cost(turn) seconds if any of its cells is measured; with its rows."""
    clock = Clock()

    def measure(turns: Iterator[Turn]) -> Iterator[Rows]:
        for turn in turns:
            if not all(cell.skip for cell in turn.cells):
                clock.now += cost(turn)
            own = {"case": turn.case.id, "n": turn.case.n, "device": turn.case.device, "launch": turn.launch}
            own |= {"machine": "here", "status": "ok"}
            rows: Rows = {"cells": [own | {"skip": cell.skip} for cell in turn.cells]}
            yield rows

    sweep = Sweep(plan_of(study), measure, set(), read(record(tmp_path / "run", launches=0)))
    sweep.budget = Budget(study, begun=clock.now - starting, now=clock)
    return sweep, list(sweep.rows()), clock


def cells_of(rows: list[Rows]) -> list[dict[str, Any]]:
    return [dict(cell) for each in rows for cell in each["cells"]]


@pytest.mark.parametrize("place", ["[timing]", "[limits]"])
def test_a_run_ends_within_its_budget_and_one_case_however_long_a_case_is_opened_and_checked(
    write_study: WriteStudy, tmp_path: Path, place: str
) -> None:
    """A case takes 7 s whatever time it is given, as one whose check alone lasts so long does."""
    text = TIMED + "budget_seconds = 30\n" if place == "[timing]" else TIMED + "[limits]\nbudget_seconds = 30\n"
    sweep, rows, clock = swept(write_study(text), tmp_path, lambda turn: 7.0)
    assert 30 <= clock.now - 1000 <= 30 + 7
    skipped = [cell for cell in cells_of(rows) if cell["skip"]]
    assert {cell["skip"] for cell in skipped} == {SPENT}
    assert len(cells_of(rows)) == 3 * 4 * 4
    assert len(skipped) == sum(sweep.budget.cells_cut.values()) == (12 - 5) * 4


def test_a_study_that_times_nothing_has_a_budget_too(write_study: WriteStudy, tmp_path: Path) -> None:
    text = HEAD + "[axes]\nn = [64, 128, 256, 512]\nk = 4\n[limits]\nbudget_seconds = 10\n"
    sweep, rows, clock = swept(write_study(text), tmp_path, lambda turn: 4.0)
    assert clock.now - 1000 == 12
    assert [bool(cell["skip"]) for cell in cells_of(rows)] == [False] * 6 + [True] * 2
    assert sweep.budget_line() == (
        "budget of 10 s spent: 2 of 8 cells not measured in launch 1; fewer sizes, or budget_seconds = 18"
    )


def test_what_passed_before_the_first_case_counts(write_study: WriteStudy, tmp_path: Path) -> None:
    text = TIMED + "budget_seconds = 30\n"
    _, rows, _ = swept(write_study(text), tmp_path, lambda turn: 7.0, starting=31.0)
    assert all(cell["skip"] == SPENT for cell in cells_of(rows))


def test_the_end_of_a_budget_tells_what_would_have_been_enough(write_study: WriteStudy, tmp_path: Path) -> None:
    """n = 64 to 512 take 1, 2, 4 and 8 s: 15 a launch, 45 in all; 1 % above the sum is not enough for another day."""
    sweep, _, _ = swept(write_study(TIMED + "budget_seconds = 36\n"), tmp_path, lambda turn: turn.case.n / 64)
    assert sweep.budget_line() == (
        "budget of 36 s spent: 4 of 16 cells not measured in launch 3; "
        "--launches 2, fewer sizes, or budget_seconds = 50"
    )
    enough, _, _ = swept(write_study(TIMED + "budget_seconds = 50\n"), tmp_path / "2", lambda turn: turn.case.n / 64)
    assert enough.budget_line() == ""


def test_what_would_have_been_enough_is_told_of_cases_that_are_measured_side_by_side_too(
    write_study: WriteStudy,
) -> None:
    """Two at once, each of 10 s: a case ends every 5 s, so that eight of them take 40 s, and 1.1 times that is 44."""
    clock = Clock()
    budget = Budget(write_study(TIMED + "budget_seconds = 20\n"), at_once=2, begun=clock.now, now=clock)
    budget.begin_launch(1, {"cpu": 8})
    for number in range(4):
        clock.now += 5.0
        budget.charge("cpu", f"case {number}")
    assert budget.spent("cpu")
    for number in range(4, 8):
        budget.cut(1, f"case {number}", 1)
    assert budget.needed() == 44


def test_what_an_earlier_part_of_a_run_took_tells_what_the_rest_needs(write_study: WriteStudy, tmp_path: Path) -> None:
    """All that this part did was to find the budget spent."""
    study = write_study(TIMED.replace("launches = 3", "launches = 2") + "budget_seconds = 1\n")
    run = read(record(tmp_path / "run", cases=tuple(case for case, _ in plan_of(study)), launches=1))
    done = {(1, case) for case in run.cells["case"]}
    run.cells["wall_seconds"] = 1.0
    cells = len(run.cells)
    sweep = Sweep(plan_of(study), lambda turns: (rows_without_cells(turn) for turn in turns), done, run)
    list(sweep.rows())
    assert sweep.budget.needed() == pytest.approx(2 * 1.1 * cells, abs=1.0)


def rows_without_cells(turn: Turn) -> Rows:
    assert all(cell.skip for cell in turn.cells)
    own = {
        "case": turn.case.id,
        "device": turn.case.device,
        "launch": turn.launch,
        "machine": "here",
        "status": "skipped",
    }
    return {"cells": [own for _ in turn.cells]}


def test_launches_share_a_budget_and_what_a_case_leaves_goes_to_those_after_it(
    write_study: WriteStudy, tmp_path: Path
) -> None:
    given: list[tuple[int, float]] = []

    def cost(turn: Turn) -> float:
        given.append((turn.launch, turn.seconds))
        return turn.seconds / 2

    swept(write_study(TIMED + "budget_seconds = 120\n"), tmp_path, cost)
    first = [seconds for launch, seconds in given if launch == 1]
    assert first == pytest.approx([10, 35 / 3, (40 - 5 - 35 / 6) / 2, first[-1]])
    assert given[4][1] > 10  # what launch 1 left is for launches 2 and 3


def test_each_device_has_its_own_budget(write_study: WriteStudy, tmp_path: Path) -> None:
    axes = '[axes]\nn = [64, 128, 256, 512]\nk = 4\ndevice = ["cpu", "cuda"]\n'
    text = HEAD + axes + "[limits]\nbudget_seconds = {cpu = 10, cuda = 3}\n"
    sweep, rows, _ = swept(write_study(text), tmp_path, lambda turn: 2.0)
    measured = [cell for cell in cells_of(rows) if not cell["skip"]]
    assert sum(cell["device"] == "cpu" for cell in measured) == 4 * 2
    assert sum(cell["device"] == "cuda" for cell in measured) == 2 * 2
    assert sweep.budget_line().startswith("budget of cpu 10, cuda 3 s spent: 4 of 16 cells not measured in launch 1; ")


def test_a_device_that_has_no_budget_goes_on(write_study: WriteStudy, tmp_path: Path) -> None:
    axes = '[axes]\nn = [64, 128, 256, 512]\nk = 4\ndevice = ["cpu", "cuda"]\n'
    text = HEAD + axes + "[limits]\nbudget_seconds = {cuda = 1}\n"
    _, rows, _ = swept(write_study(text), tmp_path, lambda turn: 2.0)
    assert {cell["device"] for cell in cells_of(rows) if cell["skip"]} == {"cuda"}


def test_a_budget_of_a_device_that_is_absent_does_not_hold_the_bar_back(write_study: WriteStudy) -> None:
    """The study of a run has only the devices that are here."""
    text = TIMED.replace("k = 4", 'k = 4\ndevice = ["cpu", "cuda"]')
    both = write_study(text + "budget_seconds = {cpu = 8, cuda = 9}\n")
    clock = Clock()
    budgets = [Budget(study, begun=clock.now, now=clock) for study in (both, narrow(both, ["device=cpu"]))]
    for budget in budgets:
        budget.begin_launch(1, {"cpu": 4})
    clock.now += 2.0
    for budget in budgets:
        budget.charge("cpu")
    assert [budget.share_used() for budget in budgets] == [0.0, 0.25]


def test_memory_is_limited_for_each_device(write_study: WriteStudy) -> None:
    axes = '[axes]\nn = 4096\nk = 64\ndevice = ["cpu", "cuda"]\n'
    plan = plan_of(write_study(HEAD + axes + '[limits]\nmemory = {cpu = "1 KiB"}\n'))
    skipped = {(case.device, bool(cell.skip)) for case, cells in plan for cell in cells}
    assert skipped == {("cpu", True), ("cuda", False)}
    assert plan.study.memory_limit("cuda") == 4 * 2**30
    assert plan.study.memory_limit("cpu") == 1024


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[limits]\nbudget_seconds = {gpu = 3}", ("limits.budget_seconds.gpu", "unknown word 'gpu'", "cpu, cuda")),
        ("[limits]\nbudget_seconds = {}", ("limits.budget_seconds", "at least 1")),
        ("[limits]\nbudget_seconds = {cpu = -1}", ("limits.budget_seconds.cpu", "greater than 0")),
        ("[limits]\nbudget_seconds = 0", ("limits.budget_seconds:", "greater than 0")),
        ('[limits]\nmemory = {cpu = "4 Gigs"}', ("limits.memory.cpu", "Gigs")),
        ("[limits]\nbudget_seconds = 3\n[timing]\nbudget_seconds = 3", ("budget_seconds", "[timing] and in [limits]")),
    ],
)
def test_a_wrong_budget_is_one_line(write_study: WriteStudy, text: str, told: tuple[str, ...]) -> None:
    with pytest.raises(UserError) as caught:
        write_study(VALID + text)
    assert "\n" not in str(caught.value)
    for part in told:
        assert part in str(caught.value)


def test_fewer_launches_keep_the_budget_and_more_have_more(write_study: WriteStudy) -> None:
    for text in (TIMED + "budget_seconds = 30\n", TIMED + "[limits]\nbudget_seconds = 30\n"):
        study = write_study(text)
        assert [study.with_launches(count).budget_seconds for count in (1, 3, 6)] == [30, 30, 60]
    both = write_study(TIMED + "budget_seconds = {cpu = 30, cuda = 6}\n")
    assert both.with_launches(6).budget_seconds == {"cpu": 60, "cuda": 12}


def test_the_bar_moves_with_the_budget_where_no_case_ends(capsys: pytest.CaptureFixture[str]) -> None:
    used = [0.0]
    bar = progress_bar(100)
    progress = Progress(bar, lambda: used[0])
    progress.done()
    assert bar.n == 1
    used[0] = 0.5
    progress.move()
    assert bar.n == 50
    progress.done()
    assert bar.n == 50  # never back
    used[0] = 1.0
    progress.move()
    assert bar.n == 100


def test_a_real_run_counts_everything_toward_its_budget(write_study: WriteStudy, tmp_path: Path) -> None:
    """Starting a worker takes longer than this budget: no cell is measured, and the run says so in one line."""
    said: list[str] = []
    begun = time.monotonic()
    run = harness.run(write_study(TIMED + "budget_seconds = 0.01\n"), tmp_path, say=said.append)
    assert set(run.cells["status"]) == {"skipped"}
    (line,) = (each for each in said if each.startswith("budget of 0.01 s spent"))
    assert re.search(r"48 of 48 cells not measured in launches 1 to 3; fewer sizes, or budget_seconds = \d+$", line)
    assert 0 < run.info["took_seconds"] <= time.monotonic() - begun


def test_the_seconds_of_a_cell_are_those_of_its_case(write_study: WriteStudy, tmp_path: Path) -> None:
    """Opening and what is prepared for a block count: a run that goes on knows what was spent before."""
    text = HEAD + "[axes]\nn = 4096\nk = 4\n[timing]\nlaunches = 1\nrounds = 5\n"
    begun = time.monotonic()
    run = harness.run(write_study(text), tmp_path, say=lambda _: None)
    lasted = time.monotonic() - begun
    in_blocks = float((run.timings["seconds"] * run.timings["calls"]).sum())
    assert in_blocks < run.cells["wall_seconds"].sum() < lasted
