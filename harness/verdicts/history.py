"""The history of the judged runs of a machine: one small row per quantity and run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from harness.tables import HISTORY_FILE, Run, append_history, history_columns
from harness.verdicts.changes import IDENTITY, time_levels


def record(results: Path, verdicts: pd.DataFrame, base: Run, head: Run) -> Path:
    """Append a judged run to the history of its machine; returns the path of history.csv."""
    path = results / head.info["machine"]["slug"] / HISTORY_FILE
    append_history(path, history_rows(verdicts, base, head))
    return path


def history_rows(verdicts: pd.DataFrame, base: Run, head: Run) -> pd.DataFrame:
    """The rows of a judged run: its verdicts, when and of what they are, and the head's level.

    The level is what a trend is drawn of: of time its multiple of one read of y in the same rounds, which does not
    depend on how busy the machine was; of memory and errors the value itself.
    """
    levels = time_levels(head.timings).groupby(IDENTITY, sort=False)["log_level"].median()
    keys = pd.MultiIndex.from_frame(verdicts[IDENTITY])
    multiples = np.exp(levels.reindex(keys).to_numpy(dtype=float))
    rows = verdicts.assign(
        begin=head.info["begin"],
        study=head.name,
        base_commit=base.info.get("commit", "none"),
        head_commit=head.info.get("commit", "none"),
        torch=head.info.get("torch", {}).get("torch", "unknown"),
        level=np.where(verdicts["kind"] == "time", multiples, verdicts["head"]),
    )
    return rows[history_columns()]
