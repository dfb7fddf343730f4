"""What torch offers to select with: it chooses the indices and returns the values at once."""

from __future__ import annotations

from typing import Any

from harness.methods.definition import selector


@selector()
def native() -> Any:
    """torch.topk, the values sorted."""
    import torch

    return torch.topk


@selector()
def native_unsorted() -> Any:
    """torch.topk(sorted=False), the values in any order."""
    import torch

    return lambda y, k: torch.topk(y, k, sorted=False)


@selector()
def sort() -> Any:
    """torch.sort in descending order, the first k."""
    import torch

    def select(y: Any, k: int) -> Any:
        values, indices = torch.sort(y, dim=-1, descending=True)
        return values[..., :k], indices[..., :k]

    return select
