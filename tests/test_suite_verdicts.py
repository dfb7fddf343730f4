"""The verdicts of a suite: its tables in the columns of cells, judged as those are, and read back by their schema."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from harness.errors import UserError
from harness.export.of_suite import entry
from harness.report.judgement import judgement_lines
from harness.report.suites import next_after_suite
from harness.study.tables import Gate
from harness.suite.definition import SuiteTest, narrowed
from harness.tables import function_and_parameters, read_suite, read_suite_verdicts, write_suite_verdicts
from harness.verdicts.comparison import exit_code
from harness.verdicts.suites import as_cells, function_of, suite_judged_so_far, suite_sides_text, suite_verdicts
from harness.vocabulary import EXIT_CELLS, EXIT_FAILED
from tests.suite_sides import EFFECT, FIRST, INFO, SECOND, side, written

NEEDED = ("suite", "commit", "dirty", "machine", "python", "packages", "parameters", "begin", "end")


def test_verdicts_are_those_of_the_judge_and_keep_only_what_a_test_has(tmp_path: Path) -> None:
    base = side(tmp_path / "base", head=False, statuses={"test_old": "ok", "test_bad": "crashed"})
    head = side(tmp_path / "head", head=True, statuses={"test_new": "ok", "test_bad": "crashed"})
    lost = {"a.py::test_gone[4]": {"param_n": "4"}}
    verdicts = suite_verdicts(base, head, FIRST, SECOND, Gate(), lost)
    found = {row["test"].removeprefix("a.py::"): row["verdict"] for row in verdicts.to_dict("records")}
    assert found == {
        "test_old[3]": "lost",
        "test_gone[4]": "lost",
        "test_slower[3]": "slower",
        "test_bad[3]": "inconclusive",
        "test_unsure[3]": "inconclusive",
        "test_new[3]": "new",
        "test_faster[3]": "faster",
        "test_same[3]": "same",
    }
    assert list(verdicts["verdict"])[:3] == ["lost", "lost", "slower"]
    slower = verdicts[verdicts["verdict"] == "slower"].iloc[0]
    assert slower["low"] < 1.1 < slower["high"]
    assert slower["param_n"] == "3"
    assert list(verdicts.columns) == [
        *("test", "param_n", "kind", "base", "head", "ratio", "low", "high", "launches", "verdict", "detectable"),
        "reason",
    ]
    assert exit_code(verdicts, as_cells(head).cells, strict=False) == EXIT_CELLS
    write_suite_verdicts(tmp_path, verdicts, INFO["parameters"])
    back = read_suite_verdicts(tmp_path)
    assert back["verdict"].tolist() == verdicts["verdict"].tolist()
    assert back["ratio"].notna().sum() == len(EFFECT)
    lines = list(judgement_lines(verdicts, as_cells(head).cells))
    assert lines[0] == "test_bad: 1 cell crashed: why"
    assert lines[2] == "lost         a.py::test_gone[4]: it is not in the head"
    assert any(line.startswith("slower       a.py::test_slower[3]: 1.") for line in lines)
    assert lines[-1] == "8 quantities: 2 lost, 1 slower, 2 inconclusive, 1 new, 1 faster, 1 same"


def test_a_change_that_the_second_set_does_not_confirm_is_inconclusive(tmp_path: Path) -> None:
    base, head = side(tmp_path / "base", head=False), side(tmp_path / "head", head=True)
    verdicts = suite_verdicts(base, head, FIRST, (), Gate(), {}).set_index("test")
    assert verdicts["verdict"]["a.py::test_slower[3]"] == "inconclusive"
    assert "no second set of launches" in verdicts["reason"]["a.py::test_slower[3]"]
    assert exit_code(verdicts, as_cells(head).cells, strict=False) == 0
    judged = suite_judged_so_far(base, head, FIRST, Gate())
    assert set(judged.loc[judged["found"], "case"]) == {"a.py::test_slower[3]", "a.py::test_faster[3]"}


def test_sides_without_a_test_in_common_are_judged(tmp_path: Path) -> None:
    nothing = written(tmp_path / "base", [], [])
    head = side(tmp_path / "head", head=True)
    assert suite_judged_so_far(nothing, head, FIRST, Gate()).empty
    verdicts = suite_verdicts(nothing, head, FIRST, (), Gate(), {"a.py::test_gone[4]": {"param_n": "4"}})
    assert sorted(verdicts["verdict"]) == ["lost", "new", "new", "new", "new"]
    assert exit_code(verdicts, as_cells(head).cells, strict=False) == EXIT_FAILED


def test_the_sides_are_told_by_what_differs() -> None:
    head = INFO | {"commit": "2" * 40, "dirty": True, "packages": {"pluggy": "1.6.0", "pytest": "9", "rich": "14"}}
    assert suite_sides_text(INFO, head) == (
        "base 11111111, Python 3.11.7, pluggy 1.5.0, rich not imported; "
        "head 22222222-dirty, Python 3.11.7, pluggy 1.6.0, rich 14"
    )


def test_the_advice_narrows_or_asks_for_more_time(tmp_path: Path) -> None:
    base, head = side(tmp_path / "base", head=False), side(tmp_path / "head", head=True)
    verdicts = suite_verdicts(base, head, FIRST, SECOND, Gate(), {})
    (line,) = next_after_suite(verdicts, "harness duel --pytest a.py")
    assert line.startswith("next: `harness duel --pytest a.py --only test=test_unsure` ")
    (line,) = next_after_suite(verdicts[verdicts["verdict"] == "inconclusive"], "x")
    assert line == "next: raise --budget: 12 launches do not decide 1 test"
    assert list(next_after_suite(verdicts[verdicts["verdict"] == "same"], "x")) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not JSON"),
        ("[]", "not a JSON object"),
        (json.dumps(INFO | {"schema": 2}), "schema 2 of suites, this version reads 1"),
        (json.dumps(INFO | {"parameters": "n"}), "parameters: Input should be a valid list, got 'n'"),
        (json.dumps(INFO | {"packages": {"pytest": 9}}), "packages.pytest: Input should be a valid string, got 9"),
        (json.dumps(INFO | {"machine": {"slug": "../here"}}), "machine.slug: "),
        (json.dumps(INFO | {"end": "\ud800"}), "surrogates not allowed"),
        *(
            (json.dumps({key: INFO[key] for key in INFO if key != gone}), f"{gone}: this key is required")
            for gone in NEEDED
        ),
        (None, "No such file"),
    ],
)
def test_a_side_that_cannot_be_read_is_one_line(text: str | None, words: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "suite.json").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r"suite\.json: ") as caught:
        read_suite(tmp_path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("test", "function", "parameters"),
    [
        ("a.py::test_f", "test_f", ""),
        ("a.py::test_f[3-x]", "test_f", "[3-x]"),
        ("a.py::TestOf::test_f[3]", "test_f", "[3]"),
        ("some[1]/a.py::test_f[3]", "test_f", "[3]"),
        ("a.py::test_f[b.py::test_g[4]]", "test_f", "[b.py::test_g[4]]"),
        ("some[1]/a.py::TestOf::test_f", "test_f", ""),
        ("test_f[x]", "test_f", "[x]"),
    ],
)
def test_the_function_and_the_parameters_of_a_test(test: str, function: str, parameters: str) -> None:
    assert function_and_parameters(test) == (function, parameters)
    assert SuiteTest(test).function == function
    assert list(function_of(pd.Series([test, test]))) == [function, function]
    assert [each.id for each in narrowed([SuiteTest(test)], [f"test={test.removesuffix(parameters)}"])] == [test]
    entered = entry({"test": test}, 12)
    assert (entered["name"], entered["param"]) == (function + parameters, parameters[1:-1] or None)
