"""Ratios of times against numbers worked out by hand, and the share of intervals that hold the truth."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness.tables import first_clock
from harness.verdicts.ratios import (
    intervals,
    launch_medians,
    multiples_of_read,
    paired_log_ratios,
    speedups,
)

T95 = {1: 12.706, 2: 4.303, 3: 3.182, 9: 2.262}
"""Degrees of freedom -> Student's t, two-sided 95 %, as printed in tables of statistics."""

COLUMNS = ["case", "method", "phase", "clock", "launch", "round", "position", "calls", "seconds"]


def timings(rows: Iterable[tuple[str, str, str, int, int, float]]) -> pd.DataFrame:
    """Rows of (case, method, phase, launch, round, seconds) as timings.csv has them."""
    made = [(case, method, phase, "wall", launch, number, 0, 1, s) for case, method, phase, launch, number, s in rows]
    return pd.DataFrame(made, columns=COLUMNS)


HAND = timings(
    [
        ("a", "native", "forward", 1, 0, 2.0),
        ("a", "native", "forward", 1, 1, 4.0),
        ("a", "native", "forward", 2, 0, 8.0),
        ("a", "native", "backward", 1, 0, 16.0),
        ("a", "dense", "forward", 1, 0, 6.0),
        ("a", "dense", "forward", 1, 1, 4.0),
        ("a", "dense", "forward", 2, 0, 2.0),
        ("a", "native", "forward", 3, 0, 5.0),
        ("a", "dense", "forward", 3, 0, 2.5),
        ("a", "dense", "build", 1, 0, 1.0),
        ("a", "dense", "backward", 1, 0, 4.0),
        ("a", "dense", "backward", 1, 1, 4.0),  # native's block of this round is missing
        ("a", "read", "apply", 1, 1, 0.5),
        ("b", "dense", "forward", 1, 0, 1.0),  # a case without native
        ("c", "native", "pipeline", 1, 0, 10.0),
        ("c", "fused", "pipeline", 1, 0, 5.0),
    ]
)


def ratios_of(pairs: pd.DataFrame) -> dict[Any, float]:
    keys = zip(pairs["case"], pairs["method"], pairs["phase"], pairs["launch"], pairs["round"], strict=True)
    return dict(zip(keys, np.exp(pairs["log_ratio"]), strict=True))


def by_cell(table: pd.DataFrame) -> dict[Any, dict[Any, Any]]:
    return {(row["case"], row["method"], row["phase"]): row for row in table.to_dict("records")}


def test_a_ratio_is_to_the_base_in_the_same_case_launch_and_round() -> None:
    assert ratios_of(paired_log_ratios(HAND)) == pytest.approx(
        {
            ("a", "native", "forward", 1, 0): 1,
            ("a", "native", "forward", 1, 1): 1,
            ("a", "native", "forward", 2, 0): 1,
            ("a", "native", "forward", 3, 0): 1,
            ("a", "native", "backward", 1, 0): 1,
            ("a", "dense", "forward", 1, 0): 3,
            ("a", "dense", "forward", 1, 1): 1,
            ("a", "dense", "forward", 2, 0): 0.25,
            ("a", "dense", "forward", 3, 0): 0.5,
            ("a", "dense", "build", 1, 0): 0.5,  # to native's forward: native builds nothing
            ("a", "dense", "backward", 1, 0): 0.25,
            ("a", "read", "apply", 1, 1): 0.125,
            ("c", "native", "pipeline", 1, 0): 1,
            ("c", "fused", "pipeline", 1, 0): 0.5,
        }
    )


def test_every_phase_can_be_a_ratio_to_one_phase_of_a_yardstick() -> None:
    assert ratios_of(paired_log_ratios(HAND, base="read", base_phase="apply")) == pytest.approx(
        {
            ("a", "native", "forward", 1, 1): 8,
            ("a", "dense", "forward", 1, 1): 8,
            ("a", "dense", "backward", 1, 1): 8,
            ("a", "read", "apply", 1, 1): 1,
        }
    )


