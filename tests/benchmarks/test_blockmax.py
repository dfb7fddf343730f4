"""The drop-in beside torch.topk: where it falls back, where it begins to pay, where it pays most."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from harness.methods.blockmax import topk


@pytest.mark.parametrize("select", [topk, torch.topk], ids=["blockmax", "native"])
@pytest.mark.parametrize(
    ("rows", "n", "k"), [(1, 128, 8), (1, 1 << 16, 64), (1, 1 << 20, 100), (1, 1 << 23, 100), (64, 1 << 16, 32)]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def test_forward(
    benchmark: BenchmarkFixture, select: Callable[..., Any], dtype: torch.dtype, rows: int, n: int, k: int
) -> None:
    torch.set_num_threads(1)
    y = torch.randn(rows, n, generator=torch.Generator().manual_seed(0)).to(dtype)
    assert torch.equal(benchmark(select, y, k).values, y.topk(k).values)
