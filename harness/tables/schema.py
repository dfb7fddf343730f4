"""What is written: every column of every table, declared once. The reader checks by it, the writer coerces by it.

Schema history
1  first version.
2  memory.csv says of which launch a row is: what is judged needs several.
3  cells.csv has compile_seconds, timings.csv device_seconds; NaN where a run of version 2 is read. Text that a
   spreadsheet would take for a formula has an apostrophe before it, which is no part of the text: a file of before has
   none there, and is read alike.
4  timings.csv has the column clock, and device_seconds is gone: it held launches, so it is not taken for a time of the
   device clock, and every time of an earlier version is of the wall clock. discrepancies.csv says of which launch a
   figure is: before it was always the first. Later instructions.csv was added, and a verdict of its counts; the version
   is the same, since every older run is read as one that counted nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import pandera.pandas as pa
from pandera import dtypes

from harness.vocabulary import CLOCKS, DTYPES, PHASES, STATUSES, VERDICTS, WALL

SCHEMA_VERSION = 4
OLDEST_READ = 2
"""Runs from this version on are read: with the columns of ADDED, and without those of DROPPED."""

ADDED: dict[int, dict[str, dict[str, Any]]] = {
    3: {"cells": {"compile_seconds": float("nan")}},
    4: {"timings": {"clock": WALL}, "discrepancies": {"launch": 1}, "verdicts": {"clock": WALL}},
}
"""version -> table -> column that it added: the value that it has in what was written before."""

DROPPED = {"timings": ("device_seconds",)}
"""table -> columns that a version before this one had."""


def added_since(version: int, table: str) -> dict[str, Any]:
    """column -> value of the columns that a table of this version lacks."""
    later = [tables.get(table, {}) for since, tables in ADDED.items() if since > version]
    return {name: value for added in later for name, value in added.items()}


CASE = r"[0-9a-f]{12}"

FOLDER_NAME = r"^[A-Za-z0-9_][A-Za-z0-9_-]{0,199}$"
"""Of a study or a machine, which their folders in results/ have: it leads nowhere else."""

_KEY = {
    "case": pa.Column(str, pa.Check.str_matches(f"^{CASE}$"), description="identity of the case: a digest of its axes"),
    "method": pa.Column(str, pa.Check.str_length(min_value=1), description="the way to select, or the yardstick"),
    "dtype": pa.Column(str, pa.Check.isin(DTYPES), description="torch dtype of every tensor"),
    "device": pa.Column(str, description="torch device"),
    "n": pa.Column(int, pa.Check.ge(1), description="length of the vector that is selected from"),
    "k": pa.Column(int, pa.Check.ge(1), description="how many are kept"),
    "rows": pa.Column(int, pa.Check.ge(1), description="independent vectors at once"),
    "d": pa.Column(int, pa.Check.ge(0), description="0: y is drawn; else the length of x, with y = x Wᵀ"),
    "distribution": pa.Column(str, description="what the inputs are drawn from"),
    "seed": pa.Column(int, pa.Check.ge(0), description="which draw"),
    "mode": pa.Column(str, description="the arithmetic that torch was asked for"),
    "transform": pa.Column(str, description="how the method was run"),
    "threads": pa.Column(int, pa.Check.ge(1), description="torch threads"),
}

_OWN = {
    "cells": {
        "launch": pa.Column(int, pa.Check.ge(1), description="which fresh worker process, from 1"),
        "status": pa.Column(str, pa.Check.isin(STATUSES), description="what became of the cell in this launch"),
        "reason": pa.Column(str, description="why, in one line: torch's own message where it is torch's"),
        "machine": pa.Column(str, description="slug of the machine"),
        "predicted_bytes": pa.Column(int, description="bytes of inputs, outputs, S and its gradient"),
        "wall_seconds": pa.Column(
            float, description="seconds spent on the cell: its part of opening the case, checking, compiling, timing"
        ),
        "compile_seconds": pa.Column(
            float, nullable=True, description="seconds spent on compiling, outside every block; NaN: nothing compiled"
        ),
    },
    "timings": {
        "phase": pa.Column(str, pa.Check.isin(PHASES), description="what was timed"),
        "clock": pa.Column(
            str, pa.Check.isin(CLOCKS), description="wall: what a caller waits; device: what the device works"
        ),
        "launch": pa.Column(int, pa.Check.ge(1), description="which fresh worker process, from 1"),
        "round": pa.Column(int, pa.Check.ge(0), description="which round of the launch, from 0"),
        "position": pa.Column(int, pa.Check.ge(0), description="place of the block in its round, from 0"),
        "calls": pa.Column(int, pa.Check.ge(1), description="calls in the block"),
        "seconds": pa.Column(float, pa.Check.gt(0), description="seconds per call"),
    },
    "memory": {
        "phase": pa.Column(str, pa.Check.isin(PHASES), description="what was called once"),
        "launch": pa.Column(int, pa.Check.ge(1), description="which fresh worker process, from 1"),
        "min_bytes": pa.Column(int, description="the fewest bytes that the phase must move"),
        "peak_bytes": pa.Column(
            float, nullable=True, description="the most bytes that one call had allocated at once; NaN: unknown"
        ),
    },
    "discrepancies": {
        "launch": pa.Column(int, pa.Check.ge(1), description="which fresh worker process, from 1"),
        "tensor": pa.Column(str, description="what is compared"),
        "of": pa.Column(str, description="whose error: the method's, or a reference's"),
        "reference": pa.Column(str, description="what it is compared with"),
        "metric": pa.Column(str, description="the figure, its unit in its name"),
        "value": pa.Column(float, nullable=True, description="its value; NaN: it has none here"),
    },
    "instructions": {
        "phase": pa.Column(str, pa.Check.isin(PHASES), description="what was counted"),
        "launch": pa.Column(int, pa.Check.ge(1), description="which counting process, from 1"),
        "calls": pa.Column(int, pa.Check.ge(0), description="calls in the loop that was counted; 0: nothing was"),
        "instructions": pa.Column(
            float, nullable=True, description="instructions a call, those of an empty loop taken off; NaN: not counted"
        ),
        "status": pa.Column(str, pa.Check.isin(STATUSES), description="what became of the count"),
        "reason": pa.Column(str, description="why, in one line"),
    },
    "facts": {
        "fact": pa.Column(str, description="what was established, beside the cells"),
        "item": pa.Column(str, description="of what"),
        "value": pa.Column(float, nullable=True, description="its value; NaN: it has none"),
        "detail": pa.Column(str, description="words, where the value alone does not say it"),
    },
}

KINDS = ("time", "memory", "error", "instructions", "cell")
"""Of what is judged."""

_QUANTITY = {
    "kind": pa.Column(str, pa.Check.isin(KINDS), description="what is judged"),
    "phase": pa.Column(str, description="of time, memory and instructions: which phase"),
    "clock": pa.Column(str, pa.Check.isin(("", *CLOCKS)), description="of time: by which clock"),
    "tensor": pa.Column(str, description="of an error: what is compared"),
    "reference": pa.Column(str, description="of an error: what it is compared with"),
    "metric": pa.Column(str, description="of an error: its figure"),
}

_JUDGED = {
    "base": pa.Column(
        float,
        nullable=True,
        description="median of the base: seconds a call, bytes, instructions a call, or the figure",
    ),
    "head": pa.Column(float, nullable=True, description="the same of the head"),
    "ratio": pa.Column(float, nullable=True, description="head over base: the geometric mean over launches"),
    "low": pa.Column(
        float,
        nullable=True,
        description="lower end of the ratio's 95 % interval; of instructions the smallest ratio of two counts",
    ),
    "high": pa.Column(
        float,
        nullable=True,
        description="upper end of the ratio's 95 % interval; of instructions the largest ratio of two counts",
    ),
    "launches": pa.Column(int, pa.Check.ge(0), description="launches a side, or counts, that the ratio is of"),
    "verdict": pa.Column(str, pa.Check.isin(VERDICTS), description="what became of it"),
}

_VERDICTS = (
    _QUANTITY
    | _JUDGED
    | {
        "detectable": pa.Column(
            float, nullable=True, description="smallest relative change beyond the tolerance that would be found"
        ),
        "reason": pa.Column(str, description="why, where the verdict needs it: of an undecided one where it lies"),
    }
)

_HISTORY = {
    "begin": pa.Column(str, description="when the judged run began, UTC"),
    "study": pa.Column(str, pa.Check.str_matches(FOLDER_NAME), description="which study was run"),
    "base_commit": pa.Column(
        str, description="commit of the base; it ends with -dirty where that had changes in no commit"
    ),
    "head_commit": pa.Column(str, description="commit of the head; the same"),
    "torch": pa.Column(str, description="torch of the head"),
}


TABLES = tuple(_OWN)
WHOLE = ("instructions", "facts")
"""The tables that are written once, whole; to the others each case of a launch is appended."""

KEY = tuple(_KEY)
"""The columns that every table has, and before those of its own."""

TAKEN = frozenset({*_KEY, *(name for own in _OWN.values() for name in own)})
"""Names of columns that no parameter of a study may have."""

VERDICTS_FILE = "verdicts.csv"
SIDES_FILE = "verdicts.json"
SUITE_FILE = "suite.json"
"""What a side of a duel of a suite has in place of run.json."""

HISTORY_FILE = "history.csv"
SUITE_HISTORY_FILE = "history_of_suites.csv"
LOG = "cells"
"""The table that commits: written last."""

Row = Mapping[str, Any]

COLUMN_TYPES: Mapping[str, type] = {kind.__name__: kind for kind in (bool, int, float, str)}
"""The types of a study's parameters by the names that run.json gives them."""


