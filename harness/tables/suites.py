"""The tables that a duel of a pytest suite writes. A test has no dtype, n or k, so they have columns of their own.

Each side's folder has suite.json, tests.csv (the commit log) and timings.csv; the duel's folder has verdicts.csv.

Schema history
1  first version.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pandera.pandas as pa
from pydantic import ValidationError

from harness.errors import UserError
from harness.study.validation import one_line
from harness.tables.checked import read_table
from harness.tables.files import replace_text
from harness.tables.judged import VERDICTS_FILE
from harness.tables.reading import HEAD, read_object
from harness.tables.schema import FOLDER_NAME, MACHINE_COLUMN, SUITE_FILE, column_kinds, matches
from harness.tables.sidecar import SuiteSidecar
from harness.tables.writing import RunWriter, append_history, table_text
from harness.vocabulary import STATUSES, VERDICTS

SUITE_SCHEMA = 1
LOG_OF_TESTS = "tests"

PARAMETER = "param_"
"""Prefix of a parameter's column, because a parameter may have any name, even the name of another column."""

_TEST = {"test": pa.Column(str, pa.Check.ne(""), description="pytest's id of the test")}

_LAUNCH = {"launch": pa.Column(int, pa.Check.ge(1), description="number of the fresh worker process, from 1")}

_OWN = {
    "tests": _LAUNCH
    | {
        "status": pa.Column(str, pa.Check.isin(STATUSES), description="outcome of the test in this launch"),
        "reason": pa.Column(str, description="reason for the status, in one line; pytest's own words if it has any"),
        "machine": MACHINE_COLUMN,
        "wall_seconds": pa.Column(float, description="seconds spent on the test: its fixtures, checking, timing"),
    },
    "timings": _LAUNCH
    | {
        "round": pa.Column(int, pa.Check.ge(0), description="number of the round in its launch, from 0"),
        "position": pa.Column(int, pa.Check.ge(0), description="position of the block in its round, from 0"),
        "calls": pa.Column(int, pa.Check.ge(1), description="calls in the block"),
        "seconds": pa.Column(float, pa.Check.gt(0), description="seconds per call"),
    },
}

_VERDICT = {
    "kind": pa.Column(str, pa.Check.isin(("time", "test")), description="what is judged: its time, or the test itself"),
    "base": pa.Column(float, nullable=True, description="median of the base: seconds per call"),
    "head": pa.Column(float, nullable=True, description="the same for the head"),
    "ratio": pa.Column(float, nullable=True, description="head over base: the geometric mean over launches"),
    "low": pa.Column(float, nullable=True, description="lower end of the ratio's 95 % interval"),
    "high": pa.Column(float, nullable=True, description="upper end of the ratio's 95 % interval"),
    "launches": pa.Column(int, pa.Check.ge(0), description="launches of each side behind the ratio"),
    "verdict": pa.Column(str, pa.Check.isin(VERDICTS), description="the verdict"),
    "detectable": pa.Column(
        float, nullable=True, description="smallest relative change beyond the tolerance that would be found"
    ),
    "reason": pa.Column(str, description="explanation, where the verdict needs one"),
}

_HISTORY = {
    "begin": pa.Column(str, description="when the duel began, UTC"),
    "study": pa.Column(str, matches(FOLDER_NAME), description="the suite: name of the folder of its duels"),
    "base_commit": pa.Column(str, description="commit of the base; ends with -dirty if it had uncommitted changes"),
    "head_commit": pa.Column(str, description="commit of the head; likewise"),
    "packages": pa.Column(str, description="packages whose versions differ between the sides, with both versions"),
}


def suite_history_schema() -> pa.DataFrameSchema:
    """The declaration of history_of_suites.csv: one row is a test of one duel, of whatever suite."""
    judged = {name: column for name, column in _VERDICT.items() if name not in ("detectable", "reason")}
    return pa.DataFrameSchema(_HISTORY | _TEST | judged, strict=True, ordered=True, name="history of suites")


