"""Conformance of every distribution: the same numbers for every dtype, k and device, and the property it names."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from harness.errors import UserError
from harness.exact.ulp import FORMATS
from harness.study.cells import Case
from harness.topk import problems
from harness.topk.distributions import DECIMALS, DISTRIBUTIONS
from harness.topk.outcome import bits
from harness.topk.problems import Drawn, Draws, Problem, draw
from harness.vocabulary import DTYPES

LARGE = 65536
RANDOM = [name for name in DISTRIBUTIONS if name != "constant"]
WITH_WEIGHTS = [name for name, each in DISTRIBUTIONS.items() if each.has_weights]

over_all = pytest.mark.parametrize("name", DISTRIBUTIONS)
over_random = pytest.mark.parametrize("name", RANDOM)
over_weighted = pytest.mark.parametrize("name", WITH_WEIGHTS)
rows_one_and_three = pytest.mark.parametrize("rows", [1, 3])


def case_of(name: str, **changes: Any) -> Case:
    axes: dict[str, Any] = {"n": 40, "k": 4, "distribution": name}
    return Case(**axes | changes)


def y_of(name: str, n: int = LARGE, **changes: Any) -> np.ndarray:
    """The float64 draw of y."""
    return np.asarray(draw(case_of(name, n=n, dtype="float64", **changes)).original["y"])


def equal(one: np.ndarray, other: np.ndarray) -> bool:
    return np.array_equal(one, other, equal_nan=True)


def same_tensors(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.dtype == other.dtype and torch.allclose(one, other, rtol=0, atol=0, equal_nan=True)


@over_all
def test_it_has_a_summary_and_parameters(name: str) -> None:
    assert DISTRIBUTIONS[name].name == name
    assert DISTRIBUTIONS[name].summary
    assert DECIMALS in DISTRIBUTIONS[name].parameters


@over_all
@rows_one_and_three
def test_y_is_drawn_in_float64_and_cast(name: str, rows: int) -> None:
    shape = (40,) if rows == 1 else (3, 40)
    first = draw(case_of(name, rows=rows))
    for dtype in DTYPES:
        for k in (1, 40):
            problem = draw(case_of(name, rows=rows, dtype=dtype, k=k))
            assert problem.x is None
            assert problem.W is None
            assert set(problem.original) == {"y", "weights"}
            for tensor, array in ((problem.y, "y"), (problem.weights, "weights")):
                assert equal(problem.original[array], first.original[array])
                assert problem.original[array].dtype == np.float64
                assert tensor.shape == shape
                held = torch.from_numpy(first.original[array]).to(getattr(torch, dtype))
                assert same_tensors(tensor, held)


@over_weighted
@rows_one_and_three
def test_x_and_weights_are_drawn_in_float64_and_cast(name: str, rows: int) -> None:
    lead = () if rows == 1 else (3,)
    first = draw(case_of(name, rows=rows, d=8))
    for dtype in DTYPES:
        problem = draw(case_of(name, rows=rows, d=8, dtype=dtype, k=1))
        assert problem.x is not None
        assert problem.W is not None
        assert set(problem.original) == {"x", "W", "weights"}
        pairs = ((problem.x, "x", (*lead, 8)), (problem.W, "W", (40, 8)), (problem.weights, "weights", (*lead, 40)))
        for tensor, array, shape in pairs:
            assert equal(problem.original[array], first.original[array])
            assert tensor.shape == shape
            assert same_tensors(tensor, torch.from_numpy(first.original[array]).to(getattr(torch, dtype)))
        assert same_tensors(problem.y, problem.x @ problem.W.mT)
        assert problem.y.shape == problem.weights.shape


@pytest.mark.parametrize("name", [name for name in DISTRIBUTIONS if name not in WITH_WEIGHTS])
def test_a_distribution_of_y_alone_refuses_weights(name: str) -> None:
    with pytest.raises(UserError, match=f"{name}' draws only y"):
        draw(case_of(name, d=8))


@over_random
@pytest.mark.parametrize("change", [{"seed": 1}, {"n": 41}, {"rows": 2}])
def test_other_cases_have_other_numbers(name: str, change: dict[str, Any]) -> None:
    other = y_of(name, **({"n": 40} | change)).reshape(-1)[:40]
    assert not equal(y_of(name, n=40), other)
    assert equal(y_of(name, n=40), y_of(name, n=40)), "not even the same again"


@pytest.mark.parametrize("name", [name for name in WITH_WEIGHTS if name in RANDOM])
def test_x_and_weights_have_other_numbers_for_another_d_and_from_each_other(name: str) -> None:
    few, many = (draw(case_of(name, n=d, d=d)).original for d in (8, 16))
    assert not equal(few["x"], many["x"][:8])
    scale = DISTRIBUTIONS[name].scale
    assert scale is not None
    assert not equal(few["x"], few["W"][0] / scale(8))


def test_distributions_that_transform_the_same_draws_do_not_share_them() -> None:
    assert not equal(y_of("seed", n=40), y_of("uniform", n=40))


def test_the_numbers_are_pinned() -> None:
    """Whoever changes the key, the generator or its order changes every committed result."""
    expected = [-1.0682787356853876, 1.7686257759293824, -0.6454153572204893, 0.4807166232253897]
    assert draw(Case(n=4, k=1)).original["y"].tolist() == expected


@pytest.mark.parametrize(
    ("name", "scale"),
    [
        ("seed", 1.0),
        ("uniform", 1 / 64),
        ("normal", 1 / 8),
        ("heavy_tailed", 1 / 8),
        ("ties", 1 / 64),
        ("overflow", 256),
    ],
)
def test_weights_are_scaled(name: str, scale: float) -> None:
    """Against y drawn unscaled: the median size of an entry is scaled as declared."""
    W, y = draw(case_of(name, n=1024, d=64)).original["W"], y_of(name)
    assert np.median(np.abs(W)) / np.median(np.abs(y)) == pytest.approx(scale, rel=0.05)


@over_weighted
def test_products_fit_float16(name: str) -> None:
    """Unless the distribution is about what does not."""
    finite = bool(draw(case_of(name, n=4096, d=256, dtype="float16")).y.isfinite().all())
    assert finite == (name not in ("overflow", "nonfinite"))


@over_all
def test_decimals_round_what_is_held_and_not_the_original(name: str) -> None:
    changes = {"dtype": "float64", "parameters": ((DECIMALS, 2),)}
    rounded, plain = draw(case_of(name, **changes)), draw(case_of(name))
    assert equal(rounded.original["y"], plain.original["y"])
    assert equal(rounded.y.numpy(), np.round(plain.original["y"], 2))
    if DISTRIBUTIONS[name].has_weights:
        both: Problem = draw(case_of(name, d=8, **changes))
        assert both.W is not None
        assert equal(both.W.numpy(), np.round(both.original["W"], 2))
        assert equal(both.original["W"], draw(case_of(name, d=8)).original["W"])


@over_all
def test_writing_into_the_tensors_leaves_the_original(name: str) -> None:
    problem = draw(case_of(name, dtype="float64"))
    before = problem.original["y"].copy()
    problem.y.fill_(7)
    assert equal(problem.original["y"], before)


@pytest.mark.parametrize("name", ["seed", "uniform"])
def test_uniform_fills_the_unit_interval(name: str) -> None:
    y = y_of(name)
    assert 0 <= y.min() < 0.001
    assert 0.999 < y.max() < 1
    assert y.mean() == pytest.approx(0.5, abs=0.01)


def test_normal_is_standard() -> None:
    y = y_of("normal")
    assert (y.mean(), y.std()) == (pytest.approx(0, abs=0.02), pytest.approx(1, abs=0.02))


def test_heavy_tails_are_as_heavy_as_their_degrees_say() -> None:
    default, two, thirty = (
        y_of("heavy_tailed", parameters=own) for own in ((), (("degrees", 2.0),), (("degrees", 30.0),))
    )
    assert equal(default, two)
    assert np.abs(two).max() > 50
    assert np.abs(thirty).max() < 10


@pytest.mark.parametrize(("own", "levels"), [((), 16), ((("levels", 3),), 3)])
def test_ties_have_few_levels(own: tuple[tuple[str, int], ...], levels: int) -> None:
    assert np.unique(y_of("ties", parameters=own)).tolist() == list(range(levels))


def test_near_ties_have_gaps_of_every_size() -> None:
    above_one = y_of("near_ties") - 1
    assert ((above_one >= 0) & (above_one <= 1)).all()
    exponents = np.frexp(above_one[above_one > 0])[1]
    assert set(range(-51, 0)) <= set(exponents.tolist())


def test_ascending_is_sorted_in_each_row() -> None:
    y = y_of("ascending", n=512, rows=3)
    assert (np.diff(y, axis=-1) >= 0).all()
    assert y.std() == pytest.approx(1, abs=0.1)


def test_clustered_has_its_largest_side_by_side() -> None:
    y = y_of("clustered", n=5120, rows=3)
    largest = np.sort(np.argsort(y, axis=-1)[:, -20:], axis=-1)
    assert (largest == np.arange(5120 // 3, 5120 // 3 + 20)).all()


def test_constant_is_one_third() -> None:
    assert np.unique(y_of("constant")).tolist() == [1 / 3]


@pytest.mark.parametrize("is_kind", [np.isposinf, np.isneginf, np.isnan])
def test_nonfinite_has_a_few_of_each_kind(is_kind: Any) -> None:
    assert is_kind(y_of("nonfinite")).mean() == pytest.approx(1 / 256, rel=0.3)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sign", [-1, 1])
def test_subnormal_is_so_in_every_dtype(dtype: str, sign: int) -> None:
    y = sign * draw(case_of("subnormal", n=LARGE, dtype=dtype)).y.double().numpy()
    inside = (y > 0) & (y < 2.0 ** FORMATS[dtype].emin)
    assert inside.mean() > (0.04 if dtype == "bfloat16" else 0.1)  # two thirds of float32's range are 0 in bfloat16
    assert np.unique(y[inside]).size > 20


def test_subnormal_is_a_third_each_of_three_ranges() -> None:
    sizes = np.abs(y_of("subnormal"))
    ranges = [(-24, -14), (-149, -126), (-1074, -1022)]
    shares = [((sizes >= 2.0**low) & (sizes < 2.0**high)).mean() for low, high in ranges]
    assert shares == pytest.approx([1 / 3] * 3, rel=0.05)
    assert sum(shares) == pytest.approx(1)


def test_overflow_passes_the_range_of_float16_only() -> None:
    y = draw(case_of("overflow", n=LARGE, dtype="float16")).y
    assert {float(y.min()), float(y.max())} == {-np.inf, np.inf}
    assert y.isfinite().double().mean() > 0.9
    assert draw(case_of("overflow", n=LARGE, dtype="bfloat16")).y.isfinite().all()


def test_a_seed_of_the_generator_does_not_depend_on_the_other_axes() -> None:
    """dtype, device, k, mode, transform and threads are no part of the key."""
    case = case_of("normal")
    others = {"k": 1, "dtype": "float16", "mode": "other", "transform": "other", "threads": 7}
    for axis, value in others.items():
        changed = dataclasses.replace(case, **{axis: value})  # type: ignore[arg-type]
        assert equal(draw(changed).original["y"], draw(case).original["y"]), axis


@pytest.mark.parametrize(
    ("axes", "words"),
    [
        ({"distribution": "nrmal"}, ("distribution 'nrmal'", "did you mean 'normal'")),
        ({"dtype": "float8"}, ("dtype 'float8'", "float16")),
        ({"distribution": "near_ties", "d": 4}, ("near_ties", "d = 4")),
    ],
    ids=lambda each: str(each)[:30],
)
def test_a_case_that_cannot_be_drawn_is_told_in_one_line(axes: dict[str, Any], words: tuple[str, ...]) -> None:
    with pytest.raises(UserError) as caught:
        draw(Case(n=16, k=4, **axes))
    assert all(word in str(caught.value) for word in words)


IN_ORDER = [name for name, each in DISTRIBUTIONS.items() if each.in_order]


@pytest.mark.parametrize("name", IN_ORDER)
@pytest.mark.parametrize("d", [0, 7])
def test_what_is_drawn_in_pieces_is_what_is_drawn_at_once(name: str, d: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(problems, "DRAWN_AT_ONCE", 13)
    changes: dict[str, Any] = {"rows": 3, "d": d, "dtype": "float64", "parameters": ((DECIMALS, 3),)}
    problem = draw(case_of(name, **changes))
    for array, original in problem.original.items():
        assert equal(getattr(problem, array).numpy(), np.round(original, 3)), array


@over_all
def test_the_next_case_of_the_same_numbers_does_not_draw_them_again(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its dtype and k are; float64 alone is drawn again, and then serves the others."""
    made: list[str] = []
    generator = Drawn._generator

    def counted(self: Drawn, purpose: str) -> np.random.Generator:
        made.append(purpose)
        return generator(self, purpose)

    cases = [(dtype, k) for dtype in ("float16", "bfloat16", "float32", "float64", "bfloat16") for k in (1, 4)]
    alone = [draw(case_of(name, dtype=dtype, k=k)) for dtype, k in cases]
    monkeypatch.setattr(Drawn, "_generator", counted)
    draws, times = Draws(), []
    for (dtype, k), expected in zip(cases, alone, strict=True):
        problem = draws.problem(case_of(name, dtype=dtype, k=k))
        assert torch.equal(bits(problem.y), bits(expected.y))
        assert torch.equal(bits(problem.weights), bits(expected.weights))
        times.append(made.count("y"))
    assert times == [1] * 6 + [2] * 4


@pytest.mark.parametrize("change", [{"seed": 1}, {"n": 41}, {"rows": 2}, {"d": 3}, {"parameters": ((DECIMALS, 1),)}])
def test_the_next_case_of_other_numbers_has_its_own(change: dict[str, Any]) -> None:
    draws = Draws()
    draws.problem(case_of("normal"))
    assert torch.equal(draws.problem(case_of("normal", **change)).y, draw(case_of("normal", **change)).y)


def test_a_parameter_that_the_distribution_does_not_take_leaves_its_numbers() -> None:
    draws = Draws()
    first, second = (draws.problem(case_of("normal", parameters=(("temperature", each),))) for each in (1.0, 2.0))
    assert second.original is first.original


def test_what_a_method_writes_does_not_reach_the_next_case() -> None:
    draws = Draws()
    for dtype in DTYPES:
        case = case_of("normal", dtype=dtype)
        problem = draws.problem(case)
        problem.y.zero_()
        problem.weights.zero_()
        again = draws.problem(case)
        assert again.y.count_nonzero()
        assert again.weights.count_nonzero()
