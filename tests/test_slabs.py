"""What is checked slab by slab is what would be checked at once, however small the slabs are."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from harness.methods import method
from harness.precision import slabs
from harness.precision.arithmetic import Arithmetic
from harness.precision.slabs import Slab, input_gradients, misplaced_rows, weight_gradients
from harness.study.cells import Case
from harness.topk.bounded import outside_bound
from harness.topk.checks import changed, wrong_outcome
from harness.topk.outcome import Outcome, run_once
from harness.topk.problems import Drawn, draw
from harness.vocabulary import DTYPES
from tests.swept import swept

SHAPES = ((1, 9, 1, 1), (1, 40, 7, 3), (5, 12, 12, 2), (40, 10, 4, 5), (3, 64, 9, 33))
"""rows, n, k, d"""


@pytest.fixture(params=[1, 7, 64, slabs.SLAB_ELEMENTS])
def slab_size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Float64 numbers of a slab."""
    monkeypatch.setattr(slabs, "SLAB_ELEMENTS", request.param)
    return int(request.param)


@pytest.mark.usefixtures("slab_size")
@pytest.mark.parametrize(("rows", "n", "k", "d"), SHAPES)
def test_gradients_sizes_and_terms_are_those_of_one_product(rows: int, n: int, k: int, d: int) -> None:
    """Beside S itself, dense: dx = (dy S) W and dW = (dy S)ᵀ x, sizes with absolute values, terms by counting."""
    generator = torch.Generator().manual_seed(rows * n)
    x, W, dy = (torch.randn(each, generator=generator) for each in ((rows, d), (n, d), (rows, k)))
    indices = torch.stack([torch.randperm(n, generator=generator)[:k].sort().values for _ in range(rows)])
    whole = torch.zeros(rows, n, dtype=torch.float64).scatter_(1, indices, dy.double())
    times = torch.zeros(rows, n, dtype=torch.int64).scatter_(1, indices, 1).sum(0)[:, None]
    for found, sums, sizes, terms in (
        (input_gradients(indices, dy, W), whole @ W.double(), whole.abs() @ W.double().abs(), torch.tensor([[k]])),
        (weight_gradients(indices, dy, x), whole.T @ x.double(), whole.T.abs() @ x.double().abs(), times),
    ):
        seen = torch.zeros(len(sums), dtype=torch.int64)
        for slab in found:
            seen[slab.places] += 1
            torch.testing.assert_close(slab.sums, sums[slab.places])
            torch.testing.assert_close(slab.sizes, sizes[slab.places])
            expected = terms if len(terms) == 1 else terms[slab.places]
            assert torch.equal(slab.terms.expand(len(expected), 1), expected)
        assert torch.equal(
            seen > 0, (torch.ones_like(terms) if len(terms) == 1 else terms).expand(len(seen), 1)[:, 0] > 0
        )
        assert int(seen.max()) == 1


def right(values: torch.Tensor, row: torch.Tensor) -> bool:
    """Whether these are the k largest of a row, as a multiset; NaN ranks greatest."""
    return torch.equal(
        *(each.sort().values.nan_to_num(math.inf, 2e30, -2e30) for each in (values, row.topk(len(values)).values))
    )


ROWS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "normal": lambda y: y,
    "ties": lambda y: y.round(),
    "some NaN": lambda y: y.masked_fill(y > 1, torch.nan),
    "one NaN": lambda y: y.scatter(1, torch.zeros(len(y), 1, dtype=torch.int64), torch.nan),
    "all NaN": lambda y: torch.full_like(y, torch.nan),
    "infinities": lambda y: y.masked_fill(y > 1, torch.inf).masked_fill(y < 0, -torch.inf),
    "constant": lambda y: torch.ones_like(y),
}


@pytest.mark.usefixtures("slab_size")
@pytest.mark.parametrize("values", ROWS)
@swept("k", [1, 3, 9, 10])
def test_misplaced_rows_are_those_whose_values_are_not_the_largest(values: str, k: int) -> None:
    """Indices that are right in some rows and wrong in others, by one entry or by all."""
    generator = torch.Generator().manual_seed(k)
    y = ROWS[values](torch.randn(60, 10, generator=generator))
    indices = y.topk(k).indices
    for row in range(20):
        indices[row] = torch.randperm(10, generator=generator)[:k]
        if k < 10:
            outside = sorted({*range(10)} - {*indices[20 + row].tolist()})
            indices[20 + row, row % k] = outside[row % len(outside)]
    indices = indices.sort(-1).values
    expected = [not right(y[row, indices[row]], y[row]) for row in range(len(y))]
    assert misplaced_rows(y, indices).tolist() == expected


