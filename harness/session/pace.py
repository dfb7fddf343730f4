"""Can it be so fast? While a case is open: what moves its bytes faster than its yardsticks is measured again.

verdicts/plausible.py asks the same of a whole run. Here only the case is known, so less is judged: yardsticks that are
slow enough that they tell how fast memory is, not how long a call takes. By this, none of 1200 phases of the committed
run of `speed` is over 1.1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from statistics import median

from harness.session.sampler import Arm, Block
from harness.vocabulary import ALIKE_BYTES, PACE_BOUND, YARDSTICKS

LASTING_SECONDS = 20e-6
"""A yardstick that lasts less says nothing: a call alone takes 2 µs on a CPU, and some 10 µs on an accelerator, whose
calls overlap with its work where that takes longer."""

CALL_SECONDS = 2e-6

ROUNDS_AGAIN = 7
"""Rounds of the second measurement, in all of which a phase must be too fast."""


def too_fast(
    blocks: Iterable[Block], least_bytes: Callable[[Arm], int], of_phase: Callable[[Sequence[float]], float] = median
) -> Iterator[tuple[Arm, float, str]]:
    """Phases that moved their least bytes over PACE_BOUND times as fast as the better yardstick of their side and
    clock: the arm, how many times, the yardstick.

    A yardstick counts where the bytes of the two differ by a factor of ALIKE_BYTES at most. Of its blocks the fastest
    counts, less the seconds of a call; of the blocks of a phase, of_phase.
    """
    seconds: dict[Arm, list[float]] = {}
    for block in blocks:
        seconds.setdefault(block.arm, []).append(block.seconds)
    known = [(arm, min(each)) for arm, each in seconds.items() if arm.method in YARDSTICKS]
    rates = [(arm, least_bytes(arm) / (each - CALL_SECONDS)) for arm, each in known if each >= LASTING_SECONDS]
    for arm, each in seconds.items():
        least = least_bytes(arm)
        alike = [
            (rate, yardstick.method)
            for yardstick, rate in rates
            if (yardstick.side, yardstick.clock) == (arm.side, arm.clock)
            and least <= ALIKE_BYTES * least_bytes(yardstick)
            and least_bytes(yardstick) <= ALIKE_BYTES * least
        ]
        if arm.method in YARDSTICKS or not alike:
            continue
        rate, name = max(alike)
        allowed = rate * of_phase(each)
        if least > PACE_BOUND * allowed:
            yield arm, least / allowed if allowed else math.inf, name


def measured_again(arms: Iterable[Arm], suspects: Sequence[Arm]) -> list[Arm]:
    """What takes part in the second measurement: the suspects, and the yardsticks of their sides."""
    sides = {arm.side for arm in suspects}
    return [*suspects, *(arm for arm in arms if arm.method in YARDSTICKS and arm.side in sides)]
