"""The tables of a run: every column declared once. The reader checks by this declaration, the writer coerces by it.

harness/tables/judged.py declares what a comparison of runs writes.

Schema history
1  first version.
2  memory.csv has `launch`: a verdict needs several launches.
3  cells.csv has compile_seconds (NaN for a run of version 2), timings.csv device_seconds. A text that a spreadsheet
   would take for a formula is written with an apostrophe before it, which reading removes. Older files have no such
   apostrophes, and are read in the same way.
4  timings.csv has the column clock, and device_seconds is gone: it included launches, so it is not read as a time of
   the device clock, and every time of an earlier version is one of the wall clock. discrepancies.csv has `launch`;
   before, errors were always those of the first launch. instructions.csv and verdicts on its counts were added later
   under the same version, because every older run can be read as one that counted nothing.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import pandera.pandas as pa
from pandera import dtypes

from harness.vocabulary import CLOCKS, DTYPES, PHASES, STATUSES, WALL

SCHEMA_VERSION = 4
OLDEST_READ = 2
"""Runs from this version on are read: the columns of ADDED are filled in, those of DROPPED are ignored."""

ADDED: dict[int, dict[str, dict[str, Any]]] = {
    3: {"cells": {"compile_seconds": float("nan")}},
    4: {"timings": {"clock": WALL}, "discrepancies": {"launch": 1}, "verdicts": {"clock": WALL}},
}
"""version -> table -> column that it added -> its value in files of earlier versions."""

DROPPED = {"timings": ("device_seconds",)}
"""table -> columns that only earlier versions have."""


def added_since(version: int, table: str) -> dict[str, Any]:
    """column -> value, for the columns that a table of this version lacks."""
    later = [tables.get(table, {}) for since, tables in ADDED.items() if since > version]
    return {name: value for added in later for name, value in added.items()}


CASE = r"[0-9a-f]{12}"

FOLDER_NAME = r"^[A-Za-z0-9_][A-Za-z0-9_-]{0,199}$"
"""The name of a study or machine. It names a folder in results/, so it must not be a path that leads elsewhere."""


def matches(pattern: str) -> pa.Check:
    """The check that texts match a regular expression. Each distinct text is matched once: a long column has few of
    them, and pandas would match them row by row, in Python."""

    def allowed(texts: pd.Series) -> pd.Series:
        return texts.isin([text for text in texts.unique() if re.match(pattern, text)])

    return pa.Check(allowed, error=f"str_matches('{pattern}')")


KEY_COLUMNS = {
    "case": pa.Column(str, matches(f"^{CASE}$"), description="identity of the case: a digest of its axes"),
    "method": pa.Column(str, pa.Check.ne(""), description="the way to select, or the yardstick"),
    "dtype": pa.Column(str, pa.Check.isin(DTYPES), description="torch dtype of every tensor"),
    "device": pa.Column(str, description="torch device"),
    "n": pa.Column(int, pa.Check.ge(1), description="length of the vector that is selected from"),
    "k": pa.Column(int, pa.Check.ge(1), description="number of entries that are kept"),
    "rows": pa.Column(int, pa.Check.ge(1), description="number of independent vectors in one call"),
    "d": pa.Column(int, pa.Check.ge(0), description="0: y is drawn; else the length of x, with y = x Wᵀ"),
    "distribution": pa.Column(str, description="distribution that the inputs are drawn from"),
    "seed": pa.Column(int, pa.Check.ge(0), description="seed of the draw"),
    "mode": pa.Column(str, description="the arithmetic that torch was asked for"),
    "transform": pa.Column(str, description="how the method was run"),
    "threads": pa.Column(int, pa.Check.ge(1), description="number of torch threads"),
}

MACHINE_COLUMN = pa.Column(
    str, description="name of the machine, built from its CPU, cores, memory, system and accelerator"
)
"""Of the cells of a study and of the tests of a suite."""

_OWN = {
    "cells": {
        "launch": pa.Column(int, pa.Check.ge(1), description="number of the fresh worker process, from 1"),
        "status": pa.Column(str, pa.Check.isin(STATUSES), description="outcome of the cell in this launch"),
        "reason": pa.Column(str, description="reason for the status, in one line; torch's own message if it has one"),
        "machine": MACHINE_COLUMN,
        "predicted_bytes": pa.Column(int, description="bytes of inputs, outputs, S and its gradient"),
        "wall_seconds": pa.Column(
            float, description="seconds spent on the cell: its share of opening the case, checking, compiling, timing"
        ),
        "compile_seconds": pa.Column(
            float, nullable=True, description="seconds spent on compiling, outside every block; NaN: nothing compiled"
        ),
    },
    "timings": {
        "phase": pa.Column(str, pa.Check.isin(PHASES), description="the phase that was timed"),
        "clock": pa.Column(
            str, pa.Check.isin(CLOCKS), description="wall: time that a caller waits; device: time that the device works"
        ),
        "launch": pa.Column(int, pa.Check.ge(1), description="number of the fresh worker process, from 1"),
        "round": pa.Column(int, pa.Check.ge(0), description="number of the round in its launch, from 0"),
        "position": pa.Column(int, pa.Check.ge(0), description="position of the block in its round, from 0"),
        "calls": pa.Column(int, pa.Check.ge(1), description="calls in the block"),
        "seconds": pa.Column(float, pa.Check.gt(0), description="seconds per call"),
    },
    "memory": {
        "phase": pa.Column(str, pa.Check.isin(PHASES), description="the phase that was called once"),
        "launch": pa.Column(int, pa.Check.ge(1), description="number of the fresh worker process, from 1"),
        "min_bytes": pa.Column(int, description="the fewest bytes that the phase must move"),
        "peak_bytes": pa.Column(
            float, nullable=True, description="the most bytes that one call had allocated at once; NaN: unknown"
        ),
    },
    "discrepancies": {
        "launch": pa.Column(int, pa.Check.ge(1), description="number of the fresh worker process, from 1"),
        "tensor": pa.Column(str, description="the tensor that is compared"),
        "of": pa.Column(str, description="whose error it is: the method's, or a reference's"),
        "reference": pa.Column(str, description="the reference that it is compared with"),
        "metric": pa.Column(str, description="the figure, with its unit in the name"),
        "value": pa.Column(float, nullable=True, description="value of the figure; NaN: it has none here"),
    },
    "instructions": {
        "phase": pa.Column(str, pa.Check.isin(PHASES), description="the phase that was counted"),
        "launch": pa.Column(int, pa.Check.ge(1), description="number of the counting process, from 1"),
        "calls": pa.Column(int, pa.Check.ge(0), description="calls in the loop that was counted; 0: none was counted"),
        "instructions": pa.Column(
            float, nullable=True, description="instructions per call, less those of an empty loop; NaN: not counted"
        ),
        "status": pa.Column(str, pa.Check.isin(STATUSES), description="outcome of the count"),
        "reason": pa.Column(str, description="reason for the status, in one line"),
    },
    "facts": {
        "fact": pa.Column(str, description="what was established; it belongs to no cell"),
        "item": pa.Column(str, description="what the fact is about"),
        "value": pa.Column(float, nullable=True, description="value of the fact; NaN: it has none"),
        "detail": pa.Column(str, description="explanation in words, where the value needs one"),
    },
}

TABLES = tuple(_OWN)
WHOLE = ("instructions", "facts")
"""The tables that are written once, as a whole. The others grow with every case of a launch."""

KEY = tuple(KEY_COLUMNS)
"""The columns that every table has, before its own."""

TAKEN = frozenset({*KEY, *(name for own in _OWN.values() for name in own)})
"""Names of columns, which no parameter of a study may have."""

SUITE_FILE = "suite.json"
"""What a side of a duel of a suite has in place of run.json."""

LOG = "cells"
"""The table that commits: it is written last."""

Row = Mapping[str, Any]

COLUMN_TYPES: Mapping[str, type] = {kind.__name__: kind for kind in (bool, int, float, str)}
"""The types of a study's parameters, by the names that run.json gives them."""


