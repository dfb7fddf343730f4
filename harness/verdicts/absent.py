"""What one side of a comparison has and the other has not: `lost` or `new`, or never measured on both at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from harness.verdicts.changes import IDENTITY, NOT_JUDGED, QUANTITY, errors
from harness.verdicts.judge import JUDGED_METRICS
from harness.verdicts.measured import Measured

NOT_IN_HEAD, NOT_IN_BASE = "it is not in the head", "not in the base"


def cells_of_one_side(base: pd.DataFrame, head: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    """Cells that were measured on one side only: `lost` where that is the base, `new` where it is the head.

    What was tried on both and measured on neither is inconclusive: it must not pass for the same.
    """
    states = [_states(side, key) for side in (base, head)]
    both = states[0].merge(states[1], "outer", left_index=True, right_index=True, suffixes=("_base", "_head"))
    both = both.reset_index()
    was, now = both["ok_base"].eq(True), both["ok_head"].eq(True)
    tried = both["tried_base"].eq(True) & both["tried_head"].eq(True)
    verdict = np.select([was & ~now, now & ~was, tried & ~was & ~now], ["lost", "new", "inconclusive"], "")
    reason = np.where(was, both["why_head"].fillna(NOT_IN_HEAD), both["why_base"].fillna(NOT_IN_BASE))
    rows = both[key].assign(kind="cell", phase="", clock="", tensor="", reference="", metric="", launches=0)
    rows = rows.assign(verdict=verdict, reason=reason)
    return rows[rows["verdict"] != ""]


def quantities_of_one_side(
    bases: Sequence[Measured], head: Measured, key: list[str], known: list[pd.DataFrame]
) -> pd.DataFrame:
    """Quantities that one side has and the other has not, of cells that both have: `lost` or `new`.

    What both have, but never in the same rounds, is inconclusive.
    """
    both = _quantities(bases, key).merge(_quantities([head], key), how="outer", indicator="side")
    cells, *judged = ({*each[IDENTITY].itertuples(index=False, name=None)} for each in known)
    changed = {each[:2] for each in cells}
    told = set().union(*judged)
    untold = [each[:2] not in changed and each not in told for each in both[IDENTITY].itertuples(False, None)]
    rows = both[np.array(untold, dtype=bool)]
    sides = [rows["side"] == "left_only", rows["side"] == "right_only"]
    verdict = np.select(sides, ["lost", "new"], "inconclusive")
    reason = np.select(sides, [NOT_IN_HEAD, NOT_IN_BASE], "it was never measured on both sides at once")
    return rows.drop(columns="side").assign(launches=0, verdict=verdict, reason=reason)


def _quantities(runs: Sequence[Measured], key: list[str]) -> pd.DataFrame:
    """What was measured in any of these runs, and errors in the last: the key and QUANTITY, each once."""
    tables = [errors(runs[-1].discrepancies, JUDGED_METRICS)]
    for run in runs:
        memory = run.memory.dropna(subset="peak_bytes").assign(clock="")
        for kind, table in (("time", run.timings), ("memory", memory)):
            tables.append(table.assign(kind=kind, tensor="", reference="", metric=""))
    rows = pd.concat([each[[*key, *QUANTITY]] for each in tables], ignore_index=True).drop_duplicates()
    return rows[~rows["method"].isin(NOT_JUDGED)]


def _states(cells: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    """Cell -> ok: measured in a launch, and in none anything but measured or skipped; why: what was otherwise; tried:
    whether it was neither skipped nor beyond torch everywhere, so that it ought to have a time."""
    why = [
        "" if each == "ok" else f"{each}: {reason}"
        for each, reason in zip(cells["status"], cells["reason"], strict=True)
    ]
    measured = cells.assign(
        ok=cells["status"].isin(("ok",)),  # a text type of pandas can answer == with a type of its own
        bad=~cells["status"].isin(("ok", "skipped")),
        tried=~cells["status"].isin(("skipped", "unsupported")),
        why=np.array(why, dtype=object),  # of no cell at all it is text as well
    )
    measured = measured[~measured["method"].isin(NOT_JUDGED)]
    table = measured.groupby(key, sort=False).agg(
        ok=("ok", "any"), bad=("bad", "any"), tried=("tried", "any"), why=("why", "max")
    )
    return pd.DataFrame({"ok": table["ok"] & ~table["bad"], "tried": table["tried"], "why": table["why"]})
