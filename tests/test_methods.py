"""Conformance of every registered method: what it selects, its gradients, its declared bytes, its laws as a map."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import harness.methods
from harness.errors import UserError
from harness.methods import Method, method, named, registered
from harness.methods.definition import index_map, matrix, product, selector, yardstick
from harness.study.cells import Case
from harness.topk.checks import wrong_outcome
from harness.topk.outcome import run_once
from harness.topk.problems import draw
from harness.vocabulary import DTYPES, INDEX_BYTES, PHASES, YARDSTICKS
from tests.present import absent, by_name, is_refused
from tests.swept import swept

METHODS = list(registered().values())
SELECTING = [each for each in METHODS if each.name not in YARDSTICKS]
WITH_FORWARD = [each for each in SELECTING if "forward" in each.phases]
WITH_PROJECT = [each for each in SELECTING if "pipeline" in each.phases]
WITH_MATRIX = [each for each in SELECTING if each.has_matrix]
WITH_MAP = [each for each in WITH_FORWARD if "apply" in each.phases]
RELAXED = [each for each in SELECTING if not each.exact]
DIFFERENTIABLE = [each for each in SELECTING if each.name != "straight_through"]  # whose values and gradient disagree
WARM = Case(n=1, k=1, parameters=(("temperature", 4.0),))  # what is not selected has a share of the mask
CLOSURE = {"build": "build", "apply": "apply", "pipeline": "project"}
"""phase -> the closure that it calls, if not forward."""
SHAPES = [(1, 1), (7, 1), (7, 7), (64, 5), (300, 16), (2048, 31)]  # torch.topk changes its algorithm at 64 k <= n

over = pytest.mark.parametrize


dtypes = over("dtype", DTYPES)
rows_one_and_three, shapes = swept("rows", [1, 3]), swept(("n", "k"), SHAPES)


def present(methods: list[Method]) -> list[Method]:
    """Those of these methods that can be had here."""
    return [each for each in methods if not absent(each)]


def closures(chosen: Method, *names: str) -> list[Callable[..., Any]]:
    return [getattr(chosen.implementation, name) for name in names]


def drawn(rows: int, *shape: int, dtype: str = "float64", seed: int = 0, low: int = -40, high: int = 41) -> Any:
    """Small whole numbers, exact in every dtype, with many ties; no axis of rows where there is one row."""
    lead = () if rows == 1 else (rows,)
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(low, high, (*lead, *shape), generator=generator).to(getattr(torch, dtype))


def assert_selects(values: Any, indices: Any, y: Any, k: int) -> None:
    assert values.shape == indices.shape == (*y.shape[:-1], k)
    assert (values.dtype, indices.dtype) == (y.dtype, torch.int64)
    assert torch.equal(values, y.gather(-1, indices)), "values are not y at the indices"
    assert torch.equal(values.sort(-1).values, y.topk(k).values.sort(-1).values), "not the k largest"
    assert (indices.sort(-1).values.diff(dim=-1) > 0).all(), "an index twice"


@by_name(METHODS)
def test_it_says_what_it_is(chosen: Method) -> None:
    assert registered()[chosen.name] is chosen
    assert chosen.summary
    assert chosen.phases == tuple(phase for phase in PHASES if phase in chosen.phases) != ()
    assert all(getattr(chosen.implementation, CLOSURE.get(phase, "forward")) is not None for phase in chosen.phases)
    assert chosen.phases_for(Case(n=8, d=2)) == chosen.phases
    assert chosen.phases_for(Case(n=8)) == tuple(phase for phase in chosen.phases if phase != "pipeline")
    assert chosen.phases_for(Case(n=8, d=2, rows=2, transform="vmap")) == chosen.phases
    assert chosen.phases_for(Case(n=8, d=2, transform="vmap")) == ()
    without_gradients = chosen.phases_for(Case(n=8, d=2, transform="inference"))
    assert without_gradients == tuple(each for each in chosen.phases if each in ("build", "apply", "forward"))


@by_name([each for each in WITH_FORWARD if each.exact])
@dtypes
@rows_one_and_three
@shapes
def test_forward_selects_the_k_largest(chosen: Method, dtype: str, rows: int, n: int, k: int) -> None:
    y, cotangent = drawn(rows, n, dtype=dtype), drawn(rows, k, dtype=dtype, seed=1)
    leaf = y.clone().requires_grad_(chosen.has_gradient)
    if is_refused(chosen.name, dtype, lambda: chosen.forward(leaf, k)):
        return
    values, indices = chosen.forward(leaf, k)
    assert_selects(values.detach(), indices, y, k)
    assert torch.equal(leaf.detach(), y), "wrote into y"
    if not chosen.has_gradient:
        return
    (dy,) = torch.autograd.grad(values, leaf, cotangent)
    assert torch.equal(dy, torch.zeros_like(y).scatter_(-1, indices, cotangent))
    assert torch.equal(leaf.detach(), y), "wrote into y backward"


@by_name([each for each in WITH_PROJECT if each.exact])
@dtypes
@rows_one_and_three
@shapes
def test_project_selects_the_k_largest(chosen: Method, dtype: str, rows: int, n: int, k: int) -> None:
    x, W = drawn(rows, 4, dtype=dtype, low=-3, high=4), drawn(1, n, 4, dtype=dtype, low=-1, high=2)
    g = drawn(rows, k, dtype=dtype, seed=1, low=-1, high=2)
    leaves = W.clone().requires_grad_(), x.clone().requires_grad_()
    (project,) = closures(chosen, "project")
    if is_refused(chosen.name, dtype, lambda: project(*leaves, k)):
        return
    values, indices = project(*leaves, k)
    y = x @ W.mT
    assert_selects(values.detach(), indices, y, k)
    dW, dx = torch.autograd.grad(values, leaves, g)
    dy = torch.zeros_like(y).scatter_(-1, indices, g).reshape(rows, n)
    assert torch.equal(dx, (dy @ W).view(x.shape))
    assert torch.equal(dW, dy.mT @ x.reshape(rows, 4))
    assert torch.equal(leaves[0].detach(), W), "wrote into W"
    assert torch.equal(leaves[1].detach(), x), "wrote into x"


@over("name", YARDSTICKS)
@dtypes
@rows_one_and_three
def test_yardsticks_move_y_and_leave_it_alone(name: str, dtype: str, rows: int) -> None:
    y = drawn(rows, 64, dtype=dtype, low=0)
    before = y.clone()
    (apply,) = closures(method(name), "apply")
    output = apply(None, y)
    assert torch.equal(output if name == "copy" else output.view(y.dtype), y if name == "copy" else y.max())
    assert output.data_ptr() != y.data_ptr()
    assert torch.equal(y, before)


def stored(S: Any) -> int:
    if S.layout == torch.strided:
        parts = [S]
    elif S.layout == torch.sparse_coo:
        parts = [S.coalesce().indices(), S.coalesce().values()]
    else:
        parts = [S.crow_indices(), S.col_indices(), S.values()]
    return sum(part.numel() * part.element_size() for part in parts)


@by_name(WITH_MATRIX)
@dtypes
@rows_one_and_three
def test_the_matrix_is_as_large_as_declared_and_can_have_a_gradient(chosen: Method, dtype: str, rows: int) -> None:
    case = Case(n=24, k=5, rows=rows, dtype=dtype)
    y, g = drawn(rows, 24, dtype=dtype, low=-12, high=13), drawn(rows, 5, dtype=dtype, seed=1, low=-9, high=10)
    build, apply = closures(chosen, "build", "apply")
    S = build(y.topk(5).indices, 24, y.dtype)
    assert stored(S) == chosen.matrix_bytes(case)
    S.requires_grad_()
    if is_refused(chosen.name, dtype, lambda: apply(S, y)):
        return
    (dS,) = torch.autograd.grad(apply(S, y), S, g)
    assert stored(dS) == chosen.gradient_bytes(case)
    assert dS.layout == (S.layout if chosen.gradient_bytes is chosen.matrix_bytes else torch.strided)
    if S.dim() == 2:  # with rows: one block-diagonal S over the rows laid end to end
        g, y = g.flatten(), y.flatten()
    blocks = g.unsqueeze(-1) * y.unsqueeze(-2)
    expected = blocks if dS.layout == torch.strided else blocks * S.detach().to_dense()
    assert torch.equal(dS.to_dense(), expected)


def test_least_bytes_by_hand() -> None:
    """64 numbers of float32, the 4 largest of them with their indices, a dense S of 4 by 64; W has 64 by 2, and x 2."""
    case, y, values, indices, S = Case(n=64, k=4, d=2), 256, 16, 32, 1024
    forward, apply, backward = y + values + indices + 2 * S, S + y + values, values + S + y
    expected = {
        "build": indices + S,
        "apply": apply,
        "forward": forward,
        "backward": backward,
        "step": forward + backward,
        "jvp": forward + apply,
        "vjp": forward + backward,
        "pipeline": 2 * 4 * (64 * 2 + 2) + forward + values + y,
    }
    assert {phase: method("dense").least_bytes(phase, case) for phase in expected} == expected


def at_least_bytes(chosen: Method, phase: str, case: Case) -> int:
    """Inputs and outputs of a phase, counted independently."""
    y, values = case.itemsize * case.rows * case.n, case.itemsize * case.rows * case.k
    indices = INDEX_BYTES * case.rows * case.k
    if chosen.name in YARDSTICKS:
        return 2 * y if chosen.name == "copy" else y
    prepared = chosen.matrix_bytes(case) if chosen.has_matrix else indices
    forward = y + values + indices
    return {
        "build": indices + prepared,
        "apply": prepared + 2 * values,
        "forward": forward,
        "backward": values + y,
        "step": forward + values + y,
        "jvp": forward + 2 * values,
        "vjp": forward + values + y,
        "pipeline": 2 * case.itemsize * case.d * (case.n + case.rows),
    }[phase]


@by_name(METHODS)
@swept("dtype", DTYPES)
@rows_one_and_three
def test_least_bytes_hold_inputs_and_outputs_and_grow(chosen: Method, dtype: str, rows: int) -> None:
    for phase in chosen.phases:
        sizes = {}
        for n, k in ((64, 4), (64, 8), (128, 8), (128, 128)):
            case = Case(n=n, k=k, d=16, rows=rows, dtype=dtype)
            sizes[n, k] = chosen.least_bytes(phase, case)
            assert sizes[n, k] >= at_least_bytes(chosen, phase, case) > 0, (phase, n, k)
        assert list(sizes.values()) == sorted(sizes.values())


@by_name([each for each in DIFFERENTIABLE if each in WITH_FORWARD and each.has_gradient])
@rows_one_and_three
def test_forward_passes_gradcheck(chosen: Method, rows: int) -> None:
    y = torch.stack([torch.randperm(12, generator=torch.Generator().manual_seed(row)) for row in range(rows)]).double()
    y = (y[0] if rows == 1 else y).requires_grad_()
    warm, along_one = chosen.at(WARM), rows > 1  # of one row every entry is compared, of several a direction
    assert torch.autograd.gradcheck(lambda y: warm.forward(y, 4)[0], (y,), fast_mode=along_one)
    assert torch.autograd.gradgradcheck(lambda y: warm.forward(y, 4)[0] ** 2, (y,), fast_mode=along_one)


@by_name([each for each in DIFFERENTIABLE if each in WITH_PROJECT])
@rows_one_and_three
def test_project_passes_gradcheck(chosen: Method, rows: int) -> None:
    (project,) = closures(chosen.at(WARM), "project")
    x = torch.tensor([[1.0, 2.0, -0.5], [0.5, -1.0, 2.0], [3.0, 1.0, 1.0]], dtype=torch.float64)[:rows]
    W = torch.randn(8, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    assert (x @ W.mT).sort(-1).values.diff(dim=-1).min() > 1e-3, "values too close for finite differences"
    inputs = W.requires_grad_(), (x[0] if rows == 1 else x).clone().requires_grad_()
    along_one = rows > 1
    assert torch.autograd.gradcheck(lambda W, x: project(W, x, 3)[0], inputs, fast_mode=along_one)
    assert torch.autograd.gradgradcheck(lambda W, x: project(W, x, 3)[0], inputs, fast_mode=along_one)


whole = st.integers(-1000, 1000).map(float)


@st.composite
def selections(draw: st.DrawFn) -> tuple[Any, Any, Any, Any]:
    """y, z (n,), v (k,) of whole numbers, and k distinct indices in any order."""
    n = draw(st.integers(1, 20))
    k = draw(st.integers(1, n))
    numbers = [draw(st.lists(whole, min_size=size, max_size=size)) for size in (n, n, k)]
    y, z, v = (torch.tensor(each, dtype=torch.float64) for each in numbers)
    return y, z, v, torch.tensor(draw(st.permutations(range(n)))[:k])


@given(selection=selections(), a=whole, b=whole)
@swept("chosen", present(WITH_MAP))
def test_a_fixed_selection_is_a_linear_map_with_an_adjoint(chosen: Method, selection: Any, a: float, b: float) -> None:
    y, z, v, indices = selection
    build, apply = closures(chosen, "build", "apply")
    S = build(indices, len(y), y.dtype)
    assert torch.equal(apply(S, a * y + b * z), a * apply(S, y) + b * apply(S, z))
    assert torch.equal(apply(S, y), y[indices])
    leaf = z.clone().requires_grad_()
    (transposed,) = torch.autograd.grad(apply(S, leaf), leaf, v)
    assert apply(S, y) @ v == y @ transposed


def selected(chosen: Method, y: Any, k: int) -> tuple[Any, Any]:
    """Values and indices of any method, since all have project: W is y as a column, and x is one."""
    (project,) = closures(chosen, "project")
    values, indices = project(y.unsqueeze(-1), torch.ones(1, dtype=y.dtype), k)
    return values, indices


@st.composite
def permutations(draw: st.DrawFn) -> tuple[Any, Any, int]:
    """Two orders of 0 to n - 1, and k from 1 to n."""
    n = draw(st.integers(1, 20))
    y, order = (torch.tensor(draw(st.permutations(range(n)))) for _ in range(2))
    return y, order, draw(st.one_of(st.just(1), st.just(n), st.integers(1, n)))


@given(example=permutations())
@swept("chosen", present(WITH_PROJECT))
def test_permuting_y_permutes_the_selection(chosen: Method, example: tuple[Any, Any, int]) -> None:
    y, order, k = example
    n = len(y)
    indices, permuted = (selected(chosen, each.double(), k)[1] for each in (y, y[order]))
    assert set(order[permuted].tolist()) == set(indices.tolist()) == {i for i in range(n) if y[i] >= n - k}


@st.composite
def ties(draw: st.DrawFn) -> tuple[Any, int]:
    """y with few values, and k from 1 to its length."""
    y = draw(st.lists(st.sampled_from([-1.0, -0.0, 0.0, 2.0]), min_size=1, max_size=20))
    return torch.tensor(y, dtype=torch.float64), draw(st.integers(1, len(y)))


@given(example=ties())
@swept("chosen", present([each for each in WITH_PROJECT if each.exact]))
def test_of_equal_values_any_choice_is_right(chosen: Method, example: tuple[Any, int]) -> None:
    tensor, k = example
    assert_selects(*selected(chosen, tensor, k), tensor, k)


def relaxed(chosen: Method, temperature: float, y: Any, k: int) -> tuple[Any, Any, Any]:
    """Values, indices, and dy of the loss sum of (i + 1) values[i]."""
    leaf = y.clone().requires_grad_()
    values, indices = chosen.at(Case(n=1, k=1, parameters=(("temperature", temperature),))).forward(leaf, k)
    (dy,) = torch.autograd.grad(values, leaf, (indices + 1).to(y.dtype))
    return values.detach(), indices, dy


@by_name(RELAXED)
@rows_one_and_three
def test_a_relaxation_comes_to_the_exact_map_as_its_temperature_goes_to_0(chosen: Method, rows: int) -> None:
    """Beside gaps of 1: at a temperature of 4 it is far off, from 1/4 on ever nearer, and at 1/1024 it is there."""
    y = torch.stack([torch.randperm(12, generator=torch.Generator().manual_seed(row)) for row in range(rows)]).double()
    y = (y[0] if rows == 1 else y) + 1
    expected, best = y.topk(4)
    exact = torch.zeros_like(y).scatter_(-1, best, (best + 1).double())
    errors = []
    for temperature in (4.0, 0.25, 0.125, 0.0625, 2.0**-10):
        values, indices, dy = relaxed(chosen, temperature, y, 4)
        assert torch.equal(indices, best)
        errors.append((float((values - expected).norm()), float((dy - exact).norm())))
    of_values, of_gradient = zip(*errors, strict=True)
    if chosen.name == "straight_through":
        assert set(of_values) == {0.0}
    else:
        assert of_values[0] > 0.1
        assert list(of_values[1:4]) == sorted(of_values[1:4], reverse=True)
    assert of_gradient[0] > 0.1
    assert list(of_gradient[1:4]) == sorted(of_gradient[1:4], reverse=True)
    assert errors[-1] == pytest.approx((0.0, 0.0), abs=1e-9)


@by_name(RELAXED)
@dtypes
@rows_one_and_three
@swept(("n", "k"), [(1, 1), (7, 7), (64, 5)])
def test_a_relaxation_is_finite_and_as_native_in_shape_dtype_and_selection(
    chosen: Method, dtype: str, rows: int, n: int, k: int
) -> None:
    """Also where every slope of the mask vanishes: the gaps are of 1, the temperature is 2^-8."""
    y = drawn(rows, n, dtype=dtype)
    for temperature in (4.0, 2.0**-8):
        values, indices, dy = relaxed(chosen, temperature, y, k)
        assert torch.equal(indices, y.topk(k).indices)
        assert (values.shape, values.dtype, dy.dtype) == (indices.shape, y.dtype, y.dtype)
        assert torch.isfinite(values).all()
        assert torch.isfinite(dy).all()


@by_name([each for each in RELAXED if each.name in ("sigmoid_shift", "entmax_budget")])
@rows_one_and_three
def test_the_mask_of_a_relaxation_sums_to_k_and_so_its_gradient_to_0(chosen: Method, rows: int) -> None:
    """With y = 1 + tiny x the values are the mask at the largest k: where k is n - 1 all but one of it."""
    x = torch.randn(3, 10, generator=torch.Generator().manual_seed(0), dtype=torch.float64)[:rows]
    y = 1 + 1e-9 * (x[0] if rows == 1 else x)
    warm = chosen.at(Case(n=1, k=1, parameters=(("temperature", 1e-9),)))
    leaf = y.clone().requires_grad_()
    values, _ = warm.forward(leaf, 9)
    assert (values.detach() <= 1 + 1e-6).all()
    assert (values.detach().sum(-1) >= 8 - 1e-6).all()
    (dy,) = torch.autograd.grad(values.sum(), leaf)
    # Shifting y moves no mask: what is left is the mask itself, times the ones.
    assert dy.sum(-1) == pytest.approx(values.detach().sum(-1).numpy(), rel=1e-5)


def test_straight_through_is_native_to_the_bit_and_its_gradient_that_of_the_sigmoids() -> None:
    y = torch.tensor([0.3, -0.0, 2.5, 0.1, -1.0, 0.7, -3.0], dtype=torch.float32)
    values, indices, dy = relaxed(method("straight_through"), 0.5, y, 5)
    best = y.topk(5)
    assert torch.equal(indices, best.indices)
    assert torch.equal(values.view(torch.int32), best.values.view(torch.int32)), "-0 is not 0"
    assert torch.equal(dy, relaxed(method("sigmoid_shift"), 0.5, y, 5)[2])
    assert not torch.equal(dy, torch.zeros_like(y).scatter_(-1, indices, (indices + 1).float()))
    assert dy[[4, 6]].abs().min() > 0, "what was not selected has a gradient too"


@by_name([each for each in RELAXED if "temperature" in each.parameters])
@swept("temperature", [0, -1.0, float("nan"), float("inf"), "hot"])
def test_a_temperature_that_is_none_is_one_line(chosen: Method, temperature: Any) -> None:
    with pytest.raises(UserError, match="temperature has to be a number above 0") as error:
        assert chosen.at(Case(n=1, k=1, parameters=(("temperature", temperature),))).implementation
    assert "\n" not in str(error.value)


def test_a_method_takes_its_own_parameters_of_a_case_and_no_others() -> None:
    case = Case(n=8, k=2, parameters=(("decimals", 3), ("temperature", 0.5)))
    assert method("native").at(case) is method("native")
    chosen = method("sigmoid_shift")
    assert chosen.parameters == ("temperature",)
    y = torch.arange(8.0)
    assert torch.equal(chosen.at(case).forward(y, 2)[0], chosen.make(temperature=0.5).forward(y, 2)[0])  # type: ignore[misc]
    assert not torch.equal(chosen.at(case).forward(y, 2)[0], chosen.forward(y, 2)[0])


@over("name", ["numpy_argpartition", "numpy_partition"])
@swept("k", [1, 3, 4, 6, 8])
def test_numpy_ranks_nan_as_torch_does(name: str, k: int) -> None:
    nan, inf = float("nan"), float("inf")
    y = torch.tensor([[1.0, nan, -inf, nan, 2.0, nan, inf, 0.0], [2.0, 2.0, 1.0, 2.0, -inf, 2.0, 2.0, inf]])
    values, indices = method(name).forward(y, k)
    assert (indices.sort(-1).values.diff(dim=-1) > 0).all()
    assert torch.equal(values.nan_to_num(9e9), y.gather(-1, indices).nan_to_num(9e9))
    assert torch.equal(values.nan_to_num(9e9).sort(-1).values, y.topk(k).values.nan_to_num(9e9).sort(-1).values)


def test_a_method_without_a_gradient_has_forward_only_and_is_checked_all_the_same() -> None:
    chosen = method("numpy_argpartition")
    assert (chosen.phases, chosen.has_gradient) == (("forward",), False)
    for d in (0, 8):
        problem = draw(Case(n=64, k=4, d=d))
        outcome = run_once(chosen, problem, "square", with_dS=True)
        assert (outcome.dy, outcome.dx, outcome.dW, outcome.dS) == (None, None, None, None)
        assert wrong_outcome(chosen, outcome, problem, "square") == ""
        wrong = replace(outcome, values=outcome.values + 1)
        assert "values are not y" in wrong_outcome(chosen, wrong, problem, "square")
        wrong = replace(outcome, indices=problem.y.topk(4, largest=False).indices)
        assert "are not among the 4 largest" in wrong_outcome(chosen, wrong, problem, "square")


def test_a_method_can_be_named_by_its_import_path() -> None:
    path = "tests.acceptance.twin:twin"
    assert method(path).name == "twin"
    assert list(named(["native", path])) == ["native", path]


@over(
    ("path", "said"),
    [
        ("nativ", "did you mean 'native'"),
        ("no.such.module:thing", "cannot import 'no.such.module:thing'"),
        ("tests.acceptance.twin:missing", "no such name 'missing' in tests.acceptance.twin"),
        ("tests.acceptance.twin:twim", "did you mean 'twin'?"),
        ("tests.acceptance.twim:twin", "did you mean 'tests.acceptance.twin'?"),
        ("test.acceptence:twin", "cannot import 'test.acceptence:twin'"),
        ("numpyy:topk", "did you mean 'numpy'?"),
        ("tests.acceptance.twin:Any", "is not a method"),
        (":twin", ":twin"),
        (".twin:twin", ".twin:twin"),
    ],
)
def test_a_name_that_leads_to_no_method_is_one_line(path: str, said: str) -> None:
    with pytest.raises(UserError, match=said) as error:
        method(path)
    assert "\n" not in str(error.value)


LAZY = """
def __getattr__(name):
    if name == "absent":
        raise AttributeError(name)
    raise {error}("it needs another package\\nthat is not here")
