"""Verdicts of duels and of compared runs: what is lost or new, confirmed, refused, and which exit code they are."""

from __future__ import annotations

import math
import re
from typing import Any

import pandas as pd
import pytest

from harness.errors import UserError
from harness.study.tables import Gate
from harness.tables import Run
from harness.verdicts.comparison import compare_verdicts, counts, duel_verdicts, exit_code, gravest_first, refuse_unlike
from harness.verdicts.wording import quantity_name
from harness.vocabulary import EXIT_CELLS, EXIT_FAILED, EXIT_INCONCLUSIVE
from tests.fake_run import fake_run, noise

Frame = pd.DataFrame


def times(*sample: float) -> list[float]:
    return [1e-3 * math.exp(each) for each in sample]


QUIET = times(*noise(1))
OTHER = times(*noise(2))
GATE = Gate()
FIRST, SECOND = range(1, 13), range(13, 25)


def verdicts_of(table: Frame, kind: str = "time") -> dict[str, str]:
    rows = table[table["kind"] == kind]
    return dict(zip(rows["method"], rows["verdict"], strict=True))


def test_the_gravest_verdict_comes_first_and_of_equal_ones_the_largest_change() -> None:
    rows = pd.DataFrame(
        {
            "verdict": ["faster", "slower", "same", "slower", "worse", "slower"],
            "ratio": [0.1, 1.2, 1.0, math.nan, 1.1, 3.0],
        }
    )
    assert gravest_first(rows).index.tolist() == [4, 3, 5, 1, 0, 2]
    assert gravest_first(rows[:0]).empty


def test_a_duel_confirms_by_its_second_launches() -> None:
    slow, fine = times(*noise(3, mean=0.1)), QUIET
    base = fake_run({"held": [*fine, *fine], "gone": [*fine, *fine], "same": [*fine, *fine]})
    head = fake_run({"held": [*slow, *slow], "gone": [*slow, *fine], "same": [*OTHER, *OTHER]})
    table = duel_verdicts(base, head, FIRST, SECOND, GATE)
    assert verdicts_of(table) == {"held": "slower", "gone": "inconclusive", "same": "same"}
    assert exit_code(table, Frame({"status": ["ok"]}), strict=False) == EXIT_FAILED
    assert list(table["verdict"])[:2] == ["slower", "inconclusive"]  # the gravest first
    never = duel_verdicts(base, head, FIRST, [], GATE)
    assert verdicts_of(never) == {"held": "inconclusive", "gone": "inconclusive", "same": "same"}
    reason = never.set_index(["method", "kind"])["reason"]["held", "time"]
    assert re.fullmatch(r"not confirmed: \+10\.5 % \(10\.0\.\.11\.0\), and there is no second set of launches", reason)


def varying(run: Run, values: list[float]) -> Run:
    """The run with this error of its method m in each launch."""
    row = run.discrepancies.iloc[:1].assign(method="m")
    rows = [row.assign(launch=launch, value=value) for launch, value in enumerate(values, 1)]
    vars(run)["discrepancies"] = pd.concat(rows, ignore_index=True)
    return run


@pytest.mark.parametrize(("last", "word"), [(125.0, "worse"), (math.nan, "lost"), (math.inf, "worse")])
def test_an_error_that_is_no_number_in_the_second_launches_does_not_pass_for_unconfirmed(
    last: float, word: str
) -> None:
    before = [100 + each for each in noise(4, launches=24, sd=1.0)]
    after = [125 + each for each in noise(5, launches=24, sd=1.0)]
    base, head = (varying(fake_run({"m": [*QUIET, *QUIET]}), values) for values in (before, [*after[:-1], last]))
    table = duel_verdicts(base, head, FIRST, SECOND, GATE)
    assert verdicts_of(table, "error") == {"m": word}
    assert (table["kind"] == "error").sum() == 1
    assert exit_code(table, Frame({"status": ["ok"]}), strict=False) == EXIT_FAILED


def test_the_two_clocks_of_a_phase_are_judged_each_for_itself() -> None:
    """The device works longer; a caller, who waits for the launch of its kernels, waits as long as before."""
    slow = times(*noise(3, mean=0.1))
    base, head = (fake_run({"m": [*QUIET, *QUIET]}) for _ in range(2))
    for run, device in ((base, [*QUIET, *QUIET]), (head, [*slow, *slow])):
        by_wall = run.timings
        by_device = fake_run({"m": device}).timings.assign(clock="device")
        vars(run)["timings"] = pd.concat([by_wall, by_device], ignore_index=True)
    for table in (duel_verdicts(base, head, FIRST, SECOND, GATE), compare_verdicts([base], head, GATE)):
        rows = table[table["kind"] == "time"]
        assert dict(zip(rows["clock"], rows["verdict"], strict=True)) == {"device": "slower", "wall": "same"}
        assert set(table.loc[table["kind"] != "time", "clock"]) == {""}
        assert "m n=64 k=4 rows=1 d=0 float32 cpu, device time of forward" in map(
            quantity_name, rows.to_dict("records")
        )


