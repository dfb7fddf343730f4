"""What a plan would cost: cases, cells, bytes, skips and time, before anything is measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from harness.cells import Case, Plan
from harness.methods import Method
from harness.vocabulary import CACHE, YARDSTICKS

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

SHOWN_SKIPS = 10


def forecast(plan: Plan) -> Iterator[str]:
    """Lines for `plan`: totals, the largest cell, every reason to skip, the expected time."""
    study = plan.study
    cases = cells = 0
    seconds = START_SECONDS * study.launches
    largest = 0
    name = ""
    skips: Counter[str] = Counter()
    for case, each in plan:
        cases += 1
        cells += len(each)
        for cell in each:
            if cell.skip:
                skips[f"{cell.method}: {cell.skip}"] += 1
                continue
            if cell.predicted_bytes > largest:
                largest, name = cell.predicted_bytes, f"{cell.method}, n = {case.n}, k = {case.k}, {case.dtype}"
            seconds += _cell_seconds(plan, case, cell.method)
    for device in study.axes.device:
        if device != "cpu":
            yield f"{device}: its cells are measured if it is present"
    yield from plan.notes
    measured = f"{cells - skips.total()} to measure, {skips.total()} to skip"
    yield f"{cases} cases, {cells} cells ({measured}) x {study.launches} launches"
    yield f"largest cell: {largest} bytes ({name})" if name else "nothing to measure"
    for reason, count in skips.most_common(SHOWN_SKIPS):
        yield f"skip {count}: {reason}"
    if len(skips) > SHOWN_SKIPS:
        yield f"skip {sum(sorted(skips.values())[:-SHOWN_SKIPS])} more, for {len(skips) - SHOWN_SKIPS} more reasons"
    budget = study.timing.budget_seconds if study.timing else None
    if budget is not None and seconds > budget:
        yield f"expected time: {budget:.0f} s, the budget (about {seconds:.0f} s without it)"
    else:
        yield f"expected time: about {seconds:.0f} s"


def _cell_seconds(plan: Plan, case: Case, name: str) -> float:
    method = plan.methods[name]
    assert isinstance(method, Method)
    study = plan.study
    check = 0.0 if name in YARDSTICKS else 4 * (case.input_bytes + case.output_bytes) / BYTES_PER_SECOND + 0.002
    phases = [phase for phase in method.phases_for(case) if phase in study.phases]
    if case.transform == "compile" and name not in YARDSTICKS:
        check += COMPILE_SECONDS * (len(phases) if study.timing else 1)
    if study.timing is None:
        return check
    cold = dict(case.parameters).get(CACHE) == "cold"
    longest = FLUSH_SECONDS if cold else study.timing.block_seconds
    block = sum(max(longest, method.least_bytes(phase, case) / BYTES_PER_SECOND) for phase in phases)
    return study.timing.launches * (check + study.timing.rounds * block * BLOCK_OVERHEAD)
