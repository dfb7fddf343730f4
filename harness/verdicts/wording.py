"""Verdicts in words: what one is of, its figures, its reason. Every reader tells them alike."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from itertools import takewhile
from typing import Any

import pandas as pd

from harness.machine import DIRTY, Revision
from harness.study.cells import Case
from harness.verdicts.comparison import FAILING, counts
from harness.verdicts.judge import BETWEEN
from harness.vocabulary import BROKEN

USUAL = {field.name: field.default for field in fields(Case)}
TOLD = ("n", "k", "rows", "d", "dtype", "device")

NUMBER = re.compile(r"\d+(\.\d*)?(e[+-]?\d+)?")
"""What differs between reasons that say the same of other sizes."""

NAMED_METHODS = 4
"""Of a line of reasons: more methods than these are counted."""

Row = Mapping[Any, Any]


def counts_text(verdicts: pd.DataFrame) -> str:
    """How many quantities, and how many of each verdict, the gravest first."""
    told = ", ".join(f"{count} {word}" for word, count in counts(verdicts).items())
    return f"{quantities_text(len(verdicts))}: {told}"


def quantities_text(count: int) -> str:
    """1 quantity, 2 quantities."""
    return f"{count} {'quantity' if count == 1 else 'quantities'}"


def failures_text(verdicts: pd.DataFrame) -> str:
    """How many quantities failed, by verdict, or that none did."""
    told = ", ".join(f"{count} {word}" for word, count in counts(verdicts).items() if word in FAILING)
    return told or "nothing slower, worse or lost"


def status_lines(cells: pd.DataFrame, most: int) -> Iterator[str]:
    """A line for each kind of reason for which cells have no figures, or have them in spite of it, with its methods and
    how many cells it is of: the broken ones first, then the most frequent; at most so many lines, and how many more
    there are."""
    told = cells[(cells["status"] != "ok") | (cells["reason"] != "")]
    told = told.drop_duplicates(["case", "method", "status", "reason"], keep="last")
    alike = told["reason"].str.replace(NUMBER, "", regex=True).rename("alike")
    groups = [rows for _, rows in told.groupby(["status", alike], sort=False)]
    groups.sort(key=lambda rows: (rows["status"].iloc[0] not in BROKEN, -_cells(rows)))
    for rows in groups[:most]:
        number, reasons, methods = _cells(rows), rows["reason"].unique(), rows["method"].unique()
        named = ", ".join(methods) if len(methods) <= NAMED_METHODS else f"{len(methods)} methods"
        of = f"{named}: {number} {'cell' if number == 1 else 'cells'} {rows['status'].iloc[0]}"
        yield f"{of}{', such as' if len(reasons) > 1 else ''}: {reasons[-1]}"
    if left := groups[most:]:
        cut = sum(map(_cells, left))
        yield f"and {cut} more cells, for {len(left)} more reasons: see cells.csv"


def _cells(rows: pd.DataFrame) -> int:
    return len(rows.drop_duplicates(["case", "method"]))


def case_name(axes: Row) -> str:
    """A case in words that no other case of its study has: what every case tells, then what is not as usual."""
    shape = f"n={axes['n']} k={axes['k']} rows={axes['rows']} d={axes['d']} {axes['dtype']} {axes['device']}"
    others = [f"{name}={value}" for name, value in axes.items() if name not in TOLD and value != USUAL.get(str(name))]
    return " ".join([shape, *others])


def axes_of(row: Row, first: str) -> dict[str, Any]:
    """The axes and the study's own parameters of a row of a table: what stands between `method` and `first`."""
    key = list(takewhile(lambda name: name != first, row))
    return {str(name): row[name] for name in key[key.index("method") + 1 :]}


def quantity_name(row: Row) -> str:
    """What a verdict is of, in words; of a test of a suite its id."""
    if "test" in row:
        return str(row["test"])
    return f"{row['method']} {case_name(axes_of(row, 'kind'))}, {quantity_of(row)}"


def quantity_of(row: Row) -> str:
    """The same without the cell."""
    kind = str(row["kind"])
    if kind == "time":
        return f"{row['clock']} time of {row['phase']}"
    if kind in ("memory", "instructions"):
        return f"{kind} of {row['phase']}"
    return f"{row['metric']} of {row['tensor']} against {row['reference']}" if kind == "error" else "the cell"


def figures_text(row: Row) -> str:
    """The ratio with its interval; the two figures of an error, and of a peak that every launch repeats; or ''."""
    if row["kind"] == "error":
        return f"{row['base']:.4g} -> {row['head']:.4g}"
    if row["kind"] not in ("time", "memory", "instructions") or row["ratio"] != row["ratio"]:
        return ""
    if row["kind"] == "memory" and row["low"] == row["high"]:
        return f"{row['base']:.0f} -> {row['head']:.0f} bytes"
    digits = 4 if row["kind"] == "instructions" else 3  # counts differ by less
    interval = "" if row["low"] != row["low"] else f" ({row['low']:.{digits}f}..{row['high']:.{digits}f})"
    return f"{row['ratio']:.{digits}f}x{interval}"


def ratio_text(row: Row) -> str:
    """The ratio with its interval, or with the figures where every launch repeats them; the verdict where it is NaN."""
    if row["ratio"] != row["ratio"]:
        return "; ".join(filter(None, (str(row["verdict"]), str(row["reason"]))))
    if row["low"] < row["high"]:
        return f"{row['ratio']:.3f}x ({row['low']:.3f}..{row['high']:.3f})"
    figures = f"{row['base']:.4g} -> {row['head']:.4g}"
    return f"{row['ratio']:.3f}x ({figures})" if math.isfinite(row["ratio"]) else figures


def commit_label(commit: object) -> str:
    """A commit of a history in short; it says where there were changes in no commit."""
    commit = str(commit)
    return Revision(commit.removesuffix(DIRTY), commit.endswith(DIRTY)).label


def change_text(row: Row) -> str:
    """The figures and the reason, as far as there are any; a reason that has the figures stands alone."""
    reason = str(row["reason"])
    return reason if reason.startswith(BETWEEN) else "; ".join(filter(None, (figures_text(row), reason)))
