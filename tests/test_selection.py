"""Selections by hand, flips against a full sort, and certificates against the exact answer: none may be false."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.accuracy.assessment import Assessment
from harness.accuracy.references import References
from harness.methods import method
from harness.precision.selection import SELECTION_METRICS, Selections, certificate, right_selection
from harness.study.cells import Case
from harness.topk.distributions import DISTRIBUTIONS
from harness.topk.outcome import run_once, selected_of
from harness.topk.problems import Problem, draw
from harness.vocabulary import DTYPES

INF, NAN = math.inf, math.nan


def beside(indices: list[list[int]], y: list[list[float]], **changes: Any) -> Selections:
    """A selection from y, which is also the reference's, with no error bound."""
    chosen, scores = np.array(indices), np.array(y)
    given: dict[str, Any] = {"bound": np.zeros_like(scores), "trusted": True, "dtype": "float32"} | changes
    right = right_selection(given.get("want_y", scores), np.sort(chosen, axis=-1))
    return Selections(**({"indices": chosen, "y": scores, "want_indices": right, "want_y": scores} | given))


FLIPS_BY_HAND: list[tuple[list[list[int]], list[list[float]], float]] = [
    ([[0, 1]], [[3.0, 2.0, 1.0]], 0.0),
    ([[0, 2]], [[3.0, 2.0, 1.0]], 1.0),
    ([[1, 2]], [[3.0, 2.0, 2.0]], 1.0),  # the choice among equals is free, but 3 is missing
    ([[0, 2]], [[3.0, 2.0, 2.0]], 0.0),
    ([[0, 1]], [[0.0, -0.0, -1.0]], 0.0),
    ([[1, 2]], [[NAN, INF, 1.0]], 1.0),
    ([[0, 2]], [[NAN, INF, NAN]], 0.0),
    ([[0, 1], [0, 2]], [[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]], 2.0),
    ([[2, 1, 0]], [[1.0, 2.0, 3.0]], 0.0),
]


@pytest.mark.parametrize(("indices", "y", "expected"), FLIPS_BY_HAND)
def test_flips_by_hand(indices: list[list[int]], y: list[list[float]], expected: float) -> None:
    assert SELECTION_METRICS["flips"](beside(indices, y)) == expected


levels = st.sampled_from([-INF, -1.0, -0.0, 0.0, 1.0, 2.0, INF, NAN])


@given(y=st.lists(levels, min_size=1, max_size=12), data=st.data())
def test_flips_are_what_a_sort_says(y: list[float], data: st.DataObject) -> None:
    """Selected values that cannot be matched, one to one, with the k first of the sorted."""
    k = data.draw(st.integers(1, len(y)))
    chosen = data.draw(st.permutations(range(len(y))))[:k]
    ranked = sorted(y, key=lambda each: (math.isnan(each), 0.0 if math.isnan(each) else each), reverse=True)[:k]
    remaining = ["nan" if math.isnan(each) else each for each in ranked]
    unmatched = 0
    for value in ("nan" if math.isnan(y[i]) else y[i] for i in chosen):
        if value in remaining:
            remaining.remove(value)
        else:
            unmatched += 1
    assert SELECTION_METRICS["flips"](beside([chosen], [y])) == unmatched


ULP = 2.0**-23
SOME = beside([[3, 0], [1, 2]], [[2.0, 1.0, 1.0, 3.0], [0.0, 1.0, 1.0, 1.0]])
FLIPPED = beside([[0, 1]], [[3.0, 1.0, 2.0, 0.0]], bound=np.array([[0.25, 0.25, 0.5, 0.25]]))
CLOSE = beside([[0]], [[1.0 + ULP, 1.0]], bound=np.full((1, 2), ULP))
ALL_OF_IT = beside([[0, 1], [1, 0]], [[1.0, -INF], [NAN, INF]])
BY_HAND: dict[str, list[tuple[Selections, float]]] = {
    "flips": [(SOME, 0), (FLIPPED, 1)],
    "jaccard": [(SOME, 1), (FLIPPED, 1 / 3)],
    "order_inversions": [
        (SOME, 0),
        (beside([[0, 1], [1, 0]], [[1.0, 2.0], [1.0, 2.0]]), 1),
        (beside([[0, 2, 3, 1]], [[INF, NAN, NAN, 1.0]]), 2),
    ],
    "gap_ulp": [(CLOSE, 1), (SOME, 0), (beside([[0, 1]], [[1.0, 2.0]]), INF), (ALL_OF_IT, INF)],
    "gap_bounds": [(CLOSE, 0.5), (SOME, 0), (FLIPPED, 4 / 3), (beside([[0, 1]], [[1.0, 2.0]]), INF)],
    "tie_group": [(SOME, 3), (FLIPPED, 1), (beside([[0]], [[NAN, 1.0, NAN]]), 2)],
    "straddling_ties": [(SOME, 1), (FLIPPED, 0), (beside([[0, 1]], [[1.0, 1.0]]), 0), (ALL_OF_IT, 0)],
    "certified_rows": [(SOME, 2), (FLIPPED, 0), (CLOSE, 0)],
    "proved_wrong_rows": [(SOME, 0), (FLIPPED, 1), (CLOSE, 0)],
}