def first_and_last(name: str) -> list[Callable[[Outcome], Outcome]]:
    """Ways to move one entry of a tensor of an outcome by half."""

    def moved(at: int) -> Callable[[Outcome], Outcome]:
        def move(outcome: Outcome) -> Outcome:
            tensor = getattr(outcome, name).clone()
            places = tensor.view(-1).nonzero()[:, 0]
            tensor.view(-1)[places[at]] *= 1.5
            return replace(outcome, **{name: tensor})

        return move

    return [moved(0), moved(-1)]


@pytest.mark.usefixtures("slab_size")
@pytest.mark.parametrize(("rows", "n", "k", "d"), [(1, 64, 9, 5), (6, 40, 7, 5)])
@pytest.mark.parametrize(("name", "said"), [
    ("values", "values are not y at their index"),
    ("dy", "entries of dy are not the cotangent"),
    ("dx", "entries of dx are outside their rounding error bound"),
    ("dW", "entries of dW are outside their rounding error bound"),
])  # fmt: skip
def test_one_wrong_entry_is_found_in_the_first_slab_and_in_the_last(
    rows: int, n: int, k: int, d: int, name: str, said: str
) -> None:
    problem = draw(Case(n=n, k=k, d=d, rows=rows))
    outcome = run_once(method("native"), problem, "linear", with_dS=False)
    assert wrong_outcome(method("native"), outcome, problem, "linear") == ""
    for move in first_and_last(name):
        wrong = wrong_outcome(method("native"), move(outcome), problem, "linear")
        assert wrong.startswith("1 "), wrong
        assert said in wrong


@pytest.mark.usefixtures("slab_size")
@pytest.mark.parametrize("name", ["x", "W", "weights"])
@swept("at", [0, -1])
def test_an_input_that_was_written_into_is_found_wherever_it_was(name: str, at: int) -> None:
    case = Case(n=40, k=7, d=5, rows=6, dtype="bfloat16")
    problem, drawn = draw(case), Drawn.of(case)
    assert changed(problem, drawn, problem.y.clone()) == []
    getattr(problem, name).view(-1)[at] += 1
    assert changed(problem, drawn, problem.y.clone()) == [name]


@pytest.mark.parametrize(("have", "outside"), [(math.inf, 0), (-1.0, 1), (1.0, 1), (math.nan, 0)])
def test_a_sum_that_overflows_may_be_infinite_but_no_number_of_another_size(have: float, outside: int) -> None:
    """Of float32 terms whose sum is 1e39. NaN comes of partial sums that overflow with opposite signs."""
    one = torch.ones(1, 1, dtype=torch.float64)
    slab = Slab(slice(0, 1), 1e39 * one, 1e39 * one, torch.tensor([[2]]))
    assert outside_bound(torch.tensor([[have]]), iter([slab]), Arithmetic.of("float32")) == outside


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("terms", "outside"), [(2.0, 1), (2.0**12, 1), (math.inf, 0)])
def test_an_infinity_is_no_rounding_error_whatever_the_bound_of_its_last_rounding_is(
    dtype: str, terms: float, outside: int
) -> None:
    """Of a sum of 1 whose terms are of these sizes; only terms that pass the range of the format may overflow."""
    one = torch.ones(1, 1, dtype=torch.float64)
    slab = Slab(slice(0, 1), one, terms * one, torch.tensor([[3]]))
    assert outside_bound(torch.tensor([[math.inf]]), iter([slab]), Arithmetic.of(dtype)) == outside


def test_a_part_of_a_sum_may_overflow_although_the_sum_does_not() -> None:
    """60000 + 30000 - 80000 in float16, where every addition is rounded to it."""
    one = torch.ones(1, 1, dtype=torch.float64)
    slab = Slab(slice(0, 1), 1e4 * one, 1.7e5 * one, torch.tensor([[3]]))
    in_storage = Arithmetic.of("float16").accumulating_in_storage()
    assert outside_bound(torch.tensor([[math.inf]]), iter([slab]), in_storage) == 0
