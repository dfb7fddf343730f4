"""What a plan would cost: cases, cells, bytes, skips and time, before anything is measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from harness.cells import Case, Plan
from harness.methods import Method
from harness.study import Study
from harness.vocabulary import CACHE, HOST, YARDSTICKS

START_SECONDS = 2.0
"""A fresh worker: importing torch 2.13 on a two-core machine."""

BLOCK_OVERHEAD = 2.0
"""Wall time of a block over its timed time: what is prepared for it lasts about as long."""

BYTES_PER_SECOND = 1e9
"""The pace of a check or a call that moves many bytes: topk on a CPU is 9 to 60 times over one read."""

FLUSH_SECONDS = 0.03
"""Before every block of a cold cache: twice 32 MiB, the commonest size of a last-level cache, read and written."""

COMPILE_SECONDS = 1.0
"""A phase under torch.compile, with what its check compiles besides, on a two-core machine."""

REFERENCE_SECONDS, REFERENCE_ENTRY_SECONDS = 0.006, 4e-8
"""A cell that is compared with exact answers: by itself, and for each entry of W; by the runs of `precision` and
`selection` on a two-core machine."""

SHOWN_SKIPS = 10

KEPT_REASONS = 1000
"""Reasons that are counted apart: each tells its bytes, so there may be as many as cells."""


@dataclass
class _Tally:
    """What a plan adds up to: cells and seconds by device, why cells are skipped, and which are checked only."""

    cases: int = 0
    cells: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)
    skips: Counter[str] = field(default_factory=Counter)
    other_skips: int = 0
    untimed: Counter[str] = field(default_factory=Counter)
    largest: tuple[int, str] = (0, "")


def forecast(plan: Plan) -> Iterator[str]:
    """Lines for `plan`: what depends on the machine, what is left out and why, totals, the largest cell, the time."""
    study, tally = plan.study, _tally(plan)
    for device in (each for each in study.axes.device if each != HOST):
        yield f"{device}: its {tally.cells[device]} cells are measured if it is present"
    yield from plan.notes
    for place, count in plan.excluded.items():
        if count:
            rule = [f"{key} = {', '.join(map(str, values))}" for key, values in study.exclude[place].items()]
            yield f"exclude {count}: {'; '.join(rule)}"
    for name, count in tally.untimed.items():
        yield f"only check {count}: {name} has none of the phases that are timed there"
    cells, skips = tally.cells.total(), tally.skips
    skipped = skips.total() + tally.other_skips
    measured = f"{cells - skipped} to measure, {skipped} to skip"
    yield f"{tally.cases} cases, {cells} cells ({measured}) x {study.launches} launches"
    size, name = tally.largest
    yield f"largest cell: {size} bytes ({name})" if name else "nothing to measure"
    for reason, count in skips.most_common(SHOWN_SKIPS):
        yield f"skip {count}: {reason}"
    if len(skips) > SHOWN_SKIPS:
        more = sum(sorted(skips.values())[:-SHOWN_SKIPS]) + tally.other_skips
        over = "over " if tally.other_skips else ""
        yield f"skip {more} more, for {over}{len(skips) - SHOWN_SKIPS} more reasons"
    if cells > skipped:
        yield _time_text(tally, study)


def _tally(plan: Plan) -> _Tally:
    tally = _Tally()
    for case, each in plan:
        tally.cases += 1
        tally.cells[case.device] += len(each)
        for cell in each:
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
            lasts = _cell_seconds(plan, case, cell.method)
            tally.seconds[case.device] = tally.seconds.get(case.device, 0.0) + lasts
            if plan.study.timing and not _phases(plan, case, cell.method):
                tally.untimed[cell.method] += 1
    return tally


def _time_text(tally: _Tally, study: Study) -> str:
    """The expected time, on a CPU alone and with every device that is asked for."""
    budget = study.total_budget
    start = START_SECONDS * study.launches

    def told(seconds: float) -> str:
        if budget is not None and seconds > budget:
            return f"{budget:.0f} s, the budget (about {seconds:.0f} s without it)"
        return f"about {seconds:.0f} s"

    others = ", ".join(device for device in tally.seconds if device != HOST)
    everywhere = told(start + sum(tally.seconds.values()))
    if not others or HOST not in tally.seconds:
        return f"expected time: {everywhere}"
    return f"expected time: {told(start + tally.seconds[HOST])}; with {others} {everywhere}"


def _phases(plan: Plan, case: Case, name: str) -> list[str]:
    """The phases of a method that the study times in this case; a yardstick has its own."""
    has = plan.methods[name].phases_for(case)
    return [phase for phase in has if phase in plan.study.phases or name in YARDSTICKS]


def _cell_seconds(plan: Plan, case: Case, name: str) -> float:
    method = plan.methods[name]
    assert isinstance(method, Method)
    study = plan.study
    check = 0.0 if name in YARDSTICKS else 4 * (case.input_bytes + case.output_bytes) / BYTES_PER_SECOND + 0.002
    if name not in YARDSTICKS and set(study.comparison.references) - {"native"}:
        check += REFERENCE_SECONDS + REFERENCE_ENTRY_SECONDS * case.n * case.d
    phases = _phases(plan, case, name)
    if case.transform == "compile" and name not in YARDSTICKS:
        check += COMPILE_SECONDS * (len(phases) if study.timing else 1)
    if study.timing is None:
        return check
    cold = dict(case.parameters).get(CACHE) == "cold"
    longest = FLUSH_SECONDS if cold else study.timing.block_seconds
    block = sum(max(longest, method.least_bytes(phase, case) / BYTES_PER_SECOND) for phase in phases)
    return study.timing.launches * (check + study.timing.rounds * block * BLOCK_OVERHEAD)
