"""Reads a run back from its folder: run.json, and every table typed and checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pandera.pandas as pa
from pydantic import ValidationError

from harness.errors import UserError
from harness.outside_text import decoded
from harness.study.validation import one_line
from harness.tables.checked import read_table
from harness.tables.judged import VERDICTS_FILE, history_schema, verdicts_schema
from harness.tables.schema import (
    COLUMN_TYPES,
    DROPPED,
    OLDEST_READ,
    SCHEMA_VERSION,
    SUITE_FILE,
    TABLES,
    added_since,
    schema,
)
from harness.tables.sidecar import Sidecar

BASE, HEAD = "base", "head"
"""The folders of the two sides of a duel."""


@dataclass(frozen=True)
class Run:
    """A run on disk. A table is read and checked when it is first accessed."""

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
        """The machine whose part of a run this is, if several machines measured the run; else ''."""
        return ""

    @property
    def setting(self) -> str:
        """The device and the clock of this part of a run, if the run has several; else ''."""
        return ""

    @property
    def figures(self) -> Path:
        """The folder of its figures."""
        return self.path / "figures"

    def check(self) -> None:
        """Read every table. Raises UserError for the first that breaks its declaration."""
        for table in TABLES:
            getattr(self, table)

    def _read(self, table: str) -> pd.DataFrame:
        types = {name: COLUMN_TYPES[kind] for name, kind in self.info["parameters"].items()}
        lacking = added_since(self.info["schema"], table)
        return read_table(self.path / f"{table}.csv", schema(table, types), lacking, DROPPED.get(table, ()))


def read(folder: str | Path) -> Run:
    """The run in a folder. Raises UserError if there is none, or if its schema version is unknown."""
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
    """The verdicts in the folder of a duel. Raises UserError if there are none, or if they break their declaration."""
    path = folder / VERDICTS_FILE
    if not path.is_file():
        raise UserError(f"{path}: no such file: name the folder of a duel")
    info = read(folder / HEAD).info
    types = {name: COLUMN_TYPES[kind] for name, kind in info["parameters"].items()}
    return _read_judged(path, verdicts_schema(types), added_since(info["schema"], "verdicts"))


def read_history(path: Path) -> pd.DataFrame:
    """A history, empty if there is no such file. Raises UserError if it breaks its declaration."""
    # A history has no version: one without the column clock was written before schema 4, which added it.
    lacking = {} if "clock" in _header(path) else added_since(OLDEST_READ, "verdicts")
    return _read_judged(path, history_schema(), lacking)


def _header(path: Path) -> list[str]:
    """The names of the columns of a table; none if it cannot be read, which reading the table will report."""
    try:
        with path.open(encoding="utf-8") as file:
            return file.readline().rstrip().split(",")
    except (OSError, ValueError):
        return []


def _read_judged(path: Path, declared: pa.DataFrameSchema, lacking: Mapping[str, Any]) -> pd.DataFrame:
    """A table of verdicts. Without a column clock its times are of the wall clock; memory and errors have no clock."""
    table = read_table(path, declared, lacking)
    if "clock" in lacking:
        # isin and not ==, which gives a type of its own on some text types of pandas.
        table["clock"] = table["clock"].where(table["kind"].isin(("time",)), "")
    return table


def read_info(folder: Path) -> dict[str, Any]:
    """The contents of run.json in a folder. Raises UserError if it cannot be read."""
    if (folder / SUITE_FILE).is_file():
        raise UserError(f"{folder}: one side of a duel of a pytest suite: read verdicts.csv in the folder above")
    return read_object(folder / "run.json")


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises UserError if there is none."""
    try:
        info = json.loads(decoded(path.read_bytes()))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON: {error}") from None
    if not isinstance(info, dict):
        raise UserError(f"{path}: not a JSON object")
    return info
