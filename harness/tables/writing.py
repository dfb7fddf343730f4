"""Writes the tables of a run, case by case, so that a kill costs no more than the case that was running.

cells.csv is the commit log: the rows of a (case, launch) are written to the other tables first and to it last. So rows
of the other tables that it does not confirm can be cut off.
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
from harness.tables.checked import read_table
from harness.tables.files import cut_half_line, naming, replace_text, write_all
from harness.tables.judged import SIDES_FILE, VERDICTS_FILE, history_schema, verdicts_schema
from harness.tables.reading import read_history
from harness.tables.schema import LOG, SCHEMA_VERSION, TABLES, WHOLE, Row, column_kinds, schema


class Busy(UserError):
    """Another process is writing into the folder of the run."""


class RunWriter:
    """Appends to the tables of one run folder, one (case, launch) at a time. A second writer raises Busy.

    If a row cannot be written, OSError with the name of the file is raised, and the tables stay as they were before.
    """

    def __init__(
        self,
        folder: Path,
        parameters: Mapping[str, type],
        tables: Mapping[str, pa.DataFrameSchema] | None = None,
        log: str = LOG,
    ) -> None:
        """parameters: a study's own axes -> their types; tables: name -> declaration of the tables to write, TABLES by
        default; log: the one of them that commits."""
        self._folder = folder
        self._lock = _locked(folder / ".lock")
        declared = tables or {table: schema(table, parameters) for table in TABLES}
        self._kinds = {table: column_kinds(columns) for table, columns in declared.items()}
        self._log = log
        self._files: dict[str, io.FileIO] = {}

    def __enter__(self) -> RunWriter:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files.values():
            file.close()
        # Removed while it is still locked: once it is free, another process may hold a file of this name.
        with suppress(OSError):  # on a disk that has become read-only the file stays, which does no harm
            (self._folder / ".lock").unlink()
        self._lock.close()

    def open(self) -> None:
        """Open the tables for appending. What was not committed must have been cut off before (`recover`)."""
        for table in (name for name in self._kinds if name not in WHOLE):
            # Unbuffered, so that rows which a full disk refused are not written later, after those of other cases.
            file = self._files[table] = (self._folder / f"{table}.csv").open("ab", buffering=0)
            if file.tell() == 0:
                self._append([(table, _lines([dict.fromkeys(self._kinds[table])], self._kinds[table], header=True))])

    def commit(self, rows: Mapping[str, Iterable[Row]]) -> None:
        """Append all rows of one (case, launch), the commit log last."""
        log_last = sorted(self._files, key=lambda table: table == self._log)
        self._append((table, _lines(rows.get(table, ()), self._kinds[table])) for table in log_last)

    def write_whole(self, table: str, rows: Iterable[Row]) -> None:
        """Write one of the tables WHOLE; a column that a row leaves out is empty or 0."""
        kinds = self._kinds[table]
        defaults = {name: kind() for name, kind in kinds.items()}
        text = _lines([dict.fromkeys(kinds)], kinds, header=True) + _lines(
            (defaults | dict(row) for row in rows), kinds
        )
        replace_text(self._folder / f"{table}.csv", text)

    def _append(self, texts: Iterable[tuple[str, str]]) -> None:
        """Append each text to its table, in this order; if one cannot be written, undo the others."""
        before = {table: file.seek(0, os.SEEK_END) for table, file in self._files.items()}
        try:
            for table, text in texts:
                write_all(self._files[table], text, self._folder / f"{table}.csv")
        except OSError:
            for table, size in before.items():
                with suppress(OSError):  # what cannot be undone now, the next `recover` cuts off
                    self._files[table].truncate(size)
            raise


def write_verdicts(folder: Path, verdicts: pd.DataFrame, parameters: Mapping[str, type]) -> None:
    """Write verdicts.csv, whole or not at all. Values are coerced by its declaration, and checked on reading."""
    kinds = column_kinds(verdicts_schema(parameters))
    replace_text(folder / VERDICTS_FILE, table_text(verdicts, kinds))


def write_sides(folder: Path, sides: Mapping[str, Mapping[str, Any]]) -> None:
    """Write verdicts.json beside verdicts.csv, whole or not at all: name of a side -> facts that identify it."""
    replace_text(folder / SIDES_FILE, json.dumps({"schema": SCHEMA_VERSION, **sides}, indent=1) + "\n")


def append_history(path: Path, rows: pd.DataFrame, declared: pa.DataFrameSchema | None = None) -> None:
    """Append rows to history.csv, or to a history with another declaration.

    Processes that append at the same time take turns, and a half line left by a kill is cut off. A history that an
    earlier version or another program wrote is rewritten as this version writes it. Raises UserError, and leaves the
    file as it is, if the history cannot be read.
    """
    kinds = column_kinds(declared or history_schema())
    path.parent.mkdir(parents=True, exist_ok=True)
    header = _lines([dict.fromkeys(kinds)], kinds, header=True)
    with _open_alone(path) as file:
        first = _first_line(path)
        # Only a file with our header (perhaps cut short) or our columns is ours, and only from such a file is it safe
        # to cut off half a line.
        if header.startswith(first) or kinds.keys() >= set(first.strip().split(",")):
            cut_half_line(path)
        before = path.stat().st_size
        if before and first != header:
            whole = pd.concat([_history_so_far(path, declared), rows], ignore_index=True)
            replace_text(path, table_text(whole, kinds))
            return
        try:
            write_all(file, table_text(rows, kinds, header=before == 0), path)
        except OSError:
            file.truncate(before)
            raise


def _history_so_far(path: Path, declared: pa.DataFrameSchema | None) -> pd.DataFrame:
    try:
        return read_history(path) if declared is None else read_table(path, declared)
    except UserError as error:
        raise UserError(f"{error}; move this file away, and a new history is begun") from None


def _open_alone(path: Path) -> io.FileIO:
    """A history, opened for appending and locked until it is closed."""
    while True:
        file = path.open("ab", buffering=0)
        fcntl.flock(file, fcntl.LOCK_EX)
        if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
            return file
        file.close()  # another process replaced the file by a rewritten one while this one waited for the lock


def _first_line(path: Path) -> str:
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        return file.readline()


def _locked(path: Path) -> io.TextIOWrapper:
    """The lock of a folder, held until it is closed; its holder removes the file first. Raises Busy if another process
    has it, and OSError if there can be none."""
    while True:
        with naming(path):
            lock = path.open("w")
        try:
            with naming(path):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise Busy(f"{path.parent}: another run is writing here") from None
        except OSError:  # such as from a file system without locks
            lock.close()
            raise
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(lock.fileno()), path.stat()):
                return lock
        lock.close()  # the holder removed this file in the meantime, and a third process may have made a new one


def table_text(table: pd.DataFrame, kinds: Mapping[str, Any], header: bool = True) -> str:
    """The text of a table: the columns of `kinds`, coerced to their types, below a header."""
    rows = [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]
    return (_lines([dict.fromkeys(kinds)], kinds, header=True) if header else "") + _lines(rows, kinds)


def _lines(rows: Iterable[Row], kinds: Mapping[str, Any], header: bool = False) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    for row in rows:
        writer.writerow(list(kinds) if header else [_text(kind(row[name])) for name, kind in kinds.items()])
    return buffer.getvalue()


def _text(value: object) -> str:
    if isinstance(value, str):
        return _cell(value)
    return repr(value) if isinstance(value, float) else str(value)  # the repr of a float round-trips


@lru_cache(maxsize=1024)  # most texts are words of a key, the same in row after row
def _cell(text: str) -> str:
    """The text of a field, made safe: one line, without NUL, and nothing that a spreadsheet would run.

    A row must be a line, because `recover` cuts tables line by line; some readers end a field at a NUL.
    """
    utf8 = text.encode(errors="backslashreplace").decode()  # half a surrogate pair cannot be encoded
    return neutral(utf8.replace("\r", " ").replace("\n", " ").replace("\0", r"\x00"))
