"""The commit that made something worse, on workers that answer as the commit they are of says."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.bisect import search
from harness.bisect.search import Search
from harness.duel import duel
from harness.errors import CannotRun, UserError
from harness.session import counting
from harness.tables import read
from harness.vocabulary import EXIT_FAILED, EXIT_INCONCLUSIVE
from harness.worker.protocol import PROTOCOL
from tests.bisected import STUDY, Start, fought, planted
from tests.command_line import call, refused
from tests.scratch_history import Commit

COMMITS = 64


def duels_of(lines: Sequence[str]) -> int:
    """How many duels the lines say that it took."""
    (count,) = re.findall(r": (\d+) duels?", lines[-2])
    return int(count)


FAULTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "slower": ({"slower": 0.05}, r"1\.0[45]\dx \(1\.0[345]\d\.\.1\.0[567]\d\)", "wall time of forward"),
    "less exact": ({"error": 3.0}, r"1\.500x \(2 -> 3\)", "rel_l2 of values against native"),
    "larger": ({"bytes": 80000}, r"10\.000x \(8000 -> 8e\+04\)", "memory of forward"),
}


@pytest.mark.parametrize("culprit", [1, 32, 33, COMMITS])
def test_one_planted_commit_of_64_is_found_in_seven_duels(start: Start, culprit: int) -> None:
    """The first, the last, and those on either side of the middle."""
    commits = [Commit({"other": str(number)}) for number in range(COMMITS + 1)]
    commits[culprit] = Commit({"planted.json": json.dumps({"slower": 0.05})}, subject="The slow one")
    names = start(commits)
    code, lines = fought(names[0])
    figures = FAULTS["slower"][1]
    assert code == EXIT_FAILED
    assert lines[1].endswith(": 64 commits after the good one, so about 7 duels")
    assert re.fullmatch(rf"{names[culprit][:8]} The slow one: {figures}", lines[-1]), lines
    assert duels_of(lines) <= 7


@pytest.mark.parametrize("what", FAULTS)
def test_each_kind_of_fault_is_found(start: Start, what: str) -> None:
    fault, figures, quantity = FAULTS[what]
    names = start([Commit(), planted(), planted(**fault), Commit({"other": "1"}), Commit({"other": "2"})])
    code, lines = fought(names[0])
    assert code == EXIT_FAILED
    assert re.fullmatch(rf"{names[2][:8]} Step 2: {figures}", lines[-1]), lines
    assert lines[-2].startswith(f"the first bad commit, by gather n=64 k=4 rows=1 d=0 float32 cpu, {quantity}, against")


def test_a_history_without_one_says_so(start: Start) -> None:
    names = start([Commit(), planted(slower=0.05), planted(), Commit({"other": "1"})])
    code, lines = fought(names[0])
    assert code == 0
    assert "inconclusive" not in lines[-1]
    made = f"no commit between {names[0][:8]} and {names[3][:8]} made anything slower, larger or less exact: "
    assert lines[-1].startswith(made)


def test_a_quantity_that_is_undecided_does_not_pass_for_one_that_is_no_worse(start: Start) -> None:
    names = start([Commit(), planted(slower=0.02)])  # at the tolerance
    code, lines = fought(names[0])
    assert code == EXIT_INCONCLUSIVE
    assert lines[-2].startswith("fewer cells (--only) get more launches in the same time")
    assert lines[-1].startswith(
        f"it cannot be decided whether a commit between {names[0][:8]} and {names[1][:8]} made "
    )
    assert "1 inconclusive" in lines[-1]


def test_where_no_time_is_decided_the_commit_is_found_by_its_instructions(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "without_counts", lambda: "")  # whether valgrind is here or not
    slower = {"slower": 0.02}  # at the tolerance
    names = start([Commit(), planted(**slower), planted(**slower, count=5400), Commit({"a": "1"}), Commit({"a": "2"})])
    code, lines = fought(names[0], quantity="time of forward", count=True)
    assert (code, lines[-1]) == (EXIT_FAILED, f"{names[2][:8]} Step 2: 1.080x (5000 -> 5400)")
    assert lines[-2].startswith(
        "the first bad commit, by gather n=64 k=4 rows=1 d=0 float32 cpu, instructions of forward"
    )
    assert any(line.startswith(f"good  {names[1][:8]} Step 1: 1.000x") for line in lines)
    assert fought(names[0], quantity="time of forward")[0] == EXIT_INCONCLUSIVE


def test_more_time_is_for_each_of_its_duels(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float | None] = []

    def fight(*arguments: Any, until_decided: float | None, **options: Any) -> Any:
        asked.append(until_decided)
        return duel(*arguments, until_decided=until_decided, **options)

    names = start([Commit(), planted(slower=0.05)])
    monkeypatch.setattr(search, "duel", fight)
    told = call("bisect", "short", "--good", names[0], "--until-decided", "7")
    assert (told.exit_code, asked) == (EXIT_FAILED, [420.0])


def test_only_the_quantity_that_is_asked_for_is_looked_for(start: Start) -> None:
    names = start([Commit(), planted(bytes=80000), planted(bytes=80000, error=3.0), Commit({"other": "1"})])
    assert fought(names[0])[1][-1].startswith(f"{names[1][:8]} ")  # the larger change of two
    for words in ("error", "rel_l2 of values"):
        code, lines = fought(names[0], quantity=words)
        assert (code, lines[-1]) == (EXIT_FAILED, f"{names[2][:8]} Step 2: 1.500x (2 -> 3)")
    code, lines = fought(names[0], quantity="memory of backward")  # which these workers do not tell
    assert (code, lines[-1][:34]) == (EXIT_INCONCLUSIVE, "no duel measures this quantity: it")


def test_a_cell_that_is_new_says_nothing_about_a_quantity_that_was_not_measured(start: Start) -> None:
    names = start([planted(status="unsupported"), planted()])
    code, lines = fought(names[0], quantity="memory of backward")
    assert (code, lines[-1][:34]) == (EXIT_INCONCLUSIVE, "no duel measures this quantity: it")
    assert fought(names[0])[0] == 0


def test_the_larger_of_two_steps_is_found_and_each_ratio_is_told(start: Start) -> None:
    names = start(
        [Commit(), planted(slower=0.04), Commit({"other": "1"}), planted(slower=0.25), Commit({"other": "2"})]
    )
    code, lines = fought(names[0], quantity="time of forward")
    assert code == EXIT_FAILED
    assert lines[-1].startswith(f"{names[3][:8]} Step 3: 1.2")
    assert any(line.startswith(f"good  {names[2][:8]} Step 2: 1.0") for line in lines)


def test_a_cell_that_is_lost_is_found(start: Start) -> None:
    names = start([Commit(), Commit({"other": "1"}), planted(status="unsupported"), Commit({"other": "2"})])
    code, lines = fought(names[0])
    assert (code, lines[-1]) == (EXIT_FAILED, f"{names[2][:8]} Step 2: lost; unsupported: as planted")


def test_a_commit_at_which_the_cell_is_lost_for_another_reason_is_skipped(start: Start) -> None:
    """Commits 2 to 4 crash, which 5 has mended; it is 6 after which the cell is unsupported."""
    commits = [Commit({"other": str(number)}) for number in range(9)]
    commits[2], commits[5], commits[6] = planted(status="crashed"), planted(), planted(status="unsupported")
    names = start(commits)
    code, lines = fought(names[0])
    assert (code, lines[-1]) == (EXIT_FAILED, f"{names[6][:8]} Step 6: lost; unsupported: as planted")
    assert any("gather: 1 cell crashed: as planted" in line for line in lines if line.startswith("skip"))


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ({"protocol": PROTOCOL - 1}, f"speaks protocol {PROTOCOL - 1}, this harness {PROTOCOL}: .* too old"),
        ({"status": "dies"}, "the head's worker: python cannot start one"),
        ({"status": "crashed"}, "gather: 1 cell crashed: as planted"),
    ],
)
def test_what_cannot_be_measured_is_skipped_and_said(start: Start, fault: dict[str, Any], why: str) -> None:
    commits = [Commit({"other": str(number)}) for number in range(9)]
    commits[3], commits[6] = planted(**fault), planted(error=3.0)  # commits 3 to 5 cannot be measured
    commits[2] = planted(error=3.0)
    names = start(commits)
    code, lines = fought(names[0], quantity="error")
    assert (code, lines[-1]) == (EXIT_FAILED, f"{names[2][:8]} Step 2: 1.500x (2 -> 3)")
    skipped = [line for line in lines if line.startswith("skip  ")]
    assert skipped
    assert all(re.search(why, line) for line in skipped), skipped
    assert f", {len(skipped)} commits skipped" in lines[-2]
    begun = [read(path.parent) for path in Path("results").glob("*/short/*/head/run.json")]
    mute = [run for run in begun if (run.cells["status"] == "crashed").any()]
    assert bool(mute) == (fault.get("status") == "crashed")
    assert all(set(run.cells["launch"]) == {1, 2} for run in mute)  # after which it is known that more say nothing


def test_a_method_that_the_study_no_longer_names_is_nothing_to_look_for(start: Start) -> None:
    """Both sides have the study of the working tree, whatever the good commit's file says."""
    narrower = Commit({"studies/short.toml": STUDY.replace('["native", "gather"]', '["gather"]')})
    names = start([Commit(), planted(error=3.0), narrower, Commit({"other": "1"})])
    code, lines = fought(names[0])
    assert (code, lines[-1]) == (EXIT_FAILED, f"{names[1][:8]} Step 1: 1.500x (2 -> 3)")


