"""Describes sets of cases by short conditions on their axes, such as 'in bfloat16, n = 16384 or 262144'.

A set of cases is an integer in which bit i stands for row i of the table of cases.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import pandas as pd

from harness.vocabulary import DTYPES, MODES, TRANSFORMS

ORDERS = {"dtype": DTYPES, "mode": MODES, "transform": TRANSFORMS}
"""The order of the words of those axes whose words have one."""

MOST_SUBSETS = 4
"""If an axis has at most this many words, any subset of them may be a condition; else only single words."""

MOST_CONDITIONS = 20_000
"""An axis that would lead to more conditions than this is left out, which bounds the time of a search. Conditions are
then less expressive, but still correct."""

Values = tuple[Any, ...]


@dataclass(frozen=True)
class Condition:
    """values: axis -> the values that it may have; cases: the set of cases that meet the condition."""

    values: Mapping[str, Values]
    cases: int


def conditions(cases: pd.DataFrame, axes: Sequence[str]) -> list[Condition]:
    """All conditions on these axes; of those that are met by the same cases only the one on the fewest axes.

    On an axis of numbers a condition is a range of the measured values; on an axis of words it is a subset.
    """
    everything = (1 << len(cases)) - 1
    found = {everything: Condition({}, everything)}
    for axis in (name for name in axes if cases[name].nunique() > 1):
        where = members(cases[axis])
        parts = [(values, union(where[value] for value in values)) for values in _parts(ordered(axis, where))]
        if len(found) * len(parts) > MOST_CONDITIONS:
            continue
        for known in list(found.values()):
            for values, with_values in parts:
                both = known.cases & with_values
                old = found.get(both)
                if both and (old is None or len(old.values) > len(known.values) + 1):
                    found[both] = Condition({**known.values, axis: values}, both)
    return list(found.values())


def members(values: pd.Series) -> dict[Any, int]:
    """value -> the set of cases that have it."""
    sets: dict[Any, int] = {}
    for row, value in enumerate(values.tolist()):
        sets[value] = sets.get(value, 0) | 1 << row
    return sets


def union(sets: Iterable[int]) -> int:
    """The set of the cases that are in any of the sets."""
    return functools.reduce(operator.or_, sets, 0)


def words(condition: Condition, cases: pd.DataFrame) -> str:
    """The condition in words, without values that none of its cases has; '' if it holds in all cases."""
    parts = []
    for axis in condition.values:
        where = members(cases[axis])
        there = [value for value, rows in where.items() if rows & condition.cases]
        if len(there) < len(where):
            parts.append(_part(axis, ordered(axis, there), ordered(axis, where)))
    return ", ".join(parts)


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
    """The proper subsets of an axis's values that may be a condition."""
    count = len(values)
    if not isinstance(values[0], str):
        yield from (values[begin:end] for begin, end in combinations(range(count + 1), 2) if end - begin < count)
    elif count <= MOST_SUBSETS:
        for size in range(1, count):
            yield from combinations(values, size)
    else:
        yield from ((each,) for each in values)


def _part(axis: str, values: Values, every: Values) -> str:
    """The condition that an axis has one of `values`, in words; every: all values of the axis."""
    if isinstance(every[0], str) and len(values) > 2 and len(values) == len(every) - 1:
        (left_out,) = set(every) - set(values)
        return f"in every {axis} but {left_out}"
    return f"in {listed(values)}" if axis == "dtype" else f"{axis} = {listed(values)}"
