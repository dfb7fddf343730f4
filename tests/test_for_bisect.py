"""`harness duel --for-bisect` ends with what `git bisect run` understands, whatever happens."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

import harness.cli
from harness import duel as duels
from harness.cli import suites
from harness.worker.protocol import PROTOCOL
from tests.bisected import Start, planted
from tests.command_line import call

GOOD, BAD, SKIP, STOP = 0, 1, 125, 130
"""What `git bisect run` makes of an exit code; above 127 it stops."""


def exit_code(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """That of the program itself, with these arguments."""
    monkeypatch.setattr(sys, "argv", ["harness", *arguments])
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit) as ended:
        harness.cli.main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.parametrize(
    ("base", "head", "only", "code"),
    [
        ({}, {}, [], GOOD),
        ({}, {"slower": 0.05}, [], BAD),
        ({}, {"error": 3.0}, [], BAD),
        ({"slower": 0.05}, {}, [], GOOD),
        ({}, {"status": "unsupported"}, [], BAD),  # the cell is lost
        ({}, {"status": "unsupported"}, ["--quantity", "time of backward"], BAD),
        ({}, {"status": "crashed"}, [], SKIP),
        ({}, {"status": "dies"}, [], SKIP),
        ({"protocol": PROTOCOL - 1}, {}, [], SKIP),
        ({}, {"slower": 0.02}, [], SKIP),  # at the tolerance, so that it is not decided
        ({}, {"slower": 0.05}, ["--quantity", "error"], GOOD),
        ({}, {"slower": 0.05}, ["--quantity", "time of backward"], GOOD),
        ({}, {"error": 3.0}, ["--quantity", "memory of backward"], SKIP),  # which these workers do not tell
        ({"status": "unsupported"}, {}, ["--quantity", "memory of backward"], SKIP),  # nor is a new cell such a figure
        ({"status": "unsupported"}, {"status": "unsupported"}, ["--only", "method=gather"], SKIP),  # nothing is judged
        ({}, {"slower": 0.05}, ["--only", "method=native"], GOOD),
        ({}, {}, ["--quantity", "no such"], SKIP),
        ({}, {}, ["--only", "k=3"], SKIP),
        ({}, {}, ["--no-such-option"], SKIP),
    ],
)
def test_good_is_0_bad_is_1_and_all_else_is_skipped(
    start: Start,
    monkeypatch: pytest.MonkeyPatch,
    base: dict[str, Any],
    head: dict[str, Any],
    only: list[str],
    code: int,
) -> None:
    start([planted(**base), planted(**head, other=1)])
    assert exit_code(monkeypatch, "duel", "short", "--base-rev", "HEAD~1", "--for-bisect", *only) == code


@pytest.mark.parametrize(("raised", "code"), [(KeyboardInterrupt, STOP), (ZeroDivisionError, SKIP), (OSError, SKIP)])
def test_ctrl_c_stops_the_bisection_and_a_fault_skips(
    start: Start, monkeypatch: pytest.MonkeyPatch, raised: type[BaseException], code: int
) -> None:
    start([planted(), planted(slower=0.05)])

    def fail(*_: object) -> None:
        raise raised

    monkeypatch.setattr(duels, "this_machine", fail)
    assert exit_code(monkeypatch, "duel", "short", "--base-rev", "HEAD~1", "--for-bisect") == code


def test_without_the_option_the_exit_codes_are_those_of_a_duel(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    start([planted(), planted(slower=0.02)])
    assert exit_code(monkeypatch, "duel", "short", "--base-rev", "HEAD~1", "--strict") == 3
    Path("planted.json").write_text(json.dumps({"status": "crashed"}), encoding="utf-8")
    assert exit_code(monkeypatch, "duel", "short", "--base-rev", "HEAD~1") == 4


@pytest.mark.parametrize(("option", "strict"), [([], False), (["--strict"], True), (["--for-bisect"], True)])
def test_an_undecided_test_of_a_suite_is_no_good_commit_either(
    monkeypatch: pytest.MonkeyPatch, option: list[str], strict: bool
) -> None:
    asked = []

    def duel_suite(*arguments: Any) -> int:
        asked.append(arguments[-1])
        return 0

    monkeypatch.setattr(suites, "duel_suite", duel_suite)
    assert exit_code(monkeypatch, "duel", "--pytest", "bench", "--base-rev", "HEAD~1", *option) == 0
    assert asked == [strict]


def test_a_duel_that_judges_nothing_says_so(start: Start) -> None:
    start([planted(status="unsupported"), planted(status="unsupported", other=1)])
    told = call("duel", "short", "--base-rev", "HEAD~1", "--only", "method=gather")
    assert (told.exit_code, told.exception) == (0, None)
    assert "0 quantities: nothing was measured on both sides" in told.stdout
    assert call("duel", "short", "--base-rev", "HEAD~1", "--only", "method=gather", "--strict").exit_code == 3
