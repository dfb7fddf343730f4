"""The one judge: effects in, verdicts out. It knows neither where the effects come from nor what is done about them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy import stats

from harness.precision.ulp import FORMATS
from harness.verdicts.changes import IDENTITY, MEMORY_FLOOR
from harness.verdicts.ratios import CONFIDENCE

FALSE_DISCOVERIES = 0.01
"""Share of wrong ones among all that are called slower, faster, worse or better (Benjamini and Hochberg 1995)."""

FEWEST_LAUNCHES = 8
"""With fewer a quantity is never decided: a t test of 3 launches finds 5 % at a spread of 2 % in 4 % of the cases."""

POWER = 0.9
DETECTABLE = 0.03
"""`same` is said where a change this far beyond the tolerance would have been found with this power."""

FLOORS = {"time": 5e-8, "memory": 1 << 16}
"""Seconds and bytes: a smaller difference is none, whatever the ratio. 50 ns is about three empty calls."""

ADDED = {"time": 0.0, "memory": MEMORY_FLOOR}
"""What the logarithms are of beside seconds and bytes."""

GROWN = {"time": "slower", "memory": "worse"}
SHRUNK = {"time": "faster", "memory": "better"}

JUDGED_METRICS = ("ulp_max", "ulp_p99", "ulp_mean", "rel_l2", "flips", "nonfinite_unlike_count")
"""Errors of which less is better and half a unit is known; the others tell, and are not judged."""

CONFIRMED_REASON = "a second set of launches did not confirm it"


def judge(changes: pd.DataFrame, tolerance: Mapping[str, float]) -> pd.DataFrame:
    """Changes of time and memory with columns `ratio low high p detectable found verdict reason`.

    tolerance: kind -> relative change that is none. A change is found when its interval excludes the tolerance, which
    is a one-sided t test against it, after false-discovery control over all rows. It is `same` when a change that
    matters would have been found, or when the whole interval lies within the floor; NaN is neither.
    """
    table = changes.reset_index(drop=True)
    beyond = np.log1p(table["kind"].map(tolerance).to_numpy(dtype=float))
    p = _p_values(table, beyond)
    adjusted = stats.false_discovery_control(p) if len(p) else p
    half = stats.t.ppf((1 + CONFIDENCE) / 2, table["freedom"].clip(lower=1)) * table["error"]
    floor = table["kind"].map(FLOORS).astype(float)
    # By the effect, not the raw figures: between two recorded runs these tell how busy the machine was.
    smaller = table[["base", "head"]].min(axis=1, skipna=False) + table["kind"].map(ADDED).astype(float)
    small = np.expm1(table["effect"].abs()) * smaller < floor
    judged = table.assign(
        ratio=np.exp(table["effect"]),
        low=np.exp(table["effect"] - half),
        high=np.exp(table["effect"] + half),
        p=p,
        detectable=_detectable(table),
        found=(adjusted <= FALSE_DISCOVERIES) & ~small & (table["launches"] >= FEWEST_LAUNCHES),
    )
    few = judged["launches"] < FEWEST_LAUNCHES
    larger = table[["base", "head"]].max(axis=1, skipna=False) + table["kind"].map(ADDED).astype(float)
    nothing = small & (np.expm1(table["effect"].abs() + half) * larger < floor)
    undecided = few | judged["effect"].isna() | (~(judged["detectable"] <= DETECTABLE) & ~nothing)
    words = np.where(judged["effect"] > 0, judged["kind"].map(GROWN), judged["kind"].map(SHRUNK))
    verdict = np.where(judged["found"], words, np.where(undecided, "inconclusive", "same"))
    return judged.assign(verdict=verdict, reason=_reasons(judged, verdict))


def spread_is_known(judged: pd.DataFrame) -> bool:
    """Whether no quantity needs more launches: a change that matters would be found in each, or would be under the
    floor there. The effects are not asked, so that asking costs no false alarms."""
    matters = (judged["base"] + judged["kind"].map(ADDED).astype(float)) * DETECTABLE >= judged["kind"].map(
        FLOORS
    ).astype(float)
    return bool((~matters | (judged["detectable"] <= DETECTABLE)).all())


def confirm(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """The judgement of `first`, where each change that it found must be found in `second`, the same way, as well.

    What is confirmed tells the figures of the second set: those of the first were chosen for being large.
    """
    found = first["found"].to_numpy(dtype=bool)
    again = first[found][[*IDENTITY, "verdict"]].merge(second, on=IDENTITY, how="left", suffixes=("_first", ""))
    held = (again["verdict"] == again["verdict_first"]).to_numpy(dtype=bool)
    result = first.copy()
    rows = np.flatnonzero(found)
    for name in ("base", "head", "ratio", "low", "high", "launches", "detectable"):
        result.loc[rows[held], name] = again.loc[held, name].to_numpy()
    result.loc[rows[~held], "verdict"] = "inconclusive"
    result.loc[rows[~held], "reason"] = CONFIRMED_REASON
    return result


def judge_errors(base: pd.DataFrame, head: pd.DataFrame, tolerance: float) -> pd.DataFrame:
    """Errors do not vary between launches: `worse` when one grew by more than the tolerance and half a unit.

    The unit is in the metric's name: an ulp, a relative error of two unit roundoffs, one entry. What is NaN now is
    `lost`, and inconclusive where it was NaN already.
    """
    on = IDENTITY
    both = head.merge(base[[*on, "value"]], on=on, suffixes=("_head", "_base"))
    before, after = both.pop("value_base").to_numpy(dtype=float), both.pop("value_head").to_numpy(dtype=float)
    half = np.array([half_unit(*each) for each in zip(both["metric"], both["dtype"], strict=True)], dtype=float)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        grown, shrunk = after - before, before - after
        ratio = np.where(after == before, 1.0, after / before)
        worse = (grown > tolerance * before) & (grown > half)
        better = (shrunk > tolerance * after) & (shrunk > half)  # of the smaller, as in `worse`: the same when swapped
    was, now = np.isnan(before), np.isnan(after)
    words = ["inconclusive", "lost", "new", "worse", "better"]
    verdict = np.select([was & now, now, was, worse, better], words, "same")
    reason = np.select([was & now, now], ["it is NaN on both sides", "it is NaN now"], "")
    return both.assign(
        base=before, head=after, ratio=ratio, low=ratio, high=ratio, launches=1, detectable=0.0,
        verdict=verdict, reason=reason,
    )  # fmt: skip


def _p_values(table: pd.DataFrame, beyond: np.ndarray) -> np.ndarray:
    """Two-sided p of a change beyond the tolerance; without any spread it is sure, 0 or 1; NaN is 1."""
    effect, error = table["effect"].abs().to_numpy(dtype=float), table["error"].to_numpy(dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(error == 0, np.where(effect > beyond, np.inf, -np.inf), (effect - beyond) / error)
    p = np.minimum(1.0, 2 * stats.t.sf(t, table["freedom"].clip(lower=1).to_numpy(dtype=float)))
    return np.where(np.isnan(p), 1.0, p)


def _detectable(table: pd.DataFrame) -> pd.Series:
    """The smallest change beyond the tolerance that is found with POWER if it is the only one among all rows."""
    freedom = table["freedom"].clip(lower=1)
    one_of_all = stats.t.ppf(1 - FALSE_DISCOVERIES / (2 * max(1, len(table))), freedom)
    return np.expm1((one_of_all + stats.t.ppf(POWER, freedom)) * table["error"])


def _reasons(judged: pd.DataFrame, verdict: np.ndarray) -> list[str]:
    few = (judged["launches"] < FEWEST_LAUNCHES).to_numpy()
    told = []
    for word, is_few, effect, detectable in zip(verdict, few, judged["effect"], judged["detectable"], strict=True):
        if word != "inconclusive":
            told.append("")
        elif is_few:
            told.append(f"fewer than {FEWEST_LAUNCHES} launches")
        elif np.isnan(effect) or np.isnan(detectable):
            told.append("a figure of it is NaN")
        else:
            told.append(f"a change of {detectable:.1%} beyond the tolerance could be missed")
    return told


def half_unit(metric: str, dtype: str) -> float:
    """Half of what an error is counted in: an ulp or an entry; of a relative error the unit roundoff."""
    if metric.startswith("rel_"):
        return FORMATS[dtype].unit_roundoff
    return 0.5
