"""blockmax is torch.topk by another way: the same values to the last bit, right indices, the same derivatives."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

from harness.methods import blockmax
from harness.methods.blockmax import CUDA_ONE_ROW, ONE_ROW, SEVERAL_ROWS, block_length, positions, topk
from harness.study.cells import Case
from harness.topk.distributions import DISTRIBUTIONS
from harness.topk.problems import draw
from harness.vocabulary import DTYPES
from tests.swept import swept
from tests.topk_inputs import calls, fault

over = pytest.mark.parametrize
both_ends = swept("largest", [True, False])
inf, nan = float("inf"), float("nan")


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks in inputs of every size, twice over: the blocks, their maxima and the survivors are cut again."""
    monkeypatch.setattr(blockmax, "LEAST_ELEMENTS", 1)
    monkeypatch.setattr(blockmax, "LEAST_IN_A_ROW", 1)
    monkeypatch.setattr(blockmax, "SMALLEST_NEED", 1)
    monkeypatch.setattr(blockmax, "FILTERED_FROM", 1)
    monkeypatch.setattr(blockmax, "PIECE", 500)
    monkeypatch.setattr(blockmax, "LEAST_IN_A_BLOCK", 1)
    monkeypatch.setattr(blockmax, "LEAST_AS_INTEGERS", 1)
    for rules in ("ONE_ROW", "SEVERAL_ROWS"):
        monkeypatch.setattr(blockmax, rules, dict.fromkeys((2, 4, 8), ((64, 1, 32), (16, 1, 8), (4, 1, 2))))


def same(one: Any, two: Any) -> bool:
    """Equal as numbers, NaN to NaN."""
    return bool(((one == two) | (one.isnan() & two.isnan())).all()) and one.shape == two.shape


def assert_native(y: Any, k: int, largest: bool, found: Any) -> None:
    values, indices = found
    native = y.topk(k, -1, largest)
    assert same(values, native.values)
    assert (values.dtype, indices.dtype) == (y.dtype, torch.int64)
    assert (indices.sort(-1).values.diff(dim=-1) > 0).all(), "an index twice"
    assert ((indices >= 0) & (indices < y.shape[-1])).all()
    assert same(values, y.gather(-1, indices))


@over("dtype", DTYPES)
@over("distribution", [*DISTRIBUTIONS])
@swept(("rows", "n", "k"), [(1, 4096, 1), (1, 4099, 7), (1, 1000, 1000), (3, 1025, 16), (2, 97, 5), (1, 40, 10)])
@both_ends
def test_values_are_those_of_topk(dtype: str, distribution: str, rows: int, n: int, k: int, largest: bool) -> None:
    y = draw(Case(n=n, k=k, rows=rows, dtype=dtype, distribution=distribution)).y
    assert_native(y, k, largest, topk(y, k, largest=largest))


