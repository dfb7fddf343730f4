"""Verdicts on what only one side of a comparison has (`lost`, `new`), or what the two never had in the same rounds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from harness.verdicts.changes import IDENTITY, QUANTITY, errors
from harness.verdicts.judge import JUDGED_METRICS
from harness.verdicts.measured import Measured
from harness.vocabulary import YARDSTICKS

CELL = ["case", "method"]
"""The columns that identify a cell."""

NOT_IN_HEAD, NOT_IN_BASE = "it is not in the head", "not in the base"


def cells_of_one_side(base: pd.DataFrame, head: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    """A row for each cell that only one side measured: `lost` if that is the base, `new` if it is the head.

    A cell that both sides tried and neither could measure is `inconclusive`, so that it does not pass for the same.
    """
    sides = _states(base), _states(head)
    states = sides[0].merge(sides[1], "outer", left_index=True, right_index=True, suffixes=("_base", "_head"))
    cells = pd.concat([base[key], head[key]], ignore_index=True).drop_duplicates(CELL)
    both = cells.merge(states, left_on=CELL, right_index=True)
    was, now = both["ok_base"].eq(True), both["ok_head"].eq(True)  # NaN where a side has no such cell
    tried = both["tried_base"].eq(True) & both["tried_head"].eq(True)
    verdict = np.select([was & ~now, now & ~was, tried & ~was & ~now], ["lost", "new", "inconclusive"], "")
    reason = np.where(was, both["why_head"].fillna(NOT_IN_HEAD), both["why_base"].fillna(NOT_IN_BASE))
    rows = both[key].assign(kind="cell", phase="", clock="", tensor="", reference="", metric="", launches=0)
    rows = rows.assign(verdict=verdict, reason=reason)
    return rows[rows["verdict"] != ""]


def quantities_of_one_side(
    bases: Sequence[Measured], head: Measured, key: list[str], known: list[pd.DataFrame]
) -> pd.DataFrame:
    """A row for each quantity that only one side has, in a cell that both have: `lost` or `new`.

    A quantity that both sides have, but never in the same rounds, is `inconclusive`. known: the rows that have a
    verdict already, those on whole cells first.
    """
    of_base, of_head = _quantities(bases, key), _quantities([head], key)
    both = pd.concat([of_base, of_head], ignore_index=True).drop_duplicates(IDENTITY)
    was, now, *judged = ({*_identities(rows)} for rows in (of_base, of_head, *known[1:]))
    cells, quantities = {identity[:2] for identity in _identities(known[0])}, set().union(*judged)
    unjudged = [each[:2] not in cells and each not in quantities for each in _identities(both)]
    rows = both[np.array(unjudged, dtype=bool)]
    sides = [np.array([each not in side for each in _identities(rows)], dtype=bool) for side in (now, was)]
    verdict = np.select(sides, ["lost", "new"], "inconclusive")
    reason = np.select(sides, [NOT_IN_HEAD, NOT_IN_BASE], "it was never measured on both sides at once")
    return rows.assign(launches=0, verdict=verdict, reason=reason)


def _identities(rows: pd.DataFrame) -> Iterator[tuple[Any, ...]]:
    return rows[IDENTITY].itertuples(index=False, name=None)


def _quantities(runs: Sequence[Measured], key: list[str]) -> pd.DataFrame:
    """The distinct quantities in these runs, of errors only those in the last run: the key and QUANTITY."""
    tables = [errors(runs[-1].discrepancies, JUDGED_METRICS)]
    for run in runs:
        memory = run.memory.dropna(subset="peak_bytes").assign(clock="")
        for kind, table in (("time", run.timings), ("memory", memory)):
            tables.append(table.assign(kind=kind, tensor="", reference="", metric=""))
    rows = pd.concat([table[[*key, *QUANTITY]] for table in tables], ignore_index=True).drop_duplicates(IDENTITY)
    return rows[~rows["method"].isin(YARDSTICKS)]


def _states(cells: pd.DataFrame) -> pd.DataFrame:
    """Per cell: ok (measured in some launch, and in every other launch measured or skipped), tried (in some launch
    neither skipped nor unsupported, so that it should have a time) and why (a status other than ok, with its reason).
    """
    why = [
        "" if status == "ok" else f"{status}: {reason}"
        for status, reason in zip(cells["status"], cells["reason"], strict=True)
    ]
    measured = cells.assign(
        ok=cells["status"].isin(("ok",)),  # ==, on some text types of pandas, gives a type of its own
        bad=~cells["status"].isin(("ok", "skipped")),
        tried=~cells["status"].isin(("skipped", "unsupported")),
        why=np.array(why, dtype=object),  # so that it is a column of text even without a cell
    )
    # Failures last, so that a cell which failed in one launch and was skipped in others says why it failed.
    measured = measured[~measured["method"].isin(YARDSTICKS)].sort_values("bad", kind="stable")
    table = measured.groupby(CELL, sort=False).agg(
        ok=("ok", "any"), bad=("bad", "any"), tried=("tried", "any"), why=("why", "last")
    )
    return pd.DataFrame({"ok": table["ok"] & ~table["bad"], "tried": table["tried"], "why": table["why"]})
