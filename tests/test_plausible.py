"""Times that cannot be, by the yardsticks' bytes per second and by the device clock: planted and committed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from harness.report.doubts import doubts
from harness.report.sizes import by_size
from harness.study.cells import Case
from harness.tables import Run, read
from harness.verdicts.fastest import fastest
from harness.verdicts.plausible import believed, contradicted, paces
from harness.vocabulary import PACE_BOUND

NAN = float("nan")
CALL = 1e-6
UNCHECKED = "bytes per second: no yardstick moves about as many bytes as any phase, so no phase was checked"
PACE = 1e10
"""Of a machine on which a call costs so many seconds and every byte the same: 10 GB/s."""

Told = tuple[Case, str, str, float, Sequence[float]]
"""Case, method, phase, least bytes, and the seconds of each launch."""

SMALL, LARGE = Case(n=64), Case(n=1 << 20)


def yardsticks(*cases: Case, pace: float = PACE) -> list[Told]:
    rows: list[Told] = []
    for case in cases:
        for name, passes in (("copy", 2), ("read", 1)):
            moved = passes * case.n * case.itemsize
            rows.append((case, name, "apply", moved, [CALL + moved / pace] * 3))
    return rows


def run_of(rows: Sequence[Told], device_share: float = NAN) -> Run:
    """A run with these times; device_share: what the device clock says, as a share of the
    wall clock; NaN: there is none."""
    timings, memory = [], []
    for case, method, phase, least, launches in rows:
        key = {"case": case.id, "method": method, **case.axes, "phase": phase}
        memory.append(key | {"launch": 1, "min_bytes": int(least), "peak_bytes": 0.0})
        for launch, seconds in enumerate(launches, 1):
            said = {"wall": seconds} | ({} if np.isnan(device_share) else {"device": seconds * device_share})
            for clock, told in said.items():
                block = {"clock": clock, "launch": launch, "position": 0, "calls": 1, "seconds": told}
                timings += [key | block | {"round": number} for number in range(3)]
    return cast(Run, SimpleNamespace(timings=pd.DataFrame(timings), memory=pd.DataFrame(memory)))


def paces_of(rows: Sequence[Told]) -> dict[str, float]:
    run = run_of(rows)
    found = paces(run.timings, run.memory)
    return dict(zip(found["method"], found["pace"], strict=True))


def native(seconds: Sequence[float], least: float = 4 << 20, case: Case = LARGE) -> Told:
    return (case, "native", "forward", least, seconds)


EXPECTED = (4 << 20) / PACE
"""Seconds that 4 MiB take at the yardsticks' pace, without the call."""


def test_a_pace_is_that_of_the_yardstick_without_its_call() -> None:
    found = paces_of([*yardsticks(SMALL, LARGE), native([EXPECTED] * 3)])
    assert found == {"native": pytest.approx(1.0, rel=1e-2)}
    middle = Case(n=1 << 14)
    least = middle.n * middle.itemsize
    found = paces_of([*yardsticks(SMALL, middle), native([least / PACE] * 3, least, middle)])
    assert found == {"native": pytest.approx(1.0, rel=1e-2)}


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.05, 1.2, 10.0])
def test_too_fast_is_what_is_faster_than_the_yardstick_by_more_than_the_bound(factor: float) -> None:
    rows = [*yardsticks(SMALL, LARGE), native([EXPECTED / factor] * 3)]
    told = list(doubts(run_of(rows)))
    assert bool(told) == (factor > PACE_BOUND)
    if told:
        (line,) = told
        assert line.startswith("too fast to be true: 1 of 1 phases")
        assert f"native n={LARGE.n} k=64 rows=1 d=0 float32 cpu, forward ({factor:.2g}x)" in line
        assert "a missing synchronise, work optimised away, or a nearer cache" in line


def test_a_launch_that_is_fast_by_chance_is_no_alarm() -> None:
    assert paces_of([*yardsticks(LARGE), native([EXPECTED / 10, EXPECTED, EXPECTED / 10])])["native"] <= PACE_BOUND


def test_the_fastest_launch_of_the_better_yardstick_counts() -> None:
    rows = yardsticks(SMALL, LARGE)
    (case, name, phase, moved, (seconds, *_)) = rows[2]
    rows[2] = (case, name, phase, moved, [seconds, seconds / 2, seconds])
    assert paces_of([*rows, native([EXPECTED] * 3)])["native"] == pytest.approx(0.5, rel=0.02)


def test_calls_that_cost_more_than_the_bytes_are_no_alarm() -> None:
    """At n = 64 the yardsticks tell the cost of a call; a matrix 16 times as large costs one too."""
    rows = [*yardsticks(SMALL, Case(n=1024)), native([CALL * 1.5] * 3, 16 * 256, SMALL)]
    own = 16 * 256 / (CALL * 1.5) / (2 * 256 / (CALL + 512 / PACE))
    assert own > 5 * PACE_BOUND
    assert paces_of(rows)["native"] < PACE_BOUND


@pytest.mark.parametrize("least", [100, 1 << 29])
def test_what_no_yardstick_is_like_is_not_judged(least: int) -> None:
    rows = [*yardsticks(LARGE), native([1e-9] * 3, least)]
    assert np.isnan(paces_of(rows)["native"])
    assert list(doubts(run_of(rows))) == [UNCHECKED]


def test_without_yardsticks_nothing_is_held() -> None:
    assert np.isnan(paces_of([native([1e-9] * 3)])["native"])