@pytest.mark.parametrize("name", BY_HAND)
def test_a_metric_of_a_selection_by_hand(name: str) -> None:
    for selections, expected in BY_HAND[name]:
        assert SELECTION_METRICS[name](selections) == pytest.approx(expected)


def test_every_metric_of_a_selection_was_computed_by_hand() -> None:
    assert set(BY_HAND) == set(SELECTION_METRICS)


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, 1),
        ({"trusted": False}, 0),
        ({"bound": np.array([[0.51, 0.5]])}, 0),
        ({"bound": np.array([[0.49, 0.5]])}, 1),
        ({"bound": np.array([[NAN, 0.1]])}, 0),
        ({"bound": np.array([[INF, 0.1]])}, 0),
        ({"indices": np.array([[1]])}, -1),
        ({"indices": np.array([[1]]), "bound": np.array([[0.5, 0.5]])}, 0),
        ({"y": np.array([[2.0, NAN]])}, 0),
        ({"y": np.array([[2.0, -INF]])}, 0),
    ],
)
def test_certificates_by_hand(changes: dict[str, Any], verdict: int) -> None:
    """y = (2, 1), of which the first is selected."""
    chosen = {"indices": np.array([[0]]), "y": np.array([[2.0, 1.0]])} | changes
    indices, y = chosen.pop("indices"), chosen.pop("y")
    found = beside(indices.tolist(), y.tolist(), **chosen)
    assert certificate(found).tolist() == [verdict]


def assessed(problem: Problem) -> Assessment:
    native = run_once(method("native"), problem, "square", with_dS=False)
    return Assessment(native, References(problem, selected_of(native), "square"), summed_again=False)


def scaled(case: Case, exponent: int) -> Problem:
    """The problem of a case with x times 2^exponent."""
    drawn = draw(case)
    assert drawn.x is not None
    assert drawn.W is not None
    x = drawn.x * torch.tensor(2.0**exponent, dtype=drawn.x.dtype)
    return Problem(case, x @ drawn.W.mT, drawn.weights, x, drawn.W, drawn.originals)


@settings(max_examples=150)
@given(
    st.sampled_from(DTYPES),
    st.sampled_from([name for name, each in DISTRIBUTIONS.items() if each.has_weights]),
    st.sampled_from([1, 3]),
    st.sampled_from([1, 7, 64]),
    st.integers(0, 10**6),
    st.integers(-160, 20),
)
def test_no_certificate_is_false(dtype: str, distribution: str, rows: int, d: int, seed: int, exponent: int) -> None:
    """Over inputs scaled down to where products underflow, and up to where they overflow."""
    case = Case(n=48, k=5, dtype=dtype, rows=rows, d=d, distribution=distribution, seed=seed)
    mine = assessed(scaled(case, exponent)).selections("exact")
    pairs = zip(mine.indices.tolist(), mine.want_indices.tolist(), strict=True)
    wrong = np.array([set(chosen) != set(right) for chosen, right in pairs])
    verdict = certificate(mine)
    assert not ((verdict > 0) & wrong).any()
    assert not ((verdict < 0) & ~wrong).any()


def test_most_selections_of_float64_are_certified_and_subnormal_bfloat16_never() -> None:
    cases = [Case(n=256, k=8, d=16, dtype="float64", seed=seed) for seed in range(20)]
    assert np.mean([certificate(assessed(draw(case)).selections("exact")) for case in cases]) > 0.9
    tiny = scaled(Case(n=256, k=8, d=16, dtype="bfloat16"), -130)
    assert certificate(assessed(tiny).selections("exact")).tolist() == [0]
