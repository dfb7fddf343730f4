"""A method that waits for the device inside."""

from __future__ import annotations

from typing import Any

from harness.methods.definition import selector


@selector()
def reads_a_value() -> Any:
    """torch.topk, and a look at the largest value, for which a program on an accelerator waits."""

    def select(y: Any, k: int) -> Any:
        values, indices = y.topk(k)
        values.detach().max().item()
        return values, indices

    return select
