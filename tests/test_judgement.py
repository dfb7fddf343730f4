"""What a judged run says on a terminal, line by line and in which order; and when a duel needs no more launches."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from harness.duel.sets import LOOKS, enough, next_look
from harness.report.judgement import SHOWN, judgement_lines, next_after_comparison, next_after_duel
from harness.tables import Run
from harness.verdicts.wording import change_text, figures_text, two_digits
from tests.fake_run import fake_run, key

Frame = pd.DataFrame

QUANTITY = {"kind": "time", "phase": "forward", "clock": "wall", "tensor": "", "reference": "", "metric": ""}
FIGURES = {"base": 1e-5, "head": 1.1e-5, "ratio": 1.1, "low": 1.05, "high": 1.15, "launches": 12, "detectable": 0.01}


def row(verdict: str, method: str = "m", reason: str = "", **own: Any) -> dict[str, Any]:
    """A row of verdicts.csv."""
    return key(method) | QUANTITY | FIGURES | {"verdict": verdict, "reason": reason} | own


def cells(*statuses: str) -> Frame:
    return Frame([key(f"m{at}") | {"status": each, "reason": "it says why"} for at, each in enumerate(statuses)])


def test_what_failed_comes_first_then_what_is_between_then_the_counts() -> None:
    verdicts = Frame(
        [
            row("lost", "l", "it is not in the head", kind="cell", ratio=math.nan),
            row("slower", "s"),
            row("inconclusive", "b", "not sure: +3.0 % (2.1..3.9)"),
            row("faster", "f"),
            row("same", "q"),
        ]
    )
    lines = list(judgement_lines(verdicts, cells("ok", "incorrect")))
    assert [line.split(" n=")[0] for line in lines] == [
        "m1: 1 cell incorrect: it says why",
        "lost         l",
        "slower       s",
        "inconclusive b",
        "faster       f",
        "5 quantities: 1 lost, 1 slower, 1 inconclusive, 1 faster, 1 same",
    ]
    assert lines[3].endswith("time of forward: not sure: +3.0 % (2.1..3.9)")


def test_many_lines_are_cut_before_the_counts() -> None:
    verdicts = Frame([row("slower") for _ in range(SHOWN + 3)])
    *_, more, counts = judgement_lines(verdicts, cells("ok"))
    assert more.startswith("... and 3 more")
    assert counts == f"{SHOWN + 3} quantities: {SHOWN + 3} slower"


def test_an_error_that_one_side_lacks_has_no_figures() -> None:
    error: dict[str, Any] = {"kind": "error", "tensor": "dx", "reference": "exact", "metric": "ulp_max"}
    nothing: dict[str, Any] = dict.fromkeys(("base", "head", "ratio"), math.nan)
    assert change_text(row("lost", reason="it is not in the head", **error | nothing)) == "it is not in the head"
    became = nothing | {"base": 0.5}
    assert change_text(row("lost", reason="it is NaN now", **error | became)) == "0.5 -> nan; it is NaN now"


@pytest.mark.parametrize(
    ("value", "told", "short"),
    [
        (1.0, "1.0", "1"),
        (0.5, "0.50", "0.5"),
        (9.94, "9.9", "9.9"),
        (9.96, "10", "10"),
        (57.9, "58", "58"),
        (99.7, "100", "100"),
        (1234.5, "1234", "1234"),
    ],
)
def test_a_ratio_has_two_digits_and_no_exponent(value: float, told: str, short: str) -> None:
    assert (two_digits(value), two_digits(value, zeros=False)) == (told, short)


def test_a_duel_says_what_to_do_next() -> None:
    repeat, folder = "harness duel trial --base-rev=main", Path("results/here/trial/a b")
    sure = Frame([row("slower"), row("inconclusive", kind="cell", launches=0)])
    assert list(next_after_duel(sure, folder, repeat)) == [
        "next: `harness report 'results/here/trial/a b'` (a page for the browser)"
    ]
    undecided = Frame(
        [row("inconclusive", "a"), row("inconclusive", "b"), row("inconclusive", "a"), row("slower", "c")]
    )
    counting = f"next: `{repeat} --count` (counts instructions too, which no load of the machine changes)"
    assert list(next_after_duel(undecided, folder, repeat))[1:] == [
        f"next: `{repeat} --only method=a,b` (fewer cells get more launches in the same time)",
        counting,
    ]
    everywhere = Frame([row("inconclusive", "a"), row("same", "a")])
    assert list(next_after_duel(everywhere, folder, repeat))[1:] == [
        "next: raise budget_seconds in the study: 12 launches do not decide 1 quantity",
        counting,
    ]
    assert counting not in list(next_after_duel(everywhere, folder, repeat, counted=True))


def test_a_comparison_that_leaves_something_open_names_the_duel_that_would_not() -> None:
    def told(run: Run, *verdicts: str) -> list[str]:
        return list(next_after_comparison(Frame([row(each) for each in verdicts]), run))

    base = fake_run({"m": [1e-3]}, commit="0123456789abcdef")
    assert told(base, "same", "slower") == []
    assert told(fake_run({"m": [1e-3]}, commit="none"), "inconclusive") == []
    (line,) = told(base, "same", "inconclusive")
    assert line.startswith(f"next: `harness duel {base.name} --base-rev 01234567`")


@pytest.mark.parametrize(
    ("own", "figures", "told"),
    [
        ({}, "1.100x (1.050..1.150)", "1.100x (1.050..1.150)"),
        ({"low": math.nan, "high": math.nan}, "1.100x", "1.100x"),
        ({"ratio": math.nan}, "", ""),
        ({"reason": "not sure: +10.0 % (5.0..15.0)"}, "1.100x (1.050..1.150)", "not sure: +10.0 % (5.0..15.0)"),
        ({"reason": "fewer than 8 launches"}, None, "1.100x (1.050..1.150); fewer than 8 launches"),
        ({"kind": "memory", "base": 1e6, "head": 1.2e6}, "1.100x (1.050..1.150)", None),
        ({"kind": "memory", "base": 1e6, "head": 1.2e6, "low": 1.2, "high": 1.2}, "1000000 -> 1200000 bytes", None),
        ({"kind": "memory", "base": 0, "head": 8192, "ratio": math.inf, "low": math.inf, "high": math.inf},
         "0 -> 8192 bytes", None),
        ({"kind": "instructions"}, "1.1000x (1.0500..1.1500)", None),
        ({"kind": "error", "base": 0.5, "head": 1.5, "low": 3.0, "high": 3.0}, "0.5 -> 1.5", None),
    ],
)  # fmt: skip
def test_the_figures_of_a_quantity_in_words(own: dict[str, Any], figures: str | None, told: str | None) -> None:
    told_row = row("slower") | own
    if figures is not None:
        assert figures_text(told_row) == figures
    assert change_text(told_row) == (told if told is not None else figures)


def test_launches_are_looked_at_after_preset_numbers_only() -> None:
    asked = []

    def settled(launches: int) -> Frame:
        asked.append(launches)
        return Frame({"settled": [True, launches >= 20]})

    done = next(many for many in range(100) if enough(many, 3, partial(settled, many)))
    assert (done, asked) == (20, [12, 16, 20])


@pytest.mark.parametrize(("least", "last"), [(1, LOOKS[-1]), (14, LOOKS[-1]), (60, 60)])
def test_a_set_that_never_settles_ends_after_the_last_look(least: int, last: int) -> None:
    ends = [many for many in range(100) if enough(many, least, lambda: Frame({"settled": [False]}))]
    assert ends == [last]
    assert [next_look(many, least) for many in (0, last)] == [max(least, LOOKS[0]), last]