def test_cells_are_lost_and_new() -> None:
    base = fake_run({"m": QUIET, "gone": QUIET, "fails": QUIET, "skips": QUIET}, statuses={"comes": "unsupported"})
    head = fake_run({"m": QUIET, "comes": QUIET, "added": QUIET}, statuses={"fails": "unsupported", "skips": "skipped"})
    table = duel_verdicts(base, head, FIRST, [], GATE)
    assert verdicts_of(table, "cell") == {
        "gone": "lost",
        "fails": "lost",
        "skips": "lost",
        "comes": "new",
        "added": "new",
    }
    reasons = dict(zip(table["method"], table["reason"], strict=True))
    assert reasons["gone"] == "it is not in the head"
    assert reasons["fails"] == "unsupported: it says why"
    assert reasons["added"] == "not in the base"
    assert verdicts_of(table) == {"m": "same"}  # what is said of a cell is not said of its quantities again
    assert counts(table) == {"lost": 3, "new": 2, "inconclusive": 1, "same": 2}  # memory of one launch, an error


def test_a_cell_that_fails_in_one_launch_is_lost() -> None:
    base, head = fake_run({"m": QUIET}), fake_run({"m": QUIET})
    cells = head.cells
    cells.loc[(cells["method"] == "m") & (cells["launch"] == 3), "status"] = "timeout"
    table = duel_verdicts(base, head, FIRST, [], GATE)
    assert verdicts_of(table, "cell") == {"m": "lost"}


def test_a_cell_that_fails_and_is_then_skipped_says_why_it_failed() -> None:
    base, head = fake_run({"m": QUIET}), fake_run({"m": QUIET})
    mine = head.cells["method"] == "m"
    head.cells.loc[mine, "status"] = ["ok", "crashed", *["skipped"] * 10]
    head.cells.loc[mine, "reason"] = ["", "SIGSEGV", *["settled"] * 10]
    table = duel_verdicts(base, head, FIRST, [], GATE)
    assert table.loc[table["kind"] == "cell", "reason"].tolist() == ["crashed: SIGSEGV"]


def test_a_quantity_that_one_side_lacks_is_lost_or_new() -> None:
    """Of a cell that both have: a phase, a memory that is NaN now, an error."""
    base = fake_run({"m": QUIET, "b": QUIET}, {"m": 1.0}, peaks={"m": [1e8] * 12, "b": [1e8] * 12})
    head = fake_run({"m": QUIET, "b": QUIET}, {"b": 1.0}, peaks={"m": [math.nan] * 12, "b": [1e8] * 12})
    head.timings.loc[head.timings["method"] == "m", "phase"] = "pipeline"
    for table in (duel_verdicts(base, head, FIRST, [], GATE), compare_verdicts([base], head, GATE)):
        found = {
            (row["method"], row["kind"], row["phase"]): (row["verdict"], row["reason"])
            for row in table.to_dict("records")
            if row["verdict"] != "same"
        }
        lost, new = ("lost", "it is not in the head"), ("new", "not in the base")
        assert found == {
            ("m", "time", "forward"): lost,
            ("m", "time", "pipeline"): new,
            ("m", "memory", "forward"): lost,
            ("m", "error", ""): lost,
            ("b", "error", ""): new,
        }
        assert exit_code(table, Frame({"status": ["ok"]}), strict=False) == EXIT_FAILED


def test_what_was_never_measured_at_once_is_inconclusive() -> None:
    base, head = fake_run({"m": QUIET}), fake_run({"m": QUIET})
    head.timings["round"] = 1
    table = duel_verdicts(base, head, FIRST, [], GATE)
    (row,) = table[table["kind"] == "time"].to_dict("records")
    assert (row["verdict"], row["reason"]) == ("inconclusive", "it was never measured on both sides at once")


def test_a_memory_that_cannot_be_had_here_has_no_verdict() -> None:
    run = fake_run({"m": QUIET}, peaks={"m": [math.nan] * 12})
    assert verdicts_of(duel_verdicts(run, run, FIRST, [], GATE), "memory") == {}


