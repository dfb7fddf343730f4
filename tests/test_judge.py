"""The judge against scipy's tests of the same samples, and against simulated runs of which the truth is known."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from harness.study.cells import Case
from harness.verdicts.changes import (
    changes_of_levels,
    changes_of_pairs,
    paired_errors,
    paired_memory,
    unvarying_pairs,
    without,
)
from harness.verdicts.floors import MEMORY_ADDED
from harness.verdicts.judge import FALSE_DISCOVERIES, FEWEST_LAUNCHES, JUDGED_METRICS, confirm, judge, judge_unvarying
from tests.fake_run import key, memory_table, noise
from tests.simulated import TOLERANCE, drawn_changes

BEYOND = math.log1p(TOLERANCE["time"])
SETS = 400
QUANTITIES = 20
SWAPPED = {"slower": "faster", "faster": "slower", "worse": "better", "better": "worse", "lost": "new", "new": "lost"}

Frame = pd.DataFrame


def samples(values: Mapping[str, Sequence[float]], base: float = 1e-3, kind: str = "time", **columns: Any) -> Frame:
    """Launches of quantities: name of the case -> log-ratios, or logarithms of the level."""
    rows = [
        {"case": case, "method": "m", "dtype": "float32", "kind": kind, "phase": "forward", "clock": "", "tensor": ""}
        | {"reference": "", "metric": "", "launch": number, "base": base, "head": base * math.exp(value)}
        | {"log_ratio": value, "log_level": value, "value": math.exp(value)}
        | columns
        for case, launches in values.items()
        for number, value in enumerate(launches, 1)
    ]
    return Frame(rows)


def pairs(values: Mapping[str, Sequence[float]], base: float = 1e-3, kind: str = "time") -> Frame:
    """Changes of paired launches: name of the case -> log-ratios."""
    return changes_of_pairs(samples(values, base, kind).drop(columns=["log_level", "value"]))


def levels(values: Mapping[str, Sequence[float]], run: int = 0) -> Frame:
    return samples(values, run=run).drop(columns=["log_ratio", "base", "head"])


def judged(values: Mapping[str, Sequence[float]], base: float = 1e-3, kind: str = "time") -> Frame:
    return judge(pairs(values, base, kind), TOLERANCE)


def words(table: Frame) -> dict[str, str]:
    return dict(zip(table["case"], table["verdict"], strict=True))


def test_an_effect_its_error_and_its_interval_by_hand() -> None:
    row = judged({"a": [0.1, 0.2, 0.3]}).iloc[0]
    assert (row["effect"], row["error"], row["freedom"], row["launches"]) == pytest.approx((0.2, 0.1 / 3**0.5, 2, 3))
    half = 4.302653 * 0.1 / 3**0.5  # Student's t of 2 degrees of freedom, as printed in tables
    assert (row["low"], row["high"]) == pytest.approx((math.exp(0.2 - half), math.exp(0.2 + half)), rel=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_pairs_are_judged_as_by_a_one_sample_t_test(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sample = rng.normal(0.04, 0.03, size=rng.integers(3, 20))
    row = judged({"a": list(sample)}).iloc[0]
    side = np.sign(sample.mean())
    against_tolerance = stats.ttest_1samp(side * sample, BEYOND, alternative="greater")
    assert row["p"] == pytest.approx(min(1, 2 * against_tolerance.pvalue))
    interval = stats.ttest_1samp(sample, 0).confidence_interval(0.95)
    assert (row["low"], row["high"]) == pytest.approx((math.exp(interval.low), math.exp(interval.high)))


@pytest.mark.parametrize("seed", range(5))
def test_levels_are_judged_as_by_welch(seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, two = rng.normal(1, 0.01, size=9), rng.normal(1.05, 0.03, size=14)
    table = judge(changes_of_levels(levels({"a": list(one)}), levels({"a": list(two)})), TOLERANCE)
    row = table.iloc[0]
    shifted = stats.ttest_ind(two - BEYOND, one, equal_var=False, alternative="greater")
    welch = stats.ttest_ind(two, one, equal_var=False)
    interval = welch.confidence_interval(0.95)
    assert (row["effect"], row["freedom"], row["launches"]) == pytest.approx((two.mean() - one.mean(), welch.df, 9))
    assert row["p"] == pytest.approx(min(1, 2 * shifted.pvalue))
    assert (row["low"], row["high"]) == pytest.approx((math.exp(interval.low), math.exp(interval.high)))


def test_false_discoveries_are_controlled_over_all_quantities() -> None:
    """One that is found alone is not found among a thousand others."""
    sample = noise(1, mean=BEYOND + 0.006)
    assert words(judged({"a": sample}))["a"] == "slower"
    many = judged({"a": sample} | {f"b{number}": noise(number) for number in range(1000)})
    assert words(many)["a"] != "slower"


@pytest.mark.parametrize("effect", [0.0, 0.03, 0.05, 0.06])
def test_discoveries_are_those_of_benjamini_and_hochberg(effect: float) -> None:
    """Many of them: with Bonferroni's bound for each, fewer would be found."""
    found = at_once = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        table = judge(drawn_changes(rng.normal(rng.choice([0.0, effect], 200), 0.02, size=(12, 200))), TOLERANCE)
        adjusted = stats.false_discovery_control(table["p"])
        assert table["found"].tolist() == (adjusted <= FALSE_DISCOVERIES).tolist()
        found += int(table["found"].sum())
        at_once += int((table["p"] <= FALSE_DISCOVERIES / len(table)).sum())
    assert found > at_once > 300 or effect < 0.05


