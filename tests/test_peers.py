"""Selections of other libraries where these are not installed: stand-ins show what they are called with, and when."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
import torch

from harness.methods import Unsupported, method


def stand_in(monkeypatch: pytest.MonkeyPatch, module: str, name: str) -> list[tuple[int, ...]]:
    """Install a module whose function selects by torch, from rows, with int32 indices; the shapes that it was given."""
    shapes: list[tuple[int, ...]] = []

    def select(y: Any, k: int) -> Any:
        assert y.dim() == 2
        assert not y.requires_grad
        shapes.append(tuple(y.shape))
        values, indices = y.topk(k)
        return values, indices.int()

    parts = module.split(".")
    for depth in range(1, len(parts) + 1):
        monkeypatch.setitem(sys.modules, ".".join(parts[:depth]), ModuleType(".".join(parts[:depth])))
    setattr(sys.modules[module], name, select)
    return shapes


PEERS = {"flashinfer_top_k": ("flashinfer", "top_k"), "quack_topk": ("quack.topk", "topk_fwd")}


@pytest.mark.parametrize("name", PEERS)
@pytest.mark.parametrize("rows", [1, 3])
def test_rows_are_given_as_rows_and_indices_come_as_torch_has_them(
    monkeypatch: pytest.MonkeyPatch, name: str, rows: int
) -> None:
    shapes = stand_in(monkeypatch, *PEERS[name])
    select = method(name).make().forward
    assert select is not None
    y = torch.randperm(rows * 64).view(rows, 64).bfloat16().squeeze(0)
    values, indices = select(y, 4)
    assert shapes == [(rows, 64)]
    assert torch.equal(indices, y.topk(4).indices)
    assert torch.equal(values, y.topk(4).values)


@pytest.mark.parametrize(
    ("name", "dtype", "n", "k"),
    [
        ("flashinfer_top_k", torch.float32, (1 << 22) + 1, 8),
        ("flashinfer_top_k", torch.float64, 64, 8),
        ("quack_topk", torch.float32, 64, 8),
        ("quack_topk", torch.bfloat16, 96, 8),
        ("quack_topk", torch.bfloat16, 64, 6),
        ("quack_topk", torch.float16, 8192, 8),
        ("quack_topk", torch.float16, 4096, 256),
    ],
)
def test_where_a_kernel_must_not_be_called_it_is_not(
    monkeypatch: pytest.MonkeyPatch, name: str, dtype: torch.dtype, n: int, k: int
) -> None:
    shapes = stand_in(monkeypatch, *PEERS[name])
    select = method(name).make().forward
    assert select is not None
    with pytest.raises(Unsupported, match="float16"):
        select(torch.zeros(n, dtype=dtype), k)
    assert shapes == []
