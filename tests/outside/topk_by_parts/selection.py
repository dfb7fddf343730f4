"""The largest of each part, then the largest of those."""

from __future__ import annotations

from typing import Any

from harness.methods.definition import selector


@selector()
def by_parts(*, parts: int = 2) -> Any:
    """torch.topk of each of `parts` parts of y, then of what they gave."""
    import torch

    def select(y: Any, k: int) -> Any:
        pieces = torch.tensor_split(y, parts, dim=-1)
        found = [piece.topk(min(k, piece.shape[-1])) for piece in pieces]
        begins = [sum(piece.shape[-1] for piece in pieces[:at]) for at in range(len(pieces))]
        candidates = torch.cat([each.indices + begin for each, begin in zip(found, begins, strict=True)], dim=-1)
        values, places = torch.cat([each.values for each in found], dim=-1).topk(k)
        return values, candidates.gather(-1, places)

    return select
