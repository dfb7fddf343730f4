"""Verdicts on counts of instructions: what is more, fewer or the same, and what they say of times."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest

from harness.study.tables import Gate
from harness.tables import BASE, HEAD, Run, write_verdicts
from harness.verdicts.comparison import compare_verdicts, exit_code
from harness.verdicts.counts import BY_COUNTS, decided_by_counts, judge_counts, with_counts_in_reasons
from harness.verdicts.wording import change_text, quantity_name
from harness.vocabulary import EXIT_FAILED, EXIT_INCONCLUSIVE
from tests.command_line import call
from tests.fake_run import fake_run, key, noise
from tests.recorded import record

Frame = pd.DataFrame


def counts(figures: Sequence[float], status: str = "ok", method: str = "m", phase: str = "forward") -> Frame:
    """Rows of instructions.csv of one phase, a row a counting process."""
    return Frame(
        [
            key(method)
            | {"phase": phase, "launch": at, "calls": 9, "instructions": each, "status": status, "reason": "why"}
            for at, each in enumerate(figures, 1)
        ]
    )


def judged(base: Sequence[float], head: Sequence[float], tolerance: float = 0.01) -> dict[str, object]:
    (row,) = judge_counts(counts(base), counts(head), tolerance).to_dict("records")
    return {str(name): value for name, value in row.items()}


@pytest.mark.parametrize(
    ("base", "head", "verdict"),
    [
        ((1e6, 1e6), (1.03e6, 1.0302e6), "more"),
        ((1.03e6, 1.0302e6), (1e6, 1e6), "fewer"),
        ((1e6, 1.002e6), (1.001e6, 1.003e6), "same"),
        ((1e6,), (1.03e6,), "more"),
        ((1e6,), (1.0099e6,), "same"),
        ((1e6,), (1.0101e6,), "more"),
        ((1e6, 1.02e6), (1.025e6, 1.03e6), "inconclusive"),  # equal code differs by 2 % here
        ((1e6, 1.02e6), (1e6, 1.02e6), "inconclusive"),
        ((1e4, 1e4), (1.019e4, 1.019e4), "same"),  # 190 instructions are no difference
        ((1e4, 1e4), (1.021e4, 1.021e4), "more"),
        ((1e6, math.nan), (1e6, 1e6), "inconclusive"),
        ((1e6, 1e6), (math.nan, 2e6), "inconclusive"),
        ((0.0, 0.0), (0.0, 0.0), "same"),
        ((0.0, 0.0), (1e6, 1e6), "more"),
        ((0.0, 0.0), (150.0, 150.0), "same"),
        ((-5.0, 1.0), (1e6, 1e6), "inconclusive"),
    ],
)
def test_every_ratio_of_two_counts_must_agree(base: Sequence[float], head: Sequence[float], verdict: str) -> None:
    row = judged(base, head)
    assert row["verdict"] == verdict
    assert (row["reason"] == "") == (verdict != "inconclusive")


def test_the_limits_are_the_smallest_and_the_largest_ratio() -> None:
    row = judged((100e4, 101e4), (103e4, 104e4))
    assert row["low"] == pytest.approx(103 / 101)
    assert row["high"] == pytest.approx(104 / 100)
    assert row["ratio"] == pytest.approx(103.5 / 100.5)
    assert row["detectable"] == pytest.approx(0.01)
    assert row["launches"] == 2


def test_a_larger_tolerance_allows_more() -> None:
    assert judged((1e6,), (1.03e6,), 0.05)["verdict"] == "same"


def test_what_was_not_counted_on_both_sides_is_not_judged() -> None:
    for base, head in ((counts([1e6], "unsupported"), counts([1e6])), (counts([1e6]), counts([1e6], "crashed"))):
        assert judge_counts(base, head, 0.01).empty
    assert judge_counts(counts([1e6]), counts([1e6], phase="backward"), 0.01).empty
    assert judge_counts(counts([]).reindex(columns=counts([1]).columns), counts([1e6]), 0.01).empty


def compared(base: Sequence[float], head: Sequence[float], seconds: float = 1.0) -> Frame:
    """The verdicts of two runs whose times are a few per cent apart in too few launches to tell."""
    sides: list[Run] = []
    for figures, mean in ((base, 1.0), (head, seconds)):
        run = fake_run({"m": [1e-4 * mean * math.exp(each) for each in noise(1, 4, sd=0.05)]})
        vars(run)["instructions"] = counts(figures) if figures else counts([1]).head(0)
        sides.append(run)
    return compare_verdicts([sides[0]], sides[1], Gate())


def of_kind(verdicts: Frame, kind: str) -> dict[str, object]:
    (row,) = verdicts[verdicts["kind"] == kind].to_dict("records")
    return {str(name): value for name, value in row.items()}


def test_an_undecided_time_is_told_with_its_count() -> None:
    verdicts = compared((1e6, 1e6), (1.05e6, 1.05e6))
    count, time = of_kind(verdicts, "instructions"), of_kind(verdicts, "time")
    assert (count["verdict"], time["verdict"]) == ("more", "inconclusive")
    assert str(time["reason"]).endswith(f"{BY_COUNTS}more, +5.00 % (5.00..5.00)")
    assert change_text(count) == "1.0500x (1.0500..1.0500)"
    assert quantity_name(count).endswith("instructions of forward")
    assert list(verdicts["verdict"]).index("more") < list(verdicts["verdict"]).index("inconclusive")


def test_a_count_that_is_no_number_is_told_by_its_reason() -> None:
    verdicts = compared((math.nan, math.nan), (1e6, 1e6))
    assert str(of_kind(verdicts, "time")["reason"]).endswith(
        f"{BY_COUNTS}inconclusive, one of its counts is not a number"
    )


def test_without_counts_nothing_is_told_of_them() -> None:
    verdicts = compared((), ())
    assert BY_COUNTS not in str(of_kind(verdicts, "time")["reason"])
    assert with_counts_in_reasons(verdicts).equals(verdicts)
    assert decided_by_counts(verdicts).equals(verdicts)


def code_of(verdicts: Frame, strict: bool, strict_counts: bool) -> int:
    """The exit code of the times and the counts among these verdicts, of a head without broken cells."""
    rows = verdicts[verdicts["kind"].isin(("time", "instructions"))]
    return exit_code(decided_by_counts(rows) if strict_counts else rows, Frame({"status": ["ok"]}), strict)


@pytest.mark.parametrize(
    ("head", "strict", "strict_counts", "code"),
    [
        (1.05e6, False, False, 0),
        (1.05e6, True, False, EXIT_INCONCLUSIVE),
        (1.05e6, False, True, EXIT_FAILED),
        (1.05e6, True, True, EXIT_FAILED),
        (1e6, True, False, EXIT_INCONCLUSIVE),
        (1e6, True, True, 0),
        (0.95e6, True, True, 0),
    ],
)
def test_counts_decide_only_where_they_are_asked_to(head: float, strict: bool, strict_counts: bool, code: int) -> None:
    assert code_of(compared((1e6, 1e6), (head, head)), strict, strict_counts) == code


def test_a_count_that_is_more_fails_nothing_where_the_time_is_decided() -> None:
    verdicts = compared((1e6, 1e6), (1.05e6, 1.05e6))
    decided = verdicts.assign(verdict=verdicts["verdict"].mask(verdicts["kind"] == "time", "same"))
    assert set(decided["verdict"]) >= {"more", "same"}
    assert code_of(decided, True, True) == 0


def test_an_undecided_count_decides_no_time() -> None:
    verdicts = compared((1e6, 1.03e6), (1.02e6, 1.04e6))
    assert of_kind(verdicts, "instructions")["verdict"] == of_kind(verdicts, "time")["verdict"] == "inconclusive"
    assert code_of(verdicts, True, True) == EXIT_INCONCLUSIVE
    assert code_of(verdicts, False, True) == 0


def test_a_count_belongs_to_its_cell_and_phase() -> None:
    rows = compared((1e6, 1e6), (1.05e6, 1.05e6))
    assert code_of(rows, True, True) == EXIT_FAILED
    for column, other in (("phase", "backward"), ("method", "other"), ("case", "0" * 12)):
        elsewhere = rows.assign(**{column: rows[column].mask(rows["kind"] == "instructions", other)})
        assert code_of(elsewhere, True, True) == EXIT_INCONCLUSIVE


def test_counts_decide_in_the_recorded_verdicts_of_a_duel_too(tmp_path: Path) -> None:
    for side in (BASE, HEAD):
        record(tmp_path / side, launches=1)
    verdicts = compared((1e6, 1e6), (1.05e6, 1.05e6))
    write_verdicts(tmp_path, verdicts[verdicts["kind"].isin(("time", "instructions"))], {})
    assert call("compare", tmp_path).exit_code == 0
    assert call("compare", tmp_path, "--strict-counts").exit_code == EXIT_FAILED
