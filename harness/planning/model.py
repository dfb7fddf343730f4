"""How long a cell takes by a crude model, whose constants were measured on a two-core machine.

It stands in for cells that no earlier run of their study has measured.
"""

from __future__ import annotations

from harness.methods import Method
from harness.precision.repeats import repeat_metrics
from harness.study.cells import Case
from harness.study.plan import Plan
from harness.vocabulary import CACHE, HOST, YARDSTICKS

BLOCK_OVERHEAD = 2.0
"""Wall time of a block over its timed time: preparing a block takes about as long as the block."""

BYTES_PER_SECOND = 1e9
"""The rate of a check or a call that moves many bytes: topk on a CPU takes 9 to 60 times as long as one read."""

ACCELERATOR_BYTES_PER_SECOND = 1e11
"""The rate of such a call on an accelerator: topk on an H200 takes 10 to 20 times as long as one read of 4e12 bytes a
second, and others are slower. Checks are taken to be as slow as on a CPU, since inputs are drawn there."""

FLUSH_SECONDS = 0.03
"""Flush before every block with a cold cache: twice 32 MiB, the commonest last-level cache, are read and written."""

COMPILE_SECONDS = 1.0
"""torch.compile of one phase, including what its check compiles, on a two-core machine."""

REFERENCE_SECONDS, REFERENCE_ENTRY_SECONDS = 0.009, 5e-9
"""Comparison of a cell with the exact answers: fixed part, and seconds for each entry of W; from a run of `precision`
on a two-core machine."""

REPEAT_SECONDS, REPEAT_ENTRY_SECONDS = 0.012, 4e-7
"""Repeated calls of a cell: fixed part, and seconds for each entry of y; from a run of `repeats` on the same
machine."""

EXACT_ROW_SECONDS = 7e-4
EXACT_PRODUCT_SECONDS = {"float16": 2e-8, "bfloat16": 2e-8, "float32": 2e-8, "float64": 1e-7}
"""Computing the exact answers of a case: seconds for each row, and for each product in x Wᵀ; measured on one core of a
two-core machine at n = 64 to 65536, d = 0 to 256 and 1 to 512 rows, mostly within a factor of two."""


def timed_phases(plan: Plan, case: Case, name: str) -> list[str]:
    """The phases of a method that the study times in this case; a yardstick is timed in its own phase."""
    has = plan.methods[name].phases_for(case)
    return [phase for phase in has if phase in plan.study.phases or name in YARDSTICKS]


def cell_seconds(plan: Plan, case: Case, name: str) -> float:
    """The seconds of a cell in all launches, by the model."""
    method = plan.methods[name]
    assert isinstance(method, Method)
    study = plan.study
    check = 0.0 if name in YARDSTICKS else 4 * (case.input_bytes + case.output_bytes) / BYTES_PER_SECOND + 0.002
    once = 0.0  # errors are computed in the first launch only
    if name not in YARDSTICKS and set(study.comparison.references) - {"native"}:
        once = REFERENCE_SECONDS + REFERENCE_ENTRY_SECONDS * case.n * case.d
    repeats = name not in YARDSTICKS and not {*repeat_metrics()}.isdisjoint(study.comparison.metrics)
    if repeats:
        check += REPEAT_SECONDS + REPEAT_ENTRY_SECONDS * case.rows * case.n
    phases = timed_phases(plan, case, name)
    if case.transform == "compile" and name not in YARDSTICKS:
        check += COMPILE_SECONDS * (len(phases) if study.timing else 1)
    if study.timing is None:
        return once + check * (study.launches if repeats else 1)
    cold = dict(case.parameters).get(CACHE) == "cold"
    longest = FLUSH_SECONDS if cold else study.timing.block_seconds
    rate = BYTES_PER_SECOND if case.device == HOST else ACCELERATOR_BYTES_PER_SECOND
    block = sum(max(longest, method.least_bytes(phase, case) / rate) for phase in phases)
    return once + study.timing.launches * (check + study.timing.rounds * block * BLOCK_OVERHEAD)


def exact_seconds(case: Case) -> float:
    """The seconds for computing the exact answers of a case."""
    products = case.rows * case.n * max(1, case.d)
    return EXACT_ROW_SECONDS * case.rows + EXACT_PRODUCT_SECONDS[case.dtype] * products
