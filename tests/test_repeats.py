"""The same call again: figures by hand, of methods that repeat their bits and of one that does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import harness
from harness.accuracy.repeats import AGAIN, repeat_figures
from harness.methods import method
from harness.precision.repeats import DIGEST, REPEAT_METRICS, Repeat, repeat_metrics
from harness.study.cells import Case
from harness.topk.outcome import Outcome, run_once
from harness.topk.problems import draw
from harness.vocabulary import DTYPES

TENSORS = ("values", "selection", "dy", "dx", "dW", "dS")
SHARE, ULPS = REPEAT_METRICS


def repeat(first: list[float], again: list[float]) -> Repeat:
    one, two = (np.array(each, dtype=np.float32) for each in (first, again))
    return Repeat(one.astype(float), two.astype(float), one.view(np.int32) == two.view(np.int32), "float32")


@pytest.mark.parametrize(
    ("first", "again", "share", "ulps"),
    [
        ([1.0, 2.0, float("nan")], [1.0, 2.0, float("nan")], 1.0, 0.0),
        ([1.0, 2.0], [1.0 + 2.0**-23, 2.0], 0.5, 1.0),
        ([1.0, 2.0], [1.0 + 2.0**-22, 2.0 + 2.0**-22], 0.0, 2.0),
        ([0.0, 2.0], [-0.0, 2.0], 0.5, 0.0),
        ([1.0, 2.0], [float("nan"), 2.0], 0.5, float("inf")),
        ([1.0, 2.0], [2.0, 1.0], 0.0, 2.0**23),
    ],
)
def test_a_repeat_by_hand(first: list[float], again: list[float], share: float, ulps: float) -> None:
    given = repeat(first, again)
    assert (REPEAT_METRICS[SHARE](given), REPEAT_METRICS[ULPS](given)) == (share, ulps)


def figures_of(first: Outcome, *others: Outcome) -> dict[tuple[str, str], float]:
    """The figures where the repeats gave these, the last of them for good."""
    calls = iter((*others, *(others[-1:] * AGAIN)))
    found = repeat_figures(first, lambda: next(calls), TENSORS, repeat_metrics())
    return {(each.tensor, each.metric): each.value for each in found}


def outcome_of(name: str = "native", **axes: Any) -> Outcome:
    problem = draw(Case(**{"n": 64, "k": 4, "rows": 3, "d": 6} | axes))
    return run_once(method(name), problem, "square", with_dS=True)


@pytest.mark.parametrize("name", ["native", "dense", "coo", "csr", "fused"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_what_repeats_its_bits_has_one_and_nought(name: str, dtype: str) -> None:
    first, again = (outcome_of(name, dtype=dtype) for _ in range(2))
    found = figures_of(first, again)
    has = {"values": first.values, "dy": first.dy, "dx": first.dx, "dW": first.dW, "dS": first.dS, "selection": 1}
    assert {tensor for tensor, _ in found} == {tensor for tensor, given in has.items() if given is not None}
    assert {value for (_, metric), value in found.items() if metric == SHARE} == {1.0}
    assert {value for (_, metric), value in found.items() if metric == ULPS} == {0.0}


@pytest.mark.parametrize("tensor", ["values", "dy", "dx", "dW"])
def test_the_worst_of_the_repeats_is_told_of_the_tensor_that_differs(tensor: str) -> None:
    first = outcome_of()
    at = (0, int(first.indices[0, 0])) if tensor == "dy" else (int(first.indices[0, 0]) if tensor == "dW" else 0, 0)
    changed = getattr(first, tensor).clone()
    changed[at] = torch.nextafter(changed[at], changed[at] * 2)
    found = figures_of(first, replace(first, **{tensor: changed}), first)
    assert found[tensor, ULPS] == 1.0
    assert 0 < found[tensor, SHARE] < 1
    assert {each for each, metric in found if metric == SHARE and found[each, metric] < 1} == {tensor}


def test_a_difference_in_the_last_repeat_alone_is_found() -> None:
    first = outcome_of()
    found = figures_of(first, *[first] * (AGAIN - 1), replace(first, values=first.values * 2))
    assert found["values", SHARE] == 0.0
    assert found["dy", SHARE] == 1.0


def test_another_choice_among_equals_is_another_selection_no_ulp_away() -> None:
    first = outcome_of(distribution="constant", d=0)
    other = replace(first, indices=(first.indices + 1) % 64)
    found = figures_of(first, other)
    assert (found["selection", SHARE], found["selection", ULPS]) == (0.0, 0.0)


def test_a_method_that_uses_the_memory_of_its_results_again_hides_nothing() -> None:
    first = outcome_of()

    def again() -> Outcome:
        first.values.add_(1)
        return first

    found = {(each.tensor, each.metric): each.value for each in repeat_figures(first, again, TENSORS, [SHARE])}
    assert found["values", SHARE] == 0.0


def test_digests_tell_one_bit(request: pytest.FixtureRequest) -> None:
    first, again = outcome_of(), outcome_of()
    negated = replace(first, values=first.values * torch.tensor([1.0, 1.0, 1.0, -1.0]))
    digests = [figures_of(each, each)["values", DIGEST] for each in (first, again, negated)]
    assert digests[0] == digests[1] != digests[2]
    assert all(each == int(each) < 2**53 for each in digests)


STUDY = """
title = "t"
methods = ["native", "tests.planted.varying:varying_gradient"]
[axes]
n = 64
k = 4
rows = 2
[precision]
launches = 2
tensors = ["values", "dy"]
metrics = ["repeat_equal_share", "repeat_ulp_max", "repeat_digest", "rel_l2"]
"""


def test_every_launch_has_its_repeats_and_the_first_alone_its_errors(tmp_path: Path) -> None:
    path = tmp_path / "again.toml"
    path.write_text(STUDY, encoding="utf-8")
    rows = harness.run(harness.load_study(path), tmp_path / "results", say=lambda _: None).discrepancies
    assert set(rows.query("metric == 'rel_l2'")["launch"]) == {1}
    repeats = rows[rows["metric"].isin(repeat_metrics())]
    assert set(repeats["launch"]) == {1, 2}
    assert set(repeats["reference"]) == {"itself"}
    worst = repeats.query("tensor == 'dy' and metric == 'repeat_ulp_max'").set_index(["method", "launch"])["value"]
    assert worst.groupby("method").max().to_dict() == {"native": 0.0, "tests.planted.varying:varying_gradient": 1.0}
    digests = repeats.query("metric == 'repeat_digest' and method == 'native'")
    assert (digests.groupby("tensor")["value"].nunique() == 1).all()
