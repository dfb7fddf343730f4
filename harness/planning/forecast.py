"""What a plan would cost: cases, cells, bytes, skips and time, before anything is measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from harness.methods import Method
from harness.planning.earlier import START_SECONDS, Earlier
from harness.precision.repeats import repeat_metrics
from harness.study.cells import Case, Plan
from harness.study.definition import Study
from harness.vocabulary import CACHE, HOST, YARDSTICKS

RUN_SECONDS = 2.0
"""What is beside launches: reading the facts of the machine, and checking the tables at the end."""

BLOCK_OVERHEAD = 2.0
"""Wall time of a block over its timed time: what is prepared for it lasts about as long."""

BYTES_PER_SECOND = 1e9
"""The pace of a check or a call that moves many bytes: topk on a CPU is 9 to 60 times over one read."""

FLUSH_SECONDS = 0.03
"""Before every block of a cold cache: twice 32 MiB, the commonest size of a last-level cache, read and written."""

COMPILE_SECONDS = 1.0
"""A phase under torch.compile, with what its check compiles besides, on a two-core machine."""

REFERENCE_SECONDS, REFERENCE_ENTRY_SECONDS = 0.009, 5e-9
"""A cell that is compared with exact answers: by itself, and for each entry of W; by a run of `precision` on a two-core
machine."""

REPEAT_SECONDS, REPEAT_ENTRY_SECONDS = 0.012, 4e-7
"""A cell whose calls are repeated: by itself, and for each entry of y; by a run of `repeats` on the same machine."""

EXACT_ROW_SECONDS = 7e-4
EXACT_PRODUCT_SECONDS = {"float16": 2e-8, "bfloat16": 2e-8, "float32": 2e-8, "float64": 1e-7}
"""The exact answers to one case: for each row, and for each product in x Wᵀ; measured on one core of a two-core machine
at n = 64 to 65536, d = 0 to 256 and 1 to 512 rows, mostly within a factor of two."""

UNKNOWN = Earlier()

SHOWN_SKIPS = 10

KEPT_REASONS = 1000
"""Reasons that are counted apart: each tells its bytes, so there may be as many as cells."""


@dataclass
class _Tally:
    """What a plan adds up to: cells and seconds by device, why cells are skipped, and which are checked only."""

    cases: int = 0
    cells: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)
    """Of the cells that an earlier run knows; unknown: of the others, by the model."""
    unknown: dict[str, float] = field(default_factory=dict)
    known_seconds: float = 0.0
    known_model: float = 0.0
    skips: Counter[str] = field(default_factory=Counter)
    other_skips: int = 0
    untimed: Counter[str] = field(default_factory=Counter)
    largest: tuple[int, str] = (0, "")
    too_exact: int = 0
    """Cases whose exact answers alone take longer than a case may; longest: seconds of these answers, and of which."""
    longest: tuple[float, str] = (0.0, "")


def forecast(plan: Plan, earlier: Earlier = UNKNOWN) -> Iterator[str]:
    """Lines for `plan`: what depends on the machine, what is left out and why, totals, the largest cell, the time."""
    study, tally = plan.study, _tally(plan, earlier)
    for device in (each for each in study.axes.device if each != HOST):
        yield f"{device}: its {tally.cells[device]} cells are measured if it is present"
    yield from plan.notes
    for place, count in plan.excluded.items():
        if count:
            rule = [f"{key} = {', '.join(map(str, values))}" for key, values in study.exclude[place].items()]
            yield f"exclude {count}: {'; '.join(rule)}"
    for name, count in tally.untimed.items():
        yield f"only check {count}: {name} has none of the phases that are timed there"
    if tally.too_exact:
        seconds, name = tally.longest
        told = f"exact answers take longer than limits.seconds = {study.limits.seconds:g}"
        yield f"{told} in {_many(tally.too_exact, 'case')}, about {seconds:.0f} s for {name}"
    cells, skips = tally.cells.total(), tally.skips
    skipped = skips.total() + tally.other_skips
    measured = f"{cells - skipped} to measure, {skipped} to skip"
    counted = f"{_many(tally.cases, 'case')}, {_many(cells, 'cell')} ({measured})"
    yield f"{counted} x {_many(study.launches, 'launch', 'launches')}"
    size, name = tally.largest
    yield f"largest cell: {size} bytes ({name})" if name else "nothing to measure"
    for reason, count in skips.most_common(SHOWN_SKIPS):
        yield f"skip {count}: {reason}"
    if len(skips) > SHOWN_SKIPS:
        more = sum(sorted(skips.values())[:-SHOWN_SKIPS]) + tally.other_skips
        over = "over " if tally.other_skips else ""
        yield f"skip {more} more, for {over}{len(skips) - SHOWN_SKIPS} more reasons"
    if cells > skipped:
        yield _time_text(tally, study, earlier)
    if study.instructions and cells > skipped:
        processes = study.instructions.launches
        yield f"instructions: counted under valgrind {processes} times, which takes minutes on top of this time"


def _tally(plan: Plan, earlier: Earlier) -> _Tally:
    tally = _Tally()
    for case, each in plan:
        tally.cases += 1
        tally.cells[case.device] += len(each)
        if any(not cell.skip for cell in each):
            _add_exact(tally, plan.study, case)
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
            _add_time(tally, plan, case, cell.method, earlier)
            if plan.study.timing and not _phases(plan, case, cell.method):
                tally.untimed[cell.method] += 1
    return tally


def _add_exact(tally: _Tally, study: Study, case: Case) -> None:
    """Count a case whose exact answers take too long."""
    if set(study.comparison.references) <= {"native"}:
        return
    products = case.rows * case.n * max(1, case.d)
    seconds = EXACT_ROW_SECONDS * case.rows + EXACT_PRODUCT_SECONDS[case.dtype] * products
    tally.too_exact += seconds > study.limits.seconds
    tally.longest = max(tally.longest, (seconds, f"rows = {case.rows}, n = {case.n}, d = {case.d}, {case.dtype}"))


def _add_time(tally: _Tally, plan: Plan, case: Case, name: str, earlier: Earlier) -> None:
    """Add what a cell takes, by an earlier run or else by the model."""
    for seconds in (tally.seconds, tally.unknown):
        seconds.setdefault(case.device, 0.0)
    model, key = _cell_seconds(plan, case, name), (case.id, name)
    if key not in earlier.first:
        tally.unknown[case.device] += model
        return
    first = earlier.first[key]
    lasts = first + (plan.study.launches - 1) * earlier.later.get(key, first)
    tally.seconds[case.device] += lasts
    tally.known_seconds += lasts
    tally.known_model += model


def expected_seconds(plan: Plan, earlier: Earlier = UNKNOWN) -> float:
    """The seconds that `plan` tells for what is planned; 0 where there is nothing to measure."""
    tally = _tally(plan, earlier)
    return _within(plan.study, _seconds(tally, plan.study, earlier, tally.seconds)) if tally.seconds else 0.0


def _time_text(tally: _Tally, study: Study, earlier: Earlier) -> str:
    """The expected time, on a CPU alone and with every device that is asked for."""

    def told(devices: Iterable[str]) -> str:
        seconds = _seconds(tally, study, earlier, devices)
        within, without = _within(study, seconds), sum(seconds.values())
        if within < without:
            return f"{within:.0f} s, the budget (about {without:.0f} s without it)"
        return f"about {without:.0f} s"

    others = ", ".join(device for device in tally.seconds if device != HOST)
    by = f", {earlier.named}" if earlier.named else ""
    everywhere = told(tally.seconds) + by
    if not others or HOST not in tally.seconds:
        return f"expected time: {everywhere}"
    return f"expected time: {told([HOST])}; with {others} {everywhere}"


def _seconds(tally: _Tally, study: Study, earlier: Earlier, devices: Iterable[str]) -> dict[str, float]:
    """device -> seconds of its cells; what no cell takes is under the first. Cells that the earlier run does not have
    are taken to be as much slower or faster than the model as those that it has."""
    pace = tally.known_seconds / tally.known_model if tally.known_model else 1.0
    found = {device: tally.seconds[device] + pace * tally.unknown[device] for device in devices}
    first = next(iter(found))
    found[first] += RUN_SECONDS + START_SECONDS * study.launches + earlier.rest
    return found


def _within(study: Study, seconds: Mapping[str, float]) -> float:
    """The seconds that a budget leaves of these, all together."""
    budget = study.budget_seconds
    if isinstance(budget, dict):
        limits = {str(device): each for device, each in budget.items()}
        return sum(min(each, limits.get(device, each)) for device, each in seconds.items())
    whole = sum(seconds.values())
    return whole if budget is None else min(whole, budget)


def _phases(plan: Plan, case: Case, name: str) -> list[str]:
    """The phases of a method that the study times in this case; a yardstick has its own."""
    has = plan.methods[name].phases_for(case)
    return [phase for phase in has if phase in plan.study.phases or name in YARDSTICKS]


def _cell_seconds(plan: Plan, case: Case, name: str) -> float:
    method = plan.methods[name]
    assert isinstance(method, Method)
    study = plan.study
    check = 0.0 if name in YARDSTICKS else 4 * (case.input_bytes + case.output_bytes) / BYTES_PER_SECOND + 0.002
    once = 0.0  # errors are asked for in the first launch alone
    if name not in YARDSTICKS and set(study.comparison.references) - {"native"}:
        once = REFERENCE_SECONDS + REFERENCE_ENTRY_SECONDS * case.n * case.d
    repeats = name not in YARDSTICKS and not {*repeat_metrics()}.isdisjoint(study.comparison.metrics)
    if repeats:
        check += REPEAT_SECONDS + REPEAT_ENTRY_SECONDS * case.rows * case.n
    phases = _phases(plan, case, name)
    if case.transform == "compile" and name not in YARDSTICKS:
        check += COMPILE_SECONDS * (len(phases) if study.timing else 1)
    if study.timing is None:
        return once + check * (study.launches if repeats else 1)
    cold = dict(case.parameters).get(CACHE) == "cold"
    longest = FLUSH_SECONDS if cold else study.timing.block_seconds
    block = sum(max(longest, method.least_bytes(phase, case) / BYTES_PER_SECOND) for phase in phases)
    return once + study.timing.launches * (check + study.timing.rounds * block * BLOCK_OVERHEAD)


def _many(count: int, one: str, more: str = "") -> str:
    """1 case, 2 cases."""
    return f"{count} {one if count == 1 else more or f'{one}s'}"
