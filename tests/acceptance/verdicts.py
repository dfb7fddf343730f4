"""Verdicts that mean their words: simulated duels and baselines, judged by the real judge, looks and all.

The spreads between launches are those of the committed run of the study `regression`, the launches those that fit the
five minutes of `make regress`. Nothing is timed here, so another load on the machine changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from tests.acceptance.line import Line
from tests.simulated import (
    LAUNCHES,
    QUANTITIES,
    committed_spreads,
    compare_with_baseline,
    fight,
    fight_one_planted,
)

DUELS = 150
A_A_DUELS = 200
PLANTED = 30
"""Duels in which one quantity of each committed spread is slower."""

ONE_QUANTITY = 1000
MOST_LAUNCHES = 50
BASELINES = 100
RUNS = 5
RUN_SPREAD = 0.01

RunSpreads = Callable[[np.random.Generator], np.ndarray]


def measure() -> Iterator[Line]:
    """Shares of verdicts, each beside its bound."""
    spreads = committed_spreads()
    told = f"{LAUNCHES} launches, launch sd {spreads[0]:.1%} to {spreads[-1]:.1%}"
    for change, bound in ((0.02, 0.05), (0.03, 0.01), (0.05, 0.01)):
        for effect in (math.log1p(change), -math.log1p(change)):
            yield Line(f"share of `same` at {math.expm1(effect):+.1%}, {told}", share_of_same(effect), bound)
    yield Line(f"share of `same` at +0.0%, {told}", share_of_same(0.0), 0.95, at_least=True)
    yield from planted(spreads)
    yield Line("A/A duels of 20 with any slower or faster", 20 * false_alarms(spreads), 1)
    yield from looks()
    alike: RunSpreads = lambda _: np.full(QUANTITIES, RUN_SPREAD)  # noqa: E731
    yield from baseline("sd 1 % between runs", alike, cases=4, bound=True)
    yield from baseline("sd 1 % between runs, each quantity a case", alike, cases=QUANTITIES, bound=True)
    unlike: RunSpreads = lambda rng: RUN_SPREAD * np.exp(rng.normal(0, 0.35, QUANTITIES))  # noqa: E731
    yield from baseline("sd 0.5 to 2 % between runs", unlike, cases=4, bound=False)


def share_of_same(effect: float) -> float:
    """Of the quantities of duels in which all have this effect."""
    rng = np.random.default_rng(1)
    spreads = np.resize(committed_spreads(), QUANTITIES)
    fought = [fight(rng, np.full(QUANTITIES, effect), spreads, LAUNCHES) for _ in range(DUELS)]
    return float(np.mean(pd.concat(fought)["verdict"] == "same"))


def planted(spreads: np.ndarray) -> Iterator[Line]:
    """Of duels in which one of all quantities is 5 % slower."""
    rng = np.random.default_rng(2)
    fought = [fight_one_planted(rng, math.log(1.05), each, LAUNCHES) for each in spreads for _ in range(PLANTED)]
    found, others = np.mean([(word == "slower", more) for word, more in fought], axis=0)
    yield Line(f"share found of one +5 % among {QUANTITIES}, {LAUNCHES} launches", found, 0.90, at_least=True)
    yield Line("share of these duels in which another is slower or faster", others, 0.01)


def false_alarms(spreads: np.ndarray) -> float:
    """Share of duels without any effect in which something is slower or faster."""
    rng = np.random.default_rng(3)
    same, many = np.zeros(QUANTITIES), np.resize(spreads, QUANTITIES)
    fought = (fight(rng, same, many, LAUNCHES)["verdict"] for _ in range(A_A_DUELS))
    return float(np.mean([words.isin(("slower", "faster")).any() for words in fought]))


def looks() -> Iterator[Line]:
    """One quantity alone at just the tolerance, whose own spread decides at each look whether the set ends."""
    for spread in (0.010, 0.014, 0.018, 0.022, 0.026):
        rng = np.random.default_rng(4)
        fought = [
            fight(rng, np.array([math.log(1.02)]), np.array([spread]), MOST_LAUNCHES) for _ in range(ONE_QUANTITY)
        ]
        same = float(np.mean([judged["verdict"][0] == "same" for judged in fought]))
        yield Line(
            f"share of `same` of one quantity at +2 %, sd {spread:.1%}, all looks to {MOST_LAUNCHES}", same, 0.05
        )


def baseline(told: str, run_spreads: RunSpreads, cases: int, bound: bool) -> Iterator[Line]:
    """Comparisons with a baseline in which one of all quantities is 10 % slower."""
    found, others = [], []
    for seed in range(BASELINES):
        rng = np.random.default_rng(seed)
        effects = np.where(np.arange(QUANTITIES) == rng.integers(QUANTITIES), math.log(1.1), 0.0)
        words = compare_with_baseline(rng, effects, run_spreads(rng), RUNS, cases=cases)["verdict"]
        found.append(bool((words[effects > 0] == "slower").all()))
        others.append(not bool(words[effects == 0].isin(("slower", "faster")).any()))
    of = f"of {BASELINES} comparisons with {RUNS} runs, {told}"
    yield Line(f"+10 % of one of {QUANTITIES} found, {of}", sum(found), 90 if bound else None, at_least=True)
    yield Line(f"without another alarm, {of}", sum(others), 95, at_least=True)