def _one_case(axes: Sequence[str]) -> pa.Check:
    """The check that all rows of a case have the same axes, as they must: `case` is a digest of the axes."""

    def agree(frame: pd.DataFrame) -> bool:
        numbers, _ = frame["case"].factorize()
        first = (~frame["case"].duplicated()).to_numpy().nonzero()[0]
        for name in axes:
            values = frame[name].to_numpy()
            # A missing value (unlike itself) is reported by its own column.
            if ((values != values[first][numbers]) & (values == values)).any():
                return False
        return True

    return pa.Check(agree, error="rows of one case differ in an axis")


def parameter_columns(types: Mapping[str, type] | None) -> dict[str, pa.Column]:
    """The columns of a study's own parameters, which come after the key."""
    return {name: pa.Column(kind, description="a parameter of the study") for name, kind in (types or {}).items()}


def schema(table: str, parameters: Mapping[str, type] | None = None) -> pa.DataFrameSchema:
    """The declaration of a table. parameters: a study's own axes -> their types."""
    return _schema(table, tuple((parameters or {}).items()))


@functools.cache  # pandera copies every column deeply: declaring a table takes as long as reading a short one
def _schema(table: str, parameters: tuple[tuple[str, type], ...]) -> pa.DataFrameSchema:
    columns = KEY_COLUMNS | parameter_columns(dict(parameters)) | _OWN[table]
    axes = [name for name in (*KEY, *dict(parameters)) if name not in ("case", "method")]
    checks = None if table == "facts" else _one_case(axes)
    return pa.DataFrameSchema(columns, checks, strict=True, ordered=True, name=table)


def parameter_types(parameters: Mapping[str, Sequence[Any]]) -> dict[str, type]:
    """The type of each parameter's column: that of its values, or str if they have several types."""
    kinds = {name: {type(value) for value in values} for name, values in parameters.items()}
    return {
        name: float if kind == {int, float} else kind.pop() if len(kind) == 1 else str for name, kind in kinds.items()
    }


def column_kinds(declared: pa.DataFrameSchema) -> dict[str, type]:
    """column -> the Python type of its values.

    Comparing names of dtypes would not do: pandas calls its text `object`, `string[python]` or `string[pyarrow]`,
    depending on its version and on what else is installed.
    """
    return {name: _kind(dtype) for name, dtype in declared.dtypes.items()}


def _kind(dtype: Any) -> type:
    tests = {bool: dtypes.is_bool, int: dtypes.is_int, float: dtypes.is_float, str: dtypes.is_string}
    return next(kind for kind, is_kind in tests.items() if is_kind(dtype))
