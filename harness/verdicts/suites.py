"""The verdicts of a duel of a suite: its tables are put into the columns of cells, and judged as those are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness.machine import Revision
from harness.tables import SuiteRun, parameter_column
from harness.verdicts.absent import NOT_IN_HEAD
from harness.verdicts.comparison import duel_verdicts, gravest_first, judged_so_far
from harness.vocabulary import WALL

Info = Mapping[str, Any]

CONSTANT = {"dtype": "", "phase": "call", "clock": WALL}
"""What the judge asks of a cell and a test has not. It looks at the dtype of errors only."""


@dataclass(frozen=True)
class AsCells:
    """One side of a duel of a suite as the judge reads a run: a test is a case, its function the method."""

    cells: pd.DataFrame
    timings: pd.DataFrame
    memory: pd.DataFrame
    discrepancies: pd.DataFrame
    instructions: pd.DataFrame


def as_cells(run: SuiteRun) -> AsCells:
    """The tables of a side in the columns of cells."""
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
    """verdicts.csv of a suite: as `duel_verdicts`, and the tests that only the base has, which are `lost`.

    lost: id of such a test -> the values of its parameters by their columns.
    """
    found = duel_verdicts(as_cells(base), as_cells(head), first, second, gate)
    found = found.rename(columns={"case": "test"}).assign(kind=found["kind"].replace({"cell": "test"}))
    parameters = [parameter_column(each) for each in head.info["parameters"]]
    gone = [dict.fromkeys(parameters, "") | values | {"test": name} for name, values in lost.items()]
    told = {"kind": "test", "launches": 0, "verdict": "lost", "reason": NOT_IN_HEAD}
    rows = pd.concat([found, pd.DataFrame([row | told for row in gone])], ignore_index=True) if gone else found
    rows = gravest_first(rows).reset_index(drop=True)
    figures = ["base", "head", "ratio", "low", "high", "launches", "verdict", "detectable", "reason"]
    return rows[["test", *parameters, "kind", *figures]]


def suite_judged_so_far(base: SuiteRun, head: SuiteRun, launches: Sequence[int], gate: Any) -> pd.DataFrame:
    """What is judged of these launches: a row for each test that both sides measured, its id as `case`."""
    return judged_so_far(as_cells(base), as_cells(head), launches, gate)


def _keyed(table: pd.DataFrame) -> pd.DataFrame:
    """A table of tests with the key of a cell before `launch`."""
    keyed = table.rename(columns={"test": "case"})
    keyed.insert(1, "method", function_of(table["test"]))
    for name, value in CONSTANT.items():
        keyed.insert(list(keyed.columns).index("launch"), name, value)
    return keyed


def function_of(tests: pd.Series) -> pd.Series:
    """The functions of tests, by their ids."""
    return tests.str.partition("[")[0].str.rpartition("::")[2] if len(tests) else tests


def unlike_packages(base: Info, head: Info) -> list[str]:
    """The packages that the tests of both sides import, or of one, and in whose version the two differ."""
    names = [*dict.fromkeys((*base["packages"], *head["packages"]))]
    return [name for name in names if base["packages"].get(name) != head["packages"].get(name)]


def suite_sides_text(base: Info, head: Info) -> str:
    """One line: commit and Python of each side, and the packages in whose version the two differ."""
    unlike = unlike_packages(base, head)
    return "; ".join(f"{name} {_side(info, unlike)}" for name, info in (("base", base), ("head", head)))


def _side(info: Info, packages: list[str]) -> str:
    told = [Revision(info["commit"], info["dirty"]).label, f"Python {info['python']}"]
    told += [f"{name} {info['packages'].get(name, 'not imported')}" for name in packages]
    return ", ".join(told)
