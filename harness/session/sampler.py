"""The order of blocks: rounds with one block of every arm, in balanced random order.

Drift affects all arms of a round alike, so the unit of analysis is the ratio within a round. The two sides of a duel
are arms like any others, except that arms of the same method, phase and clock follow each other directly.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from harness.vocabulary import WALL


@dataclass(frozen=True)
class Arm:
    """One contestant of a round. calls: per block. time() runs one block and returns seconds per call by the arm's
    clock. side: 0; in a duel also 1."""

    method: str
    phase: str
    calls: int
    time: Callable[[], float]
    side: int = 0
    clock: str = WALL


@dataclass(frozen=True)
class Block:
    """One timed block: its arm, its round (from 0), its position in the round (from 0), and seconds per call."""

    arm: Arm
    round: int
    position: int
    seconds: float


def balanced_orders(arms: int, rounds: int, rng: random.Random) -> Iterator[list[int]]:
    """An order of the arms (their indices) for every round: random, and balanced for positions and for neighbours.

    In every `arms` rounds, every arm has every position once. In every `arms` rounds, or 2 `arms` rounds if their
    number is odd, every arm directly follows every other arm equally often, so that no arm always inherits the caches
    of the same predecessor. These are the designs of Williams (Australian J. Sci. Res. A 2, 1949, pp. 149-168): a
    cyclic Latin square over a random order of the arms, followed by its mirror image if the number is odd, with its
    rows in random order. No arm ends one round and begins the next if that can be avoided.
    """
    done, last = 0, -1
    while done < rounds:
        shuffled = rng.sample(range(arms), arms)
        for square in _williams_squares(arms, rng):
            left = rng.sample(square, arms)
            while left and done < rounds:
                row = next((row for row in left if shuffled[row[0]] != last), left[0])
                left.remove(row)
                yield [shuffled[place] for place in row]
                done, last = done + 1, shuffled[row[-1]]


def _williams_squares(arms: int, rng: random.Random) -> list[list[list[int]]]:
    """One Latin square for an even number of arms, two for an odd number; together they balance the neighbours."""
    zigzag = [(-(place + 1) // 2 if place % 2 else place // 2) % arms for place in range(arms)]
    square = [[(entry + shift) % arms for entry in zigzag] for shift in range(arms)]
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
    """Time blocks, round by round. No round begins that would end after `deadline` (by `now`), except the first.

    Arms of the same method, phase and clock, which are the sides of a duel, follow each other directly, because they
    are compared with each other; they take turns in going first.
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
        arms_of_round = [arm for index in order for arm in _rotated(contestants[index], number)]
        for position, arm in enumerate(arms_of_round):
            yield Block(arm, number, position, arm.time())
        longest = max(longest, now() - begin)


def _rotated(arms: list[Arm], by: int) -> list[Arm]:
    first = by % len(arms)
    return arms[first:] + arms[:first]
