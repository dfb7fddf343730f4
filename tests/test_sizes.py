"""Method by size: which cases are shown, at which setting, and the interval against one worked out by hand."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd
import pytest

from harness.report.sizes import by_size
from harness.study.cells import Case

T95_OF_THREE = 4.303
"""Student's t for 95 % and three launches, as printed in tables of statistics."""


def timings(cases: Iterable[Case], seconds: Mapping[str, Mapping[str, float]], launches: int = 3) -> pd.DataFrame:
    """A block a phase and launch; seconds: method -> phase -> seconds a call."""
    rows: list[dict[str, Any]] = [
        {"case": case.id, "method": method, **case.axes, "phase": phase, "clock": "wall", "launch": launch}
        | {"round": 0, "position": 0, "calls": 1, "seconds": lasts}
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
    logs = [math.log(each) for each in (4.0, 2.0, 3.0)]
    for launch, each in enumerate(logs, 1):
        rows.loc[(rows["method"] == "dense") & (rows["launch"] == launch), "seconds"] = math.exp(each)
    found = by_size(rows)
    assert found is not None
    half = T95_OF_THREE * statistics.stdev(logs) / math.sqrt(3)
    low, middle, high = (math.exp(-(statistics.mean(logs) + each)) for each in (half, 0, -half))
    assert found.columns["forward n=64"].to_dict() == {"dense": f"{middle:.2f}x ({low:#.2g}..{high:#.2g})"}
    assert found.heading() == "speed-up over native (95 % interval of 3 launches) at k=4 rows=1 d=0 float32 cpu"


@pytest.mark.parametrize("launches", [1, 2])
def test_under_three_launches_there_is_no_interval_and_what_to_do_is_said(launches: int) -> None:
    rows = timings([Case(n=64, k=4)], BOTH, launches=launches)
    rows.loc[(rows["method"] == "dense") & (rows["launch"] == 2), "seconds"] = 4.0000001
    found = by_size(rows)
    assert found is not None
    assert found.columns["forward n=64"].to_dict() == {"dense": "0.25x"}
    count = "1 launch" if launches == 1 else "2 launches"
    assert found.heading().startswith(f"speed-up over native ({count}: no interval; run with --launches 3) at ")


@pytest.mark.parametrize(
    ("fewer", "told"),
    [(4, "interval of 4 to 5 launches)"), (2, "interval of up to 5 launches, none of fewer than 3)")],
)
def test_launches_that_differ_are_told_as_a_range(fewer: int, told: str) -> None:
    rows = timings(grid([64, 256], [4]), BOTH, launches=5)
    found = by_size(rows[(rows["n"] == 64) | (rows["launch"] <= fewer)])
    assert found is not None
    assert told in found.heading()
    assert ("(" in found.columns["forward n=256"]["dense"]) == (fewer >= 3)


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
    assert f" at {told}rows=1" in found.heading()


def test_each_size_has_its_own_middle_k_where_they_share_one_only() -> None:
    found = by_size(timings([*grid([64], [1, 4]), *grid([1024], [1, 64])], BOTH))
    assert found is not None
    assert " at k=4|64 " in found.heading()


def test_float32_and_the_commonest_of_each_other_axis() -> None:
    cases = [
        *grid([64, 256], [4], dtype="float16", rows=2),
        *grid([64, 256], [4], dtype="float32", rows=8, mode="deterministic"),
        *grid([64, 256], [4], dtype="float32", rows=8, mode="deterministic", seed=3),
        *grid([64], [4], dtype="float32", rows=2, distribution="uniform"),
    ]
    found = by_size(timings(cases, BOTH))
    assert found is not None
    assert found.heading().endswith(" at k=4 rows=8 d=0 float32 cpu mode=deterministic")
    bfloat = by_size(timings(grid([64], [4], dtype="bfloat16"), BOTH))
    assert bfloat is not None
    assert " bfloat16 cpu" in bfloat.heading()


def test_shapes_are_the_sizes_where_there_are_any() -> None:
    wide = [Case(n=n, k=k, rows=8, parameters=(("shape", "wide"),)) for n in (256, 512) for k in (8, 32)]
    deep = [Case(n=64, k=4, rows=1024, parameters=(("shape", "deep"),))]
    found = by_size(timings([*wide, *deep], BOTH))
    assert found is not None
    assert list(found.columns) == ["forward wide", "forward deep"]
    assert found.heading().endswith(" at n=512|64 k=32|4 rows=8|1024 d=0 float32 cpu")


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
