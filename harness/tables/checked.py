"""Reads one table and checks it by its declaration. A mistake is reported in one line: the file, line and column."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrorReason

from harness.errors import UserError, shortened
from harness.outside_text import restored
from harness.tables.files import COMPRESSED
from harness.tables.parsing import line_of, opened, parse
from harness.tables.schema import column_kinds

LONGEST_REASON = 300
"""Most characters of an error: pandera lists every failing value."""

_UNREADABLE = (OSError, EOFError, zlib.error)
"""Raised for a file that the system refuses to read, or a compressed one that is damaged or cut off."""


def read_table(
    path: Path,
    declared: pa.DataFrameSchema,
    lacking: Mapping[str, Any] = MappingProxyType({}),
    dropped: Sequence[str] = (),
) -> pd.DataFrame:
    """A table with the types of its declaration; a missing file is an empty table.

    lacking: column -> value, for the columns that were added after the file was written; dropped: columns that only
    files of that age have, and that are not read. Raises UserError if the file cannot be read or breaks its
    declaration.
    """
    kinds = column_kinds(declared)
    path = stored(path)
    if not path.exists():
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in kinds.items()})
    try:
        with opened(path) as file:
            frame = parse(file, kinds)
        if lacking:
            frame = frame.drop(columns=[name for name in dropped if name in frame])
            frame = frame.assign(**{name: value for name, value in lacking.items() if name not in frame})
            # What was filled in stands at the end; a table with other mistakes is left as it is, to be reported below.
            frame = frame[[*kinds]] if set(frame) == set(kinds) else frame
        if wrong := _wrong_columns([str(name) for name in frame], kinds):
            raise ValueError(wrong)
        return _restored(_rules(declared, kinds).validate(frame, inplace=True), kinds)
    except pa.errors.SchemaError as error:
        raise UserError(f"{path}: {_disallowed(error, path)}"[:LONGEST_REASON]) from None
    except (ValueError, OverflowError, *_UNREADABLE) as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise UserError(f"{path}: {reason[:LONGEST_REASON]}") from None


def stored(path: Path) -> Path:
    """The file of a table: the compressed one if that is the only one."""
    compressed = path.with_name(path.name + COMPRESSED)
    return compressed if compressed.exists() and not path.exists() else path


def _wrong_columns(names: Sequence[str], kinds: Mapping[str, type]) -> str:
    """Why these are not the columns of the schema, or ''."""
    for separator, word in ((";", "';'"), ("\t", "a tab")):
        if names and names[0].startswith(f"{next(iter(kinds))}{separator}"):
            return f"its fields are separated by {word}, not by ','"
    if missing := [name for name in kinds if name not in names]:
        return f"it has no column '{missing[0]}'; the schema has {', '.join(kinds)}"
    if unknown := [name for name in names if name not in kinds]:
        return f"column '{unknown[0]}' is not in the schema: {', '.join(kinds)}"
    misplaced = [name for name, expected in zip_longest(names, kinds) if name != expected]
    return f"column '{misplaced[0]}' is not where the schema has it: {', '.join(kinds)}" if misplaced else ""


def _rules(declared: pa.DataFrameSchema, kinds: Mapping[str, type]) -> pa.DataFrameSchema:
    """What a declaration asks of a table whose columns have been found and parsed: they have their types, and of these
    only a float can be missing. pandera would take longer to check that again than to check all the rest."""
    columns = {
        name: pa.Column(None, column.checks, nullable=column.nullable or kinds[name] is not float, name=name)
        for name, column in declared.columns.items()
    }
    bound = {name: column for name, column in columns.items() if column.checks or not column.nullable}
    return pa.DataFrameSchema(bound, declared.checks)


def _disallowed(error: pa.errors.SchemaError, path: Path) -> str:
    """Which value the declaration does not allow, with its line and column where pandera knows them."""
    cases, column = error.failure_cases, getattr(error.schema, "name", None)
    rule = str(error.check).partition(": ")[2].removesuffix(">") or error.check
    if not isinstance(cases, pd.DataFrame) or cases.empty or pd.isna(cases["index"].iloc[0]):
        return str(rule) if isinstance(error.check, pa.Check) else str(error).strip().partition("\n")[0]
    with opened(path) as file:
        line = line_of(file, int(cases["index"].iloc[0]))
    if error.reason_code is SchemaErrorReason.SERIES_CONTAINS_NULLS:
        return f"line {line}, column '{column}': no value"
    value = cases["failure_case"].iloc[0]
    why = rule if value != "" else "whoever saved the table again took its text for a missing value"
    return f"line {line}, column '{column}': {shortened(repr(value))} is not allowed: {why}"


def _restored(frame: pd.DataFrame, kinds: Mapping[str, Any]) -> pd.DataFrame:
    """The table with its text as it was before `neutral` put apostrophes before formulas."""
    for name in (name for name, kind in kinds.items() if kind is str):
        # Of a long column only the different texts are looked at: there are few, and pandas looks at each in Python.
        if any(text.startswith("'") for text in frame[name].unique()):
            frame[name] = frame[name].map(restored)
    return frame
