"""A suite as a duel measures it: its tests, which of them are selected, and how they are timed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.errors import UserError, unknown
from harness.study.tables import MEMORY, Gate, Limits, Precision, Timing
from harness.tables import function_and_parameters
from harness.vocabulary import HOST

TEST = "test"
"""The axis of `--only` that selects tests; every other axis is a parameter of theirs."""

BUDGET_SECONDS = 300.0
"""Seconds that a duel of a suite may take by default."""

LONGEST_SHARE = 0.2
"""Share of the budget after which a test times out in a launch, as a case of a study does after limits.seconds."""

LONGEST_NAME = 60
"""Length at which the name of the folder of a suite's results is cut off."""


@dataclass(frozen=True)
class SuiteTest:
    """One test of a suite with one set of parameters.

    id: pytest's node id; parameters: pairs of name and value as text; following: the id of the test that is run next,
    or ''.
    """

    id: str
    parameters: tuple[tuple[str, str], ...] = ()
    following: str = ""

    @property
    def function(self) -> str:
        """The name of the test function."""
        return function_and_parameters(self.id)[0]

    @property
    def device(self) -> str:
        return HOST

    @property
    def axes(self) -> dict[str, str]:
        """What the request that opens the test tells the worker."""
        return {"test": self.id, "following": self.following}

    def before(self, following: SuiteTest | None) -> SuiteTest:
        """The same test with the one that is run next: pytest keeps the fixtures that both use."""
        return replace(self, following=following.id if following else "")


@dataclass(frozen=True)
class Planned:
    """A test on one side; method: its id; skip: why it is not measured there, or ''."""

    method: str
    skip: str = ""
    predicted_bytes: int = 0


@dataclass(frozen=True)
class Suite:
    """A file or folder of tests, and how they are timed and judged.

    path: relative to the current folder; only: the selection of its tests, as in `narrowed`. It has the attributes of a
    study that the session reads (timing, limits, phases, comparison, ...).
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
        """The suite at a path; budget: seconds for all launches; tolerance: relative change of a time that does not
        matter."""
        gate = Gate() if tolerance is None else Gate(time=tolerance)
        seconds = BUDGET_SECONDS if budget is None else budget
        limits = Limits(seconds=max(Limits().seconds, seconds * LONGEST_SHARE))
        return cls(path, only, Timing(budget_seconds=seconds), limits, gate)

    @property
    def phases(self) -> tuple[str, ...]:
        """None: a test has one phase, which needs no name."""
        return ()

    @property
    def comparison(self) -> Precision:
        """The defaults: only the time of a test is compared."""
        return Precision()

    @property
    def name(self) -> str:
        """The name of the folder of its results; the prefix `pytest-` keeps it apart from those of studies."""
        return f"pytest-{re.sub(r'[^A-Za-z0-9_]+', '-', self.path).strip('-')}"[:LONGEST_NAME]

    @property
    def budget(self) -> float:
        """Seconds for all launches."""
        assert isinstance(self.timing.budget_seconds, float)
        return self.timing.budget_seconds

    def memory_limit(self, device: str) -> int:
        """The default limit, since nobody knows in advance how much memory a test needs."""
        return MEMORY


def tests_of(greeting: Mapping[str, Any]) -> list[SuiteTest]:
    """The tests in the greeting of a worker, in the order of pytest's collection."""
    return [SuiteTest(test["id"], tuple(test["parameters"].items())) for test in greeting["tests"]]


def narrowed(tests: Sequence[SuiteTest], only: Iterable[str]) -> list[SuiteTest]:
    """The tests that meet all these conditions, such as 'test=test_add' or 'n=10,100'.

    A test can be named by its id, its id without parameters, or its function. Raises UserError, which lists what is
    allowed, for a name or value that no test has, and if no test is left.
    """
    for item in only:
        axis, is_named, words = item.partition("=")
        values = {value for test in tests for value in _values(test, axis)}
        if not is_named or not values:
            parameters = {name for test in tests for name, _ in test.parameters}
            raise unknown(f"--only {item}", "axis", axis, (TEST, *sorted(parameters)))
        selected = [words] if words in values else words.split(",")  # a value may have a comma of its own
        for word in selected:
            if word not in values:
                allowed = {test.function: None for test in tests} if axis == TEST else sorted(values)
                raise unknown(f"--only {item}", axis, word, allowed)
        tests = [test for test in tests if not _values(test, axis).isdisjoint(selected)]
    if not tests:
        raise UserError(f"--only {' '.join(only)}: no test has all of these")
    return list(tests)


def _values(test: SuiteTest, axis: str) -> set[str]:
    if axis == TEST:
        function, parameters = function_and_parameters(test.id)
        return {function, test.id.removesuffix(parameters), test.id}
    return {value for name, value in test.parameters if name == axis}