def _agree(frame: pd.DataFrame) -> bool:
    """Whether all rows of a case have the same axes, as they were written: `case` is a digest of them."""
    places, _ = frame["case"].factorize()
    first = (~frame["case"].duplicated()).to_numpy().nonzero()[0]
    own = list(frame.columns).index("method") + 1
    for name in frame.columns[own : own + len(_KEY) - 2]:
        values = frame[name].to_numpy()
        if ((values != values[first][places]) & (values == values)).any():
            return False
    return True


_ONE_CASE = pa.Check(_agree, error="rows of one case differ in an axis")


def _parameters(types: Mapping[str, type] | None) -> dict[str, pa.Column]:
    return {name: pa.Column(kind, description="a parameter of the study") for name, kind in (types or {}).items()}


def schema(table: str, parameters: Mapping[str, type] | None = None) -> pa.DataFrameSchema:
    """The declaration of a table; `parameters` are a study's own axes and their types, after the key."""
    return _schema(table, tuple((parameters or {}).items()))


@functools.cache  # pandera copies every column deeply: to declare a table takes as long as to read a short one
def _schema(table: str, parameters: tuple[tuple[str, type], ...]) -> pa.DataFrameSchema:
    columns = _KEY | _parameters(dict(parameters)) | _OWN[table]
    checks = None if table == "facts" else _ONE_CASE
    return pa.DataFrameSchema(columns, checks, strict=True, ordered=True, name=table)


