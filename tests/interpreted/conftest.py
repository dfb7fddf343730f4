"""The interpreter must be on, and the sizes at which the kernels change are made small."""

from __future__ import annotations

import pytest
import triton

from harness.methods.kernels import blockmax

assert triton.knobs.runtime.interpret, "set TRITON_INTERPRET=1: without a device nothing else runs these kernels"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """One tile up to 32 entries, tiles up to 96, block maxima above, of which a program reads 64."""
    for name, value in {"TILE": 32, "MOST_SELECTED": 8, "MAXIMA_FROM": 96, "MAXIMA_TILE": 64}.items():
        monkeypatch.setattr(blockmax, name, value)
