"""'Take X' in words: every case that they name has that answer, and no case is lost."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness.page.sentences import in_short, take, uses
from harness.report.advice import Advice, advice
from harness.report.conditions import conditions, listed, words
from harness.study.cells import Case
from harness.tables import read
from harness.verdicts.fastest import ALIKE, FASTEST, SHARED, SLOWER, UNRANKED, WORTH, standings
from tests.recorded import record

AXES = ["case", "method", "dtype", "device", "n", "k", "rows", "d"]
DTYPES, NS, KS = ("float16", "bfloat16", "float32", "float64"), (64, 1024, 16384), (1, 8, 64)


def named(where: str, cases: pd.DataFrame) -> set[str]:
    """The cases that the words of a condition name, read as a person reads them."""
    left = cases
    for part in where.split(", ") if where else []:
        if found := re.fullmatch(r"in every dtype but (\w+)", part):
            left = left[left["dtype"] != found[1]]
        elif found := re.fullmatch(r"in (\w+(?: or \w+)*)", part):
            left = left[left["dtype"].isin(found[1].split(" or "))]
        elif found := re.fullmatch(r"(\w+) = (\d+) to (\d+)", part):
            left = left[left[found[1]].between(int(found[2]), int(found[3]))]
        else:
            found = re.fullmatch(r"(\w+) = (\d+(?: or \d+)*)", part)
            assert found is not None, part
            left = left[left[found[1]].isin([int(each) for each in found[2].split(" or ")])]
    return set(left["case"])


def standing_rows(seed: int, methods: tuple[str, ...] = ("fused", "gather")) -> pd.DataFrame:
    """A grid of cases with a few holes, in each of which native and others stand as chance will have it."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for dtype in DTYPES:
        for n in NS:
            for k in KS:
                if rng.random() < 0.1:
                    continue
                key = {"case": f"{dtype} {n} {k}", "dtype": dtype, "device": "cpu", "n": n, "k": k, "rows": 1, "d": 0}
                key |= {"phase": "forward", "clock": "wall"}
                rows.append(key | {"method": "native", "speedup": 1.0, "standing": ALIKE})
                for method in methods:
                    wins = rng.random() < (0.8 if n > 64 else 0.1)
                    standing = str(rng.choice([FASTEST, SHARED] if wins else [ALIKE, SLOWER, UNRANKED, SHARED]))
                    rows.append(key | {"method": method, "speedup": rng.uniform(1.0, 2.0), "standing": standing})
    frame = pd.DataFrame(rows)
    return frame[[*AXES, *(name for name in frame if name not in AXES)]]


@pytest.mark.parametrize("seed", range(30))
def test_every_case_that_a_choice_names_has_that_answer(seed: int) -> None:
    rows = standing_rows(seed)
    (told,) = advice(rows)
    ranked = rows[rows["standing"] != UNRANKED].groupby("case").filter(lambda each: len(each) > 1)
    right = ranked[ranked["standing"].isin((FASTEST, SHARED)) & (ranked["speedup"] >= WORTH)]
    covered: set[str] = set()
    for choice in told.choices:
        here = named(choice.where, ranked)
        mine = right[right["method"] == choice.method].set_index("case")["speedup"]
        assert here <= set(mine.index)
        assert choice.gain == (mine[sorted(here)].min(), mine[sorted(here)].max())
        assert choice.cases == len(here - covered) > 0
        covered |= here
    assert told.left == len(set(right["case"]) - covered)
    assert told.native == ranked["case"].nunique() - right["case"].nunique()
    assert told.cases + told.unranked == rows["case"].nunique()


@pytest.mark.parametrize("seed", range(5))
def test_the_words_of_a_condition_name_its_cases(seed: int) -> None:
    cases = standing_rows(seed).drop_duplicates("case").reset_index(drop=True)
    found = conditions(cases, ["dtype", "n", "k", "rows"])
    assert len({each.cases for each in found}) == len(found) > 100
    for each in found:
        assert named(words(each, cases), cases) == {
            name for row, name in enumerate(cases["case"]) if each.cases >> row & 1
        }


def test_an_axis_of_too_many_values_is_left_out() -> None:
    """Seconds, not hours; what can be said by the other axes is said."""
    cases = pd.DataFrame({"n": np.repeat(np.arange(400), 2), "k": [1, 2] * 400})
    found = conditions(cases, ["n", "k"])
    assert {words(each, cases) for each in found} == {"", "k = 1", "k = 2"}


