"""A run read back from its folder, every table typed and checked."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrorReason
from pydantic import ValidationError

from harness.errors import UserError, shortened
from harness.outside_text import decoded, restored
from harness.study.validation import one_line
from harness.tables.files import COMPRESSED
from harness.tables.parsing import line_of, opened, parse
from harness.tables.schema import (
    COLUMN_TYPES,
    DROPPED,
    OLDEST_READ,
    SCHEMA_VERSION,
    SUITE_FILE,
    TABLES,
    VERDICTS_FILE,
    added_since,
    column_kinds,
    history_schema,
    schema,
    verdicts_schema,
)
from harness.tables.sidecar import Sidecar

BASE, HEAD = "base", "head"
"""The folders of the two sides of a duel."""

LONGEST_REASON = 300
"""Characters of an error: pandera lists every failing value."""


@dataclass(frozen=True)
class Run:
    """A run as it lies on disk; each table is read and checked when it is first asked for."""

    path: Path
    info: Mapping[str, Any]

    @cached_property
    def cells(self) -> pd.DataFrame:
        return self._read("cells")

    @cached_property
    def timings(self) -> pd.DataFrame:
        return self._read("timings")

    @cached_property
    def memory(self) -> pd.DataFrame:
        return self._read("memory")

    @cached_property
    def discrepancies(self) -> pd.DataFrame:
        return self._read("discrepancies")

    @cached_property
    def instructions(self) -> pd.DataFrame:
        return self._read("instructions")

    @cached_property
    def facts(self) -> pd.DataFrame:
        return self._read("facts")

    @property
    def name(self) -> str:
        return str(self.info["study"])

    @property
    def part(self) -> str:
        """The machine whose part of a run of several this is, or ''."""
        return ""

    @property
    def setting(self) -> str:
        """The device and the clock of a part of a run that has several, or ''."""
        return ""

    @property
    def figures(self) -> Path:
        """The folder of its figures."""
        return self.path / "figures"

    def check(self) -> None:
        """Read every table; raises UserError for the first that is not what the schema says."""
        for table in TABLES:
            getattr(self, table)

    def _read(self, table: str) -> pd.DataFrame:
        types = {name: COLUMN_TYPES[kind] for name, kind in self.info["parameters"].items()}
        lacking = added_since(self.info["schema"], table)
        return read_table(self.path / f"{table}.csv", schema(table, types), lacking, DROPPED.get(table, ()))


def read(folder: str | Path) -> Run:
    """The run in a folder. Raises UserError where there is none, or one of a schema that is not known here."""
    path = Path(folder)
    info = read_info(path)
    if info.get("schema") not in range(OLDEST_READ, SCHEMA_VERSION + 1):
        known = f"{OLDEST_READ} to {SCHEMA_VERSION}"
        raise UserError(f"{path / 'run.json'}: schema {info.get('schema')!r}, this version reads {known}")
    try:
        Sidecar.model_validate(info)
    except ValidationError as error:
        raise UserError(f"{path / 'run.json'}: {one_line(error, {'': Sidecar})}") from None
    return Run(path, info)


def read_verdicts(folder: Path) -> pd.DataFrame:
    """The verdicts of a duel's folder. Raises UserError where there are none, or they are not what the schema says."""
    path = folder / VERDICTS_FILE
    if not path.is_file():
        raise UserError(f"{path}: no such file: name the folder of a duel")
    info = read(folder / HEAD).info
    types = {name: COLUMN_TYPES[kind] for name, kind in info["parameters"].items()}
    return _read_judged(path, verdicts_schema(types), added_since(info["schema"], "verdicts"))


def read_history(path: Path) -> pd.DataFrame:
    """A history, empty where there is none. Raises UserError where it is not what the schema says."""
    lacking = {} if "clock" in _header(path) else added_since(OLDEST_READ, "verdicts")
    return _read_judged(path, history_schema(), lacking)


def _header(path: Path) -> list[str]:
    """The names of the columns of a table; none where it cannot be read, which is said by whoever reads it."""
    try:
        with path.open(encoding="utf-8") as file:
            return file.readline().rstrip().split(",")
    except (OSError, ValueError):
        return []


