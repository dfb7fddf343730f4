"""The tables of a run: what is written, and how it survives.

Every table begins with the key: `case method` and the axes. cells.csv is the commit log: the rows of a (case, launch)
are flushed to the other tables first, then to it, so whatever it does not have can be cut off after any kill.

Schema history
1  first version.
"""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pandera.pandas as pa

from harness.errors import UserError, unknown
from harness.vocabulary import DTYPES, PHASES, STATUSES

SCHEMA_VERSION = 1

_KEY = {
    "case": pa.Column(
        str, pa.Check.str_matches(r"^[0-9a-f]{12}$"), description="identity of the case: a digest of its axes"
    ),
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
        "wall_seconds": pa.Column(float, description="seconds spent on checking and timing the cell"),
    },
    "timings": {
        "phase": pa.Column(str, pa.Check.isin(PHASES), description="what was timed"),
        "launch": pa.Column(int, pa.Check.ge(1), description="which fresh worker process, from 1"),
        "round": pa.Column(int, pa.Check.ge(0), description="which round of the launch, from 0"),
        "position": pa.Column(int, pa.Check.ge(0), description="place of the block in its round, from 0"),
        "calls": pa.Column(int, pa.Check.ge(1), description="calls in the block"),
        "seconds": pa.Column(float, pa.Check.gt(0), description="seconds per call"),
    },
    "memory": {
        "phase": pa.Column(str, pa.Check.isin(PHASES), description="what was called once"),
        "min_bytes": pa.Column(int, description="the fewest bytes that the phase must move"),
        "peak_bytes": pa.Column(float, nullable=True, description="bytes by which the call raised the peak"),
    },
    "discrepancies": {
        "tensor": pa.Column(str, description="what is compared"),
        "of": pa.Column(str, description="whose error: the method's, or a reference's"),
        "reference": pa.Column(str, description="what it is compared with"),
        "metric": pa.Column(str, description="the figure, its unit in its name"),
        "value": pa.Column(float, nullable=True, description="its value"),
    },
    "facts": {
        "fact": pa.Column(str, description="what was established, beside the cells"),
        "item": pa.Column(str, description="of what"),
        "value": pa.Column(float, nullable=True, description="its value"),
        "detail": pa.Column(str, description="words, where the value alone does not say it"),
    },
}

TABLES = tuple(_OWN)
LOG = "cells"
"""The table that commits: written last."""

Row = Mapping[str, Any]

LONGEST_REASON = 300
"""Characters of an error: pandera lists every failing value."""

_COLUMN_TYPES = {
    "bool": bool,
    "int": int,
    "int64": int,
    "float": float,
    "float64": float,
    "str": str,
    "string[python]": str,
}


def schema(table: str, parameters: Mapping[str, type] | None = None) -> pa.DataFrameSchema:
    """The declaration of a table; `parameters` are a study's own axes and their types, after the key."""
    own = {name: pa.Column(kind, description="a parameter of the study") for name, kind in (parameters or {}).items()}
    return pa.DataFrameSchema(_KEY | own | _OWN[table], strict=True, ordered=True, name=table)


def parameter_types(parameters: Mapping[str, Sequence[Any]]) -> dict[str, type]:
    """The type of each parameter's column: that of its values, or str where they have several."""
    kinds = {name: {type(value) for value in values} for name, values in parameters.items()}
    return {
        name: float if kind == {int, float} else kind.pop() if len(kind) == 1 else str for name, kind in kinds.items()
    }


