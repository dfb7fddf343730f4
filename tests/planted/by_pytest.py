"""The cells of a unit under pytest-benchmark, one benchmark each."""

from __future__ import annotations

from typing import Any

import pytest

from tests.planted.methods import call_of, cells


@pytest.mark.parametrize("cell", cells())
def test_planted(benchmark: Any, cell: str) -> None:
    benchmark(call_of(*cells()[cell]))
