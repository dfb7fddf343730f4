"""Method by size: which cases are shown, at which setting, and the interval against one worked out by hand."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd
import pytest

from harness.cells import Case
from harness.verdicts.sizes import by_size

T95_OF_TWO = 12.706
"""Student's t for 95 % and two launches, as printed in tables of statistics."""


def timings(cases: Iterable[Case], seconds: Mapping[str, Mapping[str, float]], launches: int = 2) -> pd.DataFrame:
    """A block a phase and launch; seconds: method -> phase -> seconds a call."""
    rows: list[dict[str, Any]] = [
        {"case": case.id, "method": method, **case.axes, "phase": phase, "launch": launch}
        | {"round": 0, "position": 0, "calls": 1, "seconds": lasts, "device_seconds": math.nan}
        for case, launch in itertools.product(cases, range(1, launches + 1))
        for method, phases in seconds.items()
        for phase, lasts in phases.items()
    ]
    return pd.DataFrame(rows)


BOTH = {"native": {"forward": 1.0}, "dense": {"forward": 4.0}}


def grid(n: Iterable[int], k: Iterable[int], **axes: Any) -> list[Case]:
    return [Case(n=each, k=other, **axes) for each in n for other in k if other <= each]


def test_the_interval_is_students_over_launches() -> None:
    rows = timings([Case(n=64, k=4)], BOTH)
    rows.loc[(rows["method"] == "dense") & (rows["launch"] == 2), "seconds"] = 2.0
    found = by_size(rows)
    assert found is not None
    half = T95_OF_TWO * (math.log(4) - math.log(2)) / 2
    low, middle, high = (math.exp(-(math.log(8) / 2 + each)) for each in (half, 0, -half))
    assert found.columns["forward n=64"].to_dict() == {"dense": f"{middle:.2f}x ({low:#.2g}..{high:.0f})"}
    assert found.told() == "speed-up over native (95 % interval of 2 launches) at k=4 rows=1 d=0 float32 cpu"


def test_one_launch_has_no_interval_and_says_so() -> None:
    found = by_size(timings([Case(n=64, k=4)], BOTH, launches=1))
    assert found is not None
    assert found.columns["forward n=64"].to_dict() == {"dense": "0.25x"}
    assert found.told().startswith("speed-up over native (one launch: no interval) at ")


def test_launches_that_differ_are_told_as_a_range() -> None:
    rows = timings(grid([64, 256], [4]), BOTH, launches=3)
    found = by_size(rows[(rows["n"] == 64) | (rows["launch"] < 3)])
    assert found is not None
    assert "interval of 2 to 3 launches" in found.told()


@pytest.mark.parametrize(
    ("sizes", "shown"),
    [
        ([8], [8]),
        ([16, 8], [8, 16]),
        ([8, 16, 32, 64], [8, 16, 32, 64]),
        ([8, 16, 32, 64, 128, 256, 512], [8, 32, 128, 512]),
    ],
)
def test_up_to_four_sizes_from_the_smallest_to_the_largest(sizes: list[int], shown: list[int]) -> None:
    found = by_size(timings(grid(sizes, [4]), BOTH))
    assert found is not None
    assert list(found.columns) == [f"forward n={n}" for n in shown]


@pytest.mark.parametrize(
    ("k", "told"),
    [([1, 8, 64, 512], "k=8 "), ([1, 4], "k=4 "), ([64, 128], "k=64|128 ")],
    ids=["the middle of those that both sizes have", "the larger of two", "one in common is no middle"],
)
def test_the_middle_k(k: list[int], told: str) -> None:
    found = by_size(timings(grid([64, 1024], k), BOTH))
    assert found is not None
    assert f" at {told}rows=1" in found.told()


def test_each_size_has_its_own_middle_k_where_they_share_one_only() -> None:
    found = by_size(timings([*grid([64], [1, 4]), *grid([1024], [1, 64])], BOTH))
    assert found is not None
    assert " at k=4|64 " in found.told()


def test_float32_and_the_commonest_of_each_other_axis() -> None:
    cases = [
        *grid([64, 256], [4], dtype="float16", rows=2),
        *grid([64, 256], [4], dtype="float32", rows=8, mode="deterministic"),
        *grid([64, 256], [4], dtype="float32", rows=8, mode="deterministic", seed=3),
        *grid([64], [4], dtype="float32", rows=2, distribution="uniform"),
    ]
    found = by_size(timings(cases, BOTH))
    assert found is not None
    assert found.told().endswith(" at k=4 rows=8 d=0 float32 cpu mode=deterministic")
    bfloat = by_size(timings(grid([64], [4], dtype="bfloat16"), BOTH))
    assert bfloat is not None
    assert " bfloat16 cpu" in bfloat.told()


def test_shapes_are_the_sizes_where_there_are_any() -> None:
    wide = [Case(n=n, k=k, rows=8, parameters=(("shape", "wide"),)) for n in (256, 512) for k in (8, 32)]
    deep = [Case(n=64, k=4, rows=1024, parameters=(("shape", "deep"),))]
    found = by_size(timings([*wide, *deep], BOTH))
    assert found is not None
    assert list(found.columns) == ["forward wide", "forward deep"]
    assert found.told().endswith(" at n=512|64 k=32|4 rows=8|1024 d=0 float32 cpu")


def test_other_phases_of_native_stand_beside_the_largest_size_first_what_a_method_has_instead() -> None:
    seconds = {
        "native": {"forward": 1.0, "backward": 1.0, "pipeline": 1.0},
        "dense": {"build": 1.0, "forward": 2.0, "backward": 4.0, "pipeline": 5.0},
        "fused": {"pipeline": 0.5},
        "read": {"apply": 0.1},
    }
    found = by_size(timings(grid([8, 16, 32, 64, 128], [4], d=2), seconds))
    assert found is not None
    sizes = ["forward n=8", "forward n=16", "forward n=64", "forward n=128"]
    assert list(found.columns) == [*sizes, "pipeline n=128", "backward n=128"]
    assert found.columns["pipeline n=128"].to_dict() == {"dense": "0.20x (0.20..0.20)", "fused": "2.0x (2.0..2.0)"}
    gone: list[str] = []
    while found.spare:
        before = set(found.columns)
        found = found.narrower()
        gone += before - set(found.columns)
    assert gone == ["backward n=128", "forward n=64", "forward n=16"]
    assert list(found.columns) == ["forward n=8", "forward n=128", "pipeline n=128"]


def test_without_forward_the_first_phase_of_native_is_shown() -> None:
    seconds = {name: {"pipeline": 1.0, "backward": 2.0} for name in ("native", "dense")}
    found = by_size(timings([Case(n=64, k=4, d=2)], seconds))
    assert found is not None
    assert list(found.columns) == ["backward n=64", "pipeline n=64"]


@pytest.mark.parametrize("seconds", [{"dense": {"forward": 1.0}}, {"native": {"forward": 1.0}}], ids="".join)
def test_where_nothing_can_be_held_against_native_there_is_nothing(seconds: dict[str, dict[str, float]]) -> None:
    assert by_size(timings([Case(n=64, k=4)], seconds)) is None
