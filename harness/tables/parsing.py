"""Parses a CSV table, also one that another program has saved again; what cannot be read without guessing is an error.

pandas, polars, R, DuckDB and spreadsheets may save a table with quotes around numbers, NaN as an empty field or as a
word of their own, a byte-order mark, CRLF, TRUE for True, or 1e+05 for 100000.
"""

from __future__ import annotations

import csv
import gzip
import io
import os
from collections.abc import Mapping
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd

from harness.errors import shortened
from harness.outside_text import decoded, refuse_other_encoding
from harness.tables.files import COMPRESSED

EXACT_FLOATS: dict[str, Any] = (
    {"float_precision": "round_trip"} if tuple(map(int, pd.__version__.split(".")[:2])) < (3, 1) else {}
)
"""From pandas 3.1 on every float is read exactly, and the option is deprecated."""

MISSING = frozenset(("", "nan", "-nan", "na", "n/a", "<na>", "null", "none"))
"""NaN in a column of numbers, in any case. In a column of text these are text: a method may be called null."""

TRUTHS = {"true": True, "false": False}

ROUNDED = b"E+"
"""How a spreadsheet writes the exponent of a number that it has rounded to the width of its cell. Programs that write
floats exactly, such as R, write a small e."""

EXACT_IN_A_FLOAT = 1 << 53
"""A whole number beyond this that was saved with a point or an exponent may have lost digits."""

MISREAD = (b"\0", ROUNDED)
"""A table that contains one of these, even in a text, is read line by line: pandas could misread it (`_is_plain`)."""

CHUNK_BYTES = 1 << 20

Kinds = Mapping[str, type]


def opened(path: Path) -> BinaryIO:
    """The bytes of a table, decompressed if need be."""
    return io.BytesIO(gzip.decompress(path.read_bytes())) if path.suffix == COMPRESSED else path.open("rb")


def parse(file: BinaryIO, kinds: Kinds) -> pd.DataFrame:
    """The columns of a table, typed. kinds: column -> its type; a column that is not among them is text.

    Raises ValueError for a value that is not of its type, with the line, the column and the value.
    """
    refuse_other_encoding(file.read(4))  # before the next check, since other encodings end a line with other bytes
    # A table whose last line has no end was cut off. It is refused, because half a number can be a number too.
    file.seek(max(0, file.seek(0, os.SEEK_END) - 1))
    if file.read() not in (b"", b"\n"):
        raise ValueError("its last line is cut off")
    if _is_plain(file, kinds):
        missing = {name: ["nan"] for name, kind in kinds.items() if kind is float}
        try:
            return pd.read_csv(
                file, dtype=dict(kinds), keep_default_na=False, na_values=missing, encoding="utf-8", **EXACT_FLOATS
            )
        except (ValueError, OverflowError):
            pass  # line by line, the table can be read after all, or the error names the line
    file.seek(0)
    return _by_line(decoded(file.read()), kinds)


def line_of(file: BinaryIO, row: int) -> int:
    """The number of the line on which a row of a table ends; lines count from 1, rows from 0."""
    file.seek(0)
    text = io.TextIOWrapper(file, "utf-8", "replace", newline="")
    lines = csv.reader(text)
    number = next(islice((lines.line_num for fields in lines if fields), row + 1, None))
    text.detach()  # else the wrapper closes the file when it is collected
    return number


def _is_plain(file: BinaryIO, kinds: Kinds) -> bool:
    """Whether pandas reads the table correctly or raises an error; leaves the file at its beginning.

    pandas silently misreads three things: it ends a text at a NUL, takes True in a column of numbers for 1, and takes
    a whole number that a spreadsheet has rounded to six digits for the rounded one.
    """
    file.seek(0)
    head = file.read(CHUNK_BYTES)
    fields = list(islice(csv.reader(head.decode(errors="replace").splitlines()), 2))
    truths = len(fields) == 2 and any(
        kinds.get(name, str) in (int, float) and field.strip().lower() in TRUTHS
        for name, field in zip(*fields, strict=False)
    )
    chunk, before = head, b""
    while chunk and not any(word in before + chunk for word in MISREAD):
        chunk, before = file.read(CHUNK_BYTES), chunk[-1:]
    file.seek(0)
    return not chunk and not truths


def _by_line(text: str, kinds: Kinds) -> pd.DataFrame:
    """The same as `parse`, one line at a time."""
    lines = csv.reader(io.StringIO(text, newline=""))
    try:
        names = next(lines, [])
        columns: dict[str, list[Any]] = {name: [] for name in names}
        for fields in lines:
            if not fields:
                continue
            if len(fields) != len(names):
                raise ValueError(f"line {lines.line_num} has {len(fields)} fields, and the header {len(names)}")
            for name, field in zip(names, fields, strict=True):
                columns[name].append(_value(field, kinds.get(name, str), f"line {lines.line_num}, column '{name}'"))
    except csv.Error as error:
        raise ValueError(f"line {lines.line_num}: {error}") from None
    if len(columns) != len(names):
        raise ValueError("two columns have the same name")
    return pd.DataFrame({name: pd.Series(values, dtype=kinds.get(name, str)) for name, values in columns.items()})


def _value(field: str, kind: type, where: str) -> object:
    """The value of a field. Raises ValueError if the field is not of this type, or has lost digits."""
    if kind is str:
        return field
    word = field.strip()
    if kind is bool and word.lower() in TRUTHS:
        return TRUTHS[word.lower()]
    if kind is float and word.lower() in MISSING:
        return float("nan")
    if kind in (int, float) and word.isascii() and "_" not in word:
        try:
            return float(word) if kind is float else _whole(word)
        except (ValueError, ArithmeticError):
            pass
    expected = {bool: "true or false", int: "a whole number", float: "a number"}[kind]
    raise ValueError(f"{where}: {shortened(repr(field))} is not {expected}")


def _whole(word: str) -> int:
    """A whole number, also as programs write it that have only floats: 5.0, 1e+05."""
    if word.lstrip("+-").isdigit():
        return int(word)
    if ROUNDED.decode() in word:
        raise ValueError
    number = Decimal(word)
    if number != number.to_integral_value() or abs(number) >= EXACT_IN_A_FLOAT:
        raise ValueError
    return int(number)