"""


@over("error", ["ImportError", "RuntimeError", "KeyError"])
def test_a_module_that_imports_its_parts_when_they_are_asked_for_may_fail_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: str
) -> None:
    (tmp_path / f"lazy_{error}.py").write_text(LAZY.format(error=error))
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match=f"^methods: cannot import 'lazy_{error}:best': {error}: .*another package"):
        named([f"lazy_{error}:best"])
    with pytest.raises(UserError, match=f"no such name 'absent' in lazy_{error}"):
        named([f"lazy_{error}:absent"])


def test_a_function_that_is_decorated_in_place_of_the_one_that_it_returns_is_refused() -> None:
    """The mistake of whoever writes a method for the first time; the cells would crash, without a word of why."""

    def topk(y: Any, k: int) -> Any: ...

    def parts(number: int = 2) -> Any: ...

    for function in (topk, parts):
        with pytest.raises(TypeError, match=r"has to return the function that is measured; its own parameters are"):
            selector()(function)


UNTYPED: Any = selector
"""mypy knows that it must not be used as these tests use it."""


@pytest.mark.parametrize(
    ("decorate", "said"),
    [
        (selector, "@selector is written with parentheses, and settings in them have names: @selector()"),
        (matrix, "@matrix is written with parentheses, and settings in them have names: @matrix(matrix_bytes=...)"),
        (index_map, "@index_map()"),
        (lambda function: UNTYPED(False), "@selector()"),
        (lambda function: UNTYPED()(selector()(function)), "topk has two of these decorators: leave one of them out"),
        (lambda function: selector()(type("topk", (), {})), "topk is a class: decorate a function that returns"),
    ],
)
def test_a_decorator_that_is_used_wrongly_says_how_it_is_written(decorate: Any, said: str) -> None:
    def topk() -> Any: ...

    with pytest.raises(TypeError, match=re.escape(said)):
        decorate(topk)


@pytest.mark.parametrize(
    ("decorator", "returned", "said"),
    [
        (selector(), None, "topk has to return select(y, k), and it returned NoneType"),
        (selector(), 3, "topk has to return select(y, k), and it returned int"),
        (selector(), (max, min), "topk has to return select(y, k), and it returned tuple"),
        (selector(), (max,), "topk has to return select(y, k), and it returned tuple"),
        (product(), None, "topk has to return project(W, x, k), and it returned NoneType"),
        (yardstick(passes=1), None, "topk has to return apply(y), and it returned NoneType"),
        (
            index_map(),
            max,
            "topk has to return build(indices, n, dtype) and apply(indices, y), and it returned builtin",
        ),
        (matrix(matrix_bytes=lambda case: 0), (max, 1), "topk has to return build(indices, n, dtype) and apply(S, y)"),
        (matrix(matrix_bytes=lambda case: 0), (), "and it returned nothing"),
    ],
)
def test_a_decorated_function_that_returns_something_else_is_told_what_to_return(
    decorator: Any, returned: object, said: str
) -> None:
    """A forgotten return is the commonest; without this the cell would crash in the harness's own code."""

    def topk() -> object:
        return returned

    made = decorator(topk)
    with pytest.raises(TypeError, match=re.escape(said)):
        _ = made.implementation
    with pytest.raises(TypeError, match=re.escape(said)):
        made.at(Case(n=4, k=2)).make()


def test_a_file_of_the_folder_that_fails_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_file.py").write_text("def f(:")
    monkeypatch.setattr(harness.methods, "__path__", [*harness.methods.__path__, str(tmp_path)])
    registered.cache_clear()
    try:
        with pytest.raises(UserError, match=r"cannot import 'harness\.methods\.broken_file': SyntaxError"):
            registered()
    finally:
        registered.cache_clear()