EFFECTS = st.lists(st.floats(-0.3, 0.3), min_size=1, max_size=14)


@given(st.dictionaries(st.sampled_from("abcd"), EFFECTS, min_size=1), st.floats(1e-8, 1e-2))
def test_swapped_sides_give_the_opposite_words(values: dict[str, list[float]], base: float) -> None:
    changes = pairs(values, base)
    changes = pd.concat([changes.assign(kind=kind) for kind in TOLERANCE], ignore_index=True)
    swapped = changes.rename(columns={"base": "head", "head": "base"}).assign(effect=-changes["effect"])
    there, back = judge(changes, TOLERANCE), judge(swapped, TOLERANCE)
    assert [SWAPPED.get(word, word) for word in there["verdict"]] == list(back["verdict"])
    assert list(back["ratio"]) == pytest.approx(list(1 / there["ratio"]))
    assert list(back["p"]) == pytest.approx(list(there["p"]))


@settings(max_examples=15)
@given(EFFECTS)
def test_swapped_levels_give_the_opposite_effect(values: list[float]) -> None:
    one, two = levels({"a": values}), levels({"a": noise(3)})
    there, back = changes_of_levels(one, two).iloc[0], changes_of_levels(two, one).iloc[0]
    assert back["effect"] == pytest.approx(-there["effect"])
    assert (back["error"], back["freedom"]) == pytest.approx((there["error"], there["freedom"]), nan_ok=True)


def drawn(rng: np.random.Generator, effects: np.ndarray, launches: int, sd: float = 0.02) -> Frame:
    return drawn_changes(rng.normal(effects, sd, size=(launches, len(effects))))


def test_what_is_drawn_is_what_is_made_of_pairs() -> None:
    draws = np.random.default_rng(0).normal(0.01, 0.02, size=(12, 5))
    ours = drawn_changes(draws)
    made = pairs({case: list(draws[:, at]) for at, case in enumerate(ours["case"])})
    for name in ("base", "effect", "launches", "freedom", "error"):
        assert list(made[name]) == pytest.approx(list(ours[name]))


def simulated(seed: int, effects: np.ndarray, launches: int, tolerance: float = TOLERANCE["time"]) -> np.ndarray:
    """The verdicts of a judged set, confirmed by a second one where anything was found."""
    rng = np.random.default_rng(seed)
    allowed = {"time": tolerance}
    first = judge(drawn(rng, effects, launches), allowed)
    if first["found"].any():
        second = drawn(rng, effects, launches)[first["found"].to_numpy()]
        first = confirm(first, judge(second, allowed))
    return first["verdict"].to_numpy()


NOTHING = np.zeros(QUANTITIES)
PLANTED = np.where(np.arange(QUANTITIES) == 7, math.log(1.05), 0.0)


@pytest.mark.parametrize("tolerance", [0.0, TOLERANCE["time"]])
def test_the_same_code_is_seldom_said_to_differ(tolerance: float) -> None:
    """Of 400 judged sets without any change at most 2 % say slower or faster anywhere, even with no tolerance."""
    wrong = [np.isin(simulated(seed, NOTHING, 12, tolerance), ("slower", "faster")).any() for seed in range(SETS)]
    assert np.mean(wrong) <= 0.02