def test_lists_of_values() -> None:
    assert [listed(each) for each in ((8,), (8, 64), (1, 8, 64), ("a", "b", "c"))] == [
        "8", "8 or 64", "1 to 64", "a or b or c",
    ]  # fmt: skip


def timed(seconds: dict[str, list[float]]) -> pd.DataFrame:
    """Timings of one case: method -> its seconds, one block in each launch."""
    key = {"case": "one", "dtype": "float32", "device": "cpu", "n": 64, "k": 8, "rows": 1, "d": 0}
    rows = [
        {**key, "method": method, "phase": "forward", "clock": "wall", "launch": launch, "round": 0, "position": 0}
        | {"calls": 1, "seconds": lasts}
        for method, times in seconds.items()
        for launch, lasts in enumerate(times, 1)
    ]
    frame = pd.DataFrame(rows)
    return frame[[*AXES, *(name for name in frame if name not in AXES)]]


def text_of(told: Advice) -> str:
    return take(told).striptags()


def planted(choose: Any) -> Advice:
    """The advice where one method is twice as fast in the cases that are chosen, and like native in the others."""
    rows = standing_rows(0, ("fused",))
    first = rows["method"] == "fused"
    wins = first & choose(rows)
    rows.loc[first, "standing"] = ALIKE
    rows.loc[wins, "standing"], rows.loc[wins, "speedup"] = FASTEST, 2.0
    (told,) = advice(rows)
    return told


def test_sentences_of_what_to_take() -> None:
    need = "For the values alone (forward), take"
    fast = "2 times as fast as native"
    native = "native: no other method is surely faster by 5 % or more."
    otherwise = f"Otherwise take {native}"
    assert text_of(planted(lambda rows: rows["n"] < 0)) == f"{need} {native}"
    assert text_of(planted(lambda rows: rows["n"] > 0)) == f"{need} fused ({fast})."
    assert (
        text_of(planted(lambda rows: (rows["n"] == 1024) & (rows["dtype"] != "float64")))
        == f"{need} fused in every dtype but float64, n = 1024 ({fast}). {otherwise}"
    )
    two = planted(lambda rows: (rows["k"] == 8) | ((rows["dtype"] == "float32") & (rows["n"] > 64)))
    assert text_of(two) == f"{need} fused at k = 8; and in float32, n = 1024 or 16384 ({fast}). {otherwise}"
    scattered = planted(lambda rows: rows["case"].map(hash_of) % 2 == 0)
    assert scattered.left > 0
    left = f"In {scattered.left} of the {scattered.cases} cases another method is faster: look up your case."
    assert text_of(scattered).endswith(f" {left} {otherwise}")
    assert f"another method in {scattered.left}, otherwise native, where no other" in in_short([scattered]).striptags()


def test_of_two_conditions_with_as_many_cases_the_one_on_fewer_axes_comes_first() -> None:
    """float64, and k = 8 in every dtype but float32: three cases each."""
    rows = standing_rows(1, ("fused",))
    rows = rows[rows["n"] == 1024].copy()
    assert rows["case"].nunique() == len(DTYPES) * len(KS)
    fused = rows["method"] == "fused"
    wins = fused & ((rows["dtype"] == "float64") | ((rows["k"] == 8) & (rows["dtype"] != "float32")))
    rows.loc[fused, "standing"], rows.loc[wins, "standing"], rows.loc[wins, "speedup"] = ALIKE, FASTEST, 2.0
    (told,) = advice(rows)
    assert [choice.where for choice in told.choices] == ["in float64", "in every dtype but float32, k = 8"]


def test_native_is_not_said_to_be_the_fastest_where_no_interval_tells() -> None:
    """Another method looks twice as fast, but its interval reaches below 1."""
    noisy = {"native": [1.0, 1.0, 1.0], "fused": [0.2, 1.5, 0.4]}
    (told,) = advice(standings(timed(noisy)))
    assert (told.cases, told.native, told.unranked) == (1, 1, 0)
    why = "take native: no other method is surely faster by 5 % or more."
    assert text_of(told) == f"For the values alone (forward), {why}"
    assert in_short([told]).striptags() == f"In the only case {why}"


