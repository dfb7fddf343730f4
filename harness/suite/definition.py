"""A suite as a duel measures it: its tests, which of them are asked for, and by which protocol they are timed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.errors import UserError, unknown
from harness.study.tables import MEMORY, Gate, Limits, Precision, Timing
from harness.vocabulary import HOST

TEST = "test"
"""The axis of `--only` that names tests; the others are parameters."""

BUDGET_SECONDS = 300.0
"""Seconds of a duel of a suite, unless others are asked for."""

LONGEST_SHARE = 0.2
"""Of the budget: a test that takes longer in one launch is a timeout, as is a case of a study after limits.seconds."""

LONGEST_NAME = 60
"""Characters of a path in the name of the folder of its results."""


@dataclass(frozen=True)
class SuiteTest:
    """One test of a suite with one set of parameters; following: the id of the test that is run after it, or ''.

    parameters: (name, value as text).
    """

    id: str
    parameters: tuple[tuple[str, str], ...] = ()
    following: str = ""

    @property
    def function(self) -> str:
        """The name of the test function."""
        return self.id.partition("[")[0].rpartition("::")[2]

    @property
    def device(self) -> str:
        return HOST

    @property
    def axes(self) -> dict[str, str]:
        """What its worker is told of it."""
        return {"test": self.id, "following": self.following}

    def before(self, following: SuiteTest | None) -> SuiteTest:
        """The same, with the test that is run after it: what both use of their fixtures is kept."""
        return replace(self, following=following.id if following else "")


@dataclass(frozen=True)
class Planned:
    """A test on one side; skip: why it is not measured there, or ''."""

    method: str
    skip: str = ""
    predicted_bytes: int = 0


@dataclass(frozen=True)
class Suite:
    """The tests that a path names, and how they are timed and judged.

    path: of a folder or a file, relative to the current folder; only: what the tests are narrowed to.
    """

    path: str
    only: tuple[str, ...]
    timing: Timing
    limits: Limits
    gate: Gate

    @classmethod
    def of(
        cls, path: str, only: tuple[str, ...] = (), budget: float | None = None, tolerance: float | None = None
    ) -> Suite:
        """The suite at a path; budget: seconds for all launches; tolerance: the share by which a time may differ."""
        gate = Gate() if tolerance is None else Gate(time=tolerance)
        seconds = BUDGET_SECONDS if budget is None else budget
        limits = Limits(seconds=max(Limits().seconds, seconds * LONGEST_SHARE))
        return cls(path, only, Timing(budget_seconds=seconds), limits, gate)

    @property
    def phases(self) -> tuple[str, ...]:
        """A test has one, which needs no name."""
        return ()

    @property
    def comparison(self) -> Precision:
        """Nothing of a test is compared but its time."""
        return Precision()

    @property
    def name(self) -> str:
        """What its folder of results is called; no study is called so."""
        return f"pytest-{re.sub(r'[^A-Za-z0-9_]+', '-', self.path).strip('-')}"[:LONGEST_NAME]

    @property
    def budget(self) -> float:
        """Seconds for all launches."""
        assert isinstance(self.timing.budget_seconds, float)
        return self.timing.budget_seconds

    def memory_limit(self, device: str) -> int:
        """Nothing is known of what a test needs."""
        return MEMORY


def tests_of(greeting: Mapping[str, Any]) -> list[SuiteTest]:
    """The tests that a worker has found, in their order."""
    return [SuiteTest(each["id"], tuple(each["parameters"].items())) for each in greeting["tests"]]


def narrowed(tests: Sequence[SuiteTest], only: Iterable[str]) -> list[SuiteTest]:
    """The tests that have these values, such as 'test=test_add' or 'n=10,100'.

    A test is named by its id, by its id without parameters, or by its function. Raises UserError, with what is
    allowed, for anything that no test has.
    """
    for item in only:
        axis, is_named, words = item.partition("=")
        values = {value for each in tests for value in _values(each, axis)}
        if not is_named or not values:
            parameters = {name for each in tests for name, _ in each.parameters}
            raise unknown(f"--only {item}", "axis", axis, (TEST, *sorted(parameters)))
        wanted = words.split(",")
        for word in wanted:
            if word not in values:
                allowed = {each.function: None for each in tests} if axis == TEST else sorted(values)
                raise unknown(f"--only {item}", axis, word, allowed)
        tests = [each for each in tests if not _values(each, axis).isdisjoint(wanted)]
    if not tests:
        raise UserError(f"--only {' '.join(only)}: no test has all of these")
    return list(tests)


def _values(test: SuiteTest, axis: str) -> set[str]:
    if axis == TEST:
        return {test.function, test.id.partition("[")[0], test.id}
    return {value for name, value in test.parameters if name == axis}
