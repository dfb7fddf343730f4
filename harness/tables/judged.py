"""What a comparison of runs writes: verdicts.csv, and history.csv of a machine, every column declared once."""

from __future__ import annotations

from collections.abc import Mapping

import pandera.pandas as pa

from harness.tables.schema import FOLDER_NAME, KEY_COLUMNS, column_kinds, matches, parameter_columns
from harness.vocabulary import CLOCKS, VERDICTS

VERDICTS_FILE = "verdicts.csv"
SIDES_FILE = "verdicts.json"
HISTORY_FILE = "history.csv"
SUITE_HISTORY_FILE = "history_of_suites.csv"

KINDS = ("time", "memory", "error", "instructions", "cell")
"""The kinds of quantities that are judged, and the cell as a whole."""

_QUANTITY = {
    "kind": pa.Column(str, pa.Check.isin(KINDS), description="what is judged"),
    "phase": pa.Column(str, description="phase of a time, memory peak or count of instructions; else empty"),
    "clock": pa.Column(str, pa.Check.isin(("", *CLOCKS)), description="clock of a time; else empty"),
    "tensor": pa.Column(str, description="tensor of an error; else empty"),
    "reference": pa.Column(str, description="reference of an error; else empty"),
    "metric": pa.Column(str, description="metric of an error; else empty"),
}

_JUDGED = {
    "base": pa.Column(
        float,
        nullable=True,
        description="median of the base: seconds per call, bytes, instructions per call, or the error",
    ),
    "head": pa.Column(float, nullable=True, description="the same for the head"),
    "ratio": pa.Column(float, nullable=True, description="head over base: the geometric mean over launches"),
    "low": pa.Column(
        float,
        nullable=True,
        description="lower end of the ratio's 95 % interval; for instructions the smallest ratio of two counts",
    ),
    "high": pa.Column(
        float,
        nullable=True,
        description="upper end of the ratio's 95 % interval; for instructions the largest ratio of two counts",
    ),
    "launches": pa.Column(int, pa.Check.ge(0), description="launches (or counts) of each side behind the ratio"),
    "verdict": pa.Column(str, pa.Check.isin(VERDICTS), description="the verdict"),
}

_VERDICTS = (
    _QUANTITY
    | _JUDGED
    | {
        "detectable": pa.Column(
            float, nullable=True, description="smallest relative change beyond the tolerance that would be found"
        ),
        "reason": pa.Column(str, description="explanation, where the verdict needs one"),
    }
)

_HISTORY = {
    "begin": pa.Column(str, description="when the judged run began, UTC"),
    "study": pa.Column(str, matches(FOLDER_NAME), description="name of the study"),
    "base_commit": pa.Column(str, description="commit of the base; ends with -dirty if it had uncommitted changes"),
    "head_commit": pa.Column(str, description="commit of the head; likewise"),
    "torch": pa.Column(str, description="torch version of the head"),
}

_LEVEL = {
    "level": pa.Column(
        float, nullable=True, description="figure of the head: a time in multiples of one read of y, others as they are"
    )
}


def verdicts_schema(parameters: Mapping[str, type] | None = None) -> pa.DataFrameSchema:
    """The declaration of verdicts.csv: one row is a quantity that was judged."""
    columns = KEY_COLUMNS | parameter_columns(parameters) | _VERDICTS
    return pa.DataFrameSchema(columns, strict=True, ordered=True, name="verdicts")


def verdict_columns() -> dict[str, tuple[type, str]]:
    """The columns of verdicts.csv after the key -> the type of their values, and their description."""
    kinds = column_kinds(pa.DataFrameSchema(_VERDICTS))
    return {name: (kinds[name], str(column.description)) for name, column in _VERDICTS.items()}


def history_schema() -> pa.DataFrameSchema:
    """The declaration of history.csv: one row is a quantity of one judged run, of whatever study."""
    columns = _HISTORY | KEY_COLUMNS | _QUANTITY | _JUDGED | _LEVEL
    return pa.DataFrameSchema(columns, strict=True, ordered=True, name="history")


def history_columns() -> list[str]:
    """The columns of history.csv, in order."""
    return list(history_schema().columns)


def history_kinds() -> dict[str, type]:
    """The columns of history.csv, in order -> the type of their values."""
    return column_kinds(history_schema())