def verdicts_schema(parameters: Mapping[str, type] | None = None) -> pa.DataFrameSchema:
    """The declaration of verdicts.csv: one row is a quantity that was judged."""
    return pa.DataFrameSchema(_KEY | _parameters(parameters) | _VERDICTS, strict=True, ordered=True, name="verdicts")


def verdict_columns() -> dict[str, tuple[type, str]]:
    """What verdicts.csv says of a quantity after the key: column -> the type of its values, and what they are."""
    kinds = column_kinds(pa.DataFrameSchema(_VERDICTS))
    return {name: (kinds[name], str(column.description)) for name, column in _VERDICTS.items()}


def history_schema() -> pa.DataFrameSchema:
    """The declaration of history.csv: one row is a quantity of one judged run, whatever its study."""
    level = {"level": pa.Column(float, nullable=True, description="the head's: of time in reads of y, else as it is")}
    return pa.DataFrameSchema(_HISTORY | _KEY | _QUANTITY | _JUDGED | level, strict=True, ordered=True, name="history")


def history_columns() -> list[str]:
    """The columns of history.csv, in order."""
    return list(history_schema().columns)


def history_kinds() -> dict[str, type]:
    """The columns of history.csv, in order -> the type of their values."""
    return column_kinds(history_schema())


def parameter_types(parameters: Mapping[str, Sequence[Any]]) -> dict[str, type]:
    """The type of each parameter's column: that of its values, or str where they have several."""
    kinds = {name: {type(value) for value in values} for name, values in parameters.items()}
    return {
        name: float if kind == {int, float} else kind.pop() if len(kind) == 1 else str for name, kind in kinds.items()
    }


def column_kinds(declared: pa.DataFrameSchema) -> dict[str, type]:
    """column -> the Python type of its values, however this pandas spells it: its text is `object`, `string[python]`
    or `string[pyarrow]` by its version and by what is installed beside it."""
    return {name: _kind(dtype) for name, dtype in declared.dtypes.items()}


def _kind(dtype: Any) -> type:
    tests = {bool: dtypes.is_bool, int: dtypes.is_int, float: dtypes.is_float, str: dtypes.is_string}
    return next(kind for kind, is_kind in tests.items() if is_kind(dtype))
