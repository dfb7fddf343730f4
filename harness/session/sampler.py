"""Whose turn it is: rounds of one block of every arm, in balanced random order.

Drift hits all arms of a round alike, so the unit of analysis is the ratio within a round. Two sides of one method and
phase are arms like any other, but that they follow one another.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from harness.vocabulary import WALL


@dataclass(frozen=True)
class Arm:
    """One contestant of a round; time() runs one block by its clock, and returns seconds per call. side: 0, in a duel
    also 1."""

    method: str
    phase: str
    calls: int
    time: Callable[[], float]
    side: int = 0
    clock: str = WALL


@dataclass(frozen=True)
class Block:
    """One timed block: which arm, in which round (from 0), at which position in it; seconds per call by its clock."""

    arm: Arm
    round: int
    position: int
    seconds: float


def balanced_orders(arms: int, rounds: int, rng: random.Random) -> Iterator[list[int]]:
    """Orders of the arms, one a round: random, and balanced both for positions and for neighbours.

    In every `arms` rounds each arm has each position once. In every `arms` rounds, of an odd number of arms in every
    2 `arms` rounds, each arm follows each other one equally often within a round, so that no arm always inherits the
    caches of the same one. These are the designs of Williams (Australian J. Sci. Res. A 2, 1949, pp. 149-168): a cyclic
    Latin square, of an odd number of arms followed by its mirror image, over a random order of the arms, its rows in
    random order. No arm ends a round and begins the next where that can be avoided.
    """
    done, last = 0, -1
    while done < rounds:
        names = rng.sample(range(arms), arms)
        for square in _williams_squares(arms, rng):
            left = rng.sample(square, arms)
            while left and done < rounds:
                row = next((each for each in left if names[each[0]] != last), left[0])
                left.remove(row)
                yield [names[each] for each in row]
                done, last = done + 1, names[row[-1]]


def _williams_squares(arms: int, rng: random.Random) -> list[list[list[int]]]:
    """One Latin square of an even number of arms, two of an odd one: together they balance the neighbours."""
    zigzag = [(-(place + 1) // 2 if place % 2 else place // 2) % arms for place in range(arms)]
    square = [[(each + shift) % arms for each in zigzag] for shift in range(arms)]
    if arms % 2 == 0:
        return [square]
    return rng.sample([square, [row[::-1] for row in square]], 2)


def sample(
    arms: Sequence[Arm],
    rounds: int,
    seed: int,
    deadline: float = float("inf"),
    now: Callable[[], float] = time.monotonic,
) -> Iterator[Block]:
    """Blocks, round by round; a round that would end after `deadline` (by `now`) is not begun, but the first is.

    The sides of a duel are compared with each other: arms of one method, phase and clock follow one another, and go
    first in turn.
    """
    if not arms:
        return
    rng = random.Random(seed)
    groups: dict[tuple[str, str, str], list[Arm]] = {}
    for arm in rng.sample(arms, len(arms)):
        groups.setdefault((arm.method, arm.phase, arm.clock), []).append(arm)
    contestants = list(groups.values())
    longest = 0.0
    for number, order in enumerate(balanced_orders(len(contestants), rounds, rng)):
        begin = now()
        if number and begin + longest > deadline:
            return
        in_turn = [arm for index in order for arm in _rotated(contestants[index], number)]
        for position, arm in enumerate(in_turn):
            yield Block(arm, number, position, arm.time())
        longest = max(longest, now() - begin)


def _rotated(arms: list[Arm], by: int) -> list[Arm]:
    first = by % len(arms)
    return arms[first:] + arms[:first]