def test_without_confirmation_as_many_sets_are_wrong_as_the_rate_says() -> None:
    rng = np.random.default_rng(0)
    wrong = [judge(drawn(rng, NOTHING, 12), {"time": 0.0})["found"].any() for _ in range(SETS // 2)]
    assert 0 < np.mean(wrong) <= 0.025


@pytest.mark.parametrize(("launches", "power"), [(12, 0.35), (16, 0.7), (20, 0.9)])
def test_one_planted_slowdown_of_five_per_cent_is_found_and_no_other(launches: int, power: float) -> None:
    """At a spread of 2 % between launches; a duel goes on to 16 of them, where its detectable change is 3 %."""
    verdicts = [simulated(seed, PLANTED, launches) for seed in range(60)]
    found = [each[7] == "slower" for each in verdicts]
    others = [np.isin(np.delete(each, 7), ("slower", "faster")).any() for each in verdicts]
    assert np.mean(found) >= power
    assert np.mean(others) <= 0.02
    assert np.mean([each[7] == "same" for each in verdicts]) <= 0.1


def test_fewer_than_eight_launches_decide_nothing() -> None:
    for value in (0.0, 0.5):
        for base in (1e-3, 1e-9):  # whatever the floor says
            short = judged({"a": [value] * (FEWEST_LAUNCHES - 1)}, base).iloc[0]
            why = f"fewer than 8 launches (it has {FEWEST_LAUNCHES - 1}), too few to judge even a large change"
            assert (short["verdict"], short["reason"]) == ("inconclusive", why)
    assert words(judged({"a": [0.5] * FEWEST_LAUNCHES, "b": [0.0] * FEWEST_LAUNCHES})) == {"a": "slower", "b": "same"}


def test_two_launches_are_judged_without_a_warning_whatever_their_spread() -> None:
    """A warning fails a test here. Among a hundred quantities t must exceed 6000, whose exponential is infinite."""
    table = judged({str(number): [0.0, 0.3] for number in range(100)})
    assert np.isposinf(table["detectable"]).all()
    assert set(table["verdict"]) == {"inconclusive"}


def test_without_any_spread_it_is_sure() -> None:
    table = judged({"at": [BEYOND] * 12, "above": [BEYOND + 1e-9] * 12, "none": [0.0] * 12, "below": [-0.021] * 12})
    assert words(table) == {"at": "same", "above": "slower", "none": "same", "below": "faster"}
    assert list(table["p"]) == [1, 0, 1, 0]


NAN_SAMPLES = {
    "one launch": [*noise(1, 11), math.nan],
    "all launches": [math.nan] * 12,
    "infinite": [math.inf] * 12,
}


@pytest.mark.parametrize("name", NAN_SAMPLES)
@pytest.mark.parametrize("base", [1e-3, 1e-9, 0.0, math.nan])
def test_a_nan_is_never_the_same(name: str, base: float) -> None:
    table = judged({"a": NAN_SAMPLES[name], "b": [0.0] * 12}, base)
    assert words(table)["a"] == "inconclusive"
    assert table["reason"][0] == "one of its figures is NaN"
    compared = judge(changes_of_levels(levels({"a": noise(2)}), levels({"a": NAN_SAMPLES[name]})), TOLERANCE)
    assert words(compared) == {"a": "inconclusive"}


def test_a_nan_effect_without_any_error_is_not_the_same() -> None:
    changes = pairs({"a": [0.0] * 12}).assign(effect=math.nan)
    assert (changes["error"] == 0).all()
    assert words(judge(changes, TOLERANCE)) == {"a": "inconclusive"}


def test_a_spread_that_could_hide_a_change_is_inconclusive() -> None:
    table = judged({"a": noise(1, sd=0.005), "b": noise(2, sd=0.05)})
    assert words(table) == {"a": "same", "b": "inconclusive"}
    missed = f"a change of {table['detectable'][1]:.1%} beyond the tolerance could be missed"
    assert table["reason"][1] == f"not sure: +0.0 % (-3.1..3.2); {missed}"
    assert table["detectable"][1] == pytest.approx(10 * math.log1p(table["detectable"][0]), rel=0.1)
    assert list(table["settled"]) == [True, False]


@pytest.mark.parametrize(
    ("change", "sd", "word", "reason"),
    [
        (0.03, 0.015, "inconclusive", "not sure: +3.0 % (2.0..4.0)"),  # nearly all of it is above
        (0.02, 0.015, "inconclusive", "not sure: +2.0 % (1.0..3.0)"),  # half of it is above
        (0.03, 0.012, "inconclusive", "not sure: +3.0 % (2.2..3.8)"),  # all of it is above, but not surely of so many
        (-0.02, 0.015, "inconclusive", "not sure: -2.0 % (-2.9..-1.1)"),
        (0.012, 0.015, "inconclusive", "not sure: +1.2 % (0.2..2.2)"),  # most of it is within
        (0.010, 0.015, "same", ""),
        (0.0, 0.015, "same", ""),
        (0.019, 0.0002, "same", ""),
        (0.021, 0.0002, "slower", ""),
        (0.0201, 0.0002, "inconclusive", "not sure: +2.01 % (2.00..2.02)"),
        (0.05, 0.015, "slower", ""),
        (-0.05, 0.015, "faster", ""),
    ],
)
def test_only_what_lies_within_the_tolerance_as_a_whole_is_the_same(
    change: float, sd: float, word: str, reason: str
) -> None:
    others = {f"b{number}": noise(number, sd=0.01) for number in range(9)}
    table = judged({"a": noise(5, mean=math.log1p(change), sd=sd)} | others)
    assert (table["verdict"][0], table["reason"][0]) == (word, reason)


@given(st.lists(st.floats(-0.1, 0.1), min_size=FEWEST_LAUNCHES, max_size=14), st.floats(1e-3, 0.2))
def test_the_same_is_said_of_no_interval_that_leaves_the_tolerance(values: list[float], tolerance: float) -> None:
    """Tolerances above the floor, which is 50 ns of 1 ms."""
    row = judge(pairs({"a": values}), TOLERANCE | {"time": tolerance}).iloc[0]
    inside = row["low"] >= (1 - 1e-12) / (1 + tolerance) and row["high"] <= (1 + tolerance) * (1 + 1e-12)
    assert (row["verdict"] == "same") <= inside
    outside = row["low"] > 1 + tolerance or row["high"] < 1 / (1 + tolerance)
    assert (row["verdict"] in ("slower", "faster")) <= outside
    assert row["reason"].startswith("not sure: ") == (row["verdict"] == "inconclusive")


@given(st.floats(-0.2, 0.2))
def test_whether_launches_are_enough_does_not_depend_on_the_effect(effect: float) -> None:
    quiet, moved = (
        pairs({str(sd): noise(3, mean=mean, sd=sd) for sd in (0.005, 0.015, 0.03)}) for mean in (0.0, effect)
    )
    assert list(judge(quiet, TOLERANCE)["settled"]) == list(judge(moved, TOLERANCE)["settled"]) == [True, True, False]


def test_what_is_detectable_is_detected_with_the_power_that_it_says() -> None:
    """Planted at the tolerance and the detectable change of the true spread, alone among 20."""
    spread = pairs({"a": noise(1, sd=0.02)} | {f"b{each}": noise(each, sd=0.02) for each in range(QUANTITIES - 1)})
    effect = BEYOND + math.log1p(judge(spread, TOLERANCE)["detectable"][0])
    rng = np.random.default_rng(5)
    planted = np.where(np.arange(QUANTITIES) == 0, effect, 0.0)
    found = [judge(drawn(rng, planted, 12), TOLERANCE)["found"][0] for _ in range(SETS // 2)]
    assert np.mean(found) == pytest.approx(0.9, abs=0.08)


def test_below_the_floor_nothing_is_found() -> None:
    """40 ns are none, whatever the ratio; 60 ns are something."""
    assert words(judged({"a": [math.log(1.4)] * 12}, base=1e-7)) == {"a": "same"}
    assert words(judged({"a": [math.log(1.6)] * 12}, base=1e-7)) == {"a": "slower"}
    assert words(judged({"a": [-math.log(1.6)] * 12}, base=1.6e-7)) == {"a": "faster"}


def test_a_noisy_time_is_not_the_same_because_its_medians_happen_to_be_near() -> None:
    """At 5 µs the floor is 1 %: an interval of 10 % says nothing, one of 10 % at 0.2 µs says that it is small."""
    sample = noise(4, sd=0.15)
    assert words(judged({"a": sample}, base=2e-7)) == {"a": "same"}
    table = pairs({"a": sample}, base=5e-6)
    assert abs(table["head"][0] - table["base"][0]) < 3e-7
    near = judge(table.assign(head=table["base"]), TOLERANCE)
    assert words(near) == {"a": "inconclusive"}


def memory_verdict(base: Sequence[float], head: Sequence[float]) -> dict[str, Any]:
    """The one row that is judged of peaks of memory, launch by launch."""
    paired = paired_memory(memory_table(base), memory_table(head))
    unvarying = unvarying_pairs(paired)
    varying = judge(changes_of_pairs(without(paired, unvarying)), TOLERANCE)
    (row,) = [*varying.to_dict("records"), *judge_unvarying(unvarying, TOLERANCE).to_dict("records")]
    return {str(name): value for name, value in row.items()}


@pytest.mark.parametrize("launches", [2, 12])
@pytest.mark.parametrize(
    ("base", "head", "word"),
    [
        (100 << 20, 100 << 20, "same"),
        (100 << 20, 105 << 20, "same"),
        (100 << 20, (105 << 20) + 1, "worse"),
        ((105 << 20) + 1, 100 << 20, "better"),
        (200_000, 220_000, "worse"),
        (40_000, 44_000, "same"),  # a page is none
        (0, 4096, "same"),
        (0, 4097, "worse"),
        (8192, 4096, "same"),
        (8193, 4096, "better"),
        (0, 0, "same"),
    ],
)
def test_a_peak_that_every_launch_repeats_is_decided_to_the_byte(
    base: int, head: int, word: str, launches: int
) -> None:
    row = memory_verdict([base] * launches, [head] * launches)
    assert (row["verdict"], row["launches"], row["reason"]) == (word, launches, "")
    assert row["ratio"] == row["low"] == row["high"] == (1 if head == base else head / base if base else math.inf)


def test_a_peak_of_one_launch_is_not_known_to_be_repeated() -> None:
    assert memory_verdict([1e6], [2e6])["verdict"] == "inconclusive"


@pytest.mark.parametrize(
    ("base", "head", "word"),
    [
        (100 << 20, 100 << 20, "same"),
        (100 << 20, 103 << 20, "same"),
        (100 << 20, 110 << 20, "worse"),
        (110 << 20, 100 << 20, "better"),
        (0, 40 << 10, "same"),  # ten pages
        (0, 1 << 20, "worse"),
        (8192, 4096, "same"),
    ],
)
def test_a_peak_that_varies_has_a_floor_of_its_own(base: int, head: int, word: str) -> None:
    one, two = ([peak + 4096 * (at % 2) for at in range(12)] for peak in (base, head))
    row = memory_verdict(one, two[1:] + two[:1])
    assert row["verdict"] == word
    assert row["ratio"] == pytest.approx((head + MEMORY_ADDED) / (base + MEMORY_ADDED), rel=1e-3)


def error_rows(value: float, metric: str = "ulp_max", dtype: str = "float32", method: str = "m") -> Frame:
    own = {
        "kind": "error",
        "phase": "",
        "clock": "",
        "tensor": "dx",
        "reference": "exact",
        "metric": metric,
        "value": value,
    }
    return Frame([key(method, Case(n=64, k=4, dtype=dtype)) | own | {"launch": 1}])


def error_word(before: float, after: float, metric: str = "ulp_max", dtype: str = "float32") -> str:
    (word,) = judged_errors(error_rows(before, metric, dtype), error_rows(after, metric, dtype))["verdict"]
    return str(word)


def judged_errors(before: Frame, after: Frame) -> Frame:
    return judge_unvarying(unvarying_pairs(paired_errors(before, after)), TOLERANCE)


@pytest.mark.parametrize(
    ("metric", "before", "after", "word"),
    [
        ("ulp_max", 0.0, 1.0, "worse"),
        ("ulp_max", 1.0, 0.0, "better"),
        ("ulp_max", 0.0, 0.4, "same"),
        ("ulp_max", 1.0, 1.4, "same"),
        ("ulp_max", 1.0, 1.6, "worse"),
        ("ulp_max", 100.0, 105.0, "same"),
        ("ulp_max", 100.0, 111.0, "worse"),
        ("ulp_max", 111.0, 100.0, "better"),
        ("ulp_max", 0.0, 0.0, "same"),
        ("ulp_max", 5.0, math.inf, "worse"),
        ("ulp_max", math.inf, 5.0, "better"),
        ("ulp_max", math.inf, math.inf, "same"),
        ("ulp_max", 5.0, math.nan, "lost"),
        ("ulp_max", math.nan, 5.0, "new"),
        ("ulp_max", math.nan, math.nan, "inconclusive"),
        ("flips", 0.0, 1.0, "worse"),
        ("flips", 30.0, 31.0, "same"),
        ("nonfinite_unlike_count", 0.0, 1.0, "worse"),
        ("rel_l2", 0.0, 2.0**-25, "same"),  # half a unit roundoff of float32
        ("rel_l2", 0.0, 2.0**-23, "worse"),
        ("rel_l2", 1e-3, 1.05e-3, "same"),
        ("rel_l2", 1e-3, 1.2e-3, "worse"),
    ],
)
def test_an_error_grows_by_more_than_the_tolerance_and_half_a_unit(
    metric: str, before: float, after: float, word: str
) -> None:
    assert metric in JUDGED_METRICS
    assert error_word(before, after, metric) == word


def test_half_a_unit_of_a_relative_error_is_that_of_its_dtype() -> None:
    assert error_word(0.0, 1e-3, "rel_l2", "bfloat16") == "same"
    assert error_word(0.0, 1e-3, "rel_l2", "float16") == "worse"


ERRORS = st.floats(min_value=0) | st.just(math.nan) | st.integers(0, 200).map(float)


@given(ERRORS, ERRORS, st.sampled_from(JUDGED_METRICS))
def test_swapped_errors_give_the_opposite_words(before: float, after: float, metric: str) -> None:
    word = error_word(before, after, metric)
    assert error_word(after, before, metric) == SWAPPED.get(word, word)
    assert (word == "same") <= (before == after or (math.isfinite(before) and math.isfinite(after)))


def test_a_nan_that_was_there_already_has_a_reason() -> None:
    table = judged_errors(error_rows(math.nan), error_rows(math.nan))
    assert list(table["reason"]) == ["it is NaN on both sides"]
    assert list(judged_errors(error_rows(1.0), error_rows(math.nan))["reason"]) == ["it is NaN now"]


def varying_errors(values: Sequence[float], metric: str = "ulp_max") -> Frame:
    """An error in each launch."""
    rows = [error_rows(value, metric).assign(launch=launch) for launch, value in enumerate(values, 1)]
    return pd.concat(rows, ignore_index=True)


@pytest.mark.parametrize(
    ("before", "after", "word"),
    [
        ([10.0, 11.0] * 6, [11.0, 10.0] * 6, "same"),
        ([100.0, 102.0] * 6, [104.0, 106.0] * 6, "same"),  # +4 % of 10 %
        ([100.0, 102.0] * 6, [130.0, 128.0] * 6, "worse"),
        ([130.0, 128.0] * 6, [100.0, 102.0] * 6, "better"),
        ([100.0, 160.0] * 6, [120.0, 170.0] * 6, "inconclusive"),
        ([0.0, 0.2] * 6, [0.3, 0.1] * 6, "same"),  # under half an ulp
        ([100.0] * 12, [130.0, 128.0] * 6, "worse"),  # one side alone varies
        ([100.0, 102.0] * 3, [130.0, 128.0] * 3, "inconclusive"),  # six launches
        ([100.0, 102.0] * 6, [130.0, math.nan] * 6, "lost"),
        ([100.0, math.nan] * 6, [130.0, 128.0] * 6, "new"),
        ([100.0, 102.0] * 6, [130.0, math.inf] * 6, "worse"),
    ],
)
def test_an_error_that_varies_between_launches_is_judged_over_them(
    before: list[float], after: list[float], word: str
) -> None:
    paired = paired_errors(varying_errors(before), varying_errors(after))
    unvarying = unvarying_pairs(paired)
    varying = judge(changes_of_pairs(without(paired, unvarying)), TOLERANCE)
    assert [*varying["verdict"], *judge_unvarying(unvarying, TOLERANCE)["verdict"]] == [word]


LARGE = noise(1, mean=0.1)


def test_what_is_found_must_be_found_again() -> None:
    first = judged({"a": LARGE, "b": LARGE, "c": LARGE, "d": LARGE, "e": noise(2)})
    second = judged({"a": noise(9, mean=0.08), "b": noise(3), "c": [-each for each in LARGE]})
    table = confirm(first, second)
    assert words(table) == dict.fromkeys("bcd", "inconclusive") | {"a": "slower", "e": "same"}
    once, again = "not confirmed: +10.5 % (10.2..10.9), and", "in the second set of launches"
    assert list(table["reason"]) == [
        "",
        f"{once} +0.0 % (-0.3..0.3) {again}",
        f"{once} -9.5 % (-9.8..-9.2) {again}",
        f"{once} there is no second set of launches",
        "",
    ]
    assert table["ratio"][0] == pytest.approx(math.exp(0.08))  # those of the first were chosen for being large
    assert table["ratio"][1] == pytest.approx(math.exp(0.1))
    assert list(table["launches"]) == [12] * 5
