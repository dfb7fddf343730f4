"""The rows that the page of a report carries of a run: summaries of its times and memory, raw blocks, and errors."""

from __future__ import annotations

import pandas as pd

from harness.page.compared import Comparison
from harness.page.packing import Carried, pointed
from harness.tables import Run
from harness.verdicts.ratios import PHASE_OF_CELL, multiples_of_read, speedups

RAW_ROUNDS = 200_000
"""Blocks that a page carries at most. Of more it carries a random sample, and says so."""

BAND = (0.05, 0.95)
"""Quantiles over the blocks of a cell's phase between which the band of its seconds lies."""

TIME, ROUNDS, MEMORY, ERROR, VERDICTS = "time", "rounds", "memory", "error", "verdicts"


def carried(run: Run, standings: pd.DataFrame, comparison: Comparison | None, rounds: int) -> Carried:
    """The rows of a run, with at most `rounds` of its blocks.

    standings: the result of verdicts.fastest.standings() for its times; comparison: the one whose head the run is, if
    any, whose verdicts are added.
    """
    key = list(run.cells.columns[: list(run.cells.columns).index("launch")])
    tables = {
        TIME: _times(run.timings, standings),
        ROUNDS: sampled(run.timings.drop(columns=["position"]), rounds),
        MEMORY: _memory(run.memory, key),
        ERROR: run.discrepancies,
    }
    if comparison is not None and comparison.verdicts is not None:
        tables[VERDICTS] = comparison.verdicts
    tables = {name: table for name, table in tables.items() if not table.empty}
    cells, pointing = pointed(tables, key, run.cells)
    return Carried(cells, pointing, len(run.timings))


def _times(timings: pd.DataFrame, standings: pd.DataFrame) -> pd.DataFrame:
    """One row for each phase of a cell: the median block and its band, the speed-up and the multiple of one read with
    their intervals, and its standing, '' where the method does not compete."""
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
    by = [*PHASE_OF_CELL, "clock"]
    table = table.merge(standings[[*by, "standing"]], on=by, how="left").fillna({"standing": ""})
    figures = [f"{name}{end}" for name in ("seconds", "speedup", "multiple") for end in ("", "_low", "_high")]
    return table[[*key, *figures, "blocks", "launches", "standing"]]


def _memory(memory: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    """One row for each phase of a cell: the least bytes that it must move, and the median and the range over launches
    of its peak, in bytes."""
    peaks = memory.groupby([*key, "phase"], sort=False)["peak_bytes"]
    table = memory.groupby([*key, "phase"], sort=False)["min_bytes"].max().to_frame()
    return table.assign(
        peak_bytes=peaks.median(), peak_bytes_low=peaks.min(), peak_bytes_high=peaks.max()
    ).reset_index()


def sampled(blocks: pd.DataFrame, most: int) -> pd.DataFrame:
    """At most `most` of the blocks, drawn at random without replacement (always the same ones), in their order."""
    return blocks if len(blocks) <= most else blocks.sample(most, random_state=0).sort_index()
