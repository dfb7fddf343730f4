"""What a page carries, as compact JSON.

Every row is of a cell, which is told once: the tables point to it. Text is told once too: a column of text is its
distinct words and their places.
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
"""Significant digits of a figure on the page: the tables have them all."""

CELL = ["case", "method"]


@dataclass(frozen=True)
class Carried:
    """What a page carries of a run or of a study: cells, tables whose column `cell` points to them, how many blocks
    were measured, and whatever else its script needs, as JSON has it."""

    cells: pd.DataFrame
    tables: Mapping[str, pd.DataFrame]
    blocks: int = 0
    more: Mapping[str, Any] = field(default_factory=dict)


def pointed(
    tables: Mapping[str, pd.DataFrame], key: Sequence[str], cells: pd.DataFrame | None = None
) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """The cells of tables that begin with the columns `key`, and the tables without these, with the column `cell` that
    says which cell a row is of. cells: those that come first, and need not be in any table."""
    known = [] if cells is None else [cells[[*key]]]
    cells = pd.concat([*known, *(table[[*key]] for table in tables.values())]).drop_duplicates(ignore_index=True)
    places = cells[CELL].assign(cell=np.arange(len(cells)))
    others = [name for name in key if name not in CELL]
    return cells, {
        name: places.merge(table.drop(columns=others), on=CELL, how="right").drop(columns=CELL)
        for name, table in tables.items()
    }


def packed(runs: Sequence[tuple[str, Carried]]) -> str:
    """Every (label, rows) as base64 of gzip of JSON: {runs: [{label, blocks, cells, tables: {name: columns}}]}, with
    the keys of `more` beside these."""
    told = [
        dict(each.more)
        | {
            "label": label,
            "blocks": each.blocks,
            "cells": _columns(each.cells),
            "tables": {name: _columns(table) for name, table in each.tables.items()},
        }
        for label, each in runs
    ]
    text = json.dumps({"runs": told}, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def _columns(table: pd.DataFrame) -> dict[str, Any]:
    return {str(name): _column(table[name]) for name in table if not table[name].isna().all()}


def _column(values: pd.Series) -> Any:
    """Numbers as they are, to DIGITS digits; text as {words, at}; what is not finite as null or as text."""
    if values.dtype == bool or not pd.api.types.is_numeric_dtype(values):
        places, words = pd.factorize(values.astype(str))
        return {"words": list(words), "at": places.tolist()}
    if pd.api.types.is_integer_dtype(values):
        return values.tolist()
    return [_number(each) for each in values.tolist()]


def _number(value: float) -> float | str | None:
    if value != value:
        return None
    return float(f"{value:.{DIGITS}g}") if np.isfinite(value) else str(value)
