"""Methods that write into their inputs where nobody would look: before they fail, or in a later call."""

from __future__ import annotations

import itertools
from typing import Any

from harness.methods.definition import selector


@selector(gradient=False)
def writes_and_raises() -> Any:
    """It zeroes its input and fails."""

    def select(y: Any, k: int) -> Any:
        y.zero_()
        raise ValueError("too late")

    return select


@selector(gradient=False)
def writes_later() -> Any:
    """torch.topk, and from the second call on its input is zeroed afterwards."""
    calls = itertools.count()

    def select(y: Any, k: int) -> Any:
        selected = y.topk(k)
        if next(calls):
            y.zero_()
        return selected

    return select
