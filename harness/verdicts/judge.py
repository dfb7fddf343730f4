"""The one judge: effects in, verdicts out. It knows neither where the effects come from nor what is done about them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from harness.verdicts.changes import IDENTITY
from harness.verdicts.floors import added, exact_floors, floors
from harness.verdicts.pooling import pooled_variances
from harness.verdicts.ratios import CONFIDENCE, WIDEST
from harness.verdicts.ratios import FEWEST_LAUNCHES as FEWEST_WITH_INTERVAL

FALSE_DISCOVERIES = 0.01
"""Share of wrong ones among all that are called slower, faster, worse or better (Benjamini and Hochberg 1995)."""

FEWEST_LAUNCHES = 8
"""With fewer a quantity is never decided: a t test of 3 launches finds 5 % at a spread of 2 % in 4 % of the cases."""

TOO_FEW = f"fewer than {FEWEST_LAUNCHES} launches"
"""How the reason begins of a quantity with fewer, which is never decided, however large its change is."""

POWER = 0.9
DETECTABLE = 0.03
"""Launches go on until a change this far beyond the tolerance would be found with this power."""

LAUNCHES_TRIED = tuple(sorted({math.ceil(12 * 1.1**step) for step in range(64)}))
"""Numbers of launches of which it is asked whether they would be enough: each a tenth more than the one before, up to
some five thousand, which is days."""

GROWN = {"time": "slower", "memory": "worse", "error": "worse"}
SHRUNK = {"time": "faster", "memory": "better", "error": "better"}

JUDGED_METRICS = ("ulp_max", "ulp_p99", "ulp_mean", "rel_l2", "flips", "nonfinite_unlike_count")
"""Errors of which less is better and half a unit is known; the others are written, and not judged."""

BETWEEN = "between: "
"""How the reason begins of a quantity whose figures are known, and show neither a change nor that there is none."""

Row = Mapping[Any, Any]


def judge(changes: pd.DataFrame, tolerance: Mapping[str, float]) -> pd.DataFrame:
    """Changes of figures that vary between launches, with columns `ratio low high p detectable settled found verdict
    reason`.

    tolerance: kind -> relative change that does not matter. A change is found when its interval excludes the
    tolerance, which is a one-sided t test against it, after false-discovery control over all rows. A quantity is the
    `same` when its whole interval lies within the tolerance, which is an equivalence test by two one-sided tests
    (Schuirmann 1987). Every other one is `inconclusive`: between the two, of too few launches, or NaN. A difference
    under the floor counts as within the tolerance. settled: whether the spread is so small that more launches are not
    needed, whatever the effect is.
    """
    table = changes.reset_index(drop=True)
    beyond = np.log1p(table["kind"].map(tolerance).to_numpy(dtype=float))
    # The effect on the smaller side, not the raw difference: between recorded runs that says how busy the machine was.
    margin = _margin(table, beyond, table[["base", "head"]].min(axis=1, skipna=False))
    size, error = table["effect"].abs().to_numpy(dtype=float), table["error"].to_numpy(dtype=float)
    freedom = table["freedom"].clip(lower=1).to_numpy(dtype=float)
    p = _p_values(size, error, freedom, margin)
    adjusted = stats.false_discovery_control(p) if len(p) else p
    half = stats.t.ppf((1 + CONFIDENCE) / 2, freedom) * error
    few = (table["launches"] < FEWEST_LAUNCHES).to_numpy()
    found = (adjusted <= FALSE_DISCOVERIES) & ~few
    within = size + half <= margin
    shown = np.where((table["launches"] < FEWEST_WITH_INTERVAL) | ~(half <= WIDEST), np.nan, half)
    detectable = (_one_of_all(len(table), freedom) + stats.t.ppf(POWER, freedom)) * error
    words = np.where(table["effect"] > 0, _words(table, GROWN), _words(table, SHRUNK))
    judged = table.assign(
        ratio=np.exp(table["effect"]),
        low=np.exp(table["effect"] - shown),
        high=np.exp(table["effect"] + shown),
        p=p,
        detectable=np.expm1(detectable),
        settled=_settled(table, beyond, detectable, error, freedom),
        found=found,
        verdict=np.select([found, within & np.isfinite(size) & ~few], [words, "same"], "inconclusive"),
    )
    return judged.assign(reason=[_reason(row) for row in judged.to_dict("records")])


def launches_needed(changes: pd.DataFrame, tolerance: Mapping[str, float]) -> int | None:
    """How many launches settle all of these changes, by the spread of those that there are; None: over the most
    of LAUNCHES_TRIED.

    The variances of a few launches are known badly, and the largest of many is too large: each is shrunk towards what
    the quantities have in common, as those between runs are (`pooled_variances`). Effects are not asked.
    """
    table = changes[np.isfinite(changes["error"])].reset_index(drop=True)
    variance = table["error"] ** 2 * table["launches"]
    pooled, _ = pooled_variances(variance, variance * 0.0, table["launches"].astype(float), table)
    beyond = np.log1p(table["kind"].map(tolerance).to_numpy(dtype=float))
    for launches in LAUNCHES_TRIED:
        error, freedom = np.sqrt(pooled.to_numpy(dtype=float) / launches), np.full(len(table), launches - 1.0)
        detectable = (_one_of_all(len(table), freedom) + stats.t.ppf(POWER, freedom)) * error
        if _settled(table, beyond, detectable, error, freedom).all():
            return launches
    return None


def judge_unvarying(figures: pd.DataFrame, tolerance: Mapping[str, float]) -> pd.DataFrame:
    """Figures that every launch repeats, rows of `kind metric dtype base head launches`: `worse` when one grew by more
    than the tolerance and by more than the floor of its kind.

    The floor of an error is half of the unit in the metric's name: of an ulp, of a relative error of two unit
    roundoffs, of one entry; that of a peak of memory is a page. What is NaN now is `lost`; it is inconclusive where it
    was NaN already.
    """
    before, after = (figures[side].to_numpy(dtype=float) for side in ("base", "head"))
    allowed, floor = figures["kind"].map(tolerance).to_numpy(dtype=float), exact_floors(figures)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        grown, shrunk = after - before, before - after
        ratio = np.where(after == before, 1.0, after / before)
        worse = (grown > allowed * before) & (grown > floor)
        better = (shrunk > allowed * after) & (shrunk > floor)  # of the smaller, as in `worse`: the same when swapped
    was, now = np.isnan(before), np.isnan(after)
    verdict = np.where(worse, _words(figures, GROWN), np.where(better, _words(figures, SHRUNK), "same"))
    verdict = np.select([was & now, now, was], ["inconclusive", "lost", "new"], verdict)
    reason = np.select([was & now, now], ["it is NaN on both sides", "it is NaN now"], "")
    return figures.assign(ratio=ratio, low=ratio, high=ratio, detectable=0.0, verdict=verdict, reason=reason)


def confirm(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """The judgement of `first`, where each change that it found must be found in `second`, the same way, as well.

    A confirmed row has the figures of the second set: those of the first were chosen for being large.
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
    for row, each in zip(rows[~held], unconfirmed, strict=True):
        result.loc[row, "reason"] = _unconfirmed(*each)
    return result


