"""The selections of torch itself, which return values and indices in one call."""

from __future__ import annotations

from typing import Any

from harness.methods.definition import selector


@selector()
def native() -> Any:
    """torch.topk, with sorted values."""
    import torch

    return torch.topk


@selector()
def native_unsorted() -> Any:
    """torch.topk(sorted=False), with values in any order."""
    import torch

    return lambda y, k: torch.topk(y, k, sorted=False)


@selector()
def sort() -> Any:
    """The first k of torch.sort in descending order."""
    import torch

    def select(y: Any, k: int) -> Any:
        values, indices = torch.sort(y, dim=-1, descending=True)
        return values[..., :k], indices[..., :k]

    return select
