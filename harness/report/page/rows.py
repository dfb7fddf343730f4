"""The rows that the page carries, as compact JSON: summaries of a run's tables, its raw rounds, its figures of error.

Every row is of a cell, which is told once: the tables point to it. Text is told once too: a column of text is its
distinct words and their places.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from harness.report.page.compared import Comparison
from harness.tables import Run
from harness.verdicts.ratios import multiples_of_read, speedups

RAW_ROUNDS = 200_000
"""Blocks that a page carries at most: more are sampled, which its reader is told."""

DIGITS = 6
"""Significant digits of a figure on the page: the tables have them all."""

BAND = (0.05, 0.95)
"""Quantiles over the blocks of a cell's phase between which the band of its seconds lies."""

TIME, ROUNDS, MEMORY, ERROR, VERDICTS = "time", "rounds", "memory", "error", "verdicts"

CELL = "cell"
CELL_AND_PHASE = ["case", "method", "phase"]


@dataclass(frozen=True)
class Carried:
    """What the page carries of a run: cells, tables whose column `cell` points to them, and how many blocks it had."""

    cells: pd.DataFrame
    tables: Mapping[str, pd.DataFrame]
    blocks: int


def carried(run: Run, standings: pd.DataFrame, comparison: Comparison | None, rounds: int) -> Carried:
    """The rows of a run, of its blocks at most `rounds`, and of the comparison whose head it is; standings: what
    verdicts.fastest.standings() says of its times."""
    key = list(run.cells.columns[: list(run.cells.columns).index("launch")])
    tables = {
        TIME: _times(run.timings, standings),
        ROUNDS: _sample(run.timings.drop(columns=["position"]), rounds),
        MEMORY: _memory(run.memory, key),
        ERROR: run.discrepancies,
    }
    if comparison is not None and comparison.verdicts is not None:
        tables[VERDICTS] = comparison.verdicts
    tables = {name: table for name, table in tables.items() if not table.empty}
    cells = pd.concat([run.cells[key], *(table[key] for table in tables.values())]).drop_duplicates(ignore_index=True)
    places = cells[["case", "method"]].assign(cell=np.arange(len(cells)))
    pointing = {
        name: places.merge(table.drop(columns=key[2:]), on=["case", "method"], how="right").drop(columns=key[:2])
        for name, table in tables.items()
    }
    return Carried(cells, pointing, len(run.timings))


def packed(runs: Sequence[tuple[str, Carried]]) -> str:
    """Every (label, rows) as base64 of gzip of JSON: {runs: [{label, blocks, cells, tables: {name: columns}}]}."""
    told = [
        {
            "label": label,
            "blocks": each.blocks,
            "cells": _columns(each.cells),
            "tables": {name: _columns(table) for name, table in each.tables.items()},
        }
        for label, each in runs
    ]
    text = json.dumps({"runs": told}, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def _times(timings: pd.DataFrame, standings: pd.DataFrame) -> pd.DataFrame:
    """A row a cell's phase: the median block and its band, the speed-up and the multiple of one read with intervals,
    and what the look-up may say of it, if anything."""
    if timings.empty:
        return timings
    key = list(timings.columns[: list(timings.columns).index("clock") + 1])
    blocks = timings.groupby(key, sort=False)["seconds"]
    table = blocks.median().to_frame()
    table["seconds_low"], table["seconds_high"] = (blocks.quantile(share) for share in BAND)
    table["blocks"] = blocks.size()
    faster = speedups(timings).rename(columns={"low": "speedup_low", "high": "speedup_high"})
    reads = multiples_of_read(timings).rename(columns={"low": "multiple_low", "high": "multiple_high"})
    table = table.reset_index().merge(faster, on=key, how="left")
    table = table.merge(reads.drop(columns="launches"), on=key, how="left")
    by = [*CELL_AND_PHASE, "clock"]
    table = table.merge(standings[[*by, "standing"]], on=by, how="left").fillna({"standing": ""})
    figures = [f"{name}{end}" for name in ("seconds", "speedup", "multiple") for end in ("", "_low", "_high")]
    return table[[*key, *figures, "blocks", "launches", "standing"]]


def _memory(memory: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    """A row a cell's phase: the least bytes, and the median and range over launches of the peak."""
    peaks = memory.groupby([*key, "phase"], sort=False)["peak_bytes"]
    table = memory.groupby([*key, "phase"], sort=False)["min_bytes"].max().to_frame()
    return table.assign(
        peak_bytes=peaks.median(), peak_bytes_low=peaks.min(), peak_bytes_high=peaks.max()
    ).reset_index()


def _sample(blocks: pd.DataFrame, most: int) -> pd.DataFrame:
    """At most so many blocks, drawn without replacement, in their order."""
    return blocks if len(blocks) <= most else blocks.sample(most, random_state=0).sort_index()


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
