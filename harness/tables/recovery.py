"""Cuts the tables of a stopped run back to what was committed, at whatever byte the run was stopped."""

from __future__ import annotations

import csv
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from harness.errors import UserError
from harness.tables.files import cut_half_line, replacing
from harness.tables.schema import CASE, LOG, TABLES, WHOLE

csv.field_size_limit(sys.maxsize)  # a reason may have any length, and csv's default limit is 128 KiB


def recover(folder: Path, planned: Mapping[str, int]) -> set[tuple[int, str]]:
    """Cut off whatever was not committed; returns the committed (launch, case) pairs.

    planned: case -> number of its cells. A (launch, case) is committed if cells.csv has all its cells. A table in which
    there is nothing to cut is not rewritten. Raises UserError for a line that a kill cannot have left, or whose case is
    not planned: measured rows must not be cut off as if they were uncommitted.
    """
    for table in TABLES:
        cut_half_line(folder / f"{table}.csv")
    counted = Counter(key for _, key in _keyed_lines(folder / f"{LOG}.csv"))
    for (_, case), count in counted.items():
        if count > planned.get(case, 0):
            raise UserError(f"{folder / LOG}.csv: case {case} has {count} cells, {planned.get(case, 0)} are planned")
    committed = {key for key, count in counted.items() if count == planned.get(key[1])}
    for table in (name for name in TABLES if name not in WHOLE):
        path = folder / f"{table}.csv"
        if any(key not in committed for _, key in _keyed_lines(path)):
            _keep(path, (line for line, key in _keyed_lines(path) if key in committed))
    return committed


def _keyed_lines(path: Path) -> Iterator[tuple[bytes, tuple[int, str]]]:
    """Every line of a table after its header, with its (launch, case); without a column launch, launch is 1.

    Raises UserError for a line that no writer can have written, instead of cutting it off.
    """
    if not path.exists() or not path.stat().st_size:
        return
    with path.open("rb") as file:
        number = 1
        try:
            names = _fields(file.readline())
            case, launch = names.index("case"), names.index("launch") if "launch" in names else None
            for line in file:
                number += 1
                if not line.strip():
                    continue
                fields = _fields(line)
                number_of_launch = "1" if launch is None else fields[launch]
                well_formed = re.fullmatch(CASE, fields[case]) and number_of_launch.isdecimal()
                if len(fields) != len(names) or not well_formed:
                    raise ValueError
                yield line, (int(number_of_launch), fields[case])
        except (ValueError, IndexError, csv.Error):
            raise UserError(f"{path}: line {number} is damaged: mend it, or begin a new run") from None


def _fields(line: bytes) -> list[str]:
    text = line.decode()
    return next(csv.reader([text])) if '"' in text else text.rstrip("\r\n").split(",")


def _keep(path: Path, lines: Iterable[bytes]) -> None:
    """Replace a table by its header and these of its lines, whole or not at all."""
    with path.open("rb") as file, replacing(path) as kept:
        kept.write(file.readline())
        kept.writelines(lines)