def read_suite_history(path: Path) -> pd.DataFrame:
    """A history of suites, empty if there is no such file. Raises UserError if it breaks its declaration."""
    return read_table(path, suite_history_schema())


def append_suite_history(path: Path, rows: pd.DataFrame) -> None:
    """Append rows to a history of suites, as `append_history` does."""
    append_history(path, rows, suite_history_schema())


def suite_schema(table: str, parameters: Sequence[str] = ()) -> pa.DataFrameSchema:
    """The declaration of `tests`, `timings` or `verdicts`. parameters: names of the parameters of any test."""
    own = _VERDICT if table == "verdicts" else _OWN[table]
    text = "value of this parameter of the test, as text; empty if the test has no such parameter"
    columns = {parameter_column(name): pa.Column(str, description=text) for name in parameters}
    return pa.DataFrameSchema(_TEST | columns | own, strict=True, ordered=True, name=table)


def parameter_column(name: str) -> str:
    """The name of the column of a parameter."""
    return f"{PARAMETER}{name}"


def function_and_parameters(test: str) -> tuple[str, str]:
    """The name of a test's function, and its parameters in brackets ('' if it has none), from pytest's id of the test.

    The path before the first '::' may contain a bracket, and a parameter may contain '::'.
    """
    _, has_path, names = test.partition("::")
    names, bracket, parameters = (names if has_path else test).partition("[")
    return names.rpartition("::")[2], bracket + parameters


@dataclass(frozen=True)
class SuiteRun:
    """One side of a duel of a suite, on disk."""

    path: Path
    info: Mapping[str, Any]

    @cached_property
    def tests(self) -> pd.DataFrame:
        return self._read("tests")

    @cached_property
    def timings(self) -> pd.DataFrame:
        return self._read("timings")

    def check(self) -> None:
        """Read every table. Raises UserError for the first that breaks its declaration."""
        for table in _OWN:
            getattr(self, table)

    def _read(self, table: str) -> pd.DataFrame:
        return read_table(self.path / f"{table}.csv", suite_schema(table, self.info["parameters"]))


def suite_writer(folder: Path, parameters: Sequence[str]) -> RunWriter:
    """A writer that appends to the tables of one side, one (test, launch) at a time."""
    return RunWriter(folder, {}, {table: suite_schema(table, parameters) for table in _OWN}, LOG_OF_TESTS)


def write_suite_info(folder: Path, info: Mapping[str, Any]) -> None:
    """Write suite.json, whole or not at all."""
    replace_text(folder / SUITE_FILE, json.dumps(info, indent=1) + "\n")


def read_suite(folder: Path) -> SuiteRun:
    """One side of a duel of a suite. Raises UserError if there is none, its schema version is unknown, or it is
    damaged."""
    path = folder / SUITE_FILE
    info = read_object(path)
    if info.get("schema") != SUITE_SCHEMA:
        raise UserError(f"{path}: schema {info.get('schema')!r} of suites, this version reads {SUITE_SCHEMA}")
    try:
        SuiteSidecar.model_validate(info)
    except ValidationError as error:
        raise UserError(f"{path}: {one_line(error, {'': SuiteSidecar})}") from None
    return SuiteRun(folder, info)


def write_suite_verdicts(folder: Path, verdicts: pd.DataFrame, parameters: Sequence[str]) -> None:
    """Write verdicts.csv of a suite, whole or not at all."""
    kinds = column_kinds(suite_schema("verdicts", parameters))
    replace_text(folder / VERDICTS_FILE, table_text(verdicts, kinds))


def read_suite_verdicts(folder: Path) -> pd.DataFrame:
    """The verdicts of a duel of a suite. Raises UserError if they break their declaration."""
    info = read_suite(folder / HEAD).info
    return read_table(folder / VERDICTS_FILE, suite_schema("verdicts", info["parameters"]))
