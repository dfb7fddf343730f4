"""The kernels select what a stable sort selects: to the last bit, and of equal values the lowest indices first."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from harness.methods import Unsupported, method
from harness.methods.kernels import blockmax
from harness.methods.kernels.blockmax import MAXIMA_FROM, MAXIMA_TILE, MOST_SELECTED, TILE, block_length, refusal, topk
from tests.topk_inputs import DTYPES, LAYOUTS, PATTERNS, Call, calls, fault

over = pytest.mark.parametrize
both_ends = over("largest", [True, False])


def drawn(pattern: str, dtype: torch.dtype, *shape: int) -> Any:
    return PATTERNS[pattern](np.random.default_rng(0), shape, dtype)


def assert_right(y: Any, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> None:  # noqa: A002
    call = Call("given", "as given", y, k, dim, largest, sorted)
    assert not refusal(y, k, dim), "torch.topk would answer"
    assert fault(call, topk(*call.arguments), lowest_first=True) == ""


@over("dtype", DTYPES)
def test_every_dtype_and_order_of_values(small: None, dtype: torch.dtype) -> None:
    """Of every order of values some rows of one call: the interpreter takes as long for one row as for many."""
    for rows, n, k, largest in ((3, 29, 5, True), (3, 29, 5, False), (1, 203, 6, False)):
        parts = {pattern: drawn(pattern, dtype, rows, n) for pattern in PATTERNS}
        values, indices = topk(torch.cat([*parts.values()]), k, largest=largest)
        for number, (pattern, y) in enumerate(parts.items()):
            assert not refusal(y, k, -1), "torch.topk would answer"
            own = slice(rows * number, rows * (number + 1))
            call = Call(pattern, "as given", y, k, -1, largest, True)
            assert fault(call, (values[own], indices[own]), lowest_first=True) == "", call


@over("layout", [*LAYOUTS])
@over("dim", [0, -1])
def test_every_layout_and_dimension(small: None, layout: str, dim: int) -> None:
    assert_right(LAYOUTS[layout](drawn("normal", torch.float32, 1)), 1)
    for n in (17, 101):
        assert_right(LAYOUTS[layout](drawn("normal", torch.float32, 2, n)).movedim(-1, dim), 4, dim)


@both_ends
@over("order", [True, False])
@over(("n", "k"), [(1, 1), (2, 2), (17, 1), (32, 8), (33, 8), (96, 8), (97, 8), (112, 1)])
def test_at_the_edges_of_tiles_and_blocks(small: None, n: int, k: int, order: bool, largest: bool) -> None:
    assert_right(drawn("mostly NaN", torch.float16, 2, n), k, largest=largest, sorted=order)


@over("first", [0, 90, 320, 328])
def test_all_the_largest_in_one_block_and_in_the_tail(small: None, first: int) -> None:
    y = torch.zeros(331)
    y[first : first + 3] = torch.tensor([1.0, float("nan"), 1.0])
    assert topk(y, 3).indices.tolist() == [first + 1, first, first + 2]
    assert_right(y, 8)


@both_ends
def test_the_place_behind_the_end_of_a_row_counts_for_nothing(small: None, largest: bool) -> None:
    """All values are on one side of 0, the k nearest to it in k blocks, and the last block is short."""
    y = torch.full((129,), -9.0)
    y[:128:16] = -torch.arange(1.0, 9.0)
    for row in (y, y[:17], y[100:]):
        assert_right(row if largest else -row, 8, largest=largest)


def test_rows_of_which_several_share_a_program_and_some_are_left_over() -> None:
    for rows in (31, 33):
        assert_right(drawn("few distinct", torch.bfloat16, rows, 8), 3)


@over(("n", "k"), [(TILE, 65), (TILE + 1, MOST_SELECTED)])
def test_at_its_own_sizes(n: int, k: int) -> None:
    assert_right(drawn("few distinct", torch.float32, n), k)


def test_block_lengths_hold_enough_blocks_at_every_size() -> None:
    for n in (MAXIMA_FROM + 1, 1 << 24, (1 << 28) + 3, (1 << 31) - 1):
        for k in (1, 2, 63, 64, 1000, MOST_SELECTED):
            length = block_length(n, k)
            assert length & (length - 1) == 0
            assert 16 <= length <= MAXIMA_TILE // 2 <= TILE
            assert -(-n // length) >= k


@over("sizes", range(4))
def test_drawn_calls(small: None, sizes: int) -> None:
    faults = [
        f"{call}: {why}"
        for call in calls(sizes, 6, (30, 60, 200, 400)[sizes], blockmax.MOST_SELECTED)
        if (why := fault(call, topk(*call.arguments), lowest_first=True))
    ]
    assert faults == []


def test_torch_does_what_the_kernels_refuse(small: None) -> None:
    y = torch.arange(40.0)
    none = y[:0]
    for other, k, dim in ((y, 0, 0), (y, 9, 0), (none, 0, 0), (y.long(), 3, 0), (y[0], 1, 0), (none.view(0, 5), 2, 1)):
        assert refusal(other, k, dim)
        found, native = topk(other, k, dim), other.topk(k, dim)
        assert torch.equal(found.values, native.values)
        assert found.indices.shape == native.indices.shape


@over(("k", "dim"), [(5, -1), (-1, -1), (1, 2), (1, -3)])
def test_errors_are_those_of_torch(k: int, dim: int) -> None:
    y = torch.zeros(2, 4)
    with pytest.raises((RuntimeError, IndexError)) as native:
        y.topk(k, dim)
    with pytest.raises(type(native.value)) as ours:
        topk(y, k, dim)
    assert str(ours.value).partition("\n")[0] == str(native.value).partition("\n")[0]


def test_the_method_never_passes_for_torch() -> None:
    chosen = method("blockmax_triton")
    with pytest.raises(Unsupported, match="the kernels select 1 to 2048 of"):
        chosen.forward(torch.zeros(5000), 2049)
    assert chosen.forward(torch.tensor([1.0, 3.0, 3.0]), 2)[1].tolist() == [1, 2]


def test_every_call_gives_the_same_bits_and_leaves_its_input(small: None) -> None:
    y = drawn("few distinct", torch.float32, 120)
    before = y.clone()
    first, again = topk(y, 7), topk(y, 7)
    assert torch.equal(again.indices, first.indices)
    assert torch.equal(y, before)
