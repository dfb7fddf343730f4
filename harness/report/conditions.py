"""Where something holds, in few words: conditions on the axes of cases, such as 'in bfloat16, n = 16384 or 262144'.

A set of cases is an integer with a bit for each row of the table of cases.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import pandas as pd

from harness.vocabulary import DTYPES, MODES, TRANSFORMS

ORDERS = {"dtype": DTYPES, "mode": MODES, "transform": TRANSFORMS}
"""Axes of words whose words have an order."""

MOST_SUBSETS = 4
"""Words of an axis up to which every choice of some of them may be a condition; of more, each word alone."""

MOST_CONDITIONS = 20_000
"""Past so many an axis is left out: then fewer cases can be told in one condition."""

Values = tuple[Any, ...]


@dataclass(frozen=True)
class Condition:
    """The values that some axes must have, and the cases that meet it."""

    values: Mapping[str, Values]
    cases: int


def conditions(cases: pd.DataFrame, axes: Sequence[str]) -> list[Condition]:
    """A condition for every set of cases that conditions can tell apart: the one on the fewest axes.

    On an axis of numbers a condition is a range of those that were measured; on one of words, some of them.
    """
    everything = (1 << len(cases)) - 1
    found = {everything: Condition({}, everything)}
    for axis in (name for name in axes if cases[name].nunique() > 1):
        where = members(cases[axis])
        parts = [(some, union(where[value] for value in some)) for some in _parts(ordered(axis, where))]
        if len(found) * len(parts) > MOST_CONDITIONS:
            continue
        for known in list(found.values()):
            for some, mine in parts:
                both = known.cases & mine
                old = found.get(both)
                if both and (old is None or len(old.values) > len(known.values) + 1):
                    found[both] = Condition({**known.values, axis: some}, both)
    return list(found.values())


def members(values: pd.Series) -> dict[Any, int]:
    """value -> the set of rows that have it."""
    found: dict[Any, int] = {}
    for row, value in enumerate(values.tolist()):
        found[value] = found.get(value, 0) | 1 << row
    return found


def union(sets: Iterable[int]) -> int:
    """The cases that are in any of the sets."""
    whole = 0
    for each in sets:
        whole |= each
    return whole


def words(condition: Condition, cases: pd.DataFrame) -> str:
    """The condition in words, with no value that none of its cases has; '' where it holds everywhere."""
    told = []
    for axis in condition.values:
        where = members(cases[axis])
        there = [value for value, rows in where.items() if rows & condition.cases]
        if len(there) < len(where):
            told.append(_part(axis, ordered(axis, there), ordered(axis, where)))
    return ", ".join(told)


def listed(values: Sequence[Any]) -> str:
    """'8', '8 or 64', or '1 to 64' of three numbers or more."""
    if len(values) > 2 and not isinstance(values[0], str):
        return f"{values[0]} to {values[-1]}"
    return " or ".join(map(str, values))


def ordered(axis: str, values: Iterable[Any]) -> Values:
    """The values in the order of their axis."""
    known = ORDERS.get(axis, ())
    return tuple(sorted(values, key=lambda each: (known.index(each) if each in known else len(known), each)))


def _parts(values: Values) -> Iterator[Values]:
    """Choices of some of the values of an axis, not of all."""
    count = len(values)
    if not isinstance(values[0], str):
        yield from (values[begin:end] for begin, end in combinations(range(count + 1), 2) if end - begin < count)
    elif count <= MOST_SUBSETS:
        for size in range(1, count):
            yield from combinations(values, size)
    else:
        yield from ((each,) for each in values)


def _part(axis: str, some: Values, every: Values) -> str:
    if isinstance(every[0], str) and len(some) > 2 and len(some) == len(every) - 1:
        (left_out,) = set(every) - set(some)
        return f"in every {axis} but {left_out}"
    return f"in {listed(some)}" if axis == "dtype" else f"{axis} = {listed(some)}"
