"""How tables survive: appended case by case, cut back to what was committed after any kill.

cells.csv is the commit log: the rows of a (case, launch) are flushed to the other tables first, then to it, so
whatever it does not have can be cut off.
"""

from __future__ import annotations

import csv
import fcntl
import io
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from harness.errors import UserError
from harness.tables.schema import LOG, TABLES, VERDICTS_FILE, Row, column_kinds, history_schema, schema, verdicts_schema

BLOCK_BYTES = 1 << 16
"""Of a table: what is read at once to find the end of its last whole line."""


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

    planned: case -> number of its cells. A (launch, case) is committed when cells.csv has them all. The tables are read
    line by line, and one in which there is nothing to cut is not written. Raises UserError for a line that is no row.
    """
    for table in TABLES:
        _cut_half_line(folder / f"{table}.csv")
    counted = Counter(key for _, key in _keyed_lines(folder / f"{LOG}.csv"))
    committed = {key for key, count in counted.items() if count == planned.get(key[1])}
    for table in (each for each in TABLES if each != "facts"):
        path = folder / f"{table}.csv"
        if any(key not in committed for _, key in _keyed_lines(path)):
            _keep(path, (line for line, key in _keyed_lines(path) if key in committed))
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
    """repr of a float round-trips; a line break inside a field would break the rule that a row is a line."""
    if isinstance(value, float):
        return repr(value)
    text = str(value).encode(errors="backslashreplace").decode()  # half a surrogate pair is no UTF-8
    return text.replace("\r", " ").replace("\n", " ")


def _cut_half_line(path: Path) -> None:
    if not path.exists():
        return
    with path.open("rb") as file:
        size = begin = file.seek(0, os.SEEK_END)
        found = -1
        while begin and found < 0:
            end, begin = begin, max(0, begin - BLOCK_BYTES)
            file.seek(begin)
            found = file.read(end - begin).rfind(b"\n")
    if (whole := begin + found + 1) < size:
        os.truncate(path, whole)


def _keyed_lines(path: Path) -> Iterator[tuple[bytes, tuple[int, str]]]:
    """Every line of a table after its header, with its (launch, case); a table without launches is of the first.

    Raises UserError for a line that has none.
    """
    if not path.exists() or not path.stat().st_size:
        return
    with path.open("rb") as file:
        number = 1
        try:
            names = _fields(file.readline(), -1)
            case, launch = names.index("case"), names.index("launch") if "launch" in names else None
            needed = max(case, launch or 0) + 1
            for line in file:
                number += 1
                if line.strip():
                    fields = _fields(line, needed)
                    yield line, (1 if launch is None else int(fields[launch]), fields[case])
        except (ValueError, IndexError, csv.Error) as error:
            raise UserError(f"{path}: line {number} is no row of this table: {error}") from None


def _fields(line: bytes, needed: int) -> list[str]:
    """The fields of a line; of those after the first `needed` (-1: all), what is left of the line is one."""
    text = line.decode()
    return next(csv.reader([text])) if '"' in text else text.rstrip("\r\n").split(",", needed)


def _keep(path: Path, lines: Iterable[bytes]) -> None:
    """Replace a table by its header and these lines of it, whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    with path.open("rb") as file, partial.open("wb") as kept:
        kept.write(file.readline())
        kept.writelines(lines)
    partial.replace(path)
