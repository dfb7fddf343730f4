"""Rounds: balanced random order, a stop by rounds or by a deadline."""

from __future__ import annotations

import random
from collections import Counter
from functools import partial
from itertools import count, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.session.sampler import Arm, balanced_orders, sample


def arms_of(number: int) -> list[Arm]:
    """Arms whose block takes no time and tells which arm it was of."""
    return [Arm(f"m{each}", "forward", each + 1, partial(float, each)) for each in range(number)]


@given(st.integers(1, 12), st.integers(1, 40), st.integers(0, 99))
def test_a_round_has_every_arm_once(arms: int, rounds: int, seed: int) -> None:
    orders = list(balanced_orders(arms, rounds, random.Random(seed)))
    assert len(orders) == rounds
    assert all(sorted(order) == list(range(arms)) for order in orders)


@given(st.integers(2, 9), st.integers(1, 4), st.integers(0, 99))
def test_positions_are_balanced(arms: int, squares: int, seed: int) -> None:
    seen = Counter(
        (position, arm)
        for order in balanced_orders(arms, squares * arms, random.Random(seed))
        for position, arm in enumerate(order)
    )
    assert set(seen.values()) == {squares}
    assert len(seen) == arms * arms


def test_the_order_is_random_and_repeatable() -> None:
    orders = [tuple(map(tuple, balanced_orders(6, 12, random.Random(seed)))) for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
    assert len(set(orders[0])) == 12


@given(st.integers(2, 9), st.integers(1, 3), st.integers(0, 99))
def test_neighbours_are_balanced(arms: int, designs: int, seed: int) -> None:
    """Each arm follows each other one equally often: lest one arm's caches always suit the next."""
    rounds = designs * arms * (1 + arms % 2)
    orders = list(balanced_orders(arms, rounds, random.Random(seed)))
    seen = Counter(pair for order in orders for pair in pairwise(order))
    assert set(seen.values()) == {designs * (1 + arms % 2)}
    assert len(seen) == arms * (arms - 1)


@given(st.integers(4, 40), st.integers(0, 99))
def test_the_few_rounds_of_a_launch_hardly_repeat_a_pair_of_neighbours(arms: int, seed: int) -> None:
    """A launch has fewer rounds than a design has rows."""
    orders = list(balanced_orders(arms, arms // 2, random.Random(seed)))
    seen = Counter(pair for order in orders for pair in pairwise(order))
    assert max(seen.values()) <= 1 + arms % 2


@given(st.integers(4, 12), st.integers(2, 60), st.integers(0, 99))
def test_an_arm_seldom_ends_a_round_and_begins_the_next(arms: int, rounds: int, seed: int) -> None:
    """At most where a single row of a square is left to choose from."""
    orders = list(balanced_orders(arms, rounds, random.Random(seed)))
    twice = [place for place, (one, two) in enumerate(pairwise(orders), 2) if one[-1] == two[0]]
    assert all(place % arms == 0 for place in twice)


def test_which_arms_are_neighbours_first_is_random() -> None:
    first = [tuple(next(balanced_orders(5, 1, random.Random(seed)))) for seed in range(400)]
    assert len({pair for order in first for pair in pairwise(order)}) == 5 * 4
    assert len(set(first)) > 90  # of 120 orders


def test_blocks_say_what_they_are_of() -> None:
    blocks = list(sample(arms_of(3), 5, seed=1))
    assert [block.round for block in blocks] == [number for number in range(5) for _ in range(3)]
    assert [block.position for block in blocks] == [0, 1, 2] * 5
    assert all(block.seconds == block.arm.calls - 1 for block in blocks)


def test_two_sides_follow_one_another_and_go_first_in_turn() -> None:
    """What is compared with each other lies as close in time as it can, and neither side is always the later."""
    arms = [Arm(f"m{each}", "forward", 1, lambda: 0.0, side) for side in (0, 1) for each in range(3)]
    blocks = list(sample(arms, 6, seed=3))
    pairs = list(zip(blocks[::2], blocks[1::2], strict=True))
    assert all((one.arm.method, {one.arm.side, two.arm.side}) == (two.arm.method, {0, 1}) for one, two in pairs)
    for method in ("m0", "m1", "m2"):
        firsts = [one.arm.side for one, _ in pairs if one.arm.method == method]
        assert firsts in ([0, 1] * 3, [1, 0] * 3)


def test_no_arms_no_blocks() -> None:
    assert list(sample([], 5, seed=1)) == []


@pytest.mark.parametrize(
    ("deadline", "rounds"),
    [
        (-1.0, 1),  # the first round is always measured
        (8.5, 1),  # a round takes 3 by this clock, and so does the time between two: the second would end at 9
        (9.5, 2),
        (1e9, 5),
    ],
)
def test_a_round_that_would_pass_the_deadline_is_not_begun(deadline: float, rounds: int) -> None:
    clock = count(0, 3)
    blocks = list(sample(arms_of(4), 5, seed=0, deadline=deadline, now=lambda: float(next(clock))))
    assert len(blocks) == 4 * rounds
