"""The rows that a page carries, as compact JSON.

Each cell is written once, and the rows of the tables point to it. A column of text is written as its distinct words and
the places at which they stand.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

DIGITS = 6
"""Significant digits of a number on the page; the CSV files have all of them."""

CELL = ["case", "method"]


@dataclass(frozen=True)
class Carried:
    """The rows that a page carries of one run, or of the history of one study.

    cells: one row for each cell; tables: their column `cell` holds the place of a row's cell in `cells`; blocks: how
    many were measured (the page may carry only a sample of them); more: other values for the page's script, in
    JSON's types.
    """

    cells: pd.DataFrame
    tables: Mapping[str, pd.DataFrame]
    blocks: int = 0
    more: Mapping[str, Any] = field(default_factory=dict)


def pointed(
    tables: Mapping[str, pd.DataFrame], key: Sequence[str], cells: pd.DataFrame | None = None
) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """The cells of some tables that begin with the columns `key`, and the tables with a column `cell`, a place in these
    cells, instead of `key`. cells: cells that come first, whether or not a table has rows of them."""
    known = [] if cells is None else [cells[[*key]]]
    cells = pd.concat([*known, *(table[[*key]] for table in tables.values())]).drop_duplicates(ignore_index=True)
    places = cells[CELL].assign(cell=np.arange(len(cells)))
    others = [name for name in key if name not in CELL]
    return cells, {
        name: places.merge(table.drop(columns=others), on=CELL, how="right").drop(columns=CELL)
        for name, table in tables.items()
    }


def packed(runs: Sequence[tuple[str, Carried]]) -> str:
    """All (label, rows) as base64 of gzip of JSON: {runs: [{label, blocks, cells, tables: {name: columns}}]}; the keys
    of `more` stand beside these four."""
    content = [
        dict(rows.more)
        | {
            "label": label,
            "blocks": rows.blocks,
            "cells": _columns(rows.cells),
            "tables": {name: _columns(table) for name, table in rows.tables.items()},
        }
        for label, rows in runs
    ]
    text = json.dumps({"runs": content}, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()  # no time, so equal rows give equal pages


def _columns(table: pd.DataFrame) -> dict[str, Any]:
    return {str(name): _column(table[name]) for name in table if not table[name].isna().all()}


def _column(values: pd.Series) -> Any:
    """Numbers as a list, with DIGITS digits, in which NaN is null and infinity is text; text as {words, at}."""
    if values.dtype == bool or not pd.api.types.is_numeric_dtype(values):
        places, words = pd.factorize(values.astype(str))
        return {"words": list(words), "at": places.tolist()}
    if pd.api.types.is_integer_dtype(values):
        return values.tolist()
    return [_number(value) for value in values.tolist()]


def _number(value: float) -> float | str | None:
    if value != value:
        return None
    return float(f"{value:.{DIGITS}g}") if np.isfinite(value) else str(value)
