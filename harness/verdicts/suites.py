"""Judges a duel of a pytest suite: its tests are presented as cells, and judged as cells are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness.machine import Revision
from harness.tables import SuiteRun, function_and_parameters, parameter_column
from harness.verdicts.absent import NOT_IN_HEAD
from harness.verdicts.comparison import duel_verdicts, gravest_first, judged_so_far
from harness.vocabulary import WALL

Info = Mapping[str, Any]

CONSTANT = {"dtype": "", "phase": "call", "clock": WALL}
"""Values for the columns that a test lacks. The judge looks at the dtype for errors only, and a test has no errors."""


@dataclass(frozen=True)
class AsCells:
    """One side of a duel of a suite, as the judge reads a run: a test is a case, and its function the method."""

    cells: pd.DataFrame
    timings: pd.DataFrame
    memory: pd.DataFrame
    discrepancies: pd.DataFrame
    instructions: pd.DataFrame


def as_cells(run: SuiteRun) -> AsCells:
    """The tables of a side with the columns of a run's tables; those that a suite does not have are empty."""
    timings = _keyed(run.timings)
    key = list(timings.columns[: timings.columns.get_loc("launch")])
    nothing = timings.iloc[:0][[*key, "launch"]]
    return AsCells(
        cells=_keyed(run.tests).drop(columns=["phase", "clock"]),
        timings=timings,
        memory=nothing.drop(columns="clock").assign(peak_bytes=0.0),
        discrepancies=nothing.drop(columns=["phase", "clock"]).assign(
            of="", tensor="", reference="", metric="", value=0.0
        ),
        instructions=nothing.drop(columns="clock").assign(calls=0, instructions=0.0, status="", reason=""),
    )


def suite_verdicts(
    base: SuiteRun, head: SuiteRun, first: Sequence[int], second: Sequence[int], gate: Any, lost: Mapping[str, Any]
) -> pd.DataFrame:
    """verdicts.csv of a suite: the verdicts of `duel_verdicts`, and `lost` for every test that only the base has.

    lost: id of such a test -> its parameters, column -> value.
    """
    judged = duel_verdicts(as_cells(base), as_cells(head), first, second, gate)
    judged = judged.rename(columns={"case": "test"}).assign(kind=judged["kind"].replace({"cell": "test"}))
    parameters = [parameter_column(name) for name in head.info["parameters"]]
    gone = [dict.fromkeys(parameters, "") | values | {"test": name} for name, values in lost.items()]
    verdict = {"kind": "test", "launches": 0, "verdict": "lost", "reason": NOT_IN_HEAD}
    rows = pd.concat([judged, pd.DataFrame([row | verdict for row in gone])], ignore_index=True) if gone else judged
    rows = gravest_first(rows).reset_index(drop=True)
    figures = ["base", "head", "ratio", "low", "high", "launches", "verdict", "detectable", "reason"]
    return rows[["test", *parameters, "kind", *figures]]


def suite_judged_so_far(base: SuiteRun, head: SuiteRun, launches: Sequence[int], gate: Any) -> pd.DataFrame:
    """The unconfirmed judgement of these launches: a row for each test that both sides measured, its id as `case`."""
    return judged_so_far(as_cells(base), as_cells(head), launches, gate)


def _keyed(table: pd.DataFrame) -> pd.DataFrame:
    """A table of tests with the key columns of a cell before `launch`."""
    keyed = table.rename(columns={"test": "case"})
    keyed.insert(1, "method", function_of(table["test"]))
    for name, value in CONSTANT.items():
        keyed.insert(list(keyed.columns).index("launch"), name, value)
    return keyed


def function_of(tests: pd.Series) -> pd.Series:
    """The names of the test functions, from the ids of tests."""
    return tests.map({test: function_and_parameters(test)[0] for test in tests.unique()}) if len(tests) else tests


def unlike_packages(base: Info, head: Info) -> list[str]:
    """The packages that the tests of a side import, if the two sides have different versions of them."""
    names = [*dict.fromkeys((*base["packages"], *head["packages"]))]
    return [name for name in names if base["packages"].get(name) != head["packages"].get(name)]


def suite_sides_text(base: Info, head: Info) -> str:
    """One line: commit and Python of each side, and the packages whose versions differ."""
    unlike = unlike_packages(base, head)
    return "; ".join(f"{name} {_side(info, unlike)}" for name, info in (("base", base), ("head", head)))


def _side(info: Info, packages: list[str]) -> str:
    facts = [Revision(info["commit"], info["dirty"]).label, f"Python {info['python']}"]
    facts += [f"{name} {info['packages'].get(name, 'not imported')}" for name in packages]
    return ", ".join(facts)