def _read_judged(path: Path, declared: pa.DataFrameSchema, lacking: Mapping[str, Any]) -> pd.DataFrame:
    """A table of verdicts. Where it lacks the clock that is the wall's for its times; memory and errors have none."""
    table = read_table(path, declared, lacking)
    if "clock" in lacking:
        table["clock"] = table["clock"].where(table["kind"].isin(("time",)), "")
    return table


def read_info(folder: Path) -> dict[str, Any]:
    """run.json of a folder."""
    if (folder / SUITE_FILE).is_file():
        raise UserError(f"{folder}: a side of a duel of a pytest suite: read verdicts.csv in the folder above")
    return read_object(folder / "run.json")


def read_object(path: Path) -> dict[str, Any]:
    """A JSON object in a file. Raises UserError where there is none."""
    try:
        info = json.loads(decoded(path.read_bytes()))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON: {error}") from None
    if not isinstance(info, dict):
        raise UserError(f"{path}: not a JSON object")
    return info


def read_table(
    path: Path,
    declared: pa.DataFrameSchema,
    lacking: Mapping[str, Any] = MappingProxyType({}),
    dropped: Sequence[str] = (),
) -> pd.DataFrame:
    """A table with the types of its declaration; a missing file is an empty table. Raises UserError.

    lacking: columns that a file of its age does not have -> their value; dropped: such that it may have, and that are
    not read, where it lacks others.
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
            frame = frame[[*kinds]] if set(frame) == set(kinds) else frame
        if wrong := _wrong_columns([str(name) for name in frame], kinds):
            raise ValueError(wrong)
        return _restored(declared.validate(frame, inplace=True), kinds)
    except pa.errors.SchemaError as error:
        raise UserError(f"{path}: {_disallowed(error, path)}"[:LONGEST_REASON]) from None
    except (ValueError, OverflowError, *_UNREADABLE) as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise UserError(f"{path}: {reason[:LONGEST_REASON]}") from None


_UNREADABLE = (OSError, EOFError, zlib.error)
"""What a file that the system refuses raises, or a compressed one that is damaged or cut off."""


def stored(path: Path) -> Path:
    """The file of a table: compressed, where there is no other."""
    compressed = path.with_name(path.name + COMPRESSED)
    return compressed if compressed.exists() and not path.exists() else path


def _wrong_columns(names: Sequence[str], kinds: Mapping[str, type]) -> str:
    """Why these are not the columns of the schema, or ''."""
    for separator, word in ((";", "';'"), ("\t", "a tab")):
        if names and names[0].startswith(f"{next(iter(kinds))}{separator}"):
            return f"its fields are separated by {word}, not by ','"
    if missing := [name for name in kinds if name not in names]:
        return f"it has no column '{missing[0]}'; the schema has {', '.join(kinds)}"
    if wrong := [name for name in names if name not in kinds]:
        return f"column '{wrong[0]}' is not in the schema: {', '.join(kinds)}"
    wrong = [name for name, wanted in zip_longest(names, kinds) if name != wanted]
    return f"column '{wrong[0]}' is not where the schema has it: {', '.join(kinds)}" if wrong else ""


def _disallowed(error: pa.errors.SchemaError, path: Path) -> str:
    """What a table must not say: the line, the column and the value where these are known."""
    cases, column = error.failure_cases, getattr(error.schema, "name", None)
    rule = str(error.check).partition(": ")[2].removesuffix(">") or error.check
    if not isinstance(cases, pd.DataFrame) or cases.empty or pd.isna(cases["index"].iloc[0]):
        return str(error).strip().partition("\n")[0]
    with opened(path) as file:
        line = line_of(file, int(cases["index"].iloc[0]))
    if error.reason_code is SchemaErrorReason.SERIES_CONTAINS_NULLS:
        return f"line {line}, column '{column}': no value"
    value = cases["failure_case"].iloc[0]
    why = rule if value != "" else "whoever saved the table again took its text for a missing value"
    return f"line {line}, column '{column}': {shortened(repr(value))} is not allowed: {why}"


def _restored(frame: pd.DataFrame, kinds: Mapping[str, Any]) -> pd.DataFrame:
    """The table with its text as it was before it was written."""
    for name in (name for name, kind in kinds.items() if kind is str):
        if frame[name].str.startswith("'").any():
            frame[name] = frame[name].map(restored)
    return frame
