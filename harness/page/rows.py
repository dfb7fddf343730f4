"""The rows that the page of a report carries: summaries of a run's tables, its raw rounds, its figures of error."""

from __future__ import annotations

import pandas as pd

from harness.page.compared import Comparison
from harness.page.packing import Carried, pointed
from harness.tables import Run
from harness.verdicts.ratios import multiples_of_read, speedups

RAW_ROUNDS = 200_000
"""Blocks that a page carries at most: more are sampled, which its reader is told."""

BAND = (0.05, 0.95)
"""Quantiles over the blocks of a cell's phase between which the band of its seconds lies."""

TIME, ROUNDS, MEMORY, ERROR, VERDICTS = "time", "rounds", "memory", "error", "verdicts"

CELL_AND_PHASE = ["case", "method", "phase"]


def carried(run: Run, standings: pd.DataFrame, comparison: Comparison | None, rounds: int) -> Carried:
    """The rows of a run, of its blocks at most `rounds`, and of the comparison whose head it is; standings: what
    verdicts.fastest.standings() says of its times."""
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


def sampled(blocks: pd.DataFrame, most: int) -> pd.DataFrame:
    """At most so many blocks, drawn without replacement, in their order."""
    return blocks if len(blocks) <= most else blocks.sample(most, random_state=0).sort_index()
