"""Puts verdicts into words: the name of a quantity, its figures, its reason. All readers use these words."""

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
from harness.verdicts.judge import UNCONFIRMED, UNSURE
from harness.vocabulary import BROKEN, many

DEFAULTS = {field.name: field.default for field in fields(Case)}
ALWAYS_NAMED = ("n", "k", "rows", "d", "dtype", "device")
"""The axes in the name of every case; the others are named only where they differ from DEFAULTS."""

NUMBER = re.compile(r"\d+(\.\d*)?(e[+-]?\d+)?")
"""Numbers, which differ between reasons that say the same about other sizes."""

NAMED_METHODS = 4
"""A line of reasons names at most this many methods; more are only counted."""

Row = Mapping[Any, Any]


def counts_text(verdicts: pd.DataFrame) -> str:
    """The number of quantities, and that of each verdict, such as '3 quantities: 1 slower, 2 same'; gravest first."""
    by_verdict = ", ".join(f"{count} {word}" for word, count in counts(verdicts).items())
    return f"{quantities_text(len(verdicts))}: {by_verdict or 'nothing was measured on both sides'}"


def quantities_text(count: int) -> str:
    """'1 quantity', '2 quantities'."""
    return many(count, "quantity", "quantities")


def failures_text(verdicts: pd.DataFrame) -> str:
    """The number of failed quantities by verdict, such as '1 slower', or words that say that none failed."""
    failed = ", ".join(f"{count} {word}" for word, count in counts(verdicts).items() if word in FAILING)
    return failed or "nothing slower, worse or lost"


def two_digits(value: float, zeros: bool = True) -> str:
    """A ratio with two significant digits, such as '0.95' or '1.0'; from 10 on the nearest integer, such as '120'.

    zeros: whether zeros at the end are kept, as a column of numbers needs them.
    """
    if value >= 9.95:  # from here on #.2g writes '10.', and from 100 on both formats write '1.2e+02'
        return f"{value:.0f}"
    return f"{value:#.2g}" if zeros else f"{value:.2g}"


def status_lines(cells: pd.DataFrame, most: int) -> Iterator[str]:
    """A line for each kind of reason among cells that are not ok, or are ok with a reason.

    A line has the methods, the number of cells, and a reason as an example. Broken cells come first, then the most
    frequent reasons. After `most` lines one more line counts the rest.
    """
    listed = cells[(cells["status"] != "ok") | (cells["reason"] != "")]
    listed = listed.drop_duplicates(["case", "method", "status", "reason"], keep="last")
    alike = listed["reason"].str.replace(NUMBER, "", regex=True).rename("alike")
    groups = [rows for _, rows in listed.groupby(["status", alike], sort=False)]
    groups.sort(key=lambda rows: (rows["status"].iloc[0] not in BROKEN, -_cells(rows)))
    for rows in groups[:most]:
        number, reasons, methods = _cells(rows), rows["reason"].unique(), rows["method"].unique()
        named = ", ".join(methods) if len(methods) <= NAMED_METHODS else f"{len(methods)} methods"
        subject = f"{named}: {many(number, 'cell')} {rows['status'].iloc[0]}"
        yield f"{subject}{', such as' if len(reasons) > 1 else ''}: {reasons[-1]}"
    if left := groups[most:]:
        cut = sum(map(_cells, left))
        yield f"and {many(cut, 'more cell')}, for {many(len(left), 'more reason')}: see cells.csv"


def _cells(rows: pd.DataFrame) -> int:
    return len(rows.drop_duplicates(["case", "method"]))


def case_name(axes: Row) -> str:
    """A name for a case that is unique in its study: the axes ALWAYS_NAMED, then those that differ from DEFAULTS."""
    shape = f"n={axes['n']} k={axes['k']} rows={axes['rows']} d={axes['d']} {axes['dtype']} {axes['device']}"
    unusual = {name: value for name, value in axes.items() if value != DEFAULTS.get(str(name))}
    return " ".join([shape, *(f"{name}={value}" for name, value in unusual.items() if name not in ALWAYS_NAMED)])


def axes_of(row: Row, first: str) -> dict[str, Any]:
    """The axes and the study's own parameters in a row of a table: its columns between `method` and `first`."""
    key = list(takewhile(lambda name: name != first, row))
    return {str(name): row[name] for name in key[key.index("method") + 1 :]}


def quantity_name(row: Row) -> str:
    """The name of a quantity: method, case and what was measured; of a test of a suite its id."""
    if "test" in row:
        return str(row["test"])
    return f"{row['method']} {case_name(axes_of(row, 'kind'))}, {quantity_of(row)}"


def quantity_of(row: Row) -> str:
    """The name of a quantity without its cell, such as 'wall time of forward' or 'ulp_max of dx against exact'."""
    kind = str(row["kind"])
    if kind == "time":
        return f"{row['clock']} time of {row['phase']}"
    if kind in ("memory", "instructions"):
        return f"{kind} of {row['phase']}"
    return f"{row['metric']} of {row['tensor']} against {row['reference']}" if kind == "error" else "the cell"


def figures_text(row: Row) -> str:
    """The ratio with its interval; for an error, or a peak that every launch repeats, the two figures; or ''."""
    if row["kind"] == "error":
        known = row["base"] == row["base"] or row["head"] == row["head"]  # a quantity that one side lacks has neither
        return f"{row['base']:.4g} -> {row['head']:.4g}" if known else ""
    if row["kind"] not in ("time", "memory", "instructions") or row["ratio"] != row["ratio"]:
        return ""
    if row["kind"] == "memory" and row["low"] == row["high"]:
        return f"{row['base']:.0f} -> {row['head']:.0f} bytes"
    digits = 4 if row["kind"] == "instructions" else 3  # counts differ by less
    interval = "" if row["low"] != row["low"] else f" ({row['low']:.{digits}f}..{row['high']:.{digits}f})"
    return f"{row['ratio']:.{digits}f}x{interval}"


def ratio_text(row: Row) -> str:
    """The ratio with its interval, or with both figures if every launch repeats them; without a ratio the verdict."""
    if row["ratio"] != row["ratio"]:
        return "; ".join(filter(None, (str(row["verdict"]), str(row["reason"]))))
    if row["low"] < row["high"]:
        return f"{row['ratio']:.3f}x ({row['low']:.3f}..{row['high']:.3f})"
    figures = f"{row['base']:.4g} -> {row['head']:.4g}"
    return f"{row['ratio']:.3f}x ({figures})" if math.isfinite(row["ratio"]) else figures


def commit_label(commit: object) -> str:
    """The short form of a commit in a history, with -dirty at its end if there were uncommitted changes."""
    commit = str(commit)
    return Revision(commit.removesuffix(DIRTY), commit.endswith(DIRTY)).label


def change_text(row: Row) -> str:
    """The figures and the reason, as far as there are any; a reason that contains the figures stands alone."""
    reason = str(row["reason"])
    return reason if reason.startswith((UNSURE, UNCONFIRMED)) else "; ".join(filter(None, (figures_text(row), reason)))