@pytest.mark.parametrize(
    "other",
    [
        Case(n=LARGE.n, device="cuda"),
        Case(n=LARGE.n, threads=2),
        Case(n=LARGE.n, parameters=(("cache", "cold"),)),
    ],
    ids=["device", "threads", "cache"],
)
def test_yardsticks_of_another_setting_do_not_count(other: Case) -> None:
    """There they are ten times as fast: what hides behind them is found by its own."""
    warm = (("cache", "warm"),) if other.parameters else ()
    mine = Case(n=LARGE.n, parameters=warm)
    rows = [*yardsticks(mine), *yardsticks(other, pace=10 * PACE)]
    assert paces_of([*rows, native([EXPECTED / 5] * 3, case=mine)])["native"] > PACE_BOUND
    assert paces_of([*rows, native([EXPECTED / 5] * 3, case=other)])["native"] < PACE_BOUND


@pytest.mark.parametrize(("share", "doubted"), [(0.3, False), (1.0, False), (1.05, False), (1.5, True), (NAN, False)])
def test_a_device_clock_that_contradicts_the_wall_clock_are_told(share: float, doubted: bool) -> None:
    run = run_of([*yardsticks(SMALL, LARGE), native([2 * EXPECTED] * 3)], share)
    assert contradicted(run.timings).empty != doubted
    told = list(doubts(run))
    assert bool(told) == doubted
    if told:
        assert "times by the device clock are longer than by the wall clock" in told[0]
        assert "and 2 more" in told[0]


@pytest.mark.parametrize(("spread", "noisy"), [(0.01, False), (0.05, False), (0.2, True), (1.0, True)])
def test_a_run_whose_speedups_are_uncertain_is_called_noisy(spread: float, noisy: bool) -> None:
    """The interval of three launches is 2.5 standard deviations to either side. native itself has none."""
    steady = [native([EXPECTED] * 3), *yardsticks(SMALL, LARGE)]
    others: list[Told] = [
        (LARGE, name, "forward", LARGE.n * 4, [2 * EXPECTED * np.exp(spread * each) for each in (-1.0, 0.0, 1.0)])
        for name in ("gather", "sort")
    ]
    told = list(doubts(run_of([*steady, *others])))
    assert len(told) == noisy
    if noisy:
        uncertain = np.expm1(4.3027 / np.sqrt(3) * spread)
        assert told[0].startswith(f"noisy: half of the 2 speed-ups are uncertain by {100 * uncertain:.0f} % or more. ")


def test_without_intervals_no_run_is_called_noisy() -> None:
    rows = [native([EXPECTED] * 3), (LARGE, "sort", "forward", LARGE.n * 4, [2 * EXPECTED, 9 * EXPECTED])]
    assert list(doubts(run_of([*yardsticks(SMALL, LARGE), *rows]))) == []


def test_of_nothing_timed_nothing_is_said() -> None:
    run = run_of(yardsticks(SMALL, LARGE))
    assert list(doubts(run)) == []  # no other method was measured, so none was left unchecked
    empty: Any = SimpleNamespace(timings=run.timings.head(0), memory=run.memory)
    assert list(doubts(empty)) == []


@pytest.mark.parametrize("path", sorted(Path("results").glob("*/speed/reference")), ids=str)
def test_the_committed_run_of_speed_has_no_doubts(path: Path) -> None:
    run = read(path)
    found = paces(run.timings, run.memory)
    assert list(doubts(run)) == []
    assert found["pace"].notna().mean() > 0.9
    assert found["pace"].max() > 0.5


@pytest.mark.parametrize("path", sorted(Path("results").glob("*/speed/reference")), ids=str)
def test_a_clock_that_did_not_wait_would_be_found_in_it(path: Path) -> None:
    """All of native's calls at the largest n return after 0.3 of the time that one read of y takes in its case.

    A fixed time would not do: half a MiB is read in 5 microseconds on one day and in 8 on another.
    """
    run = read(path)
    planted = run.timings.copy()
    mine = (planted["method"] == "native") & (planted["n"] == planted["n"].max())
    one_read = planted[planted["method"] == "read"].groupby("case")["seconds"].min()
    planted.loc[mine, "seconds"] = 0.3 * planted.loc[mine, "case"].map(one_read)
    found = paces(planted, run.memory)
    fast = found[found["pace"] > PACE_BOUND]
    assert set(fast["method"]) == {"native"}
    judged = found.merge(planted.loc[mine, ["case", "method"]].drop_duplicates()).dropna(subset="pace")
    assert len(fast) == len(judged) > 0


def test_what_is_too_fast_to_be_true_is_in_no_answer() -> None:
    """It would win: sixteen times as fast as native, and three times as fast as its bytes can be moved."""
    honest = [*yardsticks(SMALL, LARGE), native([1e-2, 1.01e-2, 0.99e-2])]
    fake: Told = (LARGE, "gather", "forward", 4 << 20, [1.3e-4, 1.31e-4, 1.29e-4])
    run = run_of([*honest, fake])
    assert paces_of([*honest, fake])["gather"] > PACE_BOUND
    assert set(fastest(run.timings)["method"]) == {"gather"}
    kept = believed(run)
    assert set(kept["method"]) == {"copy", "read", "native"}
    assert fastest(kept).empty
    speed = by_size(kept)
    assert speed is None or "gather" not in str(speed.columns)
    slower: Told = (LARGE, "sort", "forward", 4 << 20, [5e-3, 5.01e-3, 4.99e-3])
    assert list(fastest(believed(run_of([*honest, fake, slower])))["fastest"]) == ["sort"]


def test_clocks_that_contradict_each_other_are_in_no_answer_either() -> None:
    rows = [*yardsticks(SMALL, LARGE), native([1e-2, 1.01e-2, 0.99e-2])]
    assert believed(run_of(rows, device_share=1.5)).empty
    whole = run_of(rows, device_share=1.0)
    assert len(believed(whole)) == len(whole.timings)