def test_a_ratio_is_of_one_clock() -> None:
    """By the device clock everything takes half as long here; gather, which waits for the device, has no such time."""
    device = HAND[HAND["method"] != "dense"].assign(clock="device", seconds=HAND["seconds"] / 2)
    both = pd.concat([HAND, device], ignore_index=True)
    pairs = paired_log_ratios(both)
    for clock, wanted in (("wall", HAND), ("device", device)):
        assert ratios_of(pairs[pairs["clock"] == clock]) == ratios_of(paired_log_ratios(wanted))
    assert set(speedups(both)["clock"]) == {"wall", "device"}
    first = first_clock(speedups(both))
    assert {(row["case"], row["clock"]) for row in first.to_dict("records")} == {("a", "device"), ("c", "device")}
    by_method = first_clock(speedups(both), ("case", "method"))
    assert set(by_method.loc[by_method["method"] == "dense", "clock"]) == {"wall"}


def test_the_columns_of_the_timings_are_kept() -> None:
    assert list(paired_log_ratios(HAND).columns) == [*COLUMNS, "base_seconds", "log_ratio"]


def test_where_the_base_has_no_block_there_is_no_ratio() -> None:
    none = HAND[HAND["method"] != "native"]
    assert paired_log_ratios(none).empty
    assert speedups(none).empty
    assert speedups(HAND[:0]).empty


def test_one_median_a_launch() -> None:
    values = {1: [1.0, 100.0, 3.0], 2: [5.0, 7.0], 3: [math.nan, 4.0]}
    frame = pd.DataFrame(
        [{"case": case, "launch": launch, "x": x} for case in "ab" for launch, xs in values.items() for x in xs]
    )
    found = launch_medians(frame, ["case"], "x")
    assert found.to_numpy().tolist() == [[case, launch, x] for case in "ab" for launch, x in ((1, 3), (2, 6), (3, 4))]


@pytest.mark.parametrize("values", [[1.0, 2.0, 6.0], [3.0, 3.0, 3.0], [0.5, -4.0, 2.0, 1.0]])
def test_an_interval_is_the_mean_and_students_t_times_the_standard_error(values: list[float]) -> None:
    frame = pd.DataFrame({"case": "a", "launch": range(len(values)), "x": values})
    (row,) = intervals(frame, ["case"], "x").to_dict("records")
    half = T95[len(values) - 1] * statistics.stdev(values) / math.sqrt(len(values))
    mean = statistics.mean(values)
    assert (row["mean"], row["launches"]) == (pytest.approx(mean), len(values))
    assert (row["low"], row["high"]) == (pytest.approx(mean - half, rel=1e-3), pytest.approx(mean + half, rel=1e-3))


@pytest.mark.parametrize(
    ("values", "mean", "launches"),
    [
        ([2.5], 2.5, 1),
        ([2.5, math.nan], 2.5, 1),
        ([math.nan], None, 0),
        ([2.5, 2.5], 2.5, 2),
        ([2.0, 3.0], 2.5, 2),
        ([2.0, 3.0, math.nan], 2.5, 2),
    ],
)
def test_under_three_launches_there_is_no_interval(values: list[float], mean: float | None, launches: int) -> None:
    frame = pd.DataFrame({"case": "a", "launch": range(len(values)), "x": values})
    (row,) = intervals(frame, ["case"], "x").to_dict("records")
    assert row["launches"] == launches
    assert math.isnan(row["low"])
    assert math.isnan(row["high"])
    assert math.isnan(row["mean"]) if mean is None else row["mean"] == mean


def test_an_interval_that_says_nothing_is_not_made() -> None:
    """Times of 1 ns, 1 s and 1000 s are no measurement: their interval would reach from 1e-17 to 1e17."""
    values = [math.log(each) for each in (1e-9, 1.0, 1e3)]
    frame = pd.DataFrame({"case": "a", "launch": range(3), "x": values})
    (row,) = intervals(frame, ["case"], "x").to_dict("records")
    assert row["mean"] == pytest.approx(statistics.mean(values))
    assert math.isnan(row["low"])
    assert math.isnan(row["high"])