def test_where_only_skipped_commits_are_left_they_are_listed(start: Start) -> None:
    commits = [Commit({"other": str(number)}) for number in range(7)]
    commits[2], commits[5] = planted(status="dies"), planted(error=3.0)
    names = start(commits)
    code, lines = fought(names[0], quantity="error")
    assert code == EXIT_INCONCLUSIVE
    assert lines[-1].startswith(f"the first bad commit is {names[5][:8]} or one of 3 that were skipped: ")
    assert {line.partition(" ")[0] for line in lines[-5:-1]} == {names[at][:8] for at in (2, 3, 4, 5)}


def test_a_good_commit_that_cannot_be_measured_is_one_line(start: Start) -> None:
    start([planted(status="dies"), planted(error=3.0)])
    told = refused(call("bisect", "short", "--good", "HEAD~1"), after_lines=2)
    assert re.search(
        r"bisect: the base's worker: python cannot start one.*\(the base is \w{8}, the head \w{8}\)$", told
    )


def test_a_quantity_that_the_study_does_not_have_is_one_line(start: Start) -> None:
    start([Commit(), planted(error=3.0)])
    told = refused(call("bisect", "short", "--good", "HEAD~1", "--quantity", "time of build"))
    assert "unknown quantity 'time of build' (allowed: time, memory, error, time of forward" in told


