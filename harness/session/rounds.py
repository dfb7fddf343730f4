"""Calls timed in rounds in this process: for a study's facts, which are not about cells that a worker could open."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from harness.session.sampler import Arm, sample

if TYPE_CHECKING:
    from harness.device.clock import Call, Clock

BLOCK_SECONDS = 0.001


def in_rounds(
    calls: Mapping[str, Call], clock: Clock, rounds: int, seconds: float, seed: int
) -> dict[str, list[float]]:
    """Seconds per call of every call, one value per round: up to `rounds` rounds in about `seconds`, at least one.

    A block lasts about a millisecond and, as in a worker, follows one call that is not timed.
    """
    counts = {name: clock.calls_for(call, BLOCK_SECONDS) for name, call in calls.items()}
    arms = [
        Arm(name, "forward", counts[name], partial(_block, clock, call, counts[name])) for name, call in calls.items()
    ]
    times: dict[str, list[float]] = {name: [] for name in calls}
    for block in sample(arms, rounds, seed, time.monotonic() + seconds):
        times[block.arm.method].append(block.seconds)
    return times


def _block(clock: Clock, call: Call, calls: int) -> float:
    call()
    return clock.block(call, calls)