def test_speedups_are_base_over_method_with_the_interval_the_right_way_round() -> None:
    table = speedups(HAND)
    assert not {"launch", "round", "position", "calls", "seconds"} & set(table.columns)
    rows = by_cell(table)
    launches = [statistics.median([math.log(3), math.log(1)]), math.log(0.25), math.log(0.5)]
    half = T95[2] * statistics.stdev(launches) / math.sqrt(3)
    forward = rows["a", "dense", "forward"]
    assert forward["speedup"] == pytest.approx(math.exp(-statistics.mean(launches)))
    assert math.log(forward["low"]) == pytest.approx(-statistics.mean(launches) - half, rel=1e-3)
    assert math.log(forward["high"]) == pytest.approx(-statistics.mean(launches) + half, rel=1e-3)
    assert forward["launches"] == 3
    fused = rows["c", "fused", "pipeline"]
    assert fused["speedup"] == pytest.approx(2)
    assert math.isnan(fused["low"])
    assert math.isnan(fused["high"])
    native = rows["a", "native", "forward"]
    assert (native["speedup"], native["low"], native["high"]) == (1, 1, 1)


def test_a_nan_among_the_times_takes_only_its_own_round_away() -> None:
    broken = HAND.assign(seconds=HAND["seconds"].where(HAND.index != 4))  # 6.0, of launch 1, round 0
    dense = by_cell(speedups(broken))["a", "dense", "forward"]
    assert dense["speedup"] == pytest.approx(math.exp(-math.log(1 * 0.25 * 0.5) / 3))
    alone = HAND.assign(seconds=HAND["seconds"].where(HAND["method"] != "fused"))
    fused = by_cell(speedups(alone))["c", "fused", "pipeline"]
    assert all(math.isnan(fused[name]) for name in ("speedup", "low", "high"))
    assert fused["launches"] == 0


@pytest.mark.parametrize("launches", [3, 10])
def test_nineteen_intervals_of_twenty_hold_the_truth(launches: int) -> None:
    """Launches differ for good, rounds scatter about them and drift hits both arms of a round alike."""
    cases, rounds, truth = 1000, 5, math.log(0.8)
    rng = np.random.default_rng(20)
    shape = (cases, launches, rounds)
    drift = rng.normal(0, 0.5, shape)
    log_ratio = truth + rng.normal(0, 0.03, (cases, launches, 1)) + rng.normal(0, 0.01, shape)
    index = pd.MultiIndex.from_product([range(length) for length in shape], names=["case", "launch", "round"]).to_frame(
        index=False
    )
    index = index.assign(phase="forward", clock="wall", position=0, calls=1)
    native = index.assign(method="native", seconds=np.exp(drift).ravel())
    gather = index.assign(method="gather", seconds=np.exp(drift + log_ratio).ravel())
    found = speedups(pd.concat([native, gather], ignore_index=True)).query("method == 'gather'")
    assert len(found) == cases
    assert (found["launches"] == launches).all()
    covered = ((found["low"] <= 1 / 0.8) & (found["high"] >= 1 / 0.8)).mean()
    assert 0.92 <= covered <= 0.98


def test_a_time_is_a_multiple_of_the_read_of_its_own_round() -> None:
    found = multiples_of_read(HAND).query("phase == 'forward'").set_index("method")
    assert found["multiple"].to_dict() == {"native": pytest.approx(4.0 / 0.5), "dense": pytest.approx(4.0 / 0.5)}
    assert found["launches"].tolist() == [1, 1]
    assert found["high"].isna().all()
    seconds = (2.0, 4.0, 8.0)
    rows = [("a", "dense", "forward", launch, 0, each) for launch, each in enumerate(seconds)]
    rows += [("a", "read", "apply", launch, 0, 1.0) for launch, _ in enumerate(seconds)]
    (row,) = multiples_of_read(timings(rows)).query("method == 'dense'").to_dict("records")
    half = T95[2] * statistics.stdev(map(math.log, seconds)) / math.sqrt(3)
    assert row["multiple"] == pytest.approx(4.0)
    assert row["low"] == pytest.approx(4.0 * math.exp(-half), rel=1e-3)
    assert row["high"] == pytest.approx(4.0 * math.exp(half), rel=1e-3)


def test_more_confidence_takes_a_wider_interval() -> None:
    usual, surer = (
        speedups(HAND, confidence=each).query("method == 'dense' and launches == 3") for each in (0.95, 0.99)
    )
    assert (surer["low"] < usual["low"]).all()
    assert (surer["high"] > usual["high"]).all()
    assert len(usual) > 0
    assert surer["speedup"].tolist() == usual["speedup"].tolist()
