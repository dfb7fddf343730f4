"""How many launches a set of a duel has when its budget ends first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
import pytest

from harness.duel import sets
from harness.verdicts.judge import FEWEST_LAUNCHES

BUDGET = 90.0


@dataclass(frozen=True)
class Named:
    """A case, as far as a set knows it."""

    id: str = "case"


@pytest.mark.parametrize(
    ("seconds", "launches"), [(3.0, 19), (9.0, FEWEST_LAUNCHES), (11.0, FEWEST_LAUNCHES), (20.0, 5)]
)
def test_a_first_set_leaves_time_for_the_second_only_once_it_can_decide(
    seconds: float, launches: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("harness.duel.sets.time.monotonic", lambda: now[0])

    def measure(*_: Any) -> None:
        now[0] += seconds

    def judged(done: Any) -> pd.DataFrame:
        return pd.DataFrame({"case": ["case"], "settled": [False], "found": [False]})

    fought = sets.Sets([(Named(), ())], 1, BUDGET, lambda: None, measure, lambda *_: "", judged)
    first, second = fought.both()
    assert (len(first), second) == (launches, [])


@pytest.mark.parametrize(("least", "launches"), [(1, sets.LOOKS[0]), (20, 20)])
def test_a_first_set_that_gives_up_has_the_launches_of_the_study_all_the_same(least: int, launches: int) -> None:
    def judged(done: Any) -> pd.DataFrame:
        return pd.DataFrame({"case": ["case"], "settled": [False], "found": [False]})

    given_up = sets.Sets(
        [(Named(), ())],
        least,
        sets.UNLIMITED,
        lambda: None,
        lambda *_: None,
        lambda *_: "",
        judged,
        gives_up=lambda done, seconds: done >= 6,
    )
    first, second = given_up.both()
    assert (len(first), second) == (launches, [])
