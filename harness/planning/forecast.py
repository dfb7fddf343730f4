"""What a plan will cost, before anything is measured: cases, cells, bytes, skips and time.

The time comes from an earlier run of the study if there is one, and from the model for cells that it lacks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from harness.planning.earlier import START_SECONDS, Earlier
from harness.planning.model import cell_seconds, exact_seconds, timed_phases
from harness.study.cells import Case
from harness.study.definition import Study
from harness.study.plan import Plan
from harness.vocabulary import HOST, many

RUN_SECONDS = 2.0
"""Overhead of a run outside its launches: reading the facts of the machine, and checking the tables at the end."""

UNKNOWN = Earlier()

SHOWN_SKIPS = 10

KEPT_REASONS = 1000
"""How many reasons are counted separately: a reason contains its bytes, so there may be as many as cells."""


@dataclass
class _Tally:
    """Totals of a plan: its cells and seconds by device, why cells are skipped, which cells are only checked."""

    cases: int = 0
    cells: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)
    """device -> seconds of the cells that an earlier run has; unknown: the same of the others, by the model."""
    unknown: dict[str, float] = field(default_factory=dict)
    known_seconds: float = 0.0
    known_model: float = 0.0
    """The model's seconds for the same cells as known_seconds, which the earlier run measured."""
    skips: Counter[str] = field(default_factory=Counter)
    other_skips: int = 0
    untimed: Counter[str] = field(default_factory=Counter)
    largest: tuple[int, str] = (0, "")
    too_exact: int = 0
    """Cases whose exact answers alone take longer than limits.seconds; longest: seconds and axes of the slowest."""
    longest: tuple[float, str] = (0.0, "")


def forecast(plan: Plan, earlier: Earlier = UNKNOWN) -> Iterator[str]:
    """The lines of `harness plan`: what depends on the machine, what is left out and why, totals, skips, the time."""
    study, tally = plan.study, _tally(plan, earlier)
    for device in study.axes.device:
        if device != HOST:
            yield f"{device}: its {tally.cells[device]} cells are measured if it is present"
    yield from plan.notes
    for index, count in plan.excluded.items():
        if count:
            rule = [f"{key} = {', '.join(map(str, values))}" for key, values in study.exclude[index].items()]
            yield f"exclude {count}: {'; '.join(rule)}"
    for name, count in tally.untimed.items():
        yield f"only check {count}: {name} has none of the phases that are timed there"
    if tally.too_exact:
        seconds, name = tally.longest
        too_long = f"exact answers take longer than limits.seconds = {study.limits.seconds:g}"
        yield f"{too_long} in {many(tally.too_exact, 'case')}, about {seconds:.0f} s for {name}"
    cells, skipped = tally.cells.total(), tally.skips.total() + tally.other_skips
    counts = f"{many(tally.cases, 'case')}, {many(cells, 'cell')} ({cells - skipped} to measure, {skipped} to skip)"
    yield f"{counts} x {many(study.launches, 'launch', 'launches')}"
    size, name = tally.largest
    yield f"largest cell: {size} bytes ({name})" if name else "nothing to measure"
    yield from _skip_lines(tally)
    if cells > skipped:
        yield _time_text(tally, study, earlier)
    if study.instructions and cells > skipped:
        processes = study.instructions.launches
        yield f"instructions: counted under valgrind {processes} times, which takes minutes on top of this time"


def _skip_lines(tally: _Tally) -> Iterator[str]:
    skips = tally.skips
    for reason, count in skips.most_common(SHOWN_SKIPS):
        yield f"skip {count}: {reason}"
    if len(skips) > SHOWN_SKIPS:
        more = sum(sorted(skips.values())[:-SHOWN_SKIPS]) + tally.other_skips
        over = "over " if tally.other_skips else ""
        yield f"skip {more} more, for {over}{many(len(skips) - SHOWN_SKIPS, 'more reason')}"