def test_cases_that_no_condition_names_are_not_said_to_be_natives() -> None:
    told = Advice("", "", "forward", 3, (), 2, 0)
    why = "take native: no other method is surely faster by 5 % or more."
    assert text_of(told) == (
        "For the values alone (forward), in 2 of the 3 cases another method is faster: look up your case. "
        f"Otherwise {why}"
    )
    assert in_short([told]).striptags().startswith("Of 3 cases, take another method in 2, otherwise native, where")


def hash_of(case: str) -> int:
    return sum(map(ord, case)) // 3


def test_cases_of_too_few_launches_are_not_said_to_be_natives() -> None:
    rows = standing_rows(0, ("fused",))
    (told,) = advice(rows.assign(standing=UNRANKED))
    assert (told.cases, told.unranked) == (0, rows["case"].nunique()) == (0, 33)
    need = "For the values alone (forward),"
    assert text_of(told) == f"{need} all 33 cases have fewer than 3 launches, too few for an answer."
    assert in_short([told]) == "All 33 cases have fewer than 3 launches, too few for an answer."
    assert in_short([]) == ""
    few = rows["case"].isin(rows["case"].unique()[:30])
    (told,) = advice(rows.assign(standing=rows["standing"].mask(few, UNRANKED).mask(~few, ALIKE)))
    assert text_of(told) == (
        f"{need} 30 of 33 cases have fewer than 3 launches, too few for an answer. "
        "In the others, take native: no other method is surely faster by 5 % or more."
    )
    some = rows["case"].isin(rows["case"].unique()[:3])
    (told,) = advice(rows.assign(standing=rows["standing"].mask(some, UNRANKED).mask(~some, ALIKE)))
    assert text_of(told) == (
        f"{need} take native: no other method is surely faster by 5 % or more. "
        "In 3 more cases there are too few launches for an answer (under 3)."
    )


def test_a_study_with_shapes_has_a_use_for_each(tmp_path: Path) -> None:
    cases = [Case(n=n, k=4) for n in (64, 256, 512)]
    found = standings(read(record(tmp_path / "run", cases=cases, launches=3, slower={"gather": 0.25})).timings)
    shapes = found["n"].map({64: "small", 256: "large", 512: "large"})
    found.insert(list(found).index("phase"), "shape", shapes)
    small, large = uses(list(advice(found)))
    assert (small.shape, small.sizes) == ("small", "n = 64, k = 4, rows = 1")
    assert (large.shape, large.sizes) == ("large", "n = 256 or 512, k = 4, rows = 1")
    assert [each.striptags() for each in small.sentences] == [
        "For the values alone (forward), take gather (2 times as fast as native)."
    ]


def test_no_condition_names_a_seed() -> None:
    """A method that wins for some draws only is one that the look-up shows, not one to take 'at seed = 1'."""
    rows = standing_rows(0, ("fused",))
    rows = rows[(rows["k"] == 8) & (rows["n"] == 1024)]
    draws = pd.concat([rows.assign(case=rows["case"] + f" {seed}", seed=seed) for seed in range(4)])
    draws = draws[[*AXES, "seed", *(name for name in rows if name not in AXES)]]
    first = draws["method"] == "fused"
    draws.loc[first, "standing"], draws.loc[first, "speedup"] = ALIKE, 1.0
    everywhere, by_chance = first & (draws["dtype"] == "float16"), first & (draws["seed"] == 1)
    draws.loc[everywhere | by_chance, "standing"], draws.loc[everywhere | by_chance, "speedup"] = FASTEST, 2.0
    (told,) = advice(draws)
    assert [(choice.method, choice.where) for choice in told.choices] == [("fused", "in float16")]
    assert told.left == len(draws[by_chance & ~everywhere])


def test_cases_are_said_to_be_counted_once_for_each_need() -> None:
    forward, step, backward = (Advice("", "", need, 3, (), 2, 0) for need in ("forward", "step", "backward"))
    once = ", counted once for each need,"
    assert in_short([forward, step]).striptags().startswith(f"Of 6 cases{once} take another method in 4, otherwise")
    assert in_short([forward, backward]).striptags().startswith("Of 3 cases, take another method in 2, otherwise")
    none = [Advice("", "", need, 3, (), 0, 0) for need in ("forward", "step")]
    assert in_short(none).striptags().startswith(f"In all 6 cases{once} take native: no other method")
    few = [Advice("", "", need, 0, (), 0, 3) for need in ("forward", "step")]
    assert in_short(few) == f"All 6 cases{once} have fewer than 3 launches, too few for an answer."