class RunWriter:
    """Appends to the tables of one run folder, one (case, launch) at a time; a second writer is refused."""

    def __init__(self, folder: Path, parameters: Mapping[str, type]) -> None:
        self._folder = folder
        self._lock = (folder / ".lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UserError(f"{folder}: another run is writing here") from None
        self._kinds = {table: _column_kinds(schema(table, parameters)) for table in TABLES}
        self._files: dict[str, io.BufferedWriter] = {}

    def __enter__(self) -> RunWriter:
        return self

    def __exit__(self, *_: object) -> None:
        for each in (*self._files.values(), self._lock):
            each.close()
        (self._folder / ".lock").unlink(missing_ok=True)

    def open(self) -> None:
        """Open the tables to append to; what was not committed must have been cut off before."""
        self._files = {table: self._open(table) for table in TABLES if table != "facts"}

    def commit(self, rows: Mapping[str, Iterable[Row]]) -> None:
        """Append all rows of one (case, launch), the commit log last."""
        for table in sorted(self._files, key=lambda table: table == LOG):
            text = _lines(rows.get(table, ()), self._kinds[table])
            self._files[table].write(text.encode())
            self._files[table].flush()

    def write_facts(self, rows: Iterable[Row]) -> None:
        """Write facts.csv, whole."""
        kinds = self._kinds["facts"]
        defaults = {name: kind() for name, kind in kinds.items()}
        text = _lines([dict.fromkeys(kinds)], kinds, header=True) + _lines(
            (defaults | dict(row) for row in rows), kinds
        )
        replace_text(self._folder / "facts.csv", text)

    def _open(self, table: str) -> io.BufferedWriter:
        path = self._folder / f"{table}.csv"
        file = path.open("ab")
        if file.tell() == 0:
            file.write(_lines([dict.fromkeys(self._kinds[table])], self._kinds[table], header=True).encode())
            file.flush()
        return file


def recover(folder: Path, planned: Mapping[str, int]) -> set[tuple[int, str]]:
    """Cut off whatever was not committed, and return the (launch, case) that were.

    planned: case -> number of its cells. A (launch, case) is committed when cells.csv has them all.
    """
    for table in TABLES:
        _cut_half_line(folder / f"{table}.csv")
    log = _raw_rows(folder / f"{LOG}.csv")
    counted = Counter((int(row["launch"]), row["case"]) for row in log)
    committed = {key for key, count in counted.items() if count == planned.get(key[1])}
    first = min((launch for launch, _ in committed), default=1)
    for table in TABLES:
        path = folder / f"{table}.csv"
        rows = _raw_rows(path)
        kept = [row for row in rows if table == "facts" or (int(row.get("launch", first)), row["case"]) in committed]
        if len(kept) < len(rows):
            buffer = io.StringIO()
            writer = csv.DictWriter(buffer, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(kept)
            replace_text(path, buffer.getvalue())
    return committed


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
    def facts(self) -> pd.DataFrame:
        return self._read("facts")

    @property
    def name(self) -> str:
        return str(self.info["study"])

    def check(self) -> None:
        """Read every table; raises UserError for the first that is not what the schema says."""
        for table in TABLES:
            getattr(self, table)

    def _read(self, table: str) -> pd.DataFrame:
        types = {name: _COLUMN_TYPES[kind] for name, kind in self.info["parameters"].items()}
        return read_table(self.path / f"{table}.csv", schema(table, types))


def read(folder: str | Path) -> Run:
    """The run in a folder. Raises UserError where there is none, or one of a schema that is not known here."""
    path = Path(folder)
    info = read_info(path)
    if info.get("schema") != SCHEMA_VERSION:
        raise UserError(f"{path / 'run.json'}: schema {info.get('schema')!r}, this version reads {SCHEMA_VERSION}")
    for key in ("study", "parameters", "machine"):
        if key not in info:
            raise UserError(f"{path / 'run.json'}: no key '{key}'")
    return Run(path, info)


def read_info(folder: Path) -> dict[str, Any]:
    """run.json of a folder."""
    path = folder / "run.json"
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"{path}: not JSON: {error}") from None
    if not isinstance(info, dict):
        raise UserError(f"{path}: not a JSON object")
    return info


def read_table(path: Path, declared: pa.DataFrameSchema) -> pd.DataFrame:
    """A table with the types of its declaration; a missing file is an empty table. Raises UserError."""
    kinds = _column_kinds(declared)
    if not path.exists():
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in kinds.items()})
    numbers = {name: ["nan"] for name, kind in kinds.items() if kind is float}
    try:
        frame = pd.read_csv(
            path, dtype=kinds, keep_default_na=False, na_values=numbers, float_precision="round_trip", encoding="utf-8"
        )
        return declared.validate(frame)
    except (pa.errors.SchemaError, ValueError, OSError) as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise UserError(f"{path}: {reason[:LONGEST_REASON]}") from None


def replace_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def newest_run(results: Path, word: str) -> Path:
    """The folder that a word means: a run folder itself, or the newest run of the study of that name."""
    if (Path(word) / "run.json").is_file():
        return Path(word)
    found = sorted((path.parent for path in results.glob(f"*/{word}/*/run.json")), key=lambda path: path.name)
    if not found:
        names = sorted({path.parent.parent.name for path in results.glob("*/*/*/run.json")})
        raise unknown(str(results), "run", word, names)
    return found[-1]


def _column_kinds(declared: pa.DataFrameSchema) -> dict[str, Any]:
    return {name: _COLUMN_TYPES[str(dtype)] for name, dtype in declared.dtypes.items()}


def _lines(rows: Iterable[Row], kinds: Mapping[str, Any], header: bool = False) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    for row in rows:
        writer.writerow(list(kinds) if header else [_text(kind(row[name])) for name, kind in kinds.items()])
    return buffer.getvalue()


def _text(value: object) -> str:
    """repr of a float round-trips; a line break inside a field would break the rule that a row is a line."""
    return repr(value) if isinstance(value, float) else " ".join(str(value).split("\n"))


def _cut_half_line(path: Path) -> None:
    if path.exists():
        data = path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            os.truncate(path, whole)


def _raw_rows(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