@pytest.mark.parametrize(
    ("status", "word", "strict", "code"),
    [
        ("crashed", "slower", True, EXIT_CELLS),
        ("incorrect", "same", False, EXIT_CELLS),
        ("ok", "slower", True, EXIT_FAILED),
        ("ok", "worse", False, EXIT_FAILED),
        ("ok", "lost", False, EXIT_FAILED),
        ("ok", "inconclusive", True, EXIT_INCONCLUSIVE),
        ("ok", "inconclusive", False, 0),
        ("unsupported", "same", True, 0),
        *[("ok", word, True, 0) for word in ("same", "faster", "better", "new")],
    ],
)
def test_the_first_exit_code_that_applies(status: str, word: str, strict: bool, code: int) -> None:
    words = ["same", "inconclusive" if code == EXIT_FAILED else "same", word]
    verdicts = Frame({"verdict": words, "kind": ["time", "memory", "error"]})
    assert exit_code(verdicts, Frame({"status": ["ok", status]}), strict) == code


@pytest.mark.parametrize(
    ("info", "told"),
    [
        ({"study": "other"}, "study 'trial' and 'other'"),
        ({"machine": {"slug": "there"}}, "machine 'here' and 'there'"),
        ({"parameters": {"p": "int"}}, "parameters p None and 'int'"),
        ({"timing": {"block_seconds": 0.002, "rounds": 1}}, "timing block_seconds 0.001 and 0.002"),
        ({"timing": {"block_seconds": 0.001, "rounds": 2}}, "timing rounds 1 and 2"),
        (
            {"timing": {"block_seconds": 0.001, "rounds": 1, "fresh_memory": False}},
            "timing fresh_memory None and False",
        ),
        ({"only": ["n=64"]}, "--only [] and ['n=64']"),
        ({"text": '[precision]\nloss = "linear"'}, "loss 'square' and 'linear'"),
    ],
)
def test_unlike_runs_are_refused_and_what_differs_is_named(info: dict[str, Any], told: str) -> None:
    base, head = fake_run({"m": QUIET}), fake_run({"m": QUIET}, **info)
    with pytest.raises(UserError) as caught:
        refuse_unlike(base, head)
    assert str(caught.value) == f"head and head are not comparable: {told}"


def test_like_runs_may_differ_in_launches_and_budget_but_not_be_without_times() -> None:
    protocol = {"block_seconds": 0.001, "rounds": 1, "launches": 3, "budget_seconds": 5}
    refuse_unlike(fake_run({"m": QUIET}), fake_run({"m": QUIET}, timing=protocol))
    empty = fake_run({"m": QUIET})
    vars(empty)["timings"] = empty.timings.iloc[:0]
    with pytest.raises(UserError, match="head: this run has no times to compare"):
        refuse_unlike(fake_run({"m": QUIET}), empty)


def test_a_base_of_runs_that_differ_among_themselves_widens_the_interval() -> None:
    def compared(*shifts: float) -> dict[Any, Any]:
        bases = [fake_run({"m": times(*noise(at, mean=shift))}) for at, shift in enumerate(shifts)]
        table = compare_verdicts(bases, fake_run({"m": times(*noise(9, mean=0.1))}), GATE)
        (row,) = table[table["kind"] == "time"].to_dict("records")
        return row

    alike, unlike = compared(0, 0, 0), compared(-0.05, 0, 0.05)
    assert alike["verdict"] == "slower"
    assert unlike["verdict"] == "inconclusive"
    assert unlike["ratio"] == pytest.approx(alike["ratio"]) == pytest.approx(math.exp(0.1))
    half = 4.302653 * 0.05 * (4 / 3) ** 0.5  # three runs of sd 0.05, and the head is one more
    assert (unlike["low"], unlike["high"]) == pytest.approx((math.exp(0.1 - half), math.exp(0.1 + half)), rel=1e-6)
    assert alike["high"] - alike["low"] < 0.02


def test_a_comparison_is_of_multiples_of_one_read() -> None:
    """A machine that is twice as slow all over is no change."""
    base, head = fake_run({"m": QUIET}), fake_run({"m": [2 * each for each in QUIET]})
    assert verdicts_of(compare_verdicts([base], head, GATE)) == {"m": "slower"}
    head.timings.loc[head.timings["method"] == "read", "seconds"] *= 2
    (row,) = (table := compare_verdicts([base], head, GATE))[table["kind"] == "time"].to_dict("records")
    assert row["verdict"] == "same"
    assert (row["ratio"], row["head"] / row["base"]) == pytest.approx((1, 2))
