"""Method by size: the speed-up of each method over native at a few sizes, in one setting that a line can name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from harness.tables import clock_words, first_clock
from harness.verdicts.ratios import CONFIDENCE, FEWEST_LAUNCHES, speedups, without_interval
from harness.verdicts.wording import ALWAYS_NAMED, DEFAULTS, axes_of, two_digits
from harness.vocabulary import PHASES, SHAPE, YARDSTICKS

SIZES = 4
USUAL_DTYPE = "float32"
WITHOUT_NAME = ("dtype", "device")


@dataclass(frozen=True)
class BySize:
    """Speed-ups as columns of text.

    columns: header -> method -> text; shown: header -> the rows of speedups() with the figures of the text; sizes:
    header -> the axes of its case, for the headers that stand for a size, the smallest first; spare: the headers that a
    narrow table can drop, in the order in which to drop them; launches: the fewest and the most of any figure; clock:
    the clock that the times are of, in words.
    """

    columns: Mapping[str, pd.Series]
    shown: Mapping[str, pd.DataFrame]
    sizes: Mapping[str, Mapping[str, Any]]
    spare: tuple[str, ...]
    launches: tuple[int, int]
    clock: str

    def narrower(self) -> BySize:
        """The same without the first of its spare columns."""
        gone, *spare = self.spare
        kept = {header: column for header, column in self.columns.items() if header != gone}
        sizes = {header: axes for header, axes in self.sizes.items() if header != gone}
        return replace(self, columns=kept, sizes=sizes, spare=tuple(spare))

    def heading(self) -> str:
        """A line that explains the columns: the launches behind the intervals, and the setting. An axis that differs
        between the sizes lists its values in their order, as in 'k=4|64'."""
        return f"speed-up over native{self.clock} ({self._interval()}) at {_setting(list(self.sizes.values()))}"

    def _interval(self) -> str:
        few, most = self.launches
        if most < FEWEST_LAUNCHES:
            return without_interval(most)
        count = f"{most}" if few == most else f"{few} to {most}"
        if few < FEWEST_LAUNCHES:
            count = f"up to {most}"
        fewer = f", none of fewer than {FEWEST_LAUNCHES}" if few < FEWEST_LAUNCHES else ""
        return f"{100 * CONFIDENCE:.0f} % interval of {count} launches{fewer}"


def by_size(timings: pd.DataFrame) -> BySize | None:
    """The speed-ups of one phase at up to SIZES sizes, and those of native's other phases at the largest of them; None
    if nothing can be compared with native.

    The phase is forward, or else the first that native has. The setting is float32 if it was measured, the commonest
    value of every other axis, and the middle one of the k that all sizes have in common; if they share at most one, the
    middle k of each size. In a study of shapes the sizes are its shapes.
    """
    ratios = first_clock(speedups(timings))
    native = ratios[ratios["method"] == "native"]
    rest = ratios[(ratios["method"] != "native") & ~ratios["method"].isin(YARDSTICKS)]
    phases = sorted((phase for phase in PHASES if phase in set(native["phase"])), key=lambda phase: phase != "forward")
    if not phases or rest.empty:
        return None
    main, *others = phases
    cases = _cases(native[native["phase"] == main])
    cases = [cases[place] for place in _evenly(len(cases), SIZES)]
    needed = _substitutes(main, rest)
    others.sort(key=lambda phase: phase not in needed)
    headers = {f"{main} {_size(case)}": (main, case) for case in cases}
    headers |= {f"{phase} {_size(cases[-1])}": (phase, cases[-1]) for phase in others}
    shown = {
        header: rest[(rest["case"] == case["case"]) & (rest["phase"] == phase)]
        for header, (phase, case) in headers.items()
    }
    shown = {header: rows for header, rows in shown.items() if not rows.empty}
    sizes = {header: axes_of(case, "phase") for header, (phase, case) in headers.items() if phase == main}
    spare = [header for header in shown if headers[header][0] not in (main, *needed)][::-1]
    launches = pd.concat(shown.values())["launches"] if shown else rest["launches"]
    return BySize(
        {header: _texts(rows) for header, rows in shown.items()},
        shown,
        {header: axes for header, axes in sizes.items() if header in shown},
        (*spare, *[header for header in sizes if header in shown][-2:0:-1]),  # the smallest and the largest size stay
        (int(launches.min()), int(launches.max())),
        clock_words(rest),
    )


def _cases(native: pd.DataFrame) -> list[Mapping[Any, Any]]:
    """Rows of native, one for each size, the smallest first; or one for each shape, in the order of the study."""
    rows = native[native["dtype"] == USUAL_DTYPE] if USUAL_DTYPE in set(native["dtype"]) else native
    if SHAPE in rows:
        by_shape = [commonest(of_shape) for _, of_shape in rows.groupby(SHAPE, sort=False)]
        sized = [of_shape[of_shape["n"] == _middle(of_shape["n"])] for of_shape in by_shape]
    else:
        sized = [of_size for _, of_size in commonest(rows).groupby("n")]
    shared = set.intersection(*(set(each["k"]) for each in sized))
    return [
        each[each["k"] == _middle(shared if len(shared) > 1 else each["k"])].to_dict("records")[0] for each in sized
    ]


def commonest(rows: pd.DataFrame, but: Sequence[str] = ("n", "k", SHAPE)) -> pd.DataFrame:
    """The rows that have the commonest value of every axis except these (of equally common ones the first)."""
    for name in axes_of(dict.fromkeys(rows), "phase"):
        if name not in but:
            rows = rows[rows[name] == Counter(rows[name]).most_common(1)[0][0]]
    return rows


def _middle(values: Iterable[int]) -> int:
    """The middle value; of two the larger, since the smallest k is often 1, and the smallest n a toy."""
    distinct = sorted(set(values))
    return distinct[len(distinct) // 2]


def _evenly(count: int, most: int) -> list[int]:
    """At most `most` evenly spaced places in a list of this length, with the first and the last."""
    return sorted({int(place) for place in np.linspace(0, count - 1, min(count, most)).round()})


def _substitutes(phase: str, rows: pd.DataFrame) -> set[str]:
    """For each method without this phase its most comprehensive one (the last in PHASES), so that the table says
    something about every method."""
    by_method = [set(of_method["phase"]) for _, of_method in rows.groupby("method", sort=False)]
    return {next(each for each in reversed(PHASES) if each in own) for own in by_method if phase not in own}


def _size(case: Mapping[Any, Any]) -> str:
    return str(case[SHAPE]) if SHAPE in case else f"n={case['n']}"


def _texts(rows: pd.DataFrame) -> pd.Series:
    """method -> '0.55x (0.53..0.57)', or without the interval if there is none."""
    texts = [two_digits(row["speedup"]) + "x" + _interval(row) for row in rows.to_dict("records")]
    return pd.Series(texts, index=rows["method"], dtype=object)


def _interval(row: Mapping[Any, Any]) -> str:
    return "" if row["low"] != row["low"] else f" ({two_digits(row['low'])}..{two_digits(row['high'])})"


def _setting(cases: Sequence[Mapping[str, Any]]) -> str:
    """The axes of some cases in words: first those that are always named, except the size; then those that differ from
    their defaults."""
    always = [name for name in ALWAYS_NAMED if name != "n" or SHAPE in cases[0]]
    parts = []
    for name in (*always, *(name for name in cases[0] if name not in (*ALWAYS_NAMED, SHAPE))):
        values = [str(case[name]) for case in cases]
        if name in ALWAYS_NAMED or any(case[name] != DEFAULTS.get(name) for case in cases):
            text = values[0] if len(set(values)) == 1 else "|".join(values)
            parts.append(text if name in WITHOUT_NAME else f"{name}={text}")
    return " ".join(parts)
