"""What a run writes: tables, appended case by case, so that a kill costs no more than the case that was running.

cells.csv is the commit log: the rows of a (case, launch) are flushed to the other tables first, then to it, so
whatever it does not have can be cut off.
"""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd
import pandera.pandas as pa

from harness.errors import UserError
from harness.outside_text import neutral
from harness.tables.files import cut_half_line, naming, replace_text, write_all
from harness.tables.reading import read_history, read_table
from harness.tables.schema import (
    LOG,
    SCHEMA_VERSION,
    SIDES_FILE,
    TABLES,
    VERDICTS_FILE,
    WHOLE,
    Row,
    column_kinds,
    history_schema,
    schema,
    verdicts_schema,
)


class Busy(UserError):
    """Another run is writing into the folder: there is nothing to go on with."""


class RunWriter:
    """Appends to the tables of one run folder, one (case, launch) at a time; a second writer is refused by Busy.

    What cannot be written raises OSError with the name of the file, and leaves the tables as they were before.
    """

    def __init__(
        self,
        folder: Path,
        parameters: Mapping[str, type],
        tables: Mapping[str, pa.DataFrameSchema] | None = None,
        log: str = LOG,
    ) -> None:
        """parameters: those of a study, with their types; tables: what is written instead of the tables of cells, and
        `log`, which of them commits."""
        self._folder = folder
        self._lock = _locked(folder / ".lock")
        declared = tables or {table: schema(table, parameters) for table in TABLES}
        self._kinds = {table: column_kinds(each) for table, each in declared.items()}
        self._log = log
        self._files: dict[str, io.FileIO] = {}

    def __enter__(self) -> RunWriter:
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._files.values():
            each.close()
        with suppress(OSError):  # a disk that has become read-only keeps it, and it locks nothing then
            (self._folder / ".lock").unlink()
        self._lock.close()

    def open(self) -> None:
        """Open the tables to append to; what was not committed must have been cut off before."""
        for table in (each for each in self._kinds if each not in WHOLE):
            # Unbuffered: what a full disk has refused must not be written later, when others had their turn.
            file = self._files[table] = (self._folder / f"{table}.csv").open("ab", buffering=0)
            if file.tell() == 0:
                self._append([(table, _lines([dict.fromkeys(self._kinds[table])], self._kinds[table], header=True))])

    def commit(self, rows: Mapping[str, Iterable[Row]]) -> None:
        """Append all rows of one (case, launch), the commit log last."""
        in_turn = sorted(self._files, key=lambda table: table == self._log)
        self._append((table, _lines(rows.get(table, ()), self._kinds[table])) for table in in_turn)

    def write_whole(self, table: str, rows: Iterable[Row]) -> None:
        """Write one of the tables WHOLE; what a row leaves out is empty, or 0."""
        kinds = self._kinds[table]
        defaults = {name: kind() for name, kind in kinds.items()}
        text = _lines([dict.fromkeys(kinds)], kinds, header=True) + _lines(
            (defaults | dict(row) for row in rows), kinds
        )
        replace_text(self._folder / f"{table}.csv", text)

    def _append(self, texts: Iterable[tuple[str, str]]) -> None:
        """Append to (table, text) in this order; where one cannot be written, take back what was."""
        before = {table: file.seek(0, os.SEEK_END) for table, file in self._files.items()}
        try:
            for table, text in texts:
                write_all(self._files[table], text, self._folder / f"{table}.csv")
        except OSError:
            for table, size in before.items():
                with suppress(OSError):  # else the next `recover` cuts it off
                    self._files[table].truncate(size)
            raise


def write_verdicts(folder: Path, verdicts: pd.DataFrame, parameters: Mapping[str, type]) -> None:
    """Write verdicts.csv, whole, coerced by its declaration; reading it checks it."""
    kinds = column_kinds(verdicts_schema(parameters))
    replace_text(folder / VERDICTS_FILE, table_text(verdicts, kinds))


def write_sides(folder: Path, sides: Mapping[str, Mapping[str, Any]]) -> None:
    """Write verdicts.json beside verdicts.csv, whole: name of a side -> the facts that tell it from the other."""
    replace_text(folder / SIDES_FILE, json.dumps({"schema": SCHEMA_VERSION, **sides}, indent=1) + "\n")


def append_history(path: Path, rows: pd.DataFrame, declared: pa.DataFrameSchema | None = None) -> None:
    """Append rows to a history of cells, or to one that is declared otherwise.

    Two that append at once take turns, and a half line left by a kill is cut off. A history that an earlier version or
    another program wrote is rewritten first, whole, as this version writes it. Raises UserError, and leaves the file as
    it is, where that history cannot be read.
    """
    kinds = column_kinds(declared or history_schema())
    path.parent.mkdir(parents=True, exist_ok=True)
    header = _lines([dict.fromkeys(kinds)], kinds, header=True)
    with _open_alone(path) as file:
        first = _first_line(path)
        if header.startswith(first) or kinds.keys() >= set(first.strip().split(",")):  # else it is no file of ours
            cut_half_line(path)
        before = path.stat().st_size
        if before and first != header:
            replace_text(
                path, table_text(pd.concat([_history_to_go_on(path, declared), rows], ignore_index=True), kinds)
            )
            return
        try:
            write_all(file, table_text(rows, kinds, header=before == 0), path)
        except OSError:
            file.truncate(before)
            raise


def _history_to_go_on(path: Path, declared: pa.DataFrameSchema | None) -> pd.DataFrame:
    try:
        return read_history(path) if declared is None else read_table(path, declared)
    except UserError as error:
        raise UserError(f"{error}; move it away, and a new one is begun") from None


def _open_alone(path: Path) -> io.FileIO:
    """A history, open to be appended to, and locked until it is closed."""
    while True:
        file = path.open("ab", buffering=0)
        fcntl.flock(file, fcntl.LOCK_EX)
        if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
            return file
        file.close()  # somebody has replaced the file by a rewritten one while this waited for the lock


def _first_line(path: Path) -> str:
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        return file.readline()


def _locked(path: Path) -> io.TextIOWrapper:
    """The lock of a folder, held until it is closed; whoever lets it go removes it first. Raises Busy."""
    while True:
        with naming(path):
            lock = path.open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise Busy(f"{path.parent}: another run is writing here") from None
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(lock.fileno()), path.stat()):
                return lock
        lock.close()  # that of a run which has just ended: a third may hold a new one by this name


def table_text(table: pd.DataFrame, kinds: Mapping[str, Any], header: bool = True) -> str:
    """A table as it is written: its columns of `kinds`, coerced."""
    rows = [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]
    return (_lines([dict.fromkeys(kinds)], kinds, header=True) if header else "") + _lines(rows, kinds)


def _lines(rows: Iterable[Row], kinds: Mapping[str, Any], header: bool = False) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    for row in rows:
        writer.writerow(list(kinds) if header else [_text(kind(row[name])) for name, kind in kinds.items()])
    return buffer.getvalue()


def _text(value: object) -> str:
    """repr of a float round-trips."""
    if isinstance(value, str):
        return _cell(value)
    return repr(value) if isinstance(value, float) else str(value)


@lru_cache(maxsize=1024)  # most are the words of a key, the same in row after row
def _cell(text: str) -> str:
    """A line break inside a field would break the rule that a row is a line, a NUL ends a field for some who read it;
    and no text is anything that a spreadsheet would run, wherever it came from."""
    utf8 = text.encode(errors="backslashreplace").decode()  # half a surrogate pair is none
    return neutral(utf8.replace("\r", " ").replace("\n", " ").replace("\0", r"\x00"))
