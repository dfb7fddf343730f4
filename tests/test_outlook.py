"""How long a duel takes at a load: what is known of it after a few launches, and what is said."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.duel.outlook import EARLY, Outlook
from harness.verdicts.judge import LAUNCHES_TRIED, judge, launches_needed
from tests.simulated import Frame, drawn_changes

ALLOWED = {"time": 0.02}
QUANTITIES = 30


def drawn(spread: float, launches: int, seed: int = 1) -> Frame:
    """Launches of equal code, of so many quantities that all spread alike."""
    rng = np.random.default_rng(seed)
    return drawn_changes(rng.normal(0, spread, size=(launches, QUANTITIES)))


def test_the_noisier_it_is_the_more_launches_it_takes() -> None:
    needed = [launches_needed(drawn(spread, EARLY), ALLOWED) or math.inf for spread in (0.005, 0.02, 0.04, 0.08)]
    assert needed == sorted(needed)
    assert math.isfinite(needed[-1])
    assert needed[0] == LAUNCHES_TRIED[0]
    assert 3.2 < needed[3] / needed[2] < 4.8  # as the square of the spread


@pytest.mark.parametrize("spread", [0.01, 0.02, 0.04])
def test_so_many_launches_are_about_what_settles_a_duel(spread: float) -> None:
    """By the pooled spread of six launches, of duels that are then fought to the end."""
    needed = launches_needed(drawn(spread, EARLY), ALLOWED)
    assert needed is not None
    more, fewer = (judge(drawn(spread, int(needed * times)), ALLOWED)["settled"] for times in (1.6, 0.4))
    assert more.all()
    if needed * 0.4 >= 8:
        assert not fewer.all()


def test_one_noisy_quantity_does_not_hide_behind_quiet_ones() -> None:
    rng = np.random.default_rng(3)
    quiet = np.full(QUANTITIES, 0.003)
    loud = np.where(np.arange(QUANTITIES) == 0, 0.10, quiet)
    few, many = (
        launches_needed(drawn_changes(rng.normal(0, each, (EARLY, QUANTITIES))), ALLOWED) for each in (quiet, loud)
    )
    assert few is not None
    assert many is None or many > 5 * few


def test_what_no_number_of_launches_decides_is_none() -> None:
    assert launches_needed(drawn(2.0, EARLY), ALLOWED) is None


def test_no_effect_is_looked_at() -> None:
    same, moved = drawn(0.02, EARLY), drawn(0.02, EARLY)
    moved["effect"] += 0.5
    assert launches_needed(same, ALLOWED) == launches_needed(moved, ALLOWED)


def test_a_figure_that_is_nan_is_left_out() -> None:
    changes = drawn(0.01, EARLY)
    changes.loc[0, ["effect", "error"]] = math.nan
    assert launches_needed(changes, ALLOWED) == LAUNCHES_TRIED[0]
    assert launches_needed(changes.head(1), ALLOWED) == LAUNCHES_TRIED[0]


TAKES = "at this load a change of 3 % takes 14 minutes to find, and this duel has"
BUSY = Outlook(launches=84, done=6, seconds=36.0, share=0.6)


def test_the_whole_duel_takes_what_its_first_set_does_and_a_share_for_the_second() -> None:
    assert BUSY.needed == pytest.approx(84 * 6 / 0.6)


@pytest.mark.parametrize(
    ("budget", "counted", "option", "line"),
    [
        (1000.0, False, "--until-decided", ""),
        (math.inf, True, "", ""),
        (280.0, False, "--until-decided", f"{TAKES} 5 minutes: repeat it with --until-decided 14 or with --count"),
        (280.0, True, "--until-decided", f"{TAKES} 5 minutes: fewer launches are timed, and instructions are counted"),
        (600.0, False, "", f"{TAKES} 10 minutes: repeat it with --count"),
        (60.0, False, "", f"{TAKES} 60 seconds: repeat it with --count"),
    ],
)
def test_what_is_said_of_a_machine_that_is_too_busy(budget: float, counted: bool, option: str, line: str) -> None:
    assert BUSY.warning(budget, counted, option) == line


def test_of_a_duel_that_cannot_be_decided_no_minutes_are_promised() -> None:
    hopeless = Outlook(launches=None, done=6, seconds=36.0, share=0.6)
    told = hopeless.warning(280.0, False, "--until-decided")
    assert told == (
        "at this load a change of 3 % cannot be found in hours, and this duel has 5 minutes: repeat it with --count"
    )
