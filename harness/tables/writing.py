"""How tables survive: appended case by case, cut back to what was committed after any kill.

cells.csv is the commit log: the rows of a (case, launch) are flushed to the other tables first, then to it, so
whatever it does not have can be cut off.
"""

from __future__ import annotations

import csv
import fcntl
import io
import os
import re
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from harness.errors import UserError
from harness.outside_text import neutral
from harness.tables.schema import (
    CASE,
    LOG,
    TABLES,
    VERDICTS_FILE,
    Row,
    column_kinds,
    history_schema,
    schema,
    verdicts_schema,
)

csv.field_size_limit(sys.maxsize)  # a reason may be of any length


class RunWriter:
    """Appends to the tables of one run folder, one (case, launch) at a time; a second writer is refused."""

    def __init__(self, folder: Path, parameters: Mapping[str, type]) -> None:
        self._folder = folder
        self._lock = (folder / ".lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise UserError(f"{folder}: another run is writing here") from None
        self._kinds = {table: column_kinds(schema(table, parameters)) for table in TABLES}
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


def write_verdicts(folder: Path, verdicts: pd.DataFrame, parameters: Mapping[str, type]) -> None:
    """Write verdicts.csv, whole, coerced by its declaration; reading it checks it."""
    kinds = column_kinds(verdicts_schema(parameters))
    replace_text(folder / VERDICTS_FILE, _table_text(verdicts, kinds))


def append_history(path: Path, rows: pd.DataFrame) -> None:
    """Append rows to a history; two that append at once take turns, and a half line left by a kill is cut off."""
    kinds = column_kinds(history_schema())
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        _cut_half_line(path)
        empty = path.stat().st_size == 0
        file.write(_table_text(rows, kinds, header=empty).encode())


def recover(folder: Path, planned: Mapping[str, int]) -> set[tuple[int, str]]:
    """Cut off whatever was not committed, and return the (launch, case) that were.

    planned: case -> number of its cells. A (launch, case) is committed when cells.csv has them all. Raises UserError
    where a line is damaged otherwise than by a kill: what was measured must not be taken for what was not committed.
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


def replace_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def _table_text(table: pd.DataFrame, kinds: Mapping[str, Any], header: bool = True) -> str:
    rows = [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]
    return (_lines([dict.fromkeys(kinds)], kinds, header=True) if header else "") + _lines(rows, kinds)


def _lines(rows: Iterable[Row], kinds: Mapping[str, Any], header: bool = False) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    for row in rows:
        writer.writerow(list(kinds) if header else [_text(kind(row[name])) for name, kind in kinds.items()])
    return buffer.getvalue()


def _text(value: object) -> str:
    """repr of a float round-trips; a line break inside a field would break the rule that a row is a line; and no text
    is anything that a spreadsheet would run, wherever it came from."""
    if isinstance(value, float):
        return repr(value)
    text = str(value).encode(errors="backslashreplace").decode()  # half a surrogate pair is no UTF-8
    text = text.replace("\r", " ").replace("\n", " ")
    return neutral(text) if isinstance(value, str) else text


def _cut_half_line(path: Path) -> None:
    if path.exists():
        data = path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            os.truncate(path, whole)


def _raw_rows(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (csv.Error, UnicodeDecodeError) as error:
        raise UserError(f"{path}: {error}") from None
    for place, row in enumerate(rows, start=2):
        if not _is_row(row):
            raise UserError(f"{path}: row {place} is damaged: mend it, or begin a new run")
    return rows


def _is_row(row: Mapping[str | None, str | None]) -> bool:
    """Whether a line has a field for each column, and the two that it is known by are what they must be."""
    launch = row.get("launch", "1")
    if None in row or None in row.values() or launch is None:
        return False
    return bool(re.fullmatch(CASE, row.get("case") or "")) and launch.isdecimal()