def _tally(plan: Plan, earlier: Earlier) -> _Tally:
    tally = _Tally()
    for case, cells in plan:
        tally.cases += 1
        tally.cells[case.device] += len(cells)
        if any(not cell.skip for cell in cells):
            _add_exact(tally, plan.study, case)
        for cell in cells:
            if cell.skip:
                reason = f"{cell.method}: {cell.skip}"
                if reason in tally.skips or len(tally.skips) < KEPT_REASONS:
                    tally.skips[reason] += 1
                else:
                    tally.other_skips += 1
                continue
            if cell.predicted_bytes > tally.largest[0]:
                name = f"{cell.method}, n = {case.n}, k = {case.k}, {case.dtype}"
                tally.largest = cell.predicted_bytes, name
            _add_time(tally, plan, case, cell.method, earlier)
            if plan.study.timing and not timed_phases(plan, case, cell.method):
                tally.untimed[cell.method] += 1
    return tally


def _add_exact(tally: _Tally, study: Study, case: Case) -> None:
    """Count the case if computing its exact answers takes longer than limits.seconds."""
    if set(study.comparison.references) <= {"native"}:
        return
    seconds = exact_seconds(case)
    tally.too_exact += seconds > study.limits.seconds
    tally.longest = max(tally.longest, (seconds, f"rows = {case.rows}, n = {case.n}, d = {case.d}, {case.dtype}"))


def _add_time(tally: _Tally, plan: Plan, case: Case, name: str, earlier: Earlier) -> None:
    """Add the time of a cell: from an earlier run if that has the cell, else from the model."""
    for by_device in (tally.seconds, tally.unknown):
        by_device.setdefault(case.device, 0.0)
    model, key = cell_seconds(plan, case, name), (case.id, name)
    if key not in earlier.first:
        tally.unknown[case.device] += model
        return
    first = earlier.first[key]
    seconds = first + (plan.study.launches - 1) * earlier.later.get(key, first)
    tally.seconds[case.device] += seconds
    tally.known_seconds += seconds
    tally.known_model += model


def expected_seconds(plan: Plan, earlier: Earlier = UNKNOWN, at_once: int = 1) -> float:
    """The expected time in seconds that `harness plan` shows; 0 if there is nothing to measure.

    at_once: how many workers measure in parallel.
    """
    tally = _tally(plan, earlier)
    if not tally.seconds:
        return 0.0
    return _within(plan.study, _seconds(tally, plan.study, earlier, tally.seconds, at_once))


def _time_text(tally: _Tally, study: Study, earlier: Earlier) -> str:
    """The expected time, on the CPU alone and with every device of the study."""

    def text(devices: Iterable[str]) -> str:
        seconds = _seconds(tally, study, earlier, devices)
        within, without = _within(study, seconds), sum(seconds.values())
        if within < without:
            return f"{within:.0f} s, the budget (about {without:.0f} s without it)"
        return f"about {without:.0f} s"

    others = ", ".join(device for device in tally.seconds if device != HOST)
    source = f", {earlier.named}" if earlier.named else ""
    everywhere = text(tally.seconds) + source
    if not others or HOST not in tally.seconds:
        return f"expected time: {everywhere}"
    return f"expected time: {text([HOST])}; with {others} {everywhere}"


def _seconds(
    tally: _Tally, study: Study, earlier: Earlier, devices: Iterable[str], at_once: int = 1
) -> dict[str, float]:
    """device -> expected seconds of its cells; the time that belongs to no cell is added to the first device.

    Cells that the earlier run lacks are assumed to deviate from the model by the same factor as those that it has.
    """
    factor = tally.known_seconds / tally.known_model if tally.known_model else 1.0
    expected = {device: (tally.seconds[device] + factor * tally.unknown[device]) / at_once for device in devices}
    first = next(iter(expected))
    expected[first] += RUN_SECONDS + START_SECONDS * study.launches / at_once + earlier.rest
    return expected


def _within(study: Study, seconds: Mapping[str, float]) -> float:
    """The total of these seconds (device -> seconds), cut where the study's budget ends."""
    budget = study.budget_seconds
    if isinstance(budget, dict):
        limits = {str(device): limit for device, limit in budget.items()}
        return sum(min(needed, limits.get(device, needed)) for device, needed in seconds.items())
    whole = sum(seconds.values())
    return whole if budget is None else min(whole, budget)
