"""Duels of pytest suites in the history of their machine, on its page and on the terminal."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from harness.cli.publish import publish_history
from harness.errors import UserError
from harness.tables import BASE, HEAD, read_suite, read_suite_history, read_suite_verdicts
from harness.verdicts.history import record_suite, suites_as_history
from harness.verdicts.steps import steps
from tests.command_line import call
from tests.judged_runs import begin, commit
from tests.payload import payload_of
from tests.suite_sides import EFFECT, duelled_suite

SLOWER = "a.py::test_slower[3]"


@pytest.fixture(scope="module")
def duel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return duelled_suite(
        tmp_path_factory.mktemp("results") / "here" / "pytest-a" / "20260101T000000Z_b_vs_a", rich="14"
    )


def recorded(results: Path, duel: Path) -> Path:
    """The history to which this duel was added."""
    return record_suite(results, read_suite_verdicts(duel), read_suite(duel / BASE), read_suite(duel / HEAD))


def test_a_duel_of_a_suite_is_recorded_and_read_back(duel: Path, tmp_path: Path) -> None:
    path = recorded(tmp_path, duel)
    assert (path, recorded(tmp_path, duel)) == (tmp_path / "here" / "history_of_suites.csv",) * 2
    rows = read_suite_history(path)
    assert len(rows) == 2 * len(EFFECT)
    first: Any = rows[rows["test"] == SLOWER].iloc[0]
    verdicts: Any = read_suite_verdicts(duel).set_index("test")
    assert (
        first[["head", "ratio", "low", "verdict"]].tolist()
        == verdicts.loc[SLOWER, ["head", "ratio", "low", "verdict"]].tolist()
    )
    assert first[["study", "base_commit", "packages"]].tolist() == ["pytest-a", "1" * 40, "rich not imported -> 14"]


def test_a_history_that_is_none_is_left_alone(duel: Path, tmp_path: Path) -> None:
    path = tmp_path / "here" / "history_of_suites.csv"
    path.parent.mkdir()
    path.write_text("begin;study\n")
    with pytest.raises(UserError, match=r"history_of_suites\.csv: .*separated by ';'"):
        recorded(tmp_path, duel)
    assert path.read_text() == "begin;study\n"


def nights(duel: Path, results: Path) -> pd.DataFrame:
    """Twelve duels of the suite, in which one test takes 1.3 times as long from the seventh on."""
    rows = read_suite_history(recorded(results, duel))
    rows = rows[rows["test"] == SLOWER].assign(ratio=1.0, low=0.99, high=1.01, verdict="same", base=1e-5, head=1e-5)
    found = []
    for night in range(12):
        one = rows.assign(begin=begin(night), base_commit=commit(night), head_commit=commit(night + 1))
        found.append(one.assign(head=1e-5 * (1.3 if night >= 6 else 1.0)))
    return pd.concat(found, ignore_index=True)


def test_a_test_that_takes_longer_from_a_night_on_is_a_step_of_its_trend(duel: Path, tmp_path: Path) -> None:
    (found,) = steps(suites_as_history(nights(duel, tmp_path))).to_dict("records")
    assert (found["test"], found["head_commit"], found["runs"]) == (SLOWER, commit(7), 12)
    assert found["ratio"] == pytest.approx(1.3)


def test_the_page_has_the_suite_as_a_study_of_its_own(duel: Path, tmp_path: Path) -> None:
    rows = suites_as_history(read_suite_history(recorded(tmp_path, duel)))
    page = publish_history(tmp_path / "here", [rows]).read_text()
    (suite,) = payload_of(page)["runs"]
    assert (suite["label"], list(suite["tables"])) == ("pytest-a", ["time"])
    assert set(suite["cells"]) == {"case", "method", "test"}
    assert "reads" not in suite["tables"]["time"]
    assert re.search(rf"slower: {re.escape(SLOWER)}: 1\.(09|10)\d", page)
    assert "rich not imported -&gt; 14" in page


def test_the_verb_tells_a_history_that_has_suites_only(duel: Path, tmp_path: Path) -> None:
    recorded(tmp_path, duel)
    told = call("history", "--machine", "here", "--results", tmp_path)
    assert told.exit_code == 0, told.output
    assert told.stdout.splitlines()[0] == f"1 judged run, {len(EFFECT)} quantities: no step"
