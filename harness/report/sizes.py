"""Method by size: how many times as fast as native each is, at a few sizes of one setting that can be named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from harness.tables import clock_words, first_clock
from harness.verdicts.ratios import CONFIDENCE, FEWEST_LAUNCHES, speedups, without_interval
from harness.verdicts.wording import ALWAYS_NAMED, DEFAULTS, axes_of
from harness.vocabulary import PHASES, SHAPE, YARDSTICKS

SIZES = 4
USUAL_DTYPE = "float32"
WITHOUT_NAME = ("dtype", "device")


@dataclass(frozen=True)
class BySize:
    """columns: header -> method -> text; shown: header -> the rows of speedups() whose figures the text has.

    sizes: of the headers that are a size each, its axes, the smallest first; spare: headers that a narrow page can do
    without, the first to go first; launches: the fewest and the most; clock: which clock the times are of, in words."""

    columns: Mapping[str, pd.Series]
    shown: Mapping[str, pd.DataFrame]
    sizes: Mapping[str, Mapping[str, Any]]
    spare: tuple[str, ...]
    launches: tuple[int, int]
    clock: str

    def narrower(self) -> BySize:
        """The same without the first of its spare columns."""
        gone, *spare = self.spare
        kept = {header: each for header, each in self.columns.items() if header != gone}
        sizes = {header: each for header, each in self.sizes.items() if header != gone}
        return replace(self, columns=kept, sizes=sizes, spare=tuple(spare))

    def told(self) -> str:
        """What the columns are: the setting, in which what is not the same at all sizes stands in their order, and how
        many launches the intervals are of."""
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
    """Speed-up of one phase, forward or else the first that native has, at up to SIZES sizes, and of native's other
    phases at the largest; None where nothing can be held against native.

    The setting: float32 where there is any, the commonest value of each other axis, and the middle k of those that all
    sizes share, where these are several, else of each size. In a study of shapes these are the sizes.
    """
    found = first_clock(speedups(timings))
    native = found[found["method"] == "native"]
    rest = found[(found["method"] != "native") & ~found["method"].isin(YARDSTICKS)]
    phases = sorted((each for each in PHASES if each in set(native["phase"])), key=lambda each: each != "forward")
    if not phases or rest.empty:
        return None
    main, *others = phases
    cases = _cases(native[native["phase"] == main])
    cases = [cases[place] for place in _evenly(len(cases), SIZES)]
    needed = _phases_of_those_without(main, rest)
    others.sort(key=lambda each: each not in needed)
    wanted = {f"{main} {_size(case)}": (main, case) for case in cases}
    wanted |= {f"{phase} {_size(cases[-1])}": (phase, cases[-1]) for phase in others}
    shown = {
        header: rest[(rest["case"] == case["case"]) & (rest["phase"] == phase)]
        for header, (phase, case) in wanted.items()
    }
    shown = {header: rows for header, rows in shown.items() if not rows.empty}
    sizes = {header: axes_of(case, "phase") for header, (phase, case) in wanted.items() if phase == main}
    spare = [header for header in shown if wanted[header][0] not in (main, *needed)][::-1]
    launches = pd.concat(shown.values())["launches"] if shown else rest["launches"]
    return BySize(
        {header: _texts(rows) for header, rows in shown.items()},
        shown,
        {header: axes for header, axes in sizes.items() if header in shown},
        (*spare, *[header for header in sizes if header in shown][-2:0:-1]),
        (int(launches.min()), int(launches.max())),
        clock_words(rest),
    )


def _cases(native: pd.DataFrame) -> list[Mapping[Any, Any]]:
    """Rows of native, one a size, the smallest first; of shapes one each, in their order."""
    rows = native[native["dtype"] == USUAL_DTYPE] if USUAL_DTYPE in set(native["dtype"]) else native
    if SHAPE in rows:
        alike = [commonest(each) for _, each in rows.groupby(SHAPE, sort=False)]
        sized = [each[each["n"] == _middle(each["n"])] for each in alike]
    else:
        sized = [each for _, each in commonest(rows).groupby("n")]
    shared = set.intersection(*(set(each["k"]) for each in sized))
    return [
        each[each["k"] == _middle(shared if len(shared) > 1 else each["k"])].to_dict("records")[0] for each in sized
    ]


def commonest(rows: pd.DataFrame, but: Sequence[str] = ("n", "k", SHAPE)) -> pd.DataFrame:
    """The rows that have the commonest value of each axis but these; of equally common ones the first."""
    for name in axes_of(dict.fromkeys(rows), "phase"):
        if name not in but:
            rows = rows[rows[name] == Counter(rows[name]).most_common(1)[0][0]]
    return rows


def _middle(values: Iterable[int]) -> int:
    """The middle one; of two the larger, since the smallest k and n are often 1 and a toy."""
    each = sorted(set(values))
    return each[len(each) // 2]


def _evenly(count: int, most: int) -> list[int]:
    """Places from the first to the last, evenly between, `most` at most."""
    return sorted({int(place) for place in np.linspace(0, count - 1, min(count, most)).round()})


def _phases_of_those_without(phase: str, rows: pd.DataFrame) -> set[str]:
    """Of each method that has not this phase, that which holds most of it: else nothing would be said of it."""
    by_method = [set(each["phase"]) for _, each in rows.groupby("method", sort=False)]
    return {next(each for each in reversed(PHASES) if each in own) for own in by_method if phase not in own}


def _size(case: Mapping[Any, Any]) -> str:
    return str(case[SHAPE]) if SHAPE in case else f"n={case['n']}"


def _texts(rows: pd.DataFrame) -> pd.Series:
    """method -> '0.55x (0.53..0.57)', without the interval where there is none."""
    told = [_number(row["speedup"]) + "x" + _interval(row) for row in rows.to_dict("records")]
    return pd.Series(told, index=rows["method"], dtype=object)


def _interval(row: Mapping[Any, Any]) -> str:
    return "" if row["low"] != row["low"] else f" ({_number(row['low'])}..{_number(row['high'])})"


def _number(value: float) -> str:
    """Two digits at least, also where the last is 0."""
    return f"{value:.0f}" if value >= 10 else f"{value:#.2g}"


def _setting(cases: Sequence[Mapping[str, Any]]) -> str:
    """The axes of some cases in words: what every case tells but the size, then what is not as usual."""
    always = [name for name in ALWAYS_NAMED if name != "n" or SHAPE in cases[0]]
    told = []
    for name in (*always, *(name for name in cases[0] if name not in (*ALWAYS_NAMED, SHAPE))):
        values = [str(case[name]) for case in cases]
        if name in ALWAYS_NAMED or any(case[name] != DEFAULTS.get(name) for case in cases):
            text = values[0] if len(set(values)) == 1 else "|".join(values)
            told.append(text if name in WITHOUT_NAME else f"{name}={text}")
    return " ".join(told)