def test_where_it_was_stopped_it_says_how_to_go_on(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    commits = [Commit({"other": str(number)}) for number in range(9)]
    commits[6] = planted(error=3.0)
    names = start(commits)
    asked: list[str] = []
    ask = Search.ask

    def stopped(search: Search, question: Any, commit: str) -> bool | None:
        asked.append(commit)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return ask(search, question, commit)

    monkeypatch.setattr(Search, "ask", stopped)
    result = call("bisect", "short", "--good", names[0], "--quantity", "error")
    assert result.exit_code == 130
    known = f"--good {names[4][:8]} --bad {names[6][:8]}"
    assert result.stderr == f"harness: interrupted; after 3 duels; go on with {known}\n"


@pytest.mark.parametrize(("theirs", "age"), [(PROTOCOL - 1, "old"), (PROTOCOL + 1, "new")])
def test_a_duel_says_the_same_of_a_side_that_cannot_be_asked(start: Start, theirs: int, age: str) -> None:
    names = start([planted(protocol=theirs), Commit({"other": "1"})])
    told = refused(call("duel", "short", "--base-rev", names[0]))
    assert f"duel: the base's worker speaks protocol {theirs}, this harness {PROTOCOL}: " in told
    assert f"because the base is too {age} for this harness" in told
    assert issubclass(CannotRun, UserError)
