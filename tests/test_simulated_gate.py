"""The judge on simulated duels and baselines whose truth is known; the acceptance `verdicts` is the long part."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.verdicts.changes import changes_of_levels
from harness.verdicts.judge import judge
from tests.simulated import (
    LAUNCHES,
    QUANTITIES,
    TOLERANCE,
    committed_spreads,
    compare_with_baseline,
    fight,
    fight_one_planted,
    run_levels,
)

DUELS = 15
GRAVE = ("slower", "faster")


def shares(effect: float, duels: int, most: int = LAUNCHES) -> dict[str, float]:
    """verdict -> its share of the quantities of duels in which all have this effect."""
    spreads = np.resize(committed_spreads(), QUANTITIES)
    rng = np.random.default_rng(7)
    words = np.concatenate(
        [fight(rng, np.full(QUANTITIES, effect), spreads, most)["verdict"].to_numpy() for _ in range(duels)]
    )
    return {word: float(np.mean(words == word)) for word in np.unique(words)}


def test_the_spreads_are_those_of_the_committed_run() -> None:
    spreads = committed_spreads()
    assert len(spreads) == 34
    assert (spreads[0], spreads[-1]) == pytest.approx((0.00525, 0.154), rel=0.01)


@pytest.mark.parametrize(
    ("change", "most"), [(1.03, 0.01), (1 / 1.03, 0.01), (1.02, 0.05), (1 / 1.02, 0.05), (1.05, 0.0)]
)
def test_what_differs_is_seldom_the_same(change: float, most: float) -> None:
    found = shares(math.log(change), DUELS)
    assert found.get("same", 0.0) <= most
    assert found["inconclusive"] > 0


def test_what_does_not_differ_is_the_same() -> None:
    found = shares(0.0, DUELS)
    assert found["same"] >= 0.95
    assert found.keys() == {"same", "inconclusive"}


def test_the_looks_do_not_make_a_change_the_same() -> None:
    """One quantity alone, whose spread decides at each look whether the set ends."""
    rng = np.random.default_rng(3)
    for spread in (0.014, 0.022):
        words = [fight(rng, np.array([math.log(1.02)]), np.array([spread]), 50)["verdict"][0] for _ in range(150)]
        assert np.mean([word == "same" for word in words]) <= 0.06  # 5 % of so few


def test_a_planted_slowdown_is_found_whatever_its_spread() -> None:
    rng = np.random.default_rng(4)
    fought = [fight_one_planted(rng, math.log(1.05), spread, LAUNCHES) for spread in committed_spreads() for _ in "12"]
    assert np.mean([word == "slower" for word, _ in fought]) >= 0.88
    assert not any(others for _, others in fought)


@pytest.mark.parametrize("cases", [4, QUANTITIES])
def test_five_runs_find_one_planted_slowdown_and_no_other(cases: int) -> None:
    """At a standard deviation of 1 % between runs, beside that of the launches in a run."""
    found, others = [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        effects = np.where(np.arange(QUANTITIES) == rng.integers(QUANTITIES), math.log(1.1), 0.0)
        words = compare_with_baseline(rng, effects, np.full(QUANTITIES, 0.01), runs=5, cases=cases)["verdict"]
        found.append((words[effects > 0] == "slower").all())
        others.append(words[effects == 0].isin(GRAVE).any())
    assert np.mean(found) >= 0.75
    assert not any(others)


def test_a_quantity_alone_knows_its_spread_between_runs_by_its_own_runs() -> None:
    rng = np.random.default_rng(0)
    row = compare_with_baseline(rng, [0.0], np.array([0.05]), runs=3).iloc[0]
    assert row["freedom"] == 2
    many = compare_with_baseline(rng, np.zeros(QUANTITIES), np.full(QUANTITIES, 0.05), runs=3)
    assert many["freedom"].min() > 10
    assert many["error"].median() == pytest.approx(0.05 * math.sqrt(4 / 3), rel=0.2)


def test_a_quantity_that_varies_more_between_runs_than_the_others_is_not_believed_to_vary_as_they_do() -> None:
    """Its five runs alone say that; what it is shrunk towards must not hide it."""
    spreads = np.where(np.arange(QUANTITIES) == 0, 0.10, 0.01)
    errors = []
    for seed in range(10):
        table = compare_with_baseline(np.random.default_rng(seed), np.zeros(QUANTITIES), spreads, runs=5)
        errors.append(table["error"][0] / table["error"][1:].median())
    assert np.median(errors) > 2


@pytest.mark.parametrize(("change", "word"), [(0.05, "inconclusive"), (0.5, "slower")])
def test_a_quantity_that_one_run_of_a_baseline_has_is_judged_by_how_the_others_vary(change: float, word: str) -> None:
    """The budget of four runs did not reach it. Its own launches say nothing of the 2 % by which runs differ."""
    rng = np.random.default_rng(0)
    spreads, effects = np.full(QUANTITIES, 0.005), np.zeros(QUANTITIES)
    effects[0] = math.log1p(change)
    base, head = (
        run_levels(rng.normal(0, 0.02, (runs, QUANTITIES)) + shift, spreads, rng, launches=12, cases=QUANTITIES)
        for runs, shift in ((5, 0.0), (1, effects))
    )
    base = base[(base["case"] != "0") | (base["run"] == 0)]
    row = judge(changes_of_levels(base, head), TOLERANCE).set_index("case").loc["0"]
    assert row["verdict"] == word
    assert row["error"] > 0.02


def test_each_run_of_a_baseline_counts_alike_however_many_launches_it_has() -> None:
    """The variance is that of a mean of runs, so the effect has to be one, too."""
    rng = np.random.default_rng(0)
    runs = run_levels(np.array([[0.0], [1.0]]), np.array([1e-6]), rng, launches=12, cases=1)
    head = run_levels(np.array([[0.5]]), np.array([1e-6]), rng, launches=12, cases=1)
    cut_short = runs[(runs["run"] == 0) | (runs["launch"] <= 3)]
    assert changes_of_levels(cut_short, head)["effect"].item() == pytest.approx(0.0, abs=1e-4)