def change_in_percent(row: Row) -> str:
    """A ratio with its interval in words: '+3.0 % (2.1..3.9)'."""
    change, low, high = (100 * (row[name] - 1) for name in ("ratio", "low", "high"))
    digits = 1 if not high - low < 0.2 else 2
    interval = f" ({low:.{digits}f}..{high:.{digits}f})" if high - low == high - low else ""
    return f"{change:+.{digits}f} %{interval}"


def _words(table: pd.DataFrame, words: Mapping[str, str]) -> np.ndarray:
    return np.array([words[kind] for kind in table["kind"]], dtype=str)


def _margin(table: pd.DataFrame, beyond: np.ndarray, of: pd.Series) -> np.ndarray:
    """The largest size of an effect on figures such as `of` that does not matter: the tolerance, or the floor where
    that is more."""
    with np.errstate(divide="ignore"):
        floor = np.log1p(floors(table) / (of.to_numpy(dtype=float) + added(table)))
    return np.maximum(beyond, floor)


def _p_values(size: np.ndarray, error: np.ndarray, freedom: np.ndarray, margin: np.ndarray) -> np.ndarray:
    """Two-sided p of a change beyond the margin; without any spread it is sure, 0 or 1; NaN is 1."""
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(error == 0, np.where(size > margin, np.inf, -np.inf), (size - margin) / error)
    p = np.minimum(1.0, 2 * stats.t.sf(t, freedom))
    return np.where(np.isnan(p), 1.0, p)


def _one_of_all(rows: int, freedom: np.ndarray) -> np.ndarray:
    """What t must pass for a change to be found that is the only one among so many rows."""
    return np.asarray(stats.t.ppf(1 - FALSE_DISCOVERIES / (2 * max(1, rows)), freedom))


def _settled(
    table: pd.DataFrame, beyond: np.ndarray, detectable: np.ndarray, error: np.ndarray, freedom: np.ndarray
) -> np.ndarray:
    """Whether a change of DETECTABLE beyond what does not matter would be found, and no change at all would be called
    the same, both with POWER. The effects are not asked, so that asking costs no false alarms."""
    margin = _margin(table, beyond, table["base"])
    would_find = detectable <= np.log1p(DETECTABLE) + margin - beyond
    quantiles = stats.t.ppf((1 + CONFIDENCE) / 2, freedom) + stats.t.ppf((1 + POWER) / 2, freedom)
    would_be_same = (quantiles * error <= margin) | (margin == 0)  # nothing that varies is the same without a tolerance
    return np.asarray(would_find & would_be_same)


def _reason(row: Row) -> str:
    if row["verdict"] != "inconclusive":
        return ""
    if row["launches"] < FEWEST_LAUNCHES:
        return f"{TOO_FEW} (it has {row['launches']}), too few to judge even a large change"
    if np.isnan(row["effect"]) or np.isnan(row["error"]):
        return "a figure of it is NaN"
    missed = f"; a change of {row['detectable']:.1%} beyond the tolerance could be missed"
    return BETWEEN + change_in_percent(row) + (missed if row["detectable"] > DETECTABLE else "")


def _unconfirmed(first: Row, second: Row) -> str:
    told = BETWEEN + change_in_percent(first)
    if np.isnan(second["ratio"]):
        return f"{told}, and no second set of launches to confirm it"
    return f"{told}, and {change_in_percent(second)} in the second set of launches, which does not confirm it"
