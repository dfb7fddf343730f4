"""The harness measures itself: A/A, whether time grows with the work, and the resolution of the timer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import product
from statistics import median

import numpy as np

from harness.session.process import Worker
from harness.session.request import opening
from harness.session.sampler import Arm, sample
from harness.study.cells import Case
from harness.vocabulary import HOST, WALL

TWIN_CASES = tuple(
    Case(n=n, k=k, dtype=dtype) for n, k, dtype in product((256, 4096, 65536), (1, 64), ("float32", "float64"))
)
"""Small, medium and large: what disturbs the caches may not show in a call of a few microseconds."""

BLOCK_SECONDS = 0.001
ROUNDS = 100
CASE_SECONDS = 0.5
"""At most 0.1 s per arm, as in the A/A of `make acceptance`: 3 s for all cases, and never above twice that."""

GROWING_N: dict[str, tuple[int, int]] = {HOST: (1 << 16, 1 << 20)}
GROWING_N_OF_ACCELERATORS = (1 << 20, 1 << 24)
"""device -> small and large n of the read whose time must grow. An accelerator needs larger ones: a launch takes as
long as reading some 10 MB there."""

GROWING_BLOCKS = 5

ANSWER_SECONDS = 30.0
QUANTILE = 0.95

STEPS = 100
READINGS = 1_000_000
"""The timer is read until it has advanced STEPS times, or READINGS times: 0.1 s, in which a timer that ticks every 16
ms advances six times."""


def spread(pairs: Iterable[Sequence[Arm]], rounds: int = ROUNDS, seconds: float = CASE_SECONDS) -> float:
    """95th percentile over pairs of arms of |median over rounds of ln(seconds of side 1 / seconds of side 0)|.

    seconds: for each pair. NaN if blocks have no time, or there are no pairs.
    """
    ratios = [_log_ratio(arms, rounds, seed, time.monotonic() + seconds) for seed, arms in enumerate(pairs)]
    return float(np.quantile(np.abs(ratios), QUANTILE)) if ratios else float("nan")


def _log_ratio(arms: Sequence[Arm], rounds: int, seed: int, deadline: float) -> float:
    blocks = list(sample(arms, rounds, seed, deadline))
    base, head = (np.array([block.seconds for block in blocks if block.arm.side == side]) for side in (0, 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = float(np.median(np.log(head / base)))
    return ratio if np.isfinite(ratio) else float("nan")


def twins(worker: Worker, cases: Iterable[Case] = TWIN_CASES) -> Iterator[tuple[Arm, Arm]]:
    """For every case a pair of arms that both time native's forward, as sides 0 and 1.

    Use each pair before asking for the next, since the worker has one case open at a time. Raises WorkerLost.
    """
    for case in cases:
        worker.ask(_opening(worker, case), ANSWER_SECONDS)
        calls = _calls(worker, "native", "forward")
        time_block = partial(_block, worker, "native", "forward", calls)
        yield Arm("native", "forward", calls, time_block), Arm("native", "forward", calls, time_block, side=1)


def _opening(worker: Worker, case: Case) -> dict[str, object]:
    return opening(case, worker.cores, phases=["forward"], block_seconds=BLOCK_SECONDS)


def growth(worker: Worker, device: str) -> tuple[float, float]:
    """(time of 2 m calls / time of m calls, time of reading 16 n elements / time of reading n).

    Near 2, and well above 1, if the clock waits for the work; medians of a few blocks, by the wall clock. NaN if blocks
    have no time. Raises WorkerLost.
    """
    totals: list[list[float]] = []
    for n in GROWING_N.get(device, GROWING_N_OF_ACCELERATORS):
        worker.ask(_opening(worker, Case(n=n, device=device)), ANSWER_SECONDS)
        calls = _calls(worker, "read", "apply")
        seconds = [
            [_block(worker, "read", "apply", times * calls) * times * calls for times in (1, 2)]
            for _ in range(GROWING_BLOCKS)
        ]
        totals.append([median(blocks) / calls for blocks in zip(*seconds, strict=True)])
    (small, twice), (large, _) = totals
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.array([twice, large]) / small
    return tuple(float(ratio) if np.isfinite(ratio) else float("nan") for ratio in ratios)  # type: ignore[return-value]


def _calls(worker: Worker, method: str, phase: str) -> int:
    reply = worker.ask({"op": "check", "method": method, "measure": []}, ANSWER_SECONDS)
    return int(reply.get("calls", {}).get(phase, {}).get(WALL, 1))


def _block(worker: Worker, method: str, phase: str, calls: int) -> float:
    request = {"op": "time", "method": method, "phase": phase, "clock": WALL, "calls": calls}
    return float(worker.ask(request, ANSWER_SECONDS).get("seconds", "nan"))


def resolution(counter: Callable[[], int] = time.perf_counter_ns) -> float:
    """Seconds of the smallest step observed in a counter of nanoseconds; NaN if it stands still."""
    steps: list[int] = []
    before = counter()
    for _ in range(READINGS):
        now = counter()
        if now > before:
            steps.append(now - before)
            if len(steps) == STEPS:
                break
        before = now
    return min(steps) / 1e9 if steps else float("nan")
