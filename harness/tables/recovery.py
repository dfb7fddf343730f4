"""A run that was stopped is cut back to what was committed, line by line, whatever byte it was stopped at."""

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

csv.field_size_limit(sys.maxsize)  # a reason may be of any length


def recover(folder: Path, planned: Mapping[str, int]) -> set[tuple[int, str]]:
    """Cut off whatever was not committed, and return the (launch, case) that were.

    planned: case -> number of its cells. A (launch, case) is committed when cells.csv has them all. The tables are read
    line by line, and one in which there is nothing to cut is not written. Raises UserError where a line is damaged
    otherwise than by a kill, or is of a case that is not planned: what was measured must not be taken for what was not
    committed.
    """
    for table in TABLES:
        cut_half_line(folder / f"{table}.csv")
    counted = Counter(key for _, key in _keyed_lines(folder / f"{LOG}.csv"))
    for (_, case), count in counted.items():
        if count > planned.get(case, 0):
            raise UserError(f"{folder / LOG}.csv: case {case} has {count} cells, planned are {planned.get(case, 0)}")
    committed = {key for key, count in counted.items() if count == planned.get(key[1])}
    for table in (each for each in TABLES if each not in WHOLE):
        path = folder / f"{table}.csv"
        if any(key not in committed for _, key in _keyed_lines(path)):
            _keep(path, (line for line, key in _keyed_lines(path) if key in committed))
    return committed


def _keyed_lines(path: Path) -> Iterator[tuple[bytes, tuple[int, str]]]:
    """Every line of a table after its header, with its (launch, case); a table without launches is of the first.

    Raises UserError for a line that nobody can have written, rather than to cut it off.
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
                at = "1" if launch is None else fields[launch]
                if len(fields) != len(names) or not (re.fullmatch(CASE, fields[case]) and at.isdecimal()):
                    raise ValueError
                yield line, (int(at), fields[case])
        except (ValueError, IndexError, csv.Error):
            raise UserError(f"{path}: line {number} is damaged: mend it, or begin a new run") from None


def _fields(line: bytes) -> list[str]:
    text = line.decode()
    return next(csv.reader([text])) if '"' in text else text.rstrip("\r\n").split(",")


def _keep(path: Path, lines: Iterable[bytes]) -> None:
    """Replace a table by its header and these lines of it, whole or not at all."""
    with path.open("rb") as file, replacing(path) as kept:
        kept.write(file.readline())
        kept.writelines(lines)