@given(
    y=st.lists(st.sampled_from([nan, inf, -inf, 0.0, -0.0, 1.0, -1.0, 2.0]), min_size=1, max_size=50),
    largest=st.booleans(),
    data=st.data(),
)
def test_ties_nan_and_infinities_in_any_arrangement(y: list[float], largest: bool, data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(y)))
    length = data.draw(st.sampled_from([each for each in (0, 1, 2, 4, 8, 16) if not each or k <= len(y) // each]))
    tensor = torch.tensor(y)
    indices = positions(tensor, k, largest, length)
    assert_native(tensor, k, largest, (tensor.gather(-1, indices), indices))


def test_a_block_of_nan_alone_loses_to_infinities_when_the_smallest_are_sought() -> None:
    y = torch.tensor([nan, nan, nan, inf, nan, nan, inf, inf])
    assert y[positions(y, 3, False, 2)].tolist() == [inf, inf, inf]


def test_all_the_largest_in_one_block_and_all_in_the_tail() -> None:
    for first in (512, 4090):
        y = torch.zeros(4099)
        y[first : first + 9] = torch.arange(9.0)
        assert topk(y, 8).indices.tolist() == list(range(first + 8, first, -1))


@over("dim", [0, 1, -1, -3])
@both_ends
@swept("contiguous", [True, False])
def test_any_dimension_of_any_layout(dim: int, largest: bool, contiguous: bool) -> None:
    y = torch.randn(48, 50, 52, generator=torch.Generator().manual_seed(1))
    y = y if contiguous else y.transpose(0, 2)
    found, native = topk(y, 3, dim, largest), y.topk(3, dim, largest)
    assert torch.equal(found.values, native.values)
    assert torch.equal(found.indices, native.indices)


def test_blocks_are_made_where_they_are_fitted_and_nowhere_else() -> None:
    y = torch.zeros(4096)
    assert block_length(y, 4) == 32
    assert block_length(y, 4, largest=False) == 32
    assert block_length(y.view(4, -1), 4) == 32
    assert block_length(y.view(4, -1), 4, largest=False) == 0
    for other, k in ((y, 0), (y, 2048), (y.long(), 4), (y.to("meta"), 4), (y.view(64, 64).mT, 1)):
        assert block_length(other, k) == 0


NOT_READ_ON_CUDA = (
    (1 << 24, 64, "float32", True), (1 << 25, 1025, "float32", True), (1 << 25, 64, "bfloat16", True),
    (1 << 28, 64, "float64", True), (1 << 28, 64, "float32", False), ((64, 1 << 22), 64, "float32", True),
    (1 << 28, 0, "float32", True), (1 << 28, 64, "int32", True),
)  # fmt: skip


def fake_of(shape: Any, dtype: str, device: str) -> Any:
    with FakeTensorMode():
        return torch.empty(shape, dtype=getattr(torch, dtype), device=device)


@over(("n", "k", "dtype"), [(1 << 25, 1024, "float32"), (1 << 28, 8, "float16"), ((1 << 26) + 9, 1024, "bfloat16")])
def test_on_cuda_blocks_are_made_where_both_clocks_were_faster(n: int, k: int, dtype: str) -> None:
    y = fake_of(n, dtype, "cuda")
    assert block_length(y, k) == 1024
    assert block_length(fake_of((1, n), dtype, "cuda"), k) == 1024
    assert block_length(fake_of(n, dtype, "xpu"), k) == 0


@over(("shape", "k", "dtype", "largest"), NOT_READ_ON_CUDA)
def test_on_cuda_torch_does_whatever_was_not_read(shape: Any, k: int, dtype: str, largest: bool) -> None:
    assert block_length(fake_of(shape, dtype, "cuda"), k, largest) == 0


@over("share", range(4))
def test_drawn_calls(share: int) -> None:
    faults = [f"{call}: {why}" for call in calls(share, 75, 600) if (why := fault(call, topk(*call.arguments), False))]
    assert faults == []


@over("dtype", [torch.int16, torch.int64, torch.uint8])
def test_integers_and_scalars_go_to_topk(dtype: torch.dtype) -> None:
    y = torch.arange(100, dtype=dtype)
    assert topk(y, 3).values.tolist() == [99, 98, 97]
    assert topk(torch.tensor(3.0), 1, 0).values == 3.0


@over(("k", "dim"), [(5, -1), (-1, -1), (1, 2)])
def test_errors_are_those_of_topk(k: int, dim: int) -> None:
    y = torch.zeros(2, 4)
    with pytest.raises((RuntimeError, IndexError)) as native:
        y.topk(k, dim)
    with pytest.raises(type(native.value)) as ours:
        topk(y, k, dim)
    assert str(ours.value).partition("\n")[0] == str(native.value).partition("\n")[0]


@pytest.mark.filterwarnings("ignore:.torch.jit.script")  # of torch's own forward mode
@over("n", [24, 27])
@both_ends
def test_derivatives_of_every_kind(n: int, largest: bool) -> None:
    y = torch.randperm(2 * n, generator=torch.Generator().manual_seed(n)).double().view(2, n).requires_grad_()

    def select(y: Any) -> Any:
        return topk(y, 3, largest=largest).values ** 2

    assert block_length(y, 3)
    assert torch.autograd.gradcheck(select, (y,), check_forward_ad=True)
    assert torch.autograd.gradgradcheck(select, (y,))
    (gradient,) = torch.autograd.grad(select(y).sum(), y)
    (native,) = torch.autograd.grad((y.topk(3, -1, largest).values ** 2).sum(), y)
    assert torch.equal(gradient, native)


def test_it_can_be_mapped_over_a_batch() -> None:
    y = torch.randn(5, 203, generator=torch.Generator().manual_seed(0))
    values, indices = torch.func.vmap(lambda row: tuple(topk(row, 4)))(y)
    assert torch.equal(values, y.topk(4).values)
    assert torch.equal(indices, y.topk(4).indices)
    squares = torch.func.vmap(torch.func.grad(lambda row: (topk(row, 4).values ** 2).sum()))(y)
    assert torch.equal(squares, torch.zeros_like(y).scatter(-1, indices, 2 * values))


@over("shape", [(2, 203), (203,)])
def test_it_compiles_without_a_break(shape: tuple[int, ...]) -> None:
    y = torch.randn(shape, generator=torch.Generator().manual_seed(0)).requires_grad_()
    compiled = torch.compile(lambda y: (topk(y, 4).values ** 2).sum(), fullgraph=True, backend="aot_eager")
    (gradient,) = torch.autograd.grad(compiled(y), y)
    (native,) = torch.autograd.grad((y.topk(4).values ** 2).sum(), y)
    assert torch.equal(gradient, native)


@over("shape", [(400,), (3, 400)])
def test_a_tensor_without_values_has_a_result_without_values(shape: tuple[int, ...]) -> None:
    y = fake_of(shape, "float32", "cpu")
    assert block_length(y, 5)
    found, native = topk(y, 5), y.topk(5)
    assert [type(each) for each in found] == [type(each) for each in native]
    assert [(each.shape, each.dtype) for each in found] == [(each.shape, each.dtype) for each in native]


@pytest.mark.filterwarnings("ignore::UserWarning")  # torch says that both layouts may change
@over("layout", ["to_sparse_coo", "to_sparse_csr", "nested"])
def test_of_a_tensor_without_strides_it_raises_what_topk_raises(layout: str) -> None:
    rows = torch.arange(800.0).view(2, 400)
    y = torch.nested.nested_tensor([*rows]) if layout == "nested" else getattr(rows, layout)()
    with pytest.raises(RuntimeError) as native:
        y.topk(5)
    with pytest.raises(RuntimeError) as ours:
        topk(y, 5)
    assert (type(ours.value), str(ours.value)) == (type(native.value), str(native.value))


SPREAD, EQUAL = torch.arange(400.0).roll(77), torch.ones(400)
FEW_BLOCKS = torch.cat((torch.arange(400.0, 420.0), -torch.arange(380.0)))
"""Of the survivors of SPREAD most are below every chosen maximum, of EQUAL none, of FEW_BLOCKS half."""


@over("y", [SPREAD, EQUAL, FEW_BLOCKS, SPREAD.where(SPREAD % 3 > 0, nan), torch.full((400,), nan)])
@both_ends
def test_survivors_below_what_was_chosen_are_left_out(y: Any, largest: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    y = y if largest else -y
    indices = positions(y, 5, largest, 8)
    assert_native(y, 5, largest, (y[indices], indices))
    with monkeypatch.context() as unfiltered:
        unfiltered.setattr(blockmax, "FILTERED_FROM", 401)
        assert torch.equal(positions(y, 5, largest, 8), indices) or len(y.unique()) < 400


def test_little_of_what_the_chosen_blocks_hold_is_selected_from(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    right = blockmax.positions

    def noted(y: Any, *arguments: Any, **settings: Any) -> Any:
        sizes.append(y.shape[-1])
        return right(y, *arguments, **settings)

    monkeypatch.setattr(blockmax, "positions", noted)
    monkeypatch.setattr(blockmax, "ONE_ROW", {})
    y = torch.arange(1024.0).roll(500).view(32, 32).T.reshape(-1)
    assert y[right(y, 16, True, 16)].tolist() == list(range(1023, 1007, -1))
    blocks, left = sizes
    assert blocks == 1024 // 16
    assert 16 <= left <= 32 < 16 * 16


@over("other", [EQUAL, FEW_BLOCKS, SPREAD.roll(9)])
def test_what_was_recorded_of_one_input_is_right_for_others(other: Any) -> None:
    recorded = make_fx(lambda y: positions(y, 5, True, 8))(SPREAD)
    indices = recorded(other)
    assert_native(other, 5, True, (other[indices], indices))


@over("rules", [*ONE_ROW.values(), *SEVERAL_ROWS.values(), *CUDA_ONE_ROW.values()])
def test_the_tables_can_be_used(rules: tuple[tuple[int, int, int], ...]) -> None:
    assert [ratio for ratio, _, _ in rules] == sorted((ratio for ratio, _, _ in rules), reverse=True)
    assert all(length & (length - 1) == 0 and ratio >= 2 * length > 0 < least for ratio, least, length in rules)


def test_the_one_file_needs_torch_alone(tmp_path: Path) -> None:
    shutil.copy(blockmax.__file__, tmp_path / "mine.py")
    text = "import mine, torch; y = torch.randn(100000); assert torch.equal(mine.topk(y, 9).values, y.topk(9).values)"
    subprocess.run([sys.executable, "-c", text], cwd=tmp_path, check=True)
