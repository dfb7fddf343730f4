"""The judge: effects in, verdicts out. It does not know where the effects come from or what happens to the verdicts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from harness.verdicts.changes import IDENTITY
from harness.verdicts.floors import added, exact_floors, floors
from harness.verdicts.pooling import pooled_variances
from harness.verdicts.ratios import CONFIDENCE, WIDEST
from harness.verdicts.ratios import FEWEST_LAUNCHES as FEWEST_WITH_INTERVAL

FALSE_DISCOVERIES = 0.01
"""Accepted share of false ones among all quantities that are called slower, faster, worse or better (the false
discovery rate of Benjamini and Hochberg 1995)."""

FEWEST_LAUNCHES = 8
"""With fewer launches a quantity stays undecided: a t test of 3 launches finds a change of 5 %, at a spread of 2 %, in
4 % of the cases."""

TOO_FEW = f"fewer than {FEWEST_LAUNCHES} launches"
"""Begins the reason of a quantity with fewer launches, which stays undecided however large its change is."""

POWER = 0.9
DETECTABLE = 0.03
"""Launches go on until a change this far beyond the tolerance would be found with this power."""

LAUNCHES_TRIED = tuple(sorted({math.ceil(12 * 1.1**step) for step in range(64)}))
"""The numbers of launches that `launches_needed` tries, each a tenth larger than the one before. The largest, some five
thousand, would take days."""

GROWN = {"time": "slower", "memory": "worse", "error": "worse"}
SHRUNK = {"time": "faster", "memory": "better", "error": "better"}

JUDGED_METRICS = ("ulp_max", "ulp_p99", "ulp_mean", "rel_l2", "flips", "nonfinite_unlike_count")
"""The metrics that are judged: less is better, and half a unit is known (`half_unit`). Others are only recorded."""

UNSURE = "not sure: "
"""Begins the reason of a quantity whose figures are known, and prove neither a change nor that there is none."""

UNCONFIRMED = "not confirmed: "
"""Begins the reason of a quantity whose change was not found again in the second set of launches."""

Row = Mapping[Any, Any]


def judge(changes: pd.DataFrame, tolerance: Mapping[str, float]) -> pd.DataFrame:
    """The verdicts on figures that vary between launches.

    changes: rows with the columns of `changes_of_pairs`; tolerance: kind -> relative change that does not matter. The
    columns added are `ratio low high p detectable settled found verdict reason`.

    A change is found if its interval excludes the tolerance, by a t test against the tolerance with false-discovery
    control over all rows. A quantity is the `same` if its whole interval lies within the tolerance: an equivalence test
    by two one-sided tests (Schuirmann 1987). Everything else is `inconclusive`: the interval crosses the tolerance, the
    launches are too few, or a figure is NaN. A difference under the floor counts as within the tolerance. settled:
    whether the spread is so small that no more launches are needed, whatever the effect is.
    """
    table = changes.reset_index(drop=True)
    beyond = np.log1p(table["kind"].map(tolerance).to_numpy(dtype=float))
    # The floor is related to the smaller side. The raw difference of the sides would not do: between recorded runs it
    # depends on how busy the machine was, which their levels do not.
    margin = _margin(table, beyond, table[["base", "head"]].min(axis=1, skipna=False))
    size, error = table["effect"].abs().to_numpy(dtype=float), table["error"].to_numpy(dtype=float)
    # t is undefined without a degree of freedom; the error of a single launch is NaN, so it decides nothing anyway.
    freedom = table["freedom"].clip(lower=1).to_numpy(dtype=float)
    p = _p_values(size, error, freedom, margin)
    half = special.stdtrit(freedom, (1 + CONFIDENCE) / 2) * error
    few = (table["launches"] < FEWEST_LAUNCHES).to_numpy()
    found = _discovered(p) & ~few
    within = size + half <= margin
    shown = np.where((table["launches"] < FEWEST_WITH_INTERVAL) | ~(half <= WIDEST), np.nan, half)
    detectable = (_one_of_all(len(table), freedom) + special.stdtrit(freedom, POWER)) * error
    words = np.where(table["effect"] > 0, _words(table, GROWN), _words(table, SHRUNK))
    with np.errstate(over="ignore"):  # t of two launches is in the thousands: then no change is detectable (infinite)
        smallest = np.expm1(detectable)
    judged = table.assign(
        ratio=np.exp(table["effect"]),
        low=np.exp(table["effect"] - shown),
        high=np.exp(table["effect"] + shown),
        p=p,
        detectable=smallest,
        settled=_settled(table, beyond, detectable, error, freedom),
        found=found,
        verdict=np.select([found, within & np.isfinite(size) & ~few], [words, "same"], "inconclusive"),
    )
    open_rows = judged[judged["verdict"] == "inconclusive"]
    reasons = pd.Series([_reason(row) for row in open_rows.to_dict("records")], open_rows.index, dtype=object)
    return judged.assign(reason=reasons.reindex(judged.index, fill_value=""))


def launches_needed(changes: pd.DataFrame, tolerance: Mapping[str, float]) -> int | None:
    """How many launches would settle all of these changes, judged by the spread of the launches so far.

    None: more than the largest of LAUNCHES_TRIED. A few launches determine a variance poorly, and the largest of many
    such estimates is too large, so each is shrunk towards what the quantities have in common (`pooled_variances`).
    The effects are not looked at.
    """
    table = changes[np.isfinite(changes["error"])].reset_index(drop=True)
    variance = table["error"] ** 2 * table["launches"]
    pooled, _ = pooled_variances(variance, variance * 0.0, table["launches"].astype(float), table)
    beyond = np.log1p(table["kind"].map(tolerance).to_numpy(dtype=float))
    for launches in LAUNCHES_TRIED:
        error, freedom = np.sqrt(pooled.to_numpy(dtype=float) / launches), np.full(len(table), launches - 1.0)
        detectable = (_one_of_all(len(table), freedom) + special.stdtrit(freedom, POWER)) * error
        if _settled(table, beyond, detectable, error, freedom).all():
            return launches
    return None


def judge_unvarying(figures: pd.DataFrame, tolerance: Mapping[str, float]) -> pd.DataFrame:
    """The verdicts on figures that every launch repeats, rows of `kind metric dtype base head launches`.

    A figure is `worse` if it grew by more than the tolerance and by more than the floor of its kind: half an ulp, half
    an entry or one unit roundoff for an error, a page for a peak of memory. A figure that became NaN is `lost`; one
    that is NaN on both sides is `inconclusive`, and one that was NaN only in the base is `new`.
    """
    before, after = (figures[side].to_numpy(dtype=float) for side in ("base", "head"))
    allowed, floor = figures["kind"].map(tolerance).to_numpy(dtype=float), exact_floors(figures)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        grown, shrunk = after - before, before - after
        ratio = np.where(after == before, 1.0, after / before)
        worse = (grown > allowed * before) & (grown > floor)
        # Relative to the smaller figure, as in `worse`, so that swapping the sides swaps the verdicts.
        better = (shrunk > allowed * after) & (shrunk > floor)
    was, now = np.isnan(before), np.isnan(after)
    verdict = np.where(worse, _words(figures, GROWN), np.where(better, _words(figures, SHRUNK), "same"))
    verdict = np.select([was & now, now, was], ["inconclusive", "lost", "new"], verdict)
    reason = np.select([was & now, now], ["it is NaN on both sides", "it is NaN now"], "")
    return figures.assign(ratio=ratio, low=ratio, high=ratio, detectable=0.0, verdict=verdict, reason=reason)


def confirm(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """The judgement of `first`, in which a change stands only if `second` found it too, with the same verdict.

    A confirmed row has the figures of the second set. Those of the first are biased: they were chosen for being large.
    """
    found = first["found"].to_numpy(dtype=bool)
    again = first[found][[*IDENTITY, "verdict"]].merge(second, on=IDENTITY, how="left", suffixes=("_first", ""))
    held = (again["verdict"] == again["verdict_first"]).to_numpy(dtype=bool)
    result = first.copy()
    rows = np.flatnonzero(found)
    for name in ("base", "head", "ratio", "low", "high", "launches", "detectable"):
        result.loc[rows[held], name] = again.loc[held, name].to_numpy()
    result.loc[rows[~held], "verdict"] = "inconclusive"
    unconfirmed = zip(first[found][~held].to_dict("records"), again[~held].to_dict("records"), strict=True)
    for row, (before, after) in zip(rows[~held], unconfirmed, strict=True):
        result.loc[row, "reason"] = _unconfirmed(before, after)
    return result


def change_in_percent(row: Row) -> str:
    """A ratio with its interval, such as '+3.0 % (2.1..3.9)'."""
    change, low, high = (100 * (row[name] - 1) for name in ("ratio", "low", "high"))
    digits = 1 if not high - low < 0.2 else 2
    interval = f" ({low:.{digits}f}..{high:.{digits}f})" if high - low == high - low else ""
    return f"{change:+.{digits}f} %{interval}"


def _words(table: pd.DataFrame, words: Mapping[str, str]) -> np.ndarray:
    return np.array([words[kind] for kind in table["kind"]], dtype=str)


def _margin(table: pd.DataFrame, beyond: np.ndarray, figures: pd.Series) -> np.ndarray:
    """The largest size of an effect on these figures that does not matter: the tolerance, or the floor if that is more.

    beyond: the tolerance of each row as a difference of logarithms.
    """
    with np.errstate(divide="ignore"):
        floor = np.log1p(floors(table) / (figures.to_numpy(dtype=float) + added(table)))
    return np.maximum(beyond, floor)


def _p_values(size: np.ndarray, error: np.ndarray, freedom: np.ndarray, margin: np.ndarray) -> np.ndarray:
    """Two-sided p-values of changes beyond the margin. Without any spread p is 0 or 1; if a figure is NaN, p is 1."""
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(error == 0, np.where(size > margin, np.inf, -np.inf), (size - margin) / error)
    p = np.minimum(1.0, 2 * special.stdtr(freedom, -t))
    return np.where(np.isnan(p), 1.0, p)


def _discovered(p: np.ndarray) -> np.ndarray:
    """Which p-values are discoveries: those up to the largest that is at most FALSE_DISCOVERIES times its rank over the
    number of all (Benjamini and Hochberg 1995)."""
    ranked = np.sort(p)
    held = ranked[ranked <= FALSE_DISCOVERIES * np.arange(1, len(p) + 1) / max(1, len(p))]
    return np.asarray(p <= held.max(initial=-1.0))


def _one_of_all(rows: int, freedom: np.ndarray) -> np.ndarray:
    """The t that a change must exceed to be found if it is the only one among this many rows."""
    return np.asarray(special.stdtrit(freedom, 1 - FALSE_DISCOVERIES / (2 * max(1, rows))))


def _settled(
    table: pd.DataFrame, beyond: np.ndarray, detectable: np.ndarray, error: np.ndarray, freedom: np.ndarray
) -> np.ndarray:
    """Whether, with probability POWER each, a change of DETECTABLE beyond the margin would be found, and no change at
    all would be called the same."""
    # The effects are not looked at, so stopping by this rule does not raise the rate of false alarms.
    margin = _margin(table, beyond, table["base"])
    would_find = detectable <= np.log1p(DETECTABLE) + margin - beyond
    quantiles = special.stdtrit(freedom, (1 + CONFIDENCE) / 2) + special.stdtrit(freedom, (1 + POWER) / 2)
    # With a margin of 0 nothing that varies can ever be called the same, so waiting for it would be in vain.
    would_be_same = (quantiles * error <= margin) | (margin == 0)
    return np.asarray(would_find & would_be_same)


def _reason(row: Row) -> str:
    """Why a row is inconclusive."""
    if row["launches"] < FEWEST_LAUNCHES:
        return f"{TOO_FEW} (it has {row['launches']}), too few to judge even a large change"
    if np.isnan(row["effect"]) or np.isnan(row["error"]):
        return "one of its figures is NaN"
    missed = f"; a change of {row['detectable']:.1%} beyond the tolerance could be missed"
    return UNSURE + change_in_percent(row) + (missed if row["detectable"] > DETECTABLE else "")


def _unconfirmed(first: Row, second: Row) -> str:
    again = "there is no" if np.isnan(second["ratio"]) else f"{change_in_percent(second)} in the"
    return f"{UNCONFIRMED}{change_in_percent(first)}, and {again} second set of launches"
