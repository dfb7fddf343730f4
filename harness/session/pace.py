"""Can a method be that fast? While a case is open, whatever moves its bytes faster than the yardsticks is timed again.

verdicts/plausible.py asks the same of a whole run. Here only the case is known, so only yardsticks count whose time is
long enough to reflect the speed of memory rather than the cost of a call. By this rule, none of the 1200 phases of the
committed run of `speed` is over 1.1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from statistics import median

from harness.session.case_result import CellResult, in_phase
from harness.session.sampler import Arm, Block, sample
from harness.vocabulary import ALIKE_BYTES, PACE_BOUND, YARDSTICKS

LASTING_SECONDS = 20e-6
"""A yardstick that takes less says nothing about memory: a call alone takes 2 µs on a CPU, and some 10 µs on an
accelerator, where it overlaps with the work of longer calls."""

CALL_SECONDS = 2e-6
"""Subtracted from the time of a yardstick: what a call alone takes on a CPU moves no bytes."""

ROUNDS_AGAIN = 7
"""Rounds of the second measurement; a phase must be too fast in all of them."""


def refuse_too_fast(
    arms: Sequence[Arm],
    blocks: Iterable[Block],
    result_of: Mapping[tuple[int, str], CellResult],
    seed: int,
    deadline: float,
) -> None:
    """End the cells that are too fast to be true, in every round of a second measurement too.

    result_of: (side, method) -> its result. The second measurement has at least one round and otherwise ends by the
    deadline (of time.monotonic); its blocks are not kept.
    """

    def least_bytes(arm: Arm) -> int:
        return result_of[arm.side, arm.method].least_bytes.get(arm.phase, 0)

    suspects = [arm for arm, *_ in too_fast(blocks, least_bytes)]
    if not suspects:
        return
    again = sample(_suspects_and_yardsticks(arms, suspects), ROUNDS_AGAIN, seed + 1, deadline)
    timed = [block for block in again if not math.isnan(block.seconds)]  # a block without a time excuses nobody
    for arm, pace, yardstick in too_fast(timed, least_bytes, max):
        if (result := result_of[arm.side, arm.method]).status == "ok":
            result.end("incorrect", in_phase(arm.phase, f"moved its bytes {pace:.2g} times as fast as {yardstick}"))


def too_fast(
    blocks: Iterable[Block], least_bytes: Callable[[Arm], int], of_phase: Callable[[Sequence[float]], float] = median
) -> Iterator[tuple[Arm, float, str]]:
    """Arms that moved their least bytes over PACE_BOUND times as fast as the faster yardstick of their side and clock:
    the arm, how many times as fast, and the name of the yardstick.

    A yardstick counts for a phase if their bytes differ by a factor of at most ALIKE_BYTES. The pace of a yardstick is
    computed from its fastest block, less the cost of a call; the pace of a phase from of_phase(its blocks).
    """
    seconds_of: dict[Arm, list[float]] = {}
    for block in blocks:
        seconds_of.setdefault(block.arm, []).append(block.seconds)
    fastest = [(arm, min(seconds)) for arm, seconds in seconds_of.items() if arm.method in YARDSTICKS]
    paces = [(arm, least_bytes(arm) / (time - CALL_SECONDS)) for arm, time in fastest if time >= LASTING_SECONDS]
    for arm, seconds in seconds_of.items():
        moved = least_bytes(arm)
        alike = [
            (pace, yardstick.method)
            for yardstick, pace in paces
            if (yardstick.side, yardstick.clock) == (arm.side, arm.clock)
            and moved <= ALIKE_BYTES * least_bytes(yardstick)
            and least_bytes(yardstick) <= ALIKE_BYTES * moved
        ]
        if arm.method in YARDSTICKS or not alike:
            continue
        pace, name = max(alike)
        possible = pace * of_phase(seconds)
        if moved > PACE_BOUND * possible:
            yield arm, moved / possible if possible else math.inf, name


def _suspects_and_yardsticks(arms: Iterable[Arm], suspects: Sequence[Arm]) -> list[Arm]:
    """The arms of the second measurement: the suspects, and the yardsticks of their sides."""
    sides = {arm.side for arm in suspects}
    return [*suspects, *(arm for arm in arms if arm.method in YARDSTICKS and arm.side in sides)]
