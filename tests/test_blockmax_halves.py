"""blockmax of float16 and bfloat16: the largest of each block, by float32 copies or by comparing bits as integers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.methods import blockmax
from harness.methods.blockmax import extremes, topk
from tests.test_blockmax import assert_native, same

halves = pytest.mark.parametrize("dtype", ["float16", "bfloat16"])

ANY = st.integers(-(2**15), 2**15 - 1)
"""The bits of a half, as an integer: any number, infinity and NaN of either sign."""

NEGATIVE = st.integers(-(2**15), -1)

NEIGHBOURS = st.integers(-(2**15), 8 - 2**15)
"""-0 and the negative halves next to it."""


def drawn(data: st.DataObject, dtype: str, *words: st.SearchStrategy[int]) -> Any:
    """(m,) halves, m from 4 to 64, whose bits are all of one of these kinds."""
    some = data.draw(st.one_of(*(st.lists(each, min_size=4, max_size=64) for each in words)))
    return torch.tensor(some).to(torch.int16).view(getattr(torch, dtype))


@halves
@given(data=st.data())
def test_the_largest_of_halves_is_found_piece_by_piece(dtype: str, data: st.DataObject) -> None:
    blocks = drawn(data, dtype, ANY)
    blocks = blocks[: len(blocks) // 4 * 4].view(-1, 4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blockmax, "PIECE", data.draw(st.integers(1, 80)))
        assert same(extremes(blocks, True), blocks.double().amax(-1))
        both = torch.stack((blocks, blocks.flip(0)))
        assert same(extremes(both, True), both.double().amax(-1))


@pytest.fixture
def compared_as_integers(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each search in blocks, of any length, compared bits."""
    monkeypatch.setattr(blockmax, "LEAST_IN_A_BLOCK", 1)
    monkeypatch.setattr(blockmax, "LEAST_AS_INTEGERS", 1)
    monkeypatch.setattr(blockmax, "LEAST_ELEMENTS", 1)
    monkeypatch.setattr(blockmax, "LEAST_IN_A_ROW", 1)
    monkeypatch.setattr(blockmax, "FILTERED_FROM", 1)
    for rules in ("ONE_ROW", "SEVERAL_ROWS"):
        monkeypatch.setattr(blockmax, rules, {2: ((4, 1, 2),)})
    seen: list[bool] = []
    by_bits = blockmax._chosen_by_bits

    def watched(blocks: Any, k: int) -> Any:
        found = by_bits(blocks, k)
        seen.append(found is not None)
        return found

    monkeypatch.setattr(blockmax, "_chosen_by_bits", watched)
    return seen


@halves
def test_bits_as_integers_choose_the_blocks_of_any_halves(dtype: str, compared_as_integers: list[bool]) -> None:
    @given(data=st.data())
    def chosen(data: st.DataObject) -> None:
        y = drawn(data, dtype, ANY, NEGATIVE, NEIGHBOURS, ANY.map(lambda word: word & ~0x7800))
        k = data.draw(st.integers(1, max(1, len(y) // 4)))
        rows = torch.stack((y, y.flip(0), y.abs(), -y.abs()))
        for largest in (True, False):
            assert_native(rows, k, largest, topk(rows, k, largest=largest))
            assert_native(y, k, largest, topk(y, k, largest=largest))

    chosen()
    assert set(compared_as_integers) == {True, False}


@halves
@pytest.mark.parametrize("values", [-1.0, 0.0, -0.0, float("inf"), -float("inf")])
def test_equal_halves_are_compared_as_integers(dtype: str, values: float, compared_as_integers: list[bool]) -> None:
    y = torch.full((64,), values, dtype=getattr(torch, dtype))
    assert_native(y, 3, True, topk(y, 3))
    assert compared_as_integers == [True]


@halves
@pytest.mark.parametrize("sign", [0, -(2**15)])
def test_no_sign_hides_a_nan(dtype: str, sign: int, compared_as_integers: list[bool]) -> None:
    y = torch.arange(64.0).to(getattr(torch, dtype))
    y.view(torch.int16)[11] = 0x7FC1 | sign
    values, indices = topk(y, 2)
    assert values[0].isnan()
    assert indices[0] == 11
    assert values[1] == 63
    assert compared_as_integers == [False]
