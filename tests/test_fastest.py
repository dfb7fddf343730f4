"""Who is fastest: how often a name is wrong among equal methods, and what is said of methods that are not equal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from harness.verdicts.fastest import ALIKE, FASTER, FASTEST, SHARED, SLOWER, UNRANKED, fastest, standings

NINE = ("native", "native_unsorted", "sort", "dense", "coo", "csr", "csr_at", "gather", "blockmax")
PHASES = ("forward", "backward", "pipeline")


def blocks(log_seconds: Mapping[str, np.ndarray], phase: str = "forward") -> pd.DataFrame:
    """Timings of one round a launch; method -> ln(seconds) of shape (cases, launches)."""
    frames = []
    for method, values in log_seconds.items():
        case, launch = np.indices(values.shape)
        own = {
            "method": method,
            "phase": phase,
            "clock": "wall",
            "launch": launch.ravel() + 1,
            "round": 0,
            "position": 0,
            "calls": 1,
        }
        frames.append(pd.DataFrame({"case": case.ravel(), **own, "seconds": np.exp(values).ravel()}))
    return pd.concat(frames, ignore_index=True)


def drawn(
    rng: np.random.Generator, faster: Mapping[str, float], cases: int, launches: int, sd: Mapping[str, float]
) -> pd.DataFrame:
    """Launches whose drift hits all methods alike; ln(seconds) scatters by sd about -ln(faster)."""
    drift = rng.normal(0, 0.3, (cases, launches))
    return blocks(
        {name: drift - math.log(times) + rng.normal(0, sd[name], drift.shape) for name, times in faster.items()}
    )


@pytest.mark.parametrize("launches", [3, 6, 12])
@pytest.mark.parametrize("spreads", ["alike", "unlike"])
def test_of_nine_equal_methods_another_than_native_is_named_in_at_most_5_percent_of_cases(
    launches: int, spreads: str
) -> None:
    """All three phases of a case count together. With intervals of their own some 20 % of these cases name another."""
    rng = np.random.default_rng([launches, len(spreads)])
    sd = {name: 0.01 * (1 if spreads == "alike" else 4 ** (place % 3)) for place, name in enumerate(NINE)}
    frames = [drawn(rng, dict.fromkeys(NINE, 1.0), 400, launches, sd).assign(phase=phase) for phase in PHASES]
    best = fastest(pd.concat(frames, ignore_index=True))
    assert len(best) == 400 * len(PHASES)
    wrong = best.loc[best["method"] != "native", "case"].nunique()
    assert stats.binomtest(wrong, 400, 0.05, alternative="greater").pvalue > 0.001
    assert (best.loc[best["method"] == "native", "fastest"] == "native").all()


def test_a_method_that_is_as_fast_as_another_is_seldom_called_the_fastest_alone() -> None:
    """Two equal ones, both 20 % faster than native: to name one of them would not survive a second run."""
    faster = {"native": 1.0, "gather": 1.2, "sort": 1.2, "dense": 0.5}
    best = fastest(drawn(np.random.default_rng(1), faster, 400, 6, dict.fromkeys(faster, 0.01)))
    told = best["fastest"].value_counts()
    assert told["gather or sort"] >= 0.9 * 400
    alone = int((best["standing"] == FASTEST).sum())
    assert stats.binomtest(alone, 400, 0.05, alternative="greater").pvalue > 0.001


def test_what_is_clearly_the_fastest_is_named() -> None:
    faster = {"native": 1.0, "gather": 1.3, "sort": 1.1, "dense": 0.5}
    best = fastest(drawn(np.random.default_rng(2), faster, 200, 8, dict.fromkeys(faster, 0.01)))
    assert (best["fastest"] == "gather").mean() > 0.99
    assert (best["standing"] == FASTEST).mean() > 0.99
    assert best["speedup"].median() == pytest.approx(1.3, rel=0.01)
    assert ((best["low"] < 1.3) & (best["high"] > 1.3)).mean() > 0.95


def standing_of(seconds: Mapping[str, list[float]]) -> dict[str, str]:
    found = standings(blocks({name: np.log([each]) for name, each in seconds.items()}))
    return dict(zip(found["method"], found["standing"], strict=True))


NATIVE = [1.0, 1.01, 0.99, 1.0]


@pytest.mark.parametrize(
    ("others", "standing"),
    [
        ({"gather": [0.5, 0.51, 0.49, 0.5]}, {"gather": FASTEST}),
        ({"gather": [0.5, 0.51, 0.49, 0.5], "sort": [0.8, 0.81, 0.79, 0.8]}, {"gather": FASTEST, "sort": FASTER}),
        ({"gather": [0.5, 0.51, 0.49, 0.5], "sort": [0.5, 0.49, 0.51, 0.5]}, {"gather": SHARED, "sort": SHARED}),
        ({"gather": [2.0, 2.1, 1.9, 2.0]}, {"gather": SLOWER}),
        ({"gather": [1.01, 0.99, 1.0, 1.0]}, {"gather": ALIKE}),
        # What scatters widely may be faster still: the other is faster than native, and not surely the fastest.
        ({"gather": [0.5, 0.51, 0.49, 0.5], "sort": [0.1, 3.0, 0.2, 1.0]}, {"gather": SHARED, "sort": ALIKE}),
        ({"gather": [0.5, 0.51, math.nan, math.nan]}, {"gather": UNRANKED}),
        ({"gather": [0.5, 0.51, 0.49, 0.5], "sort": [0.1] + [math.nan] * 3}, {"gather": FASTEST, "sort": UNRANKED}),
    ],
)
def test_standings(others: dict[str, list[float]], standing: dict[str, str]) -> None:
    assert standing_of({"native": NATIVE, **others}) == {"native": ALIKE, **standing}


@pytest.mark.parametrize("order", [("sort", "gather"), ("gather", "sort")])
def test_of_several_all_are_named_and_the_figures_are_of_the_one_that_looks_fastest(order: tuple[str, str]) -> None:
    """Whatever the order of the rows; a case in which nothing is faster than native comes where it was measured."""
    sort, gather = [0.5, 0.51, 0.49, 0.5], [0.5, 0.5, 0.49, 0.5]
    seconds = {"native": NATIVE} | {name: {"sort": sort, "gather": gather}[name] for name in order}
    first, second = (
        blocks({name: np.log([each, NATIVE]) for name, each in seconds.items()}, phase) for phase in PHASES[:2]
    )
    best = fastest(pd.concat([second, first]).sample(frac=1, random_state=0))
    assert len(best) == 4
    for case, row in best.groupby("case"):
        expected = ("native", "native") if case else ("gather", "gather or sort")
        assert {*zip(row["method"], row["fastest"], strict=True)} == {expected}
    assert best.loc[best["case"] == 0, "speedup"].min() == pytest.approx(
        math.exp(np.mean(np.log(NATIVE) - np.log(gather)))
    )


def test_the_interval_is_bonferronis_over_the_methods_and_phases_of_the_case() -> None:
    seconds = {"native": NATIVE, "gather": [0.5, 0.52, 0.47, 0.5], "sort": [1.0, 1.1, 0.9, 1.05]}
    logs = {name: np.log([each]) for name, each in seconds.items()}
    rows = pd.concat([blocks(logs), blocks({name: logs[name] for name in ("native", "sort")}, "backward")])
    (found,) = standings(rows).query("method == 'gather' and phase == 'forward'").to_dict("records")
    gains = (logs["native"] - logs["gather"])[0]
    half = stats.t.ppf(1 - 0.025 / 3, 3) * gains.std(ddof=1) / 2  # three comparisons, four launches
    expected = np.exp([gains.mean() - half, gains.mean(), gains.mean() + half])
    assert [found[name] for name in ("low", "speedup", "high")] == pytest.approx(expected)


@pytest.mark.parametrize("method", ["copy", "read", "sigmoid_shift"])
def test_yardsticks_and_relaxations_do_not_compete(method: str) -> None:
    assert method not in standing_of({"native": NATIVE, method: [0.1, 0.1, 0.1, 0.1]})


@pytest.mark.parametrize(
    "seconds",
    [
        {"native": NATIVE},
        {"gather": NATIVE},
        {"native": NATIVE[:2], "gather": [0.5, 0.5]},
        {"native": [math.nan] * 4, "gather": [0.5] * 4},
    ],
    ids=["native alone", "without native", "two launches", "native is NaN"],
)
def test_where_nothing_can_be_held_against_native_there_is_no_answer(seconds: dict[str, Any]) -> None:
    rows = blocks({name: np.log([each]) for name, each in seconds.items()})
    assert fastest(rows).empty
    assert fastest(rows.head(0)).empty
